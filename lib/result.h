// Result<T>: a value or an errno. It travels up unchanged by TRY and ends at two edges only: the system-call
// dispatcher and the page-fault entry.
#pragma once

#include <new>
#include <type_traits>
#include <utility>

#include "lib/abi/errno.h"
#include "lib/panic.h"

namespace faultline {

// What a Result holds. Of a T that is trivially copyable it is so as well, and then travels in registers.
template <typename T, bool kTrivial = std::is_trivially_copyable_v<T>>
struct ResultStorage {
  static constexpr Errno kNone = static_cast<Errno>(0);
  explicit ResultStorage(Errno why) : error(why) {}
  template <typename U>
  ResultStorage(std::in_place_t, U&& from) : value(std::forward<U>(from)), error(kNone) {}

  // In this order the value comes back in eax, where its user wants it.
  union {
    T value;
  };
  Errno error;
};

template <typename T>
struct ResultStorage<T, false> {
  static constexpr Errno kNone = static_cast<Errno>(0);
  explicit ResultStorage(Errno why) : error(why) {}
  template <typename U>
  ResultStorage(std::in_place_t, U&& from) : error(kNone), value(std::forward<U>(from)) {}
  ResultStorage(ResultStorage&& other) : error(other.error) {
    if (error == kNone) new (&value) T(std::move(other.value));
  }
  ResultStorage(const ResultStorage& other) : error(other.error) {
    if (error == kNone) new (&value) T(other.value);
  }
  ResultStorage& operator=(ResultStorage&& other) {
    if (this != &other) {
      this->~ResultStorage();
      new (this) ResultStorage(std::move(other));
    }
    return *this;
  }
  ~ResultStorage() {
    if (error == kNone) value.~T();
  }

  Errno error;
  union {
    T value;
  };
};

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(Errno error) : held_(error) {}  // NOLINT: implicit so that `return Errno::kINVAL;` reads as the manual
  Result(const T& value) : held_(std::in_place, value) {}
  Result(T&& value) : held_(std::in_place, std::move(value)) {}
  template <typename U>
  requires(std::is_convertible_v<U, T> && !std::is_same_v<std::remove_cvref_t<U>, T> && !std::is_same_v<std::remove_cvref_t<U>, Errno> &&
           !std::is_same_v<std::remove_cvref_t<U>, Result>) Result(U&& value)
      : held_(std::in_place, std::forward<U>(value)) {}  // NOLINT

  bool ok() const { return held_.error == ResultStorage<T>::kNone; }
  Errno error() const { return held_.error; }
  T& value() {
    ASSERT(ok());
    return held_.value;
  }
  const T& value() const {
    ASSERT(ok());
    return held_.value;
  }
  T release_value() {
    ASSERT(ok());
    return std::move(held_.value);
  }
  T value_or(T fallback) const { return ok() ? held_.value : fallback; }

 private:
  ResultStorage<T> held_;
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
#define TRY(expression)                                                                     \
  ({                                                                                        \
    auto&& try_result_ = (expression);                                                      \
    if (!try_result_.ok()) [[unlikely]]                                                     \
      return try_result_.error();                                                           \
    std::remove_reference_t<decltype(try_result_)>(std::move(try_result_)).release_value(); \
  })

// For a result whose failure does not matter here; the reason stands in a comment beside it.
template <typename T>
void ignore_result(const Result<T>&) {}

}  // namespace faultline
