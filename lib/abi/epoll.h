// i386 structure and numbers of epoll(7). Source: linux/eventpoll.h.
#pragma once

#include <cstdint>

namespace faultline::abi {

struct [[gnu::packed, gnu::aligned(4)]] EpollEvent {
  uint32_t events;
  uint64_t data;  // the program's own
};
static_assert(sizeof(EpollEvent) == 12);

inline constexpr uint32_t kEpollAdd = 1, kEpollDelete = 2, kEpollModify = 3;
inline constexpr uint32_t kEpollExclusive = 1u << 28, kEpollWakeUp = 1u << 29, kEpollOneShot = 1u << 30, kEpollEdge = 1u << 31;

}  // namespace faultline::abi
