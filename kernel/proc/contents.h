// What /proc shows, in Linux's formats (proc(5)). fs/proc/proc.h has the frame; each file here fills in one part of the tree.
#pragma once

#include <cstdint>

#include "fs/proc/proc.h"
#include "kernel/process.h"
#include "kernel/time.h"
#include "lib/format.h"
#include "lib/result.h"

namespace faultline {

// Registers everything. Boot only.
void proc_contents_initialize();

inline constexpr uint32_t kProcFile = 0100444, kProcPrivateFile = 0100400, kProcWritableFile = 0100644, kProcDirectory = 0040555,
                          kProcPrivateDirectory = 0040500, kProcLink = 0120777;

using ProcShow = Result<void> (*)(const ProcContext& context, FormatSink& sink);
using ProcStore = Result<void> (*)(const ProcContext& context, StringView text);
constexpr ProcNode proc_file(StringView name, ProcShow show) { return {.name = name, .mode = kProcFile, .show = show}; }
constexpr ProcNode proc_setting(StringView name, ProcShow show, ProcStore store) {
  return {.name = name, .mode = kProcWritableFile, .show = show, .store = store};
}
constexpr ProcNode proc_directory(StringView name, std::span<const ProcNode* const> children) {
  return {.name = name, .mode = kProcDirectory, .children = children};
}

// The process a name stood for, or kSRCH: it has been reaped.
inline Result<Ref<Process>> proc_process(const ProcContext& context) {
  Ref<Process> process = Process::find(context.process);
  if (!process) return Errno::kSRCH;
  return process;
}
// As above, and the caller may look inside it (ptrace(2)'s rule: root, or all ids the same and dumpable), or kACCES.
Result<Ref<Process>> proc_inspectable_process(const ProcContext& context);
bool proc_may_inspect(Process& process);

// A page count in the kB of proc(5).
constexpr uint64_t proc_kilobytes(uint64_t pages) { return pages << (kPageShift - 10); }
constexpr uint64_t proc_ticks(uint64_t nanoseconds) { return nanoseconds / (kNanosecondsPerSecond / kUserTicksPerSecond); }
// Takes a decimal number off the front of `text`; false if there is none. What does not fit stays in the text.
bool proc_take_number(StringView& text, uint32_t& number);
// Text in which blanks and backslashes are octal, as in /proc/mounts.
void proc_put_escaped(FormatSink& sink, StringView text);

// --- The parts, by file.
extern const ProcNode kProcProcessNode;                        // process_directory.cpp
Result<void> proc_show_stat(const ProcContext&, FormatSink&);  // process_stat.cpp
// R S D T Z X: of one thread, or of a process, which is as its first thread is: Z once that has ended, though others go on.
char proc_state_letter(const Thread& thread);
char proc_state_letter_locked(const Process& process) REQUIRES(process_table_lock);
Result<void> proc_show_statm(const ProcContext&, FormatSink&);
Result<void> proc_show_status(const ProcContext&, FormatSink&);  // process_status.cpp
Result<void> proc_show_comm(const ProcContext&, FormatSink&);
Result<void> proc_store_comm(const ProcContext&, StringView);
Result<void> proc_show_maps(const ProcContext&, FormatSink&);  // process_memory.cpp
Result<void> proc_show_smaps(const ProcContext&, FormatSink&);
Result<void> proc_show_smaps_rollup(const ProcContext&, FormatSink&);
Result<size_t> proc_read_pagemap(const ProcContext&, uint64_t offset, IoBuffer&);  // process_tables.cpp
Result<size_t> proc_read_pagetables(const ProcContext&, uint64_t offset, IoBuffer&);
Result<void> proc_show_cmdline(const ProcContext&, FormatSink&);
Result<void> proc_show_environ(const ProcContext&, FormatSink&);
Result<void> proc_show_limits(const ProcContext&, FormatSink&);    // process_limits.cpp
Result<void> proc_show_fail_nth(const ProcContext&, FormatSink&);  // fail_nth.cpp
Result<void> proc_store_fail_nth(const ProcContext&, StringView);
Result<void> proc_show_score(const ProcContext&, FormatSink&);  // process_score.cpp
Result<void> proc_show_score_adjustment(const ProcContext&, FormatSink&);
Result<void> proc_store_score_adjustment(const ProcContext&, StringView);
Result<void> proc_show_mounts(const ProcContext&, FormatSink&);  // mounts.cpp
Result<void> proc_show_mountinfo(const ProcContext&, FormatSink&);
extern const ProcNode kProcFdNode, kProcFdinfoNode, kProcExeNode, kProcCwdNode, kProcRootNode;  // process_files.cpp
void proc_owner_of_process(const ProcContext& context, uint32_t& uid, uint32_t& gid);

Result<void> proc_show_cpuinfo(const ProcContext&, FormatSink&);  // cpuinfo.cpp
void proc_register_memory();                                      // memory.cpp
extern const ProcNode kProcSwapNode;                              // swap.cpp
extern const ProcNode kProcBlockFaultsNode;                       // block_faults.cpp
extern const ProcNode kProcProvokeNode;                           // lock_provocations.cpp; debug builds
void proc_register_swap();
void proc_register_processors();                                   // processors.cpp
void proc_register_devices();                                      // devices.cpp
extern const ProcNode kProcMemorySettingsNode;                     // memory_settings.cpp
void proc_register_settings();                                     // settings.cpp
void proc_register_network();                                      // network.cpp
Result<void> proc_show_net_unix(const ProcContext&, FormatSink&);  // kernel/net/unix_proc.cpp

}  // namespace faultline
