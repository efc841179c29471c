// Memory and text without a C library: the four functions that compilers call, and StringView.
#pragma once

#include <cstddef>
#include <cstdint>

#include "lib/panic.h"

extern "C" {
void* memcpy(void* destination, const void* source, size_t bytes) noexcept;
void* memmove(void* destination, const void* source, size_t bytes) noexcept;
void* memset(void* destination, int value, size_t bytes) noexcept;
int memcmp(const void* left, const void* right, size_t bytes) noexcept;
size_t strlen(const char* text) noexcept;
}

namespace faultline {

// Text by pointer and length; does not own, need not end in NUL.
class StringView {
 public:
  constexpr StringView() = default;
  constexpr StringView(const char* text, size_t length) : text_(text), length_(length) {}
  constexpr StringView(const char* text) : text_(text), length_(__builtin_strlen(text)) {}  // NOLINT
  constexpr const char* data() const { return text_; }
  constexpr size_t size() const { return length_; }
  constexpr bool empty() const { return length_ == 0; }
  constexpr char operator[](size_t index) const {
    ASSERT(index < length_);
    return text_[index];
  }
  constexpr const char* begin() const { return text_; }
  constexpr const char* end() const { return text_ + length_; }
  constexpr StringView substring(size_t from, size_t count = ~size_t{0}) const {
    if (from > length_) from = length_;
    return {text_ + from, count < length_ - from ? count : length_ - from};
  }
  static constexpr size_t kNotFound = ~size_t{0};
  constexpr size_t find(char wanted) const {
    for (size_t i = 0; i < length_; i++)
      if (text_[i] == wanted) return i;
    return kNotFound;
  }
  constexpr bool starts_with(StringView prefix) const { return length_ >= prefix.length_ && substring(0, prefix.length_) == prefix; }
  constexpr bool operator==(StringView other) const {
    return length_ == other.length_ && __builtin_memcmp(text_, other.text_, length_) == 0;
  }

 private:
  const char* text_ = "";
  size_t length_ = 0;
};

}  // namespace faultline
