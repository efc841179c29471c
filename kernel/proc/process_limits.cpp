// /proc/PID/limits: a table for people.
#include "kernel/proc/contents.h"

namespace faultline {

namespace {

struct LimitRow {
  StringView name, unit;
};
// In the order of getrlimit(2)'s numbers.
constexpr LimitRow kRows[kResourceCount] = {
    {"Max cpu time", "seconds"},     {"Max file size", "bytes"},     {"Max data size", "bytes"},     {"Max stack size", "bytes"},
    {"Max core file size", "bytes"}, {"Max resident set", "bytes"},  {"Max processes", "processes"}, {"Max open files", "files"},
    {"Max locked memory", "bytes"},  {"Max address space", "bytes"}, {"Max file locks", "locks"},    {"Max pending signals", "signals"},
    {"Max msgqueue size", "bytes"},  {"Max nice priority", ""},      {"Max realtime priority", ""},  {"Max realtime timeout", "us"},
};

void put_value(FormatSink& sink, uint64_t value) {
  char text[24];
  BufferSink number(text);
  if (value == kUnlimited)
    number.put("unlimited");
  else
    format(number, "{}", value);
  format(sink, "{-20} ", number.text());
}

}  // namespace

Result<void> proc_show_limits(const ProcContext& context, FormatSink& sink) {
  Ref<Process> process = TRY(proc_inspectable_process(context));
  LimitTable limits;
  {
    LockGuard guard(process->lock_);
    limits = process->limits_;
  }
  format(sink, "{-25} {-20} {-20} {-10}\n", "Limit", "Soft Limit", "Hard Limit", "Units");
  for (uint32_t i = 0; i < kResourceCount; i++) {
    format(sink, "{-25} ", kRows[i].name);
    put_value(sink, limits[i].current);
    put_value(sink, limits[i].maximum);
    format(sink, "{-10}\n", kRows[i].unit);
  }
  return {};
}

}  // namespace faultline
