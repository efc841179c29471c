// The vDSO: code of the kernel's that programs call in user mode (vdso(7)), and the page of times that it reads. arch makes what is in the two
// pages; kernel/vdso.cpp maps them.
#pragma once

#include <cstdint>

#include "lib/address.h"

namespace faultline {

// Every program has them at the top of its memory but for the last page: the times, then the code.
inline constexpr VirtAddr kVdsoTimePage(kKernelBase - 3 * kPageSize), kVdsoImage(kKernelBase - 2 * kPageSize);
struct VdsoPlaces {
  VirtAddr system_call;                             // __kernel_vsyscall
  VirtAddr signal_return, signal_return_with_info;  // __kernel_sigreturn, __kernel_rt_sigreturn
};
VdsoPlaces vdso_places();

enum class VdsoClock : uint8_t { kReadsCounter, kAsksKernel };

// Writes the image, as it is right for this processor, and the time page, which stays this one for ever. Once, after clock_initialize() and
// cpu_start_others(). Where the counter cannot be read by programs, it says so whatever is asked for.
void vdso_fill(uint8_t* time_page, uint8_t* image, VdsoClock clock);
// Wall time, in nanoseconds since 1970, when the monotonic clock was 0. One caller at a time, with preemption off; nothing before vdso_fill().
void vdso_set_wall_clock(uint64_t wall_at_zero);

}  // namespace faultline
