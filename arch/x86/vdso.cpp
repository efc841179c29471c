// The vDSO's two pages, seen from the kernel.
#include "arch/vdso.h"

#include "arch/cpu.h"
#include "arch/x86/clock_rate.h"
#include "arch/x86/features.h"
#include "arch/x86/vdso/layout.h"
#include "arch/x86/vdso/time_page.h"
#include "lib/panic.h"
#include "lib/string.h"

// build/kernel/vdso-image.S: the shared object, and addresses in programs.
extern "C" const char vdso_image[], vdso_image_end[];
extern "C" const char address_of_kernel_vsyscall[], address_of_kernel_sigreturn[], address_of_kernel_rt_sigreturn[],
    address_of_vdso_fast_way[];

namespace faultline {

namespace {

static_assert(VDSO_TIME_PAGE == kVdsoTimePage.value() && VDSO_ADDRESS == kVdsoImage.value());

constinit TimePage* times = nullptr;

uint32_t word(const char* symbol) { return static_cast<uint32_t>(reinterpret_cast<uintptr_t>(symbol)); }

// "movl %esp, %ebp; sysenter" gives way to the int $0x80 behind it.
void remove_fast_way(uint8_t* image) {
  constexpr uint8_t kNop = 0x90, kFastWay[] = {0x89, 0xe5, 0x0f, 0x34};
  uint8_t* code = image + (word(address_of_vdso_fast_way) - VDSO_ADDRESS);
  ASSERT(memcmp(code, kFastWay, sizeof kFastWay) == 0);
  memset(code, kNop, sizeof kFastWay);
}

// The counters of several processors are one if they never change their rate, or an emulator makes them.
CounterUse counter_use() {
  bool is_one = cpu_count() == 1 || cpu_has(CpuFeature::kConstantCounter) || cpu_has(CpuFeature::kHypervisor);
  if (!is_one) return CounterUse::kAskKernel;
  return cpu_has(CpuFeature::kFence) ? CounterUse::kAfterFence : CounterUse::kAsItIs;
}

}  // namespace

VdsoPlaces vdso_places() {
  return {VirtAddr(word(address_of_kernel_vsyscall)), VirtAddr(word(address_of_kernel_sigreturn)),
          VirtAddr(word(address_of_kernel_rt_sigreturn))};
}

void vdso_fill(uint8_t* time_page, uint8_t* image, VdsoClock clock) {
  auto bytes = static_cast<size_t>(vdso_image_end - vdso_image);
  ASSERT(bytes <= kPageSize);
  memcpy(image, vdso_image, bytes);
  if (!cpu_has(CpuFeature::kSysenter)) remove_fast_way(image);
  times = reinterpret_cast<TimePage*>(time_page);
  ClockRate rate = clock_rate();
  *times = {0, clock == VdsoClock::kReadsCounter ? counter_use() : CounterUse::kAskKernel, rate.start, rate.rate, rate.doublings, 0};
}

void vdso_set_wall_clock(uint64_t wall_at_zero) {
  if (!times) return;
  // Processors that see one store see those before it (SDM volume 3, 8.2.2): only the compiler must keep their order.
  auto* page = static_cast<volatile TimePage*>(times);
  page->sequence = page->sequence + 1;
  asm volatile("" ::: "memory");
  page->wall = wall_at_zero;
  asm volatile("" ::: "memory");
  page->sequence = page->sequence + 1;
}

}  // namespace faultline
