// Threads that close, watch, change, wait, write, duplicate and nest the same descriptors at once. Any error is fine that a number which means
// something else by now gives; nothing may be lost, and afterwards everything works.
#include "user/tests/harness.h"
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

namespace {

constexpr int kThreads = 6, kSlots = 8;
volatile int g_file[kSlots], g_epoll[kSlots];
int g_steps;

struct Dice {
  uint64_t state;
  uint32_t below(uint32_t n) {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    return uint32_t(state >> 33) % n;
  }
};
uint32_t when(bool condition, uint32_t events) { return condition ? events : 0; }
void control(int epoll, int operation, int fd, uint32_t events) {
  epoll_event event = {};
  event.events = events;
  if (epoll_ctl(epoll, operation, fd, &event) == 0) return;
  for (int allowed : {EBADF, EEXIST, ENOENT, ELOOP, EINVAL, EPERM})
    if (errno == allowed) return;
  FAIL("epoll_ctl %d: %s", operation, strerrorname_np(errno));
}
// Puts another descriptor into the slot; the old one is closed, whoever uses it.
void renew(volatile int& slot, int fd) {
  int old = slot;
  slot = fd;
  if (old > 2) close(old);
}
uint32_t some_events(Dice& dice) {
  return when(dice.below(2), EPOLLIN) | when(dice.below(2), EPOLLOUT) | when(dice.below(3) == 0, EPOLLET) |
         when(dice.below(3) == 0, EPOLLONESHOT);
}
void* run(void* number) {
  Dice dice{uint64_t(uintptr_t(number))};
  epoll_event events[4];
  for (int step = 0; step < g_steps; step++) {
    volatile int& file = g_file[dice.below(kSlots)];
    volatile int& epoll = g_epoll[dice.below(kSlots)];
    switch (dice.below(10)) {
      case 0: renew(file, eventfd(dice.below(2), EFD_NONBLOCK)); break;
      case 1: renew(epoll, epoll_create1(0)); break;
      case 2: renew(file, dup(g_file[dice.below(kSlots)])); break;
      case 3: control(epoll, EPOLL_CTL_ADD, g_epoll[dice.below(kSlots)], EPOLLIN | when(dice.below(2), EPOLLET)); break;
      case 4: control(epoll, EPOLL_CTL_MOD, file, some_events(dice)); break;
      case 5: control(epoll, EPOLL_CTL_DEL, file, 0); break;
      case 6: epoll_wait(epoll, events, 4, int(dice.below(2))); break;
      case 7: {
        uint64_t one = 1;
        if (dice.below(2) ? write(file, &one, 8) : read(file, &one, 8)) break;
        break;
      }
      case 8: {
        pollfd p[2] = {{epoll, POLLIN, 0}, {g_epoll[dice.below(kSlots)], POLLIN, 0}};
        poll(p, 2, int(dice.below(2)));
        break;
      }
      default: control(epoll, EPOLL_CTL_ADD, file, some_events(dice) | when(dice.below(4) == 0, EPOLLEXCLUSIVE)); break;
    }
  }
  return nullptr;
}

}  // namespace

TEST_SLOW(everybody_does_everything_to_the_same_descriptors) {
  g_steps = scale(4000);
  for (int i = 0; i < kSlots; i++) {
    g_file[i] = int(CHECK_OK(eventfd(0, EFD_NONBLOCK)));
    g_epoll[i] = int(CHECK_OK(epoll_create1(0)));
  }
  pthread_t threads[kThreads];
  for (uintptr_t i = 0; i < kThreads; i++) CHECK_EQ(pthread_create(&threads[i], nullptr, &run, (void*)(i + 1)), 0);
  for (pthread_t thread : threads) CHECK_EQ(pthread_join(thread, nullptr), 0);
  for (int fd = 3; fd < 1000; fd++) close(fd);
  int epoll = int(CHECK_OK(epoll_create1(0))), event = int(CHECK_OK(eventfd(1, 0)));
  control(epoll, EPOLL_CTL_ADD, event, EPOLLIN);
  epoll_event one;
  CHECK_EQ(epoll_wait(epoll, &one, 1, 0), 1);
}

// ---------------------------------------------------------------- none is forgotten

namespace {

int g_shared;
volatile int g_taken, g_stop;
void* take_events(void*) {
  epoll_event event;
  while (!g_stop) {
    if (epoll_wait(g_shared, &event, 1, -1) != 1) continue;
    if (event.data.u32 == ~0u) break;
    uint64_t number;
    CHECK_EQ(read(int(event.data.u32), &number, 8), 8);
    __atomic_fetch_add(&g_taken, int(number), __ATOMIC_SEQ_CST);
    event.events = EPOLLIN | EPOLLET | EPOLLONESHOT;
    CHECK_OK(epoll_ctl(g_shared, EPOLL_CTL_MOD, int(event.data.u32), &event));
  }
  return nullptr;
}

}  // namespace

// Several who wait, several files that become ready at once, each told once and armed again: whatever is written is read by somebody.
TEST_SLOW(every_event_finds_somebody) {
  constexpr int kFiles = 5, kWaiters = 4;
  g_shared = int(CHECK_OK(epoll_create1(0)));
  int file[kFiles];
  for (int& fd : file) {
    fd = int(CHECK_OK(eventfd(0, 0)));
    epoll_event event = {};
    event.events = EPOLLIN | EPOLLET | EPOLLONESHOT;
    event.data.u32 = uint32_t(fd);
    CHECK_OK(epoll_ctl(g_shared, EPOLL_CTL_ADD, fd, &event));
  }
  pthread_t threads[kWaiters];
  for (pthread_t& thread : threads) CHECK_EQ(pthread_create(&thread, nullptr, &take_events, nullptr), 0);
  int rounds = scale(1500);
  for (int round = 1; round <= rounds; round++) {
    for (int i = 0; i < kFiles; i++) {
      uint64_t one = 1;
      CHECK_EQ(write(file[i], &one, 8), 8);
    }
    while (__atomic_load_n(&g_taken, __ATOMIC_SEQ_CST) != round * kFiles) sched_yield();  // hangs if one is forgotten
  }
  int stop = int(CHECK_OK(eventfd(1, 0)));
  g_stop = 1;
  epoll_event event = {};
  event.events = EPOLLIN;
  event.data.u32 = ~0u;
  CHECK_OK(epoll_ctl(g_shared, EPOLL_CTL_ADD, stop, &event));  // by level: it wakes one after the other
  for (pthread_t thread : threads) CHECK_EQ(pthread_join(thread, nullptr), 0);
}
