// Watching page faults: /proc/PID/faults, and page references by means of them: /proc/PID/references. Opening it watches the process and all that it forks from then on, reading it gives a
// FaultRecord for each fault (lib/abi/fault_record.h), closing it ends the watch. A thread has one watcher at most. Nobody watching costs
// a fault one branch.
#pragma once

#include "arch/context.h"
#include "fs/file.h"
#include "kernel/process.h"
#include "mm/space.h"

namespace faultline {

enum class WatchKind : uint8_t {
  kNothing,
  kFaults,      // of the process, and of what it forks
  kReferences,  // of the process alone: reference_trace.h. Every touch is a fault, and the thread waits for who reads too slowly
};

// Starts watching a process. kBUSY: somebody does already; kSRCH: it has ended; kAGAIN, kNOMEM.
Result<Ref<File>> fault_watch_open(Ref<Inode> inode, Process& process, uint32_t flags, WatchKind kind);

// A new thread is watched as its maker is. A thread that ends, or becomes somebody else (set-user-ID), is no longer.
void fault_watch_inherit_locked(const Thread& maker, Thread& made) REQUIRES(process_table_lock);
void fault_watch_leave_locked(Thread& thread) REQUIRES(process_table_lock);

// AddressSpace::handle_fault for a watched thread, which is told of.
FaultOutcome fault_handle_watched(const TrapFrame& frame, VirtAddr address, Access access);
// A watched thread's fault in the kernel's half.
void fault_refused_watched(const TrapFrame& frame, VirtAddr address);

// fault_record.cpp's to fault_watch.cpp: what the mm story becomes; what the watch adds is left open.
FaultRecord fault_record_of(VirtAddr address, Access access, const FaultStory& story);
void fault_record_region(FaultRecord& record, AddressSpace& space);

}  // namespace faultline
