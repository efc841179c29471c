// See reference_trace.h.
#include "kernel/reference_trace.h"

#include <algorithm>
#include <utility>

#include "kernel/thread.h"
#include "mm/space.h"

namespace faultline {

void references_seen(AddressSpace& space, VirtAddr address, const FaultStory& story) {
  RecentPages& recent = running_thread().recent_pages;
  const VirtAddr page = address.page_floor();
  if (std::find(recent.pages.begin(), recent.pages.end(), page) == recent.pages.end()) {
    VirtAddr first = std::exchange(recent.pages[recent.next], page);
    recent.next = (recent.next + 1) % kRecentPages;
    space.hide_pages(first, 1);
  }
  if (story.neighbours != 0) space.hide_pages(VirtAddr(page.value() & ~(kFaultWindow * kPageSize - 1)), kFaultWindow, recent.pages);
}

}  // namespace faultline
