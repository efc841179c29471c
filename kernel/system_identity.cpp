// The names that can be changed.
#include "kernel/system_identity.h"

#include "lib/lock.h"

namespace faultline {

namespace {

// Text that anybody may read while somebody changes it.
class Name {
 public:
  constexpr explicit Name(StringView text) : length_(text.size()) {
    for (size_t i = 0; i < length_; i++) text_[i] = text[i];
  }
  Result<void> set(StringView text) {
    if (text.size() > kHostNameLimit) return Errno::kINVAL;
    LockGuard guard(lock_);
    memcpy(text_, text.data(), text.size());
    length_ = text.size();
    return {};
  }
  size_t copy(std::span<char> buffer) const {
    LockGuard guard(lock_);
    size_t length = length_ < buffer.size() ? length_ : buffer.size();
    memcpy(buffer.data(), text_, length);
    return length;
  }

 private:
  mutable SpinLock<LockRank::kLeaf> lock_;
  char text_[kHostNameLimit] GUARDED_BY(lock_) = {};
  size_t length_ GUARDED_BY(lock_);
};

constinit Name host_name("faultline"), domain_name("(none)");

}  // namespace

Result<void> host_name_set(StringView name) { return host_name.set(name); }
size_t host_name_copy(std::span<char> buffer) { return host_name.copy(buffer); }
Result<void> domain_name_set(StringView name) { return domain_name.set(name); }
size_t domain_name_copy(std::span<char> buffer) { return domain_name.copy(buffer); }

}  // namespace faultline
