// Result<T>: a value or an errno. It travels up unchanged by TRY and ends at two edges only: the system-call
// dispatcher and the page-fault entry.
#pragma once

#include <new>
#include <type_traits>
#include <utility>

#include "lib/abi/errno.h"
#include "lib/panic.h"

namespace faultline {

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(Errno error) : error_(error) {}  // NOLINT: implicit so that `return Errno::kINVAL;` reads as the manual
  Result(const T& value) : error_(kNone) { new (&value_) T(value); }
  Result(T&& value) : error_(kNone) { new (&value_) T(std::move(value)); }
  template <typename U>
    requires(std::is_convertible_v<U, T> && !std::is_same_v<std::remove_cvref_t<U>, T> &&
             !std::is_same_v<std::remove_cvref_t<U>, Errno> && !std::is_same_v<std::remove_cvref_t<U>, Result>)
  Result(U&& value) : error_(kNone) {  // NOLINT
    new (&value_) T(std::forward<U>(value));
  }
  Result(Result&& other) : error_(other.error_) {
    if (ok()) new (&value_) T(std::move(other.value_));
  }
  Result(const Result& other) : error_(other.error_) {
    if (ok()) new (&value_) T(other.value_);
  }
  Result& operator=(Result&& other) {
    if (this != &other) {
      this->~Result();
      new (this) Result(std::move(other));
    }
    return *this;
  }
  ~Result() {
    if (ok()) value_.~T();
  }

  bool ok() const { return error_ == kNone; }
  Errno error() const { return error_; }
  T& value() {
    ASSERT(ok());
    return value_;
  }
  const T& value() const {
    ASSERT(ok());
    return value_;
  }
  T release_value() {
    ASSERT(ok());
    return std::move(value_);
  }
  T value_or(T fallback) const { return ok() ? value_ : fallback; }

 private:
  static constexpr Errno kNone = static_cast<Errno>(0);
  Errno error_;
  union {
    T value_;
  };
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() : error_(kNone) {}
  Result(Errno error) : error_(error) {}  // NOLINT
  bool ok() const { return error_ == kNone; }
  Errno error() const { return error_; }
  void value() const { ASSERT(ok()); }
  void release_value() const { ASSERT(ok()); }

 private:
  static constexpr Errno kNone = static_cast<Errno>(0);
  Errno error_;
};

// The value of `expression`, or return its error from the enclosing function. A statement expression: GCC and clang.
#define TRY(expression)                                      \
  ({                                                         \
    auto&& try_result_ = (expression);                       \
    if (!try_result_.ok()) [[unlikely]]                      \
      return try_result_.error();                            \
    std::remove_reference_t<decltype(try_result_)>(          \
        std::move(try_result_)).release_value();             \
  })

// For a result whose failure does not matter here; the reason stands in a comment beside it.
template <typename T>
void ignore_result(const Result<T>&) {}

}  // namespace faultline
