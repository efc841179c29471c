// /proc/sys: what can be read, and the few things that can be set.
#include "arch/clock.h"
#include "fs/pipe.h"
#include "kernel/files/watch_account.h"
#include "kernel/pid.h"
#include "kernel/proc/contents.h"
#include "fs/devfs/random.h"
#include "kernel/system_identity.h"

namespace faultline {

namespace {

template <uint64_t kValue>
Result<void> show_number(const ProcContext&, FormatSink& sink) {
  format(sink, "{}\n", kValue);
  return {};
}

// --- kernel
template <const StringView& kText>
Result<void> show_text(const ProcContext&, FormatSink& sink) {
  format(sink, "{}\n", kText);
  return {};
}
Result<void> show_host_name(const ProcContext&, FormatSink& sink) {
  char text[kHostNameLimit];
  format(sink, "{}\n", StringView(text, host_name_copy(text)));
  return {};
}
Result<void> store_host_name(const ProcContext&, StringView text) { return host_name_set(text); }
Result<void> show_domain_name(const ProcContext&, FormatSink& sink) {
  char text[kHostNameLimit];
  format(sink, "{}\n", StringView(text, domain_name_copy(text)));
  return {};
}
Result<void> store_domain_name(const ProcContext&, StringView text) { return domain_name_set(text); }

constexpr ProcNode kOsType = proc_file("ostype", &show_text<kSystemName>);
constexpr ProcNode kOsRelease = proc_file("osrelease", &show_text<kSystemRelease>);
constexpr ProcNode kVersion = proc_file("version", &show_text<kSystemVersion>);
constexpr ProcNode kHostName = proc_setting("hostname", &show_host_name, &store_host_name);
constexpr ProcNode kDomainName = proc_setting("domainname", &show_domain_name, &store_domain_name);
constexpr ProcNode kPidMax = proc_file("pid_max", &show_number<kPidLimit>);
constexpr ProcNode kGroupsMax = proc_file("ngroups_max", &show_number<Credentials::kMaxGroups>);

// --- kernel/random
struct Uuid {
  uint8_t bytes[16];
};
// Version 4, variant 1 (RFC 4122).
Uuid random_uuid() {
  Uuid uuid;
  random_fill(uuid.bytes, sizeof uuid.bytes);
  uuid.bytes[6] = static_cast<uint8_t>((uuid.bytes[6] & 0x0f) | 0x40);
  uuid.bytes[8] = static_cast<uint8_t>((uuid.bytes[8] & 0x3f) | 0x80);
  return uuid;
}
void put_uuid(FormatSink& sink, const Uuid& uuid) {
  for (uint32_t i = 0; i < 16; i++) {
    if (i == 4 || i == 6 || i == 8 || i == 10) sink.put("-");
    format(sink, "{02x}", uuid.bytes[i]);
  }
  sink.put("\n");
}
constinit Uuid boot_id = {};  // set at boot

Result<void> show_uuid(const ProcContext&, FormatSink& sink) {
  put_uuid(sink, random_uuid());
  return {};
}
Result<void> show_boot_id(const ProcContext&, FormatSink& sink) {
  put_uuid(sink, boot_id);
  return {};
}
constexpr ProcNode kUuid = proc_file("uuid", &show_uuid);
constexpr ProcNode kBootId = proc_file("boot_id", &show_boot_id);
constexpr ProcNode kEntropy = proc_file("entropy_avail", &show_number<256>);  // the generator is seeded, as on Linux for good
constexpr const ProcNode* kRandomFiles[] = {&kUuid, &kBootId, &kEntropy};
constexpr ProcNode kRandom = proc_directory("random", kRandomFiles);
constexpr const ProcNode* kKernelFiles[] = {&kOsType, &kOsRelease, &kVersion, &kHostName, &kDomainName, &kPidMax, &kGroupsMax, &kRandom};
constexpr ProcNode kKernel = proc_directory("kernel", kKernelFiles);

// --- fs
constexpr ProcNode kFileMax = proc_file("file-max", &show_number<0x7fffffff>);  // memory is the only limit
Result<void> show_pipe_limit(const ProcContext&, FormatSink& sink) {
  format(sink, "{}\n", Pipe::most_bytes());
  return {};
}
Result<void> store_pipe_limit(const ProcContext&, StringView text) {
  uint32_t bytes;
  if (!proc_take_number(text, bytes) || !text.empty()) return Errno::kINVAL;
  return Pipe::set_most_bytes(bytes);
}
constexpr ProcNode kPipeMaxSize = proc_setting("pipe-max-size", &show_pipe_limit, &store_pipe_limit);
Result<void> show_watch_limit(const ProcContext&, FormatSink& sink) {
  format(sink, "{}\n", WatchAccount::limit());
  return {};
}
Result<void> store_watch_limit(const ProcContext&, StringView text) {
  uint32_t watches;
  if (!proc_take_number(text, watches) || !text.empty() || watches > INT32_MAX) return Errno::kINVAL;
  WatchAccount::set_limit(watches);
  return {};
}
constexpr ProcNode kWatchLimit = proc_setting("max_user_watches", &show_watch_limit, &store_watch_limit);
constexpr const ProcNode* kEpollFiles[] = {&kWatchLimit};
constexpr ProcNode kEpoll = proc_directory("epoll", kEpollFiles);
constexpr const ProcNode* kFsFiles[] = {&kFileMax, &kPipeMaxSize, &kEpoll};
constexpr ProcNode kFs = proc_directory("fs", kFsFiles);

constexpr const ProcNode* kSysDirectories[] = {&kKernel, &kProcMemorySettingsNode, &kFs};
constexpr ProcNode kSys = proc_directory("sys", kSysDirectories);

}  // namespace

void proc_register_settings() {
  boot_id = random_uuid();
  proc_register(kSys);
}

}  // namespace faultline
