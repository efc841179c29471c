// See vdso.h. One object holds both pages for all programs. Its frames are pinned, so they never go to swap, and the kernel writes to them
// through the direct map; programs map them as they map files, and a debugger that writes to the code gets a copy (the times cannot be
// written to). A program may unmap or move them: then calls through them fail in it, and nowhere else.
#include "kernel/vdso.h"

#include "arch/vdso.h"
#include "kernel/boot_information.h"
#include "kernel/time.h"
#include "lib/panic.h"
#include "mm/space.h"

namespace faultline {

namespace {

constexpr PageIndex kTimePage(0), kImage(1);

constinit Object* pages = nullptr;

uint8_t* pin_for_ever(PageIndex index) {
  PinnedFrame page = pages->page(index).release_value();  // at boot: there is memory
  frame_pin(frame_record(page.frame()));
  return page.data();
}

Result<void> map_page(AddressSpace& space, VirtAddr address, PageIndex index, RegionKind kind, Protection protection, Protection limit) {
  MapRequest request;
  request.fixed = request.no_replace = true;
  request.address = address;
  request.bytes = kPageSize;
  request.object = Ref<Object>(*pages);
  request.object_offset = index;
  request.kind = kind;
  request.protection = protection;
  request.max_protection = limit;
  TRY(space.map(request));
  return {};
}

}  // namespace

void vdso_initialize() {
  pages = Object::create_anonymous(2 * kPageSize).value().leak();
  bool reads_counter = boot_option_number("vdso_clock", 1) != 0;
  vdso_fill(pin_for_ever(kTimePage), pin_for_ever(kImage), reads_counter ? VdsoClock::kReadsCounter : VdsoClock::kAsksKernel);
  wall_clock_publish();
}

Result<void> vdso_map(AddressSpace& space) {
  constexpr Protection kReadExecute = kProtRead | kProtExecute;
  TRY(map_page(space, kVdsoTimePage, kTimePage, RegionKind::kTimePage, kProtRead, kProtRead));
  return map_page(space, kVdsoImage, kImage, RegionKind::kVdso, kReadExecute, kReadExecute | kProtWrite);
}

}  // namespace faultline
