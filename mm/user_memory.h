// User pointers, and the only functions that follow them. Every failure is kFAULT; every call may sleep in a page fault,
// so no spin lock, and no lock that the fault path takes (space, object, frame busy, page table), may be held.
#pragma once

#include <concepts>
#include <span>
#include <type_traits>

#include "arch/user_copy.h"
#include "lib/result.h"
#include "lib/string.h"

namespace faultline {

// An address that a program gave us, typed. Never dereferenced.
template <typename T>
class UserPtr {
 public:
  constexpr UserPtr() = default;
  constexpr explicit UserPtr(uint32_t address) : address_(address) {}
  constexpr explicit UserPtr(VirtAddr address) : address_(address) {}
  constexpr VirtAddr address() const { return address_; }
  constexpr bool is_null() const { return address_.value() == 0; }
  constexpr UserPtr at(uint32_t index) const { return UserPtr(address_ + index * static_cast<uint32_t>(sizeof(T))); }
  template <typename U>
  constexpr UserPtr<U> as() const {
    return UserPtr<U>(address_);
  }

 private:
  VirtAddr address_;
};
template <>
class UserPtr<void> {
 public:
  constexpr UserPtr() = default;
  constexpr explicit UserPtr(uint32_t address) : address_(address) {}
  constexpr explicit UserPtr(VirtAddr address) : address_(address) {}
  constexpr VirtAddr address() const { return address_; }
  constexpr bool is_null() const { return address_.value() == 0; }
  template <typename U>
  constexpr UserPtr<U> as() const {
    return UserPtr<U>(address_);
  }

 private:
  VirtAddr address_;
};

template <typename T>
requires std::is_trivially_copyable_v<T> Result<T> user_read(UserPtr<T> source) {
  T value;
  if (user_copy_in(&value, source.address(), sizeof value) != 0) return Errno::kFAULT;
  return value;
}
template <typename T>
requires std::is_trivially_copyable_v<T> Result<void> user_write(UserPtr<T> destination, const std::type_identity_t<T>& value) {
  if (user_copy_out(destination.address(), &value, sizeof value) != 0) return Errno::kFAULT;
  return {};
}
inline Result<void> user_read_bytes(void* destination, VirtAddr source, size_t bytes) {
  if (user_copy_in(destination, source, bytes) != 0) return Errno::kFAULT;
  return {};
}
inline Result<void> user_write_bytes(VirtAddr destination, const void* source, size_t bytes) {
  if (user_copy_out(destination, source, bytes) != 0) return Errno::kFAULT;
  return {};
}

// Reads a NUL-terminated string into `buffer`. Errors: kFAULT; kNAMETOOLONG if no NUL fits.
Result<StringView> user_read_string(std::span<char> buffer, UserPtr<const char> source);

}  // namespace faultline
