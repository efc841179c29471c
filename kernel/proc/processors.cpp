// /proc/stat, uptime, loadavg, cpuinfo, interrupts, version: what the machine is and what it has done since boot.
#include "arch/clock.h"
#include "arch/cpu.h"
#include "arch/interrupt.h"
#include "kernel/pid.h"
#include "kernel/proc/contents.h"
#include "kernel/scheduler.h"
#include "kernel/system_identity.h"

namespace faultline {

namespace {

constexpr uint32_t kInterruptLines = 24;
constexpr uint64_t kNanosecondsPerHundredth = kNanosecondsPerSecond / 100;

void put_cpu(FormatSink& sink, StringView name, const SchedulerStatistics& times) {
  format(sink, "{} {} 0 {} {} 0 0 0 0 0 0\n", name, proc_ticks(times.user_time), proc_ticks(times.kernel_time),
         proc_ticks(times.idle_time));
}

SchedulerStatistics all_cpus() {
  SchedulerStatistics sum;
  for (uint32_t cpu = 0; cpu < cpu_count(); cpu++) {
    SchedulerStatistics each = scheduler_statistics(cpu);
    sum.switches += each.switches;
    sum.idle_time += each.idle_time;
    sum.user_time += each.user_time;
    sum.kernel_time += each.kernel_time;
    sum.runnable += each.runnable;
  }
  return sum;
}

uint64_t interrupts_on(uint32_t line) {
  uint64_t count = 0;
  for (uint32_t cpu = 0; cpu < cpu_count(); cpu++) count += interrupt_count(cpu, line);
  return count;
}

Result<void> show_stat(const ProcContext&, FormatSink& sink) {
  SchedulerStatistics sum = all_cpus();
  put_cpu(sink, "cpu ", sum);
  for (uint32_t cpu = 0; cpu < cpu_count(); cpu++) {
    char text[8];
    BufferSink name(text);
    format(name, "cpu{}", cpu);
    put_cpu(sink, name.text(), scheduler_statistics(cpu));
  }
  uint64_t interrupts = 0;
  for (uint32_t line = 0; line < kInterruptLines; line++) interrupts += interrupts_on(line);
  format(sink, "intr {}", interrupts);
  for (uint32_t line = 0; line < kInterruptLines; line++) format(sink, " {}", interrupts_on(line));
  format(sink, "\nctxt {}\nbtime {}\n", sum.switches, (wall_clock_nanoseconds() - clock_monotonic()) / kNanosecondsPerSecond);
  format(sink, "processes {}\n", machine_usage().threads_made);
  format(sink, "procs_running {}\nprocs_blocked 0\n", sum.runnable);
  return {};
}

Result<void> show_uptime(const ProcContext&, FormatSink& sink) {
  uint64_t up = clock_monotonic() / kNanosecondsPerHundredth, idle = all_cpus().idle_time / kNanosecondsPerHundredth;
  format(sink, "{}.{02} {}.{02}\n", up / 100, up % 100, idle / 100, idle % 100);
  return {};
}

Result<void> show_loadavg(const ProcContext&, FormatSink& sink) {
  uint32_t loads[3];
  scheduler_load_averages(loads);
  for (uint32_t load : loads) {
    uint32_t rounded = load + (1u << 16) / 200;
    format(sink, "{}.{02} ", rounded >> 16, ((rounded & 0xffff) * 100) >> 16);
  }
  format(sink, "{}/{} {}\n", all_cpus().runnable, Process::count(), pid_last());
  return {};
}

Result<void> show_interrupts(const ProcContext&, FormatSink& sink) {
  sink.put("     ");
  for (uint32_t cpu = 0; cpu < cpu_count(); cpu++) format(sink, "       CPU{}", cpu);
  sink.put("\n");
  for (uint32_t line = 0; line < kInterruptLines; line++) {
    if (interrupts_on(line) == 0) continue;
    format(sink, "{4}:", line);
    for (uint32_t cpu = 0; cpu < cpu_count(); cpu++) format(sink, " {10}", interrupt_count(cpu, line));
    sink.put("\n");
  }
  sink.put(" LOC:");
  for (uint32_t cpu = 0; cpu < cpu_count(); cpu++) format(sink, " {10}", timer_interrupt_count(cpu));
  sink.put("   Local timer interrupts\n");
  return {};
}

Result<void> show_version(const ProcContext&, FormatSink& sink) {
  format(sink, "{} version {} {}\n", kSystemName, kSystemRelease, kSystemVersion);
  return {};
}

constexpr ProcNode kStat = proc_file("stat", &show_stat);
constexpr ProcNode kUptime = proc_file("uptime", &show_uptime);
constexpr ProcNode kLoadavg = proc_file("loadavg", &show_loadavg);
constexpr ProcNode kCpuinfo = proc_file("cpuinfo", &proc_show_cpuinfo);
constexpr ProcNode kInterrupts = proc_file("interrupts", &show_interrupts);
constexpr ProcNode kVersion = proc_file("version", &show_version);

}  // namespace

void proc_register_processors() {
  for (const ProcNode* node : {&kStat, &kUptime, &kLoadavg, &kCpuinfo, &kInterrupts, &kVersion}) proc_register(*node);
}

}  // namespace faultline
