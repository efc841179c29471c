// Addresses, frames and page indices as types of their own, with only the operators that make sense.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>

namespace faultline {

inline constexpr uint32_t kPageShift = 12;
inline constexpr uint32_t kPageSize = 1u << kPageShift;
inline constexpr uint32_t kPageMask = kPageSize - 1;

// The border between user and kernel: 0x80000000 up is the kernel's, the same in every process (xv6: KERNBASE).
inline constexpr uint32_t kKernelBase = 0x80000000u;

template <typename T>
constexpr T align_down(T value, T alignment) {
  return value & ~(alignment - 1);
}
template <typename T>
constexpr T align_up(T value, T alignment) {
  return (value + alignment - 1) & ~(alignment - 1);
}
constexpr uint32_t pages_for(uint64_t bytes) { return static_cast<uint32_t>((bytes + kPageMask) >> kPageShift); }

// A virtual address of the emulated or real i386, 32 bits even when the host is 64-bit.
class VirtAddr {
 public:
  constexpr VirtAddr() = default;
  constexpr explicit VirtAddr(uint32_t value) : value_(value) {}
  constexpr uint32_t value() const { return value_; }
  constexpr bool is_page_aligned() const { return (value_ & kPageMask) == 0; }
  constexpr VirtAddr page_floor() const { return VirtAddr(value_ & ~kPageMask); }
  constexpr uint32_t page_offset() const { return value_ & kPageMask; }
  constexpr bool is_user() const { return value_ < kKernelBase; }
  constexpr uint32_t directory_index() const { return value_ >> 22; }        // xv6: PDX
  constexpr uint32_t table_index() const { return (value_ >> 12) & 0x3ff; }  // xv6: PTX
  constexpr VirtAddr operator+(uint32_t bytes) const { return VirtAddr(value_ + bytes); }
  constexpr VirtAddr operator-(uint32_t bytes) const { return VirtAddr(value_ - bytes); }
  constexpr uint32_t operator-(VirtAddr other) const { return value_ - other.value_; }
  constexpr auto operator<=>(const VirtAddr&) const = default;

 private:
  uint32_t value_ = 0;
};

// A page of physical memory by number. Frame 0 is a legal frame (lectures A1), so "none" is a value of its own.
class FrameNumber {
 public:
  constexpr FrameNumber() = default;
  constexpr explicit FrameNumber(uint32_t value) : value_(value) {}
  static constexpr FrameNumber none() { return FrameNumber(); }
  constexpr bool is_none() const { return value_ == kNone; }
  constexpr uint32_t value() const { return value_; }
  constexpr FrameNumber operator+(uint32_t frames) const { return FrameNumber(value_ + frames); }
  constexpr auto operator<=>(const FrameNumber&) const = default;

 private:
  static constexpr uint32_t kNone = 0xffffffffu;
  uint32_t value_ = kNone;
};

class PhysAddr {
 public:
  constexpr PhysAddr() = default;
  constexpr explicit PhysAddr(uint32_t value) : value_(value) {}
  static constexpr PhysAddr of(FrameNumber frame) { return PhysAddr(frame.value() << kPageShift); }
  constexpr uint32_t value() const { return value_; }
  constexpr FrameNumber frame() const { return FrameNumber(value_ >> kPageShift); }
  constexpr PhysAddr operator+(uint32_t bytes) const { return PhysAddr(value_ + bytes); }
  constexpr auto operator<=>(const PhysAddr&) const = default;

 private:
  uint32_t value_ = 0;
};

// The number of a page within an object (a file, shared memory), not within an address space.
class PageIndex {
 public:
  constexpr PageIndex() = default;
  constexpr explicit PageIndex(uint32_t value) : value_(value) {}
  static constexpr PageIndex of_byte(uint64_t offset) { return PageIndex(static_cast<uint32_t>(offset >> kPageShift)); }
  constexpr uint32_t value() const { return value_; }
  constexpr uint64_t byte() const { return static_cast<uint64_t>(value_) << kPageShift; }
  constexpr PageIndex operator+(uint32_t pages) const { return PageIndex(value_ + pages); }
  constexpr uint32_t operator-(PageIndex other) const { return value_ - other.value_; }
  constexpr auto operator<=>(const PageIndex&) const = default;

 private:
  uint32_t value_ = 0;
};

}  // namespace faultline
