// memcpy and friends by the string instructions, dwords first. QEMU counts a rep instruction once per iteration, so
// dwords are four times cheaper than bytes there; on hardware both are fast.
#include "lib/string.h"

#if !__STDC_HOSTED__  // the host tests have their own C library

extern "C" {

void* memcpy(void* destination, const void* source, size_t bytes) noexcept {
  void* to = destination;
  size_t dwords = bytes / 4;
  asm volatile("rep movsl" : "+D"(to), "+S"(source), "+c"(dwords) : : "memory");
  size_t rest = bytes & 3;
  asm volatile("rep movsb" : "+D"(to), "+S"(source), "+c"(rest) : : "memory");
  return destination;
}

void* memmove(void* destination, const void* source, size_t bytes) noexcept {
  if (static_cast<char*>(destination) - static_cast<const char*>(source) >= static_cast<ptrdiff_t>(bytes) || destination <= source)
    return memcpy(destination, source, bytes);
  char* to = static_cast<char*>(destination) + bytes - 1;
  const char* from = static_cast<const char*>(source) + bytes - 1;
  asm volatile("std; rep movsb; cld" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
  return destination;
}

void* memset(void* destination, int value, size_t bytes) noexcept {
  void* to = destination;
  uint32_t pattern = 0x01010101u * static_cast<uint8_t>(value);
  size_t dwords = bytes / 4;
  asm volatile("rep stosl" : "+D"(to), "+c"(dwords) : "a"(pattern) : "memory");
  size_t rest = bytes & 3;
  asm volatile("rep stosb" : "+D"(to), "+c"(rest) : "a"(pattern) : "memory");
  return destination;
}

int memcmp(const void* left, const void* right, size_t bytes) noexcept {
  const uint8_t* a = static_cast<const uint8_t*>(left);
  const uint8_t* b = static_cast<const uint8_t*>(right);
  size_t i = 0;
  for (; i + 4 <= bytes; i += 4) {  // names are compared often
    uint32_t x, y;
    __builtin_memcpy(&x, a + i, 4);
    __builtin_memcpy(&y, b + i, 4);
    if (x != y) break;
  }
  for (; i < bytes; i++)
    if (a[i] != b[i]) return a[i] - b[i];
  return 0;
}

size_t strlen(const char* text) noexcept {
  size_t length = 0;
  while (text[length]) length++;
  return length;
}

}  // extern "C"

#endif
