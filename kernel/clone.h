// What clone(2) and clone3(2) have in common.
#pragma once

#include <cstdint>

#include "kernel/signal.h"
#include "kernel/thread_local_storage.h"
#include "lib/result.h"
#include "mm/user_memory.h"

namespace faultline {

// clone(2)'s flags; the lowest byte is the signal that the parent gets at the end. There are no namespaces, and nobody traces.
inline constexpr uint32_t kCloneSignal = 0xff, kCloneVm = 0x100, kCloneFs = 0x200, kCloneFiles = 0x400, kCloneSighand = 0x800,
                          kClonePtrace = 0x2000, kCloneVfork = 0x4000, kCloneParent = 0x8000, kCloneThread = 0x10000,
                          kCloneSysvsem = 0x40000, kCloneSetTls = 0x80000, kCloneParentSetTid = 0x100000, kCloneChildClearTid = 0x200000,
                          kCloneDetached = 0x400000, kCloneUntraced = 0x800000, kCloneChildSetTid = 0x1000000, kCloneIo = 0x80000000;
inline constexpr uint32_t kCloneKnown = kCloneVm | kCloneFs | kCloneFiles | kCloneSighand | kClonePtrace | kCloneVfork | kCloneParent |
                                        kCloneThread | kCloneSysvsem | kCloneSetTls | kCloneParentSetTid | kCloneChildClearTid |
                                        kCloneDetached | kCloneUntraced | kCloneChildSetTid | kCloneIo;

struct CloneArguments {
  uint32_t flags = 0;
  Signal exit_signal = Signal::kNone;
  uint32_t stack = 0;            // where it grows down from; 0: where the caller's is
  bool clears_handlers = false;  // CLONE_CLEAR_SIGHAND
  UserPtr<uint32_t> parent_tid;
  UserPtr<UserTlsDescriptor> tls;
  UserPtr<uint32_t> child_tid;
};

// The new process' or thread's number. kINVAL: flags that do not go together, or that are not known; kAGAIN, kNOMEM, kFAULT.
Result<uint32_t> clone(const CloneArguments& arguments);

}  // namespace faultline
