// The emulated machine's direct map: all of its RAM is one piece of the host's memory.
#pragma once

#include <cstdint>

namespace faultline {

inline uint8_t* emulated_ram = nullptr;

inline void* direct_map(FrameNumber frame) { return emulated_ram + static_cast<uintptr_t>(frame.value()) * kPageSize; }
inline FrameNumber direct_map_frame(const void* pointer) {
  return FrameNumber(static_cast<uint32_t>((static_cast<const uint8_t*>(pointer) - emulated_ram) / kPageSize));
}

}  // namespace faultline
