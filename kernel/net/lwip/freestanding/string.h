// What lwIP's C needs of <string.h>; lib/string.cpp implements most of it.
#pragma once

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif
void* memcpy(void* destination, const void* source, size_t bytes);
void* memmove(void* destination, const void* source, size_t bytes);
void* memset(void* destination, int value, size_t bytes);
int memcmp(const void* left, const void* right, size_t bytes);
size_t strlen(const char* text);
#ifdef __cplusplus
}
#endif

static inline int strncmp(const char* left, const char* right, size_t limit) {
  for (; limit != 0; left++, right++, limit--)
    if (*left != *right || *left == 0) return *(const unsigned char*)left - *(const unsigned char*)right;
  return 0;
}
