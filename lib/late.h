// Storage for a global whose constructor cannot run at compile time: built by the boot code, never destroyed.
#pragma once

#include <new>
#include <utility>

#include "lib/panic.h"

namespace faultline {

template <typename T>
class Late {
 public:
  constexpr Late() = default;

  // Builds the value; again only in tests, which start the machine many times.
  template <typename... Arguments>
  T& construct(Arguments&&... arguments) {
    is_built_ = true;
    return *new (memory_) T(std::forward<Arguments>(arguments)...);
  }
  T& operator*() const {
    DEBUG_ASSERT(is_built_);
    return *std::launder(reinterpret_cast<T*>(memory_));
  }
  T* operator->() const { return &**this; }

 private:
  alignas(T) mutable unsigned char memory_[sizeof(T)] = {};  // mutable as what a constant pointer points at
  bool is_built_ = false;
};

}  // namespace faultline
