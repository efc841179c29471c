// What lwIP asks of the compiler and the system (its porting interface); read by its C and by our C++.
#pragma once

#include <stdint.h>

#define LWIP_NO_INTTYPES_H 1
#define LWIP_NO_UNISTD_H 1
#define LWIP_NO_CTYPE_H 1

// A <limits.h> that has SSIZE_MAX makes lwIP trust that <unistd.h> has the type.
#include <limits.h>
#ifdef SSIZE_MAX
typedef int ssize_t;
#endif

// Formats of messages that are compiled out.
#define X8_F ""
#define U16_F ""
#define S16_F ""
#define X16_F ""
#define U32_F ""
#define S32_F ""
#define X32_F ""
#define SZT_F ""

#define lwip_htons(x) __builtin_bswap16(x)
#define lwip_htonl(x) __builtin_bswap32(x)

#ifdef __cplusplus
extern "C" {
#endif
// kernel/net/lwip/system.cpp
uint32_t lwip_port_random(void);
void lwip_port_assertion_failed(const char* message, const char* file, int line);
void lwip_port_assert_locked(void);
// kernel/net/lwip/memory.cpp
void* lwip_port_allocate(uint32_t bytes);
void* lwip_port_allocate_zeroed(uint32_t count, uint32_t bytes);
void lwip_port_free(void* pointer);
#ifdef __cplusplus
}
#endif

#define LWIP_RAND() lwip_port_random()
#define LWIP_PLATFORM_DIAG(arguments) ((void)0)
#define LWIP_PLATFORM_ASSERT(message) lwip_port_assertion_failed(message, __FILE__, __LINE__)
// What lwIP checks of its arguments is answered by its error, not by an end of the machine.
#define LWIP_ERROR(message, expression, handler) \
  do {                                           \
    if (!(expression)) {                         \
      handler;                                   \
    }                                            \
  } while (0)
