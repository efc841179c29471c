// Lock-free integers and pointers, orderings spelt out by the caller where they matter.
#pragma once

#include <machine/atomic_inline.h>

#include "lib/builtin_atomic.h"

namespace faultline {

using machine::Atomic;

// A field that is written under a lock and also read without it, by who can do with what was true a moment ago, or will look again under the lock.
// What was written before it is seen by whoever sees it.
template <typename T>
class Published {
 public:
  constexpr Published() = default;
  constexpr Published(T value) : value_(value) {}  // NOLINT
  operator T() const { return value_.load(); }
  T operator=(T value) {
    value_.store(value);
    return value;
  }
  T operator=(const Published& other) { return *this = static_cast<T>(other); }
  void operator+=(T value) { *this = *this + value; }
  void operator-=(T value) { *this = *this - value; }

 private:
  machine::PublishedCell<T> value_;
};

}  // namespace faultline
