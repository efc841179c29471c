// The vDSO's clocks: the time without entering the kernel. Names and meaning are Linux's (vdso(7)); a bad pointer is a fault of the program's
// own, and what the page cannot tell is asked of the kernel.
#include "arch/x86/clock_scale.h"
#include "arch/x86/vdso/time_page.h"

// The page before the image (vdso.lds).
extern "C" [[gnu::visibility("hidden")]] const volatile faultline::TimePage time_page;

namespace faultline {
namespace {

constexpr uint32_t kRealtime = 0, kMonotonic = 1, kMonotonicRaw = 4, kRealtimeCoarse = 5, kMonotonicCoarse = 6, kBoottime = 7;
constexpr uint32_t kCallTime = 13, kCallGettimeofday = 78, kCallClockGettime = 265, kCallClockGetres = 266, kCallClockGettime64 = 403;
constexpr uint32_t kNanosecondsPerSecond = 1'000'000'000;

struct Timespec32 {
  int32_t seconds, nanoseconds;
};
struct Timespec64 {
  int64_t seconds;
  int32_t nanoseconds, padding;
};
struct Timeval {
  int32_t seconds, microseconds;
};

int32_t call_kernel(uint32_t number, uint32_t first, const volatile void* second) {
  int32_t result;
  asm volatile("call __kernel_vsyscall" : "=a"(result) : "0"(number), "b"(first), "c"(second) : "memory", "cc");
  return result;
}

uint64_t read_counter(CounterUse use) {
  uint64_t cycles;
  if (use == CounterUse::kAfterFence) asm volatile("lfence" ::: "memory");
  asm volatile("rdtsc" : "=A"(cycles)::"memory");
  return cycles;
}

enum class Epoch : uint8_t { kBoot, k1970 };

// False: only the kernel knows.
inline bool read_clock(Epoch epoch, uint64_t& nanoseconds) {
  for (;;) {
    uint32_t sequence = time_page.sequence;
    asm volatile("" ::: "memory");
    CounterUse use = time_page.counter;
    if (use == CounterUse::kAskKernel) return false;
    uint64_t cycles = read_counter(use) - time_page.start;
    uint32_t doublings = time_page.doublings, rate = time_page.rate;
    if (doublings != 0) [[unlikely]]
      cycles <<= doublings;
    nanoseconds = clock_scaled(cycles, rate);
    if (epoch == Epoch::k1970) nanoseconds += time_page.wall;
    asm volatile("" ::: "memory");
    if (!(sequence & 1) && time_page.sequence == sequence) [[likely]]
      return true;
    asm volatile("pause" ::: "memory");
  }
}

inline bool read_clock(uint32_t clock, uint64_t& nanoseconds) {
  constexpr uint32_t kOfBoot = 1u << kMonotonic | 1u << kMonotonicRaw | 1u << kMonotonicCoarse | 1u << kBoottime;
  constexpr uint32_t kOf1970 = 1u << kRealtime | 1u << kRealtimeCoarse;
  if (clock > kBoottime || !((kOfBoot | kOf1970) & 1u << clock)) return false;
  return read_clock(kOf1970 & 1u << clock ? Epoch::k1970 : Epoch::kBoot, nanoseconds);
}

// For who is called less often: room in the page.
[[gnu::noinline]] bool read_wall_clock(uint64_t& nanoseconds) { return read_clock(Epoch::k1970, nanoseconds); }

struct Split {
  uint64_t seconds;
  uint32_t nanoseconds;
};
// A long division: there is no library to do it.
inline Split split(uint64_t nanoseconds) {
  uint32_t high = static_cast<uint32_t>(nanoseconds >> 32), quotient_high = 0;
  if (high >= kNanosecondsPerSecond) [[unlikely]] {
    quotient_high = high / kNanosecondsPerSecond;
    high %= kNanosecondsPerSecond;
  }
  uint32_t quotient, rest;
  asm("divl %4" : "=a"(quotient), "=d"(rest) : "0"(static_cast<uint32_t>(nanoseconds)), "1"(high), "r"(kNanosecondsPerSecond) : "cc");
  return {uint64_t{quotient_high} << 32 | quotient, rest};
}

}  // namespace
}  // namespace faultline

using namespace faultline;

extern "C" int32_t __vdso_clock_gettime(uint32_t clock, Timespec32* where) {
  uint64_t now;
  if (!read_clock(clock, now)) return call_kernel(kCallClockGettime, clock, where);
  Split parts = split(now);
  *where = {static_cast<int32_t>(parts.seconds), static_cast<int32_t>(parts.nanoseconds)};
  return 0;
}

extern "C" int32_t __vdso_clock_gettime64(uint32_t clock, Timespec64* where) {
  uint64_t now;
  if (!read_clock(clock, now)) return call_kernel(kCallClockGettime64, clock, where);
  Split parts = split(now);
  *where = {static_cast<int64_t>(parts.seconds), static_cast<int32_t>(parts.nanoseconds), 0};
  return 0;
}

extern "C" int32_t __vdso_clock_getres(uint32_t clock, Timespec32* where) { return call_kernel(kCallClockGetres, clock, where); }

// struct timezone is two words that nobody uses any more.
extern "C" int32_t __vdso_gettimeofday(Timeval* where, int32_t* zone) {
  uint64_t now;
  if (!read_wall_clock(now)) {
    uint32_t first = reinterpret_cast<uintptr_t>(where);
    return call_kernel(kCallGettimeofday, first, zone);
  }
  if (where) {
    Split parts = split(now);
    *where = {static_cast<int32_t>(parts.seconds), static_cast<int32_t>(parts.nanoseconds / 1000)};
  }
  if (zone) zone[0] = zone[1] = 0;
  return 0;
}

extern "C" int32_t __vdso_time(int32_t* where) {
  uint64_t now;
  if (!read_wall_clock(now)) return call_kernel(kCallTime, reinterpret_cast<uintptr_t>(where), nullptr);
  auto seconds = static_cast<int32_t>(split(now).seconds);
  if (where) *where = seconds;
  return seconds;
}
