// The reading side of lib/log.h: the ring of past lines behind /dev/kmsg and syslog(2), and what reaches the console.
#pragma once

#include <cstdint>
#include <span>

#include "lib/log.h"
#include "lib/wait_queue.h"

namespace faultline {

// Lines of this level and more important ones go to the console as well as to the ring.
void log_set_console_level(LogLevel level);
LogLevel log_console_level();

struct LogRecord {
  static constexpr size_t kLongest = 976;  // bytes of text, as on Linux
  uint64_t sequence, nanoseconds;          // lines are numbered from 0; time since boot
  uint32_t priority;                       // facility * 8 + level, as in syslog(3); the kernel is facility 0
  uint32_t length;
  char text[kLongest];
  StringView line() const { return {text, length}; }
};

// The oldest line whose number is at least `sequence`. False: there is none yet. Any context.
bool log_read(uint64_t sequence, LogRecord& record);
// A program's line, of at most kLongest bytes.
void log_add(uint32_t priority, StringView text);

struct LogExtent {
  uint64_t first, end;  // numbers: of the oldest line that is still there, and of the next one to come
  uint64_t cleared;     // what syslog(2) has been told to forget lies before this one
};
LogExtent log_extent();
void log_clear(uint64_t before);

// Woken with kPollIn when there are new lines. Boot makes it.
void log_news_initialize();
WaitQueue& log_news();
// For the timer's interrupt: wakes those whom the writer of a line, in the midst of something, could not.
void log_wake_readers();

}  // namespace faultline
