// /proc/PID/oom_score, oom_score_adj: what the killer thinks of a process, and what it is asked to think.
#include "kernel/out_of_memory.h"
#include "kernel/proc/contents.h"

namespace faultline {

Result<void> proc_show_score(const ProcContext& context, FormatSink& sink) {
  Ref<Process> process = TRY(proc_process(context));
  format(sink, "{}\n", memory_score(*process));
  return {};
}

Result<void> proc_show_score_adjustment(const ProcContext& context, FormatSink& sink) {
  Ref<Process> process = TRY(proc_process(context));
  format(sink, "{}\n", process->memory_adjustment_.load(memory_order_relaxed));
  return {};
}

// Anyone may make a process of its own easier prey; only the superuser, harder than the superuser has left it.
Result<void> proc_store_score_adjustment(const ProcContext& context, StringView text) {
  Ref<Process> process = TRY(proc_process(context));
  const bool is_negative = !text.empty() && text[0] == '-';
  if (is_negative) text = text.substring(1);
  uint32_t number;
  if (!proc_take_number(text, number) || !text.empty() || number > static_cast<uint32_t>(kMostAdjustment)) return Errno::kINVAL;
  const int32_t wanted = is_negative ? -static_cast<int32_t>(number) : static_cast<int32_t>(number);
  const bool is_superuser = current_process().credentials().is_superuser();
  if (!is_superuser && wanted < process->least_adjustment_.load(memory_order_relaxed)) return Errno::kACCES;
  process->memory_adjustment_.store(wanted, memory_order_relaxed);
  if (is_superuser) process->least_adjustment_.store(wanted, memory_order_relaxed);
  return {};
}

}  // namespace faultline
