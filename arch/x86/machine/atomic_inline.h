// What atomic integers and pointers are in the kernel. The host's own, which lets a scheduler choose before every access, stands in
// host_tests/support/machine/.
#pragma once

#include "lib/builtin_atomic.h"

namespace faultline::machine {

template <typename T>
using Atomic = BuiltinAtomic<T>;

// What lib/atomic.h's Published is kept in. Here every load acquires and every store releases, and whoever needs more than a hint looks again under
// the lock, so it is a plain field, which the compiler may compare where it is.
template <typename T>
class PublishedCell {
 public:
  constexpr PublishedCell() = default;
  constexpr explicit PublishedCell(T value) : value_(value) {}
  T load() const { return value_; }
  void store(T value) { value_ = value; }

 private:
  T value_{};
};

}  // namespace faultline::machine
