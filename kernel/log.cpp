// The log: each line is stored in a ring, with its number and time, and goes to the console if it is important enough.
#include "kernel/log.h"

#include <algorithm>
#include <array>

#include "arch/clock.h"
#include "arch/cpu.h"
#include "drivers/early_serial.h"
#include "drivers/serial.h"
#include "fs/poll.h"
#include "lib/late.h"
#include "lib/lock.h"

namespace faultline {

namespace {

constexpr size_t kLineBytes = 255;  // of the kernel's own

struct Record {
  uint64_t nanoseconds;
  uint16_t priority, length;
};

InterruptSpinLock<LockRank::kLog> lock;
// A line's record and text may wrap around; positions count bytes for ever, and the oldest whole record is at `tail`.
constinit std::array<char, 32768> ring GUARDED_BY(lock) = {};
constinit uint64_t head GUARDED_BY(lock) = 0, tail GUARDED_BY(lock) = 0;
constinit uint64_t head_sequence GUARDED_BY(lock) = 0, tail_sequence GUARDED_BY(lock) = 0;
// Where the reader of the last record would go on, so that reading the whole ring does not start over for each line.
constinit uint64_t cursor GUARDED_BY(lock) = 0, cursor_sequence GUARDED_BY(lock) = 0;
constinit uint64_t cleared GUARDED_BY(lock) = 0;
constinit std::array<char, LogRecord::kLongest + 1> console_line GUARDED_BY(lock) = {};
constinit Atomic<LogLevel> console_level{LogLevel::kNotice};
constinit Late<WaitQueue> news;
constinit Atomic<bool> news_is_ready{false}, has_unheard_news{false};

void store(const void* bytes, size_t count) REQUIRES(lock) {
  for (size_t i = 0; i < count; i++) ring[head++ % ring.size()] = static_cast<const char*>(bytes)[i];
}
void load(uint64_t position, void* bytes, size_t count) REQUIRES(lock) {
  for (size_t i = 0; i < count; i++) static_cast<char*>(bytes)[i] = ring[(position + i) % ring.size()];
}

uint64_t after(uint64_t position) REQUIRES(lock) {
  Record record;
  load(position, &record, sizeof record);
  return position + sizeof record + record.length;
}

void append(uint32_t priority, uint64_t now, StringView text) REQUIRES(lock) {
  Record record = {now, static_cast<uint16_t>(priority), static_cast<uint16_t>(text.size())};
  while (head + sizeof record + text.size() - tail > ring.size()) {
    tail = after(tail);
    tail_sequence++;
  }
  store(&record, sizeof record);
  store(text.data(), text.size());
  head_sequence++;
}

// Among what programs write once the port has its driver; by polling before.
void put_text(StringView text) {
  if (!serial_log_put(text)) early_serial_put(text);
}

// Without the time, which /dev/kmsg has: some lines have a shape that programs rely on.
void put_on_console(StringView text) REQUIRES(lock) {
  BufferSink sink(console_line);
  format(sink, "{}\n", text);
  put_text(sink.text());
}

// A line may come from under any lock, those that waking takes included, and from interrupts: then the next timer wakes.
void tell_readers() {
  if (!news_is_ready.load(memory_order_acquire) || !news->has_waiters()) return;
  if (machine::interrupts_enabled() && machine::preemption_depth() == 0)
    news->wake_all(kPollIn | kPollReadNormal);
  else
    has_unheard_news.store(true, memory_order_relaxed);
}

}  // namespace

void log_set_console_level(LogLevel level) { console_level.store(level, memory_order_relaxed); }
LogLevel log_console_level() { return console_level.load(memory_order_relaxed); }

void log_arguments(LogLevel level, StringView pattern, std::span<const FormatArgument> arguments) {
  std::array<char, kLineBytes> buffer;
  BufferSink sink(buffer);
  format_arguments(sink, pattern, arguments);
  log_add(static_cast<uint32_t>(level), sink.text());
}

void log_add(uint32_t priority, StringView text) {
  {
    InterruptLockGuard guard(lock);
    append(priority, clock_monotonic(), text);
    if ((priority & 7) <= static_cast<uint32_t>(log_console_level())) put_on_console(text);
  }
  tell_readers();
}

bool log_read(uint64_t sequence, LogRecord& result) {
  InterruptLockGuard guard(lock);
  if (cursor_sequence > sequence || cursor_sequence < tail_sequence) {
    cursor = tail;
    cursor_sequence = tail_sequence;
  }
  while (cursor_sequence < sequence && cursor_sequence < head_sequence) {
    cursor = after(cursor);
    cursor_sequence++;
  }
  if (cursor_sequence == head_sequence) return false;
  Record record;
  load(cursor, &record, sizeof record);
  result.sequence = cursor_sequence;
  result.nanoseconds = record.nanoseconds;
  result.priority = record.priority;
  result.length = record.length;
  load(cursor + sizeof record, result.text, record.length);
  return true;
}

LogExtent log_extent() {
  InterruptLockGuard guard(lock);
  return {tail_sequence, head_sequence, std::max(cleared, tail_sequence)};
}

void log_clear(uint64_t before) {
  InterruptLockGuard guard(lock);
  cleared = before;
}

WaitQueue& log_news() { return *news; }

void log_news_initialize() {
  news.construct();
  news_is_ready.store(true, memory_order_release);
}

void log_wake_readers() {
  if (has_unheard_news.load(memory_order_relaxed) && has_unheard_news.exchange(false, memory_order_relaxed))
    news->wake_all(kPollIn | kPollReadNormal);
}

}  // namespace faultline
