// /proc/PID and /proc/PID/task/TID: which files there are, and who may open them.
#include "kernel/fault_watch.h"
#include "kernel/proc/contents.h"

namespace faultline {

namespace {

constexpr ProcNode owned_file(StringView name, uint32_t mode, ProcShow show) {
  return {.name = name, .mode = mode, .show = show, .owner = &proc_owner_of_process};
}

constexpr ProcNode kStat = owned_file("stat", kProcFile, &proc_show_stat);
constexpr ProcNode kStatm = owned_file("statm", kProcFile, &proc_show_statm);
constexpr ProcNode kStatus = owned_file("status", kProcFile, &proc_show_status);
constexpr ProcNode kComm = {
    .name = "comm", .mode = kProcWritableFile, .show = &proc_show_comm, .store = &proc_store_comm, .owner = &proc_owner_of_process};
constexpr ProcNode kMaps = owned_file("maps", kProcFile, &proc_show_maps);
constexpr ProcNode kSmaps = owned_file("smaps", kProcFile, &proc_show_smaps);
constexpr ProcNode kSmapsRollup = owned_file("smaps_rollup", kProcFile, &proc_show_smaps_rollup);
constexpr ProcNode kPagetables = {
    .name = "pagetables", .mode = kProcPrivateFile, .read_at = &proc_read_pagetables, .owner = &proc_owner_of_process};
constexpr ProcNode kPagemap = {.name = "pagemap", .mode = kProcPrivateFile, .read_at = &proc_read_pagemap, .owner = &proc_owner_of_process};
template <WatchKind kKind>
Result<Ref<File>> open_watch(const ProcContext& context, Ref<Inode> inode, uint32_t flags) {
  return fault_watch_open(std::move(inode), *TRY(proc_inspectable_process(context)), flags, kKind);
}
constexpr ProcNode kFaults = {
    .name = "faults", .mode = kProcPrivateFile, .open = &open_watch<WatchKind::kFaults>, .owner = &proc_owner_of_process};
constexpr ProcNode kReferences = {
    .name = "references", .mode = kProcPrivateFile, .open = &open_watch<WatchKind::kReferences>, .owner = &proc_owner_of_process};
constexpr ProcNode kCmdline = owned_file("cmdline", kProcFile, &proc_show_cmdline);
constexpr ProcNode kEnviron = owned_file("environ", kProcPrivateFile, &proc_show_environ);
constexpr ProcNode kLimits = owned_file("limits", kProcFile, &proc_show_limits);
constexpr ProcNode kScore = owned_file("oom_score", kProcFile, &proc_show_score);
constexpr ProcNode kScoreAdjustment = {.name = "oom_score_adj",
                                       .mode = kProcWritableFile,
                                       .show = &proc_show_score_adjustment,
                                       .store = &proc_store_score_adjustment,
                                       .owner = &proc_owner_of_process};
constexpr ProcNode kMounts = owned_file("mounts", kProcFile, &proc_show_mounts);
constexpr ProcNode kMountinfo = owned_file("mountinfo", kProcFile, &proc_show_mountinfo);
constexpr ProcNode kFailNth = {.name = "fail-nth",
                               .mode = kProcWritableFile,
                               .show = &proc_show_fail_nth,
                               .store = &proc_store_fail_nth,
                               .owner = &proc_owner_of_process};

// The process' thread with the lowest id at or above `from`, or 0.
uint32_t next_thread_id(uint32_t pid, uint32_t from) {
  Ref<Process> process = Process::find(pid);
  if (!process) return 0;
  uint32_t best = 0;
  InterruptLockGuard guard(process_table_lock);
  for (Thread& thread : process->threads_)
    if (thread.id() >= from && (best == 0 || thread.id() < best)) best = thread.id();
  if (process->state_ == ProcessState::kZombie && from <= pid) best = pid;  // the thread has gone, the entry has not
  return best;
}
bool next_thread(const ProcContext& directory, uint32_t from, uint32_t& number) {
  number = next_thread_id(directory.process, from);
  return number != 0;
}
bool thread_exists(const ProcContext& directory, uint32_t number) {
  return number != 0 && next_thread_id(directory.process, number) == number;
}

constexpr const ProcNode* kThreadFiles[] = {&kStat,   &kStatm,  &kStatus,    &kComm,    &kMaps,        &kCmdline,     &kEnviron,
                                            &kLimits, &kMounts, &kMountinfo, &kFailNth, &kProcExeNode, &kProcCwdNode, &kProcRootNode};
constexpr ProcNode kThread = {.name = "", .mode = kProcDirectory, .children = kThreadFiles, .owner = &proc_owner_of_process};
constexpr ProcDynamic kThreads = {&kThread, &next_thread, &thread_exists};
constexpr ProcNode kTask = {.name = "task", .mode = kProcDirectory, .dynamic = &kThreads, .owner = &proc_owner_of_process};

constexpr const ProcNode* kProcessFiles[] = {
    &kStat,       &kStatm, &kStatus,      &kComm,           &kMaps,        &kCmdline,     &kEnviron,         &kLimits,  &kMounts,
    &kMountinfo,  &kSmaps, &kSmapsRollup, &kPagemap,        &kPagetables,  &kScore,       &kScoreAdjustment, &kFailNth, &kFaults,
    &kReferences, &kTask,  &kProcFdNode,  &kProcFdinfoNode, &kProcExeNode, &kProcCwdNode, &kProcRootNode};

}  // namespace

constexpr ProcNode kProcProcessNode = {.name = "", .mode = kProcDirectory, .children = kProcessFiles, .owner = &proc_owner_of_process};

}  // namespace faultline
