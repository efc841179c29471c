// The calls about the system as a whole: its name, its memory, its log, its end.
#include "arch/clock.h"
#include "fs/devfs/random.h"
#include "kernel/calls.h"
#include "kernel/log.h"
#include "kernel/power.h"
#include "kernel/process.h"
#include "kernel/scheduler.h"
#include "kernel/system_identity.h"
#include "mm/frames.h"
#include "mm/slab.h"
#include "mm/swap.h"

namespace faultline {

// struct new_utsname: six names of 65 bytes.
struct UserNames {
  char system[65], node[65], release[65], version[65], machine[65], domain[65];
};
static_assert(sizeof(UserNames) == 390);

Result<uint32_t> sys_uname(UserPtr<UserNames> where) {
  UserNames names{};
  auto put = [](char(&field)[65], StringView text) { memcpy(field, text.data(), text.size() < 64 ? text.size() : 64); };
  put(names.system, kSystemName);
  put(names.release, kSystemRelease);
  put(names.version, kSystemVersion);
  put(names.machine, kSystemMachine);
  host_name_copy({names.node, 64});
  domain_name_copy({names.domain, 64});
  TRY(user_write(where, names));
  return 0u;
}

namespace {

Result<uint32_t> set_system_name(UserPtr<const char> from, uint32_t length, Result<void> (*set)(StringView)) {
  if (!current_process().credentials().is_superuser()) return Errno::kPERM;
  if (length > kHostNameLimit) return Errno::kINVAL;
  char name[kHostNameLimit];
  TRY(user_read_bytes(name, from.address(), length));
  TRY(set(StringView(name, length)));
  return 0u;
}

}  // namespace

Result<uint32_t> sys_sethostname(UserPtr<const char> from, uint32_t length) { return set_system_name(from, length, host_name_set); }
Result<uint32_t> sys_setdomainname(UserPtr<const char> from, uint32_t length) { return set_system_name(from, length, domain_name_set); }

struct UserSystemInformation {
  uint32_t uptime;
  uint32_t loads[3];
  uint32_t total, free, shared, buffers, total_swap, free_swap;
  uint16_t processes, padding;
  uint32_t total_high, free_high;
  uint32_t unit;
  uint8_t unused[8];
};
static_assert(sizeof(UserSystemInformation) == 64);

Result<uint32_t> sys_sysinfo(UserPtr<UserSystemInformation> where) {
  UserSystemInformation info{};
  info.uptime = static_cast<uint32_t>(clock_monotonic() / kNanosecondsPerSecond);
  scheduler_load_averages(info.loads);
  FrameStatistics frames = frame_statistics();
  const SwapStatistics swap = swap_statistics();
  // In bytes if all of it together can be said in them, else in pages.
  info.unit = uint64_t{frames.total} + swap.total <= ~0u / kPageSize ? 1 : kPageSize;
  auto units = [&info](uint32_t pages) { return info.unit == 1 ? pages * kPageSize : pages; };
  info.total = units(frames.total);
  info.free = units(frames.free + thread_cache_frames());
  info.total_swap = units(swap.total);
  info.free_swap = units(swap.free);
  info.processes = static_cast<uint16_t>(Process::count());
  TRY(user_write(where, info));
  return 0u;
}

Result<uint32_t> sys_getrandom(VirtAddr where, uint32_t bytes, uint32_t flags) {
  constexpr uint32_t kKnown = 7, kRandom = 2, kInsecure = 4;
  if ((flags & ~kKnown) || (flags & (kRandom | kInsecure)) == (kRandom | kInsecure)) return Errno::kINVAL;
  uint8_t block[256];
  uint32_t done = 0;
  while (done < bytes) {
    uint32_t piece = bytes - done < sizeof block ? bytes - done : static_cast<uint32_t>(sizeof block);
    random_fill(block, piece);
    Result<void> written = user_write_bytes(where + done, block, piece);
    if (!written.ok()) return done ? Result<uint32_t>(done) : written.error();
    done += piece;
    if (done < bytes && signal_is_pending()) break;
  }
  return done;
}

Result<uint32_t> sys_reboot(uint32_t magic, uint32_t magic2, uint32_t command) {
  constexpr uint32_t kMagic = 0xfee1dead, kMagic2[] = {672274793, 85072278, 369367448, 537993216};
  constexpr uint32_t kRestart = 0x01234567, kHalt = 0xcdef0123, kPowerOff = 0x4321fedc, kCtrlAltDelOn = 0x89abcdef, kCtrlAltDelOff = 0;
  if (!current_process().credentials().is_superuser()) return Errno::kPERM;
  bool is_known = false;
  for (uint32_t known : kMagic2) is_known |= magic2 == known;
  if (magic != kMagic || !is_known) return Errno::kINVAL;
  switch (command) {
    case kRestart: power_down(PowerAction::kRestart);
    case kHalt: power_down(PowerAction::kHalt);
    case kPowerOff: power_down(PowerAction::kOff);
    case kCtrlAltDelOn:
    case kCtrlAltDelOff: return 0u;  // no keyboard sends it to us
    default: return Errno::kINVAL;
  }
}

namespace {

// A line of the log as syslog(2) gives it.
StringView log_line(const LogRecord& record, std::span<char> memory) {
  const uint64_t micros = record.nanoseconds / 1000;
  BufferSink sink(memory);
  format(sink, "<{}>[{5}.{06}] {}\n", record.priority, micros / 1'000'000, micros % 1'000'000, record.line());
  return sink.text();
}

// The lines from `sequence` on, or as many of the newest of them as fit.
Result<uint32_t> read_log(VirtAddr where, uint32_t bytes, uint64_t sequence) {
  constexpr size_t kPrefixBytes = 40;
  Buffer<LogRecord> buffer = TRY(Buffer<LogRecord>::create(1));
  Buffer<char> text = TRY(Buffer<char>::create(LogRecord::kLongest + kPrefixBytes));
  LogRecord& record = buffer[0];
  const std::span<char> memory(text.data(), text.size());
  size_t total = 0;
  for (uint64_t next = sequence; log_read(next, record); next = record.sequence + 1) total += log_line(record, memory).size();
  uint32_t done = 0;
  for (uint64_t next = sequence; log_read(next, record); next = record.sequence + 1) {
    StringView line = log_line(record, memory);
    if (total > bytes) {
      total -= line.size();
      continue;
    }
    if (line.size() > bytes - done) break;  // written since we counted
    TRY(user_write_bytes(where + done, line.data(), line.size()));
    done += static_cast<uint32_t>(line.size());
  }
  return done;
}

constexpr uint32_t kLogBufferSize = 64 * 1024;

}  // namespace

Result<uint32_t> sys_syslog(uint32_t type, VirtAddr where, int32_t length) {
  constexpr uint32_t kClose = 0, kOpen = 1, kReadAll = 3, kReadClear = 4, kClear = 5, kConsoleOff = 6, kConsoleOn = 7, kConsoleLevel = 8,
                     kUnread = 9, kSize = 10;
  if (type != kReadAll && type != kSize && !current_process().credentials().is_superuser()) return Errno::kPERM;
  switch (type) {
    case kClose:
    case kOpen: return 0u;
    case kReadAll:
    case kReadClear: {
      if (length < 0 || where.value() == 0) return Errno::kINVAL;
      const LogExtent extent = log_extent();
      uint32_t done = TRY(read_log(where, static_cast<uint32_t>(length), extent.cleared));
      if (type == kReadClear) log_clear(extent.end);
      return done;
    }
    case kClear: log_clear(log_extent().end); return 0u;
    case kConsoleOff: log_set_console_level(LogLevel::kError); return 0u;
    case kConsoleOn: log_set_console_level(LogLevel::kNotice); return 0u;
    case kConsoleLevel:
      if (length < 1 || length > 8) return Errno::kINVAL;
      log_set_console_level(static_cast<LogLevel>(length < 4 ? 3 : length > 8 ? 7 : length - 1));
      return 0u;
    case kUnread: return 0u;
    case kSize: return kLogBufferSize;
    default: return Errno::kINVAL;
  }
}

}  // namespace faultline
