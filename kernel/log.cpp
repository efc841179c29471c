// The log: each line is stored in a ring, with its number and time, and goes to the console if it is important enough.
#include "kernel/log.h"

#include <algorithm>
#include <array>

#include "arch/clock.h"
#include "arch/cpu.h"
#include "drivers/early_serial.h"
#include "drivers/serial.h"
#include "lib/lock.h"

namespace faultline {

namespace {

constexpr size_t kLineBytes = 255;

struct Record {
  uint64_t nanoseconds;
  LogLevel level;
  uint8_t length;
};

InterruptSpinLock<LockRank::kLog> lock;
// A line's record and text may wrap around; positions count bytes for ever, and the oldest whole record is at `tail`.
constinit std::array<char, 32768> ring GUARDED_BY(lock) = {};
constinit uint64_t head GUARDED_BY(lock) = 0, tail GUARDED_BY(lock) = 0;
constinit uint64_t head_sequence GUARDED_BY(lock) = 0, tail_sequence GUARDED_BY(lock) = 0;
// Where the reader of the last record would go on, so that reading the whole ring does not start over for each line.
constinit uint64_t cursor GUARDED_BY(lock) = 0, cursor_sequence GUARDED_BY(lock) = 0;
constinit Atomic<LogLevel> console_level{LogLevel::kNotice};

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

void append(LogLevel level, uint64_t now, StringView text) REQUIRES(lock) {
  Record record = {now, level, static_cast<uint8_t>(text.size())};
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
  std::array<char, kLineBytes + 1> line;
  BufferSink sink(line);
  format(sink, "{}\n", text);
  put_text(sink.text());
}

}  // namespace

void log_set_console_level(LogLevel level) { console_level.store(level, memory_order_relaxed); }
LogLevel log_console_level() { return console_level.load(memory_order_relaxed); }

void log_arguments(LogLevel level, StringView pattern, std::span<const FormatArgument> arguments) {
  std::array<char, kLineBytes> buffer;
  BufferSink sink(buffer);
  format_arguments(sink, pattern, arguments);
  InterruptLockGuard guard(lock);
  uint64_t now = clock_monotonic();
  append(level, now, sink.text());
  if (level <= log_console_level()) put_on_console(sink.text());
}

size_t log_read_record(uint64_t& sequence, std::span<char> buffer) {
  InterruptLockGuard guard(lock);
  if (cursor_sequence > sequence || cursor_sequence < tail_sequence) {
    cursor = tail;
    cursor_sequence = tail_sequence;
  }
  while (cursor_sequence < sequence && cursor_sequence < head_sequence) {
    cursor = after(cursor);
    cursor_sequence++;
  }
  if (cursor_sequence == head_sequence) return 0;
  Record record;
  load(cursor, &record, sizeof record);
  std::array<char, kLineBytes> text;
  load(cursor + sizeof record, text.data(), record.length);
  BufferSink sink(buffer);
  format(sink, "{},{},{},-;{}\n", static_cast<uint32_t>(record.level), cursor_sequence, record.nanoseconds / 1000,
         StringView(text.data(), record.length));
  sequence = cursor_sequence + 1;
  return sink.text().size();
}

}  // namespace faultline
