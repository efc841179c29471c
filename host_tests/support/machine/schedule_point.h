// The places where another processor's doing can make a difference. Whoever runs several threads over the code under test (the explorer, real
// threads) is told of each; nobody listens otherwise.
#pragma once

#include <cstdint>

namespace faultline::machine {

enum class Point : uint8_t {
  kLoad,         // before an atomic access: looks,
  kStore,        // writes,
  kUpdate,       // reads and writes: of locks mostly
  kSpin,         // somebody else must do something first
  kPreemptible,  // the last spin lock has been let go
  kInterrupts,   // interrupts are on again
  kAccess,       // a program's access: the address is translated, the bytes are not moved yet
  kFlush,        // other processors have been asked to flush, and have not answered
  kTransfer,     // a device begins
  kYield,
};

inline void (*on_point)(Point) = nullptr;
inline void point(Point point) {
  if (on_point) [[unlikely]]
    on_point(point);
}

}  // namespace faultline::machine
