// /proc/self/fail-nth: lets an allocation of the thread that writes to it fail (kernel/fault_injection.h, docs/fault-injection.md).
#include "kernel/fault_injection.h"
#include "kernel/proc/contents.h"

namespace faultline {

Result<void> proc_show_fail_nth(const ProcContext& context, FormatSink& sink) {
  if (context.process != current_process().pid()) return Errno::kPERM;
  format(sink, "{}\n", running_thread().injection.countdown);
  return {};
}

// "N", or "N TIMES".
Result<void> proc_store_fail_nth(const ProcContext& context, StringView text) {
  if (context.process != current_process().pid()) return Errno::kPERM;
  uint32_t nth, failures = 1;
  if (!proc_take_number(text, nth)) return Errno::kINVAL;
  if (!text.empty() && text[0] == ' ') {
    text = text.substring(1);
    if (!proc_take_number(text, failures)) return Errno::kINVAL;
  }
  if (!text.empty()) return Errno::kINVAL;
  fault_injection_arm(nth, failures);
  return {};
}

}  // namespace faultline
