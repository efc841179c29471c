// The in and out instructions of x86, behind arch/port_io.h.
#pragma once

#include <cstdint>

namespace faultline::machine {

inline uint8_t in8(uint16_t port) {
  uint8_t value;
  asm volatile("inb %w1, %b0" : "=a"(value) : "Nd"(port) : "memory");
  return value;
}
inline uint16_t in16(uint16_t port) {
  uint16_t value;
  asm volatile("inw %w1, %w0" : "=a"(value) : "Nd"(port) : "memory");
  return value;
}
inline uint32_t in32(uint16_t port) {
  uint32_t value;
  asm volatile("inl %w1, %0" : "=a"(value) : "Nd"(port) : "memory");
  return value;
}
inline void out8(uint16_t port, uint8_t value) { asm volatile("outb %b0, %w1" : : "a"(value), "Nd"(port) : "memory"); }
inline void out16(uint16_t port, uint16_t value) { asm volatile("outw %w0, %w1" : : "a"(value), "Nd"(port) : "memory"); }
inline void out32(uint16_t port, uint32_t value) { asm volatile("outl %0, %w1" : : "a"(value), "Nd"(port) : "memory"); }

inline void in16_many(uint16_t port, void* buffer, uint32_t count) {
  asm volatile("rep insw" : "+D"(buffer), "+c"(count) : "d"(port) : "memory");
}
inline void out16_many(uint16_t port, const void* buffer, uint32_t count) {
  asm volatile("rep outsw" : "+S"(buffer), "+c"(count) : "d"(port) : "memory");
}

}  // namespace faultline::machine
