// I/O ports, for the drivers of devices that have them. Widths in bits.
#pragma once

#include <cstdint>

#include <machine/port_io_inline.h>

namespace faultline {

inline uint8_t port_read8(uint16_t port) { return machine::in8(port); }
inline uint16_t port_read16(uint16_t port) { return machine::in16(port); }
inline uint32_t port_read32(uint16_t port) { return machine::in32(port); }
inline void port_write8(uint16_t port, uint8_t value) { machine::out8(port, value); }
inline void port_write16(uint16_t port, uint16_t value) { machine::out16(port, value); }
inline void port_write32(uint16_t port, uint32_t value) { machine::out32(port, value); }

// Moves `words` 16-bit words between a port and memory (rep insw, rep outsw), for IDE.
inline void port_read16_many(uint16_t port, void* buffer, uint32_t words) { machine::in16_many(port, buffer, words); }
inline void port_write16_many(uint16_t port, const void* buffer, uint32_t words) { machine::out16_many(port, buffer, words); }

}  // namespace faultline
