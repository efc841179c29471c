// The names that can be changed.
#include "kernel/system_identity.h"

#include "lib/lock.h"

namespace faultline {

namespace {

struct Name {
  char text[kHostNameLimit];
  size_t length;
};
constinit SpinLock<LockRank::kLeaf> lock;
constinit Name host_name GUARDED_BY(lock) = {"faultline", 9}, domain_name GUARDED_BY(lock) = {"(none)", 6};

void set(Name& name, StringView text) {
  LockGuard guard(lock);
  memcpy(name.text, text.data(), text.size());
  name.length = text.size();
}
size_t copy(const Name& name, std::span<char> buffer) {
  LockGuard guard(lock);
  size_t length = name.length < buffer.size() ? name.length : buffer.size();
  memcpy(buffer.data(), name.text, length);
  return length;
}

}  // namespace

Result<void> host_name_set(StringView name) {
  if (name.size() > kHostNameLimit) return Errno::kINVAL;
  set(host_name, name);
  return {};
}
size_t host_name_copy(std::span<char> buffer) { return copy(host_name, buffer); }

Result<void> domain_name_set(StringView name) {
  if (name.size() > kHostNameLimit) return Errno::kINVAL;
  set(domain_name, name);
  return {};
}
size_t domain_name_copy(std::span<char> buffer) { return copy(domain_name, buffer); }

}  // namespace faultline
