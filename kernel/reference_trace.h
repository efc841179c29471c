// Traces of page references: /proc/PID/references. The processor tells of a touch only when it cannot have the page. So a process whose
// references are traced sees, through each of its threads, only the few pages that it touched last; any other touch is a fault that brings
// nothing (mm: revealed) and is recorded, and the page that came first of the few is hidden for it. What is not recorded are references to
// those few: a trace as it would be behind a FIFO of kRecentPages pages (docs/replacement.md says what that means for its use).
#pragma once

#include <array>

#include "lib/address.h"
#include "mm/fault_story.h"

namespace faultline {

class AddressSpace;
class Thread;

// An instruction may need eight pages at once: itself, two words of data and the stack, each across a border.
inline constexpr uint32_t kRecentPages = 16;

// A thread's own. Addresses of an earlier program may be among them: hiding what another thread or program has there costs a fault.
struct RecentPages {
  std::array<VirtAddr, kRecentPages> pages;
  uint32_t next = 0;  // whose place is taken next
};

// After a fault of the running thread that was resolved: the page may be seen, another is hidden for it, and so are the neighbours that the
// fault brought. Without memory for a table of its own a page stays visible, and references to it are missing.
void references_seen(AddressSpace& space, VirtAddr address, const FaultStory& story);

}  // namespace faultline
