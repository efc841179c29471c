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
    value_ = new (memory_) T(std::forward<Arguments>(arguments)...);
    return *value_;
  }
  T& operator*() const {
    DEBUG_ASSERT(value_ != nullptr);
    return *value_;
  }
  T* operator->() const { return &**this; }

 private:
  T* value_ = nullptr;
  alignas(T) unsigned char memory_[sizeof(T)] = {};
};

}  // namespace faultline
