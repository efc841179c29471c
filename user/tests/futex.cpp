// futex(2) to the letter: errors, time-outs on both clocks, what is shared, locks with priority inheritance, what the dead leave behind.
#include "user/tests/harness.h"
#include <linux/futex.h>
#include <pthread.h>
#include <sys/shm.h>
#include <atomic>

using Word = std::atomic<uint32_t>;
#ifndef FUTEX_LOCK_PI2
#define FUTEX_LOCK_PI2 13
#endif

static long futex(void* word, int operation, unsigned value = 0, const void* timeout = nullptr, void* second = nullptr,
                  unsigned value3 = 0) {
  return syscall(SYS_futex, word, operation, value, timeout, second, value3);
}
static long futex64(void* word, int operation, unsigned value = 0, const void* timeout = nullptr, unsigned value3 = 0) {
  return syscall(SYS_futex_time64, word, operation, value, timeout, nullptr, value3);
}
struct Time64 {
  int64_t seconds;
  int32_t nanoseconds, padding;
};
static const void* as_timeout(long number) { return (const void*)number; }
static unsigned thread_id() { return syscall(SYS_gettid); }
static Word* shared_word() { return (Word*)map_pages(1, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS); }

template <typename F>
struct Joined {
  F body;
  pthread_t id;
  explicit Joined(F f) : body(f) {
    auto run = [](void* self) -> void* { return ((Joined*)self)->body(), nullptr; };
    CHECK_EQ(pthread_create(&id, nullptr, run, this), 0);
  }
  ~Joined() { CHECK_EQ(pthread_join(id, nullptr), 0); }
};
// Until a thread of this process sleeps: state S in its stat.
static void wait_asleep(unsigned tid) {
  char path[64], text[256], state = 0;
  while (state != 'S') {
    snprintf(path, sizeof path, "/proc/self/task/%u/stat", tid);
    int fd = CHECK_OK(open(path, O_RDONLY));
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    CHECK(n > 0);
    text[n] = 0;
    state = strrchr(text, ')')[2];
    if (state != 'S') sched_yield();
  }
}

// ---- arguments
TEST(bad_arguments) {
  Word word{1};
  CHECK_ERR(futex(&word, FUTEX_WAIT, 0), EAGAIN);
  CHECK_ERR(futex((char*)&word + 2, FUTEX_WAIT, 1), EINVAL);
  CHECK_ERR(futex((char*)&word + 1, FUTEX_WAKE, 1), EINVAL);
  CHECK_ERR(futex((char*)&word + 1, FUTEX_LOCK_PI), EINVAL);
  CHECK_ERR(futex(nullptr, FUTEX_WAIT, 1), EFAULT);
  CHECK_ERR(futex(nullptr, FUTEX_WAKE, 1), EFAULT);
  CHECK_EQ(futex(nullptr, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1), 0);  // nobody looks at it
  CHECK_ERR(futex((void*)0xfffffff0, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1), EFAULT);
  CHECK_ERR(futex(&word, FUTEX_WAIT_BITSET, 1, nullptr, nullptr, 0), EINVAL);
  CHECK_ERR(futex(&word, FUTEX_WAKE_BITSET, 1, nullptr, nullptr, 0), EINVAL);
  CHECK_ERR(futex(&word, 99), ENOSYS);
  CHECK_ERR(futex(&word, FUTEX_WAKE | FUTEX_CLOCK_REALTIME, 1), ENOSYS);
  CHECK_ERR(futex(&word, FUTEX_WAIT | FUTEX_CLOCK_REALTIME, 1), ENOSYS);
  CHECK_ERR(futex(&word, FUTEX_LOCK_PI | FUTEX_CLOCK_REALTIME), ENOSYS);
  CHECK_ERR(futex(&word, FUTEX_REQUEUE, -1, as_timeout(1), &word), EINVAL);
  CHECK_ERR(futex(&word, FUTEX_CMP_REQUEUE, 1, as_timeout(-1), &word, 1), EINVAL);
  CHECK_ERR(futex(&word, FUTEX_CMP_REQUEUE, 1, as_timeout(1), &word, 2), EAGAIN);
  CHECK_ERR(futex(&word, FUTEX_WAKE_OP, 1, as_timeout(1), &word, FUTEX_OP(7, 1, 0, 0)), ENOSYS);
  CHECK_ERR(futex(&word, FUTEX_WAKE_OP, 1, as_timeout(1), &word, FUTEX_OP(FUTEX_OP_SET, 1, 9, 0)), ENOSYS);
  CHECK_ERR(futex(&word, FUTEX_WAKE_OP, 1, as_timeout(1), nullptr, FUTEX_OP(0, 1, 0, 0)), EFAULT);
}
TEST(bad_times) {
  Word word{1};
  timespec negative = {-1, 0}, much = {0, 1000000000};
  CHECK_ERR(futex(&word, FUTEX_WAIT, 1, &negative), EINVAL);
  CHECK_ERR(futex(&word, FUTEX_WAIT, 1, &much), EINVAL);
  CHECK_ERR(futex(&word, FUTEX_WAIT, 1, (void*)4), EFAULT);
  CHECK_ERR(futex(&word, FUTEX_LOCK_PI, 0, &much), EINVAL);
  Time64 negative64 = {-1, 0, 0}, much64 = {0, 1000000000, 0};
  CHECK_ERR(futex64(&word, FUTEX_WAIT, 1, &negative64), EINVAL);
  CHECK_ERR(futex64(&word, FUTEX_WAIT, 1, &much64), EINVAL);
}
TEST(bad_memory) {
  char* page = map_pages(2);
  CHECK_OK(mprotect(page, kPage, PROT_NONE));
  CHECK_ERR(futex(page, FUTEX_WAIT, 0), EFAULT);
  CHECK_ERR(futex(page, FUTEX_LOCK_PI), EFAULT);
  CHECK_OK(mprotect(page, kPage, PROT_READ));
  CHECK_ERR(futex(page, FUTEX_WAIT, 1), EAGAIN);  // looking needs no right to write
  CHECK_ERR(futex(page, FUTEX_LOCK_PI), EFAULT);
  CHECK_ERR(futex(page, FUTEX_UNLOCK_PI), EPERM);
  CHECK_OK(munmap(page, kPage));
  CHECK_ERR(futex(page, FUTEX_WAIT, 0), EFAULT);
  CHECK_ERR(futex(page, FUTEX_WAKE, 1), EFAULT);
  CHECK_ERR(futex(page, FUTEX_CMP_REQUEUE, 1, as_timeout(1), page + kPage, 0), EFAULT);
}
TEST(a_word_that_was_truncated_away) {
  int fd = make_file("words", "", 0);
  CHECK_OK(ftruncate(fd, 2 * kPage));
  char* page = map_pages(2, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
  page[kPage] = 1;
  CHECK_EQ(futex(page + kPage, FUTEX_WAKE, 1), 0);
  CHECK_OK(ftruncate(fd, kPage));
  CHECK_ERR(futex(page + kPage, FUTEX_WAIT, 0), EFAULT);
  CHECK_ERR(futex(page + kPage, FUTEX_WAKE, 1), EFAULT);
  CHECK_ERR(futex(page + kPage, FUTEX_LOCK_PI), EFAULT);
  CHECK_FAULT(page[kPage] = 1, SIGBUS, BUS_ADRERR, page + kPage);
}

// ---- time
static int64_t now_on(clockid_t clock) {
  timespec t;
  CHECK_OK(clock_gettime(clock, &t));
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}
TEST(time_outs_on_both_clocks) {
  Word word{1};
  for (clockid_t clock : {CLOCK_MONOTONIC, CLOCK_REALTIME}) {
    int flag = clock == CLOCK_REALTIME ? FUTEX_CLOCK_REALTIME : 0;
    int64_t end = now_on(clock) + 3000000;
    timespec at = {time_t(end / 1000000000), long(end % 1000000000)};
    Time64 at64 = {end / 1000000000, int32_t(end % 1000000000), 0};
    CHECK_ERR(futex(&word, FUTEX_WAIT_BITSET | flag, 1, &at, nullptr, ~0u), ETIMEDOUT);
    CHECK(now_on(clock) >= end);
    CHECK_ERR(futex64(&word, FUTEX_WAIT_BITSET | flag, 1, &at64, ~0u), ETIMEDOUT);  // long past
  }
  int64_t begin = now_on(CLOCK_MONOTONIC);
  timespec moment = {0, 3000000};
  CHECK_ERR(futex(&word, FUTEX_WAIT, 1, &moment), ETIMEDOUT);
  CHECK(now_on(CLOCK_MONOTONIC) >= begin + 3000000);
  CHECK_EQ(futex(&word, FUTEX_WAKE, 9), 0);  // it does not wait any more
}
static std::atomic<int> g_signals;
static void note_signal(int) { g_signals++; }
static void catch_with(int flags) {
  struct sigaction action = {};
  action.sa_handler = note_signal;
  action.sa_flags = flags;
  CHECK_OK(sigaction(SIGUSR1, &action, nullptr));
}
// Without a time-out, SA_RESTART decides; with one, no handler may run.
TEST(signals_and_waits) {
  for (int restart : {0, SA_RESTART})
    for (bool timed : {false, true}) {
      catch_with(restart);
      g_signals = 0;
      Word word{0};
      std::atomic<unsigned> tid{0};
      std::atomic<int> result{-1};
      Joined waiter([&] {
        tid = thread_id();
        timespec long_time = {1000, 0};
        result = futex(&word, FUTEX_WAIT, 0, timed ? &long_time : nullptr) == -1 ? errno : 0;
      });
      while (!tid) sched_yield();
      wait_asleep(tid);
      CHECK_OK(syscall(SYS_tgkill, getpid(), tid.load(), SIGUSR1));
      while (!g_signals) sched_yield();
      if (restart && !timed) {
        wait_asleep(tid);
        CHECK_EQ(futex(&word, FUTEX_WAKE, 1), 1);
      }
      while (result == -1) sched_yield();
      CHECK_EQ(result, restart && !timed ? 0 : EINTR);
    }
}
TEST(a_stopped_wait_goes_on_to_its_end) {
  pid_t child = in_child([] {
    Word word{0};
    timespec t = {0, 100000000};
    CHECK_ERR(futex(&word, FUTEX_WAIT, 0, &t), ETIMEDOUT);
  });
  int status;
  CHECK_OK(kill(child, SIGSTOP));
  CHECK_EQ(waitpid(child, &status, WUNTRACED), child);
  CHECK_OK(kill(child, SIGCONT));
  CHECK_EXIT(child, 0);
}

// ---- who is woken
TEST(bits_choose_among_waiters) {
  Word word{0};
  std::atomic<unsigned> tids[2];
  std::atomic<int> woken{0};
  auto body = [&](int i) {
    return [&, i] {
      tids[i] = thread_id();
      CHECK_OK(futex(&word, FUTEX_WAIT_BITSET, 0, nullptr, nullptr, 1u << i));
      woken |= 1 << i;
    };
  };
  Joined a(body(0)), b(body(1));
  for (auto& tid : tids) {
    while (!tid) sched_yield();
    wait_asleep(tid);
  }
  CHECK_EQ(futex(&word, FUTEX_WAKE_BITSET, 9, nullptr, nullptr, 4), 0);
  CHECK_EQ(futex(&word, FUTEX_WAKE_BITSET, 9, nullptr, nullptr, 2), 1);
  while (woken == 0) sched_yield();
  CHECK_EQ(woken, 2);
  CHECK_EQ(futex(&word, FUTEX_WAKE, 9), 1);
}
TEST(wake_op_changes_and_compares) {
  Word first{0}, second{5};
  std::atomic<unsigned> tid{0};
  Joined waiter([&] {
    tid = thread_id();
    CHECK_OK(futex(&second, FUTEX_WAIT, 5));
  });
  while (!tid) sched_yield();
  wait_asleep(tid);
  struct {
    unsigned encoded, result;
  } const cases[] = {{FUTEX_OP(FUTEX_OP_ADD, 2, FUTEX_OP_CMP_EQ, 6), 7},
                     {FUTEX_OP(FUTEX_OP_OR, 8, FUTEX_OP_CMP_LT, 7), 15},
                     {FUTEX_OP(FUTEX_OP_ANDN, 3, FUTEX_OP_CMP_GT, 15), 12},
                     {FUTEX_OP(FUTEX_OP_XOR, 4, FUTEX_OP_CMP_NE, 12), 8},
                     {(unsigned)FUTEX_OP(FUTEX_OP_OR | FUTEX_OP_OPARG_SHIFT, 4, FUTEX_OP_CMP_GE, 9), 24},
                     {FUTEX_OP(FUTEX_OP_SET, -1, FUTEX_OP_CMP_LE, 23), ~0u}};
  for (auto& c : cases) {
    CHECK_EQ(futex(&first, FUTEX_WAKE_OP, 1, as_timeout(1), &second, c.encoded), 0);
    CHECK_EQ(second, c.result);
  }
  CHECK_EQ(futex(&first, FUTEX_WAKE_OP, 1, as_timeout(1), &second, FUTEX_OP(FUTEX_OP_SET, 1, FUTEX_OP_CMP_LT, 0)), 1);
}

// ---- what is one futex
static void check_meets(Word* mine, Word* theirs, int flag, bool meets) {
  *mine = 0;
  pid_t child = in_child([=] {
    timespec t = {meets ? 1000 : 0, 50000000};
    long result = futex(theirs, FUTEX_WAIT | flag, 0, &t);
    CHECK(meets ? result == 0 || errno == EAGAIN : result == -1 && errno == ETIMEDOUT);
  });
  wait_state(child, "SZ");
  if (meets)
    while (futex(mine, FUTEX_WAKE | flag, 1) == 0 && state_of(child) != 'Z') sched_yield();
  else
    CHECK_EQ(futex(mine, FUTEX_WAKE | flag, 1), 0);
  CHECK_EXIT(child, 0);
}
TEST(shared_words_are_known_by_what_they_are_in) {
  int file = make_file("word", "", 0);
  CHECK_OK(ftruncate(file, 3 * kPage));
  int memory = CHECK_OK(memfd_create("word", 0));
  CHECK_OK(ftruncate(memory, 3 * kPage));
  for (int fd : {file, memory}) {
    char* one = map_pages(3, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
    char* other = map_pages(1, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 2 * kPage);
    check_meets((Word*)(one + 2 * kPage + 8), (Word*)(other + 8), 0, true);
    check_meets((Word*)(one + 8), (Word*)(other + 8), 0, false);
  }
  Word* anonymous = shared_word();
  check_meets(anonymous, anonymous, 0, true);
  check_meets(anonymous, anonymous, FUTEX_PRIVATE_FLAG, false);
  int segment = CHECK_OK(shmget(IPC_PRIVATE, kPage, 0600));
  auto* here = (Word*)shmat(segment, nullptr, 0);
  auto* there = (Word*)shmat(segment, nullptr, 0);
  CHECK_OK(shmctl(segment, IPC_RMID, nullptr));
  check_meets(here, there, 0, true);
  auto* own = (Word*)map_pages(1);
  check_meets(own, own, 0, false);  // after fork it is another page
}
// A waiter whose memory is gone must not catch the wake-ups of what comes to stand in its place.
TEST(a_waiter_keeps_its_word_from_being_another) {
  catch_with(0);
  for (int i = 0; i < scale(30); i++) {
    Word* gone = shared_word();
    std::atomic<unsigned> tids[2] = {};
    Joined left([&] {
      tids[0] = thread_id();
      CHECK_ERR(futex(gone, FUTEX_WAIT, 0), EINTR);
    });
    while (!tids[0]) sched_yield();
    wait_asleep(tids[0]);
    CHECK_OK(munmap(gone, kPage));
    Word* word = shared_word();
    Joined waiter([&] {
      tids[1] = thread_id();
      CHECK_OK(futex(word, FUTEX_WAIT, 0));
    });
    while (!tids[1]) sched_yield();
    wait_asleep(tids[1]);
    CHECK_EQ(futex(word, FUTEX_WAKE, 1), 1);
    CHECK_OK(syscall(SYS_tgkill, getpid(), tids[0].load(), SIGUSR1));
  }
}
TEST(a_word_in_swapped_or_untouched_memory) {
  char* pages = map_pages(64);
  for (int i = 0; i < 64; i++) {
    CHECK_ERR(futex(pages + i * kPage, FUTEX_WAIT, 1), EAGAIN);
    CHECK_OK(futex(pages + i * kPage, FUTEX_LOCK_PI));
    CHECK_EQ(*(unsigned*)(pages + i * kPage), thread_id());
    if (i % 2) CHECK_OK(madvise(pages + i * kPage, kPage, MADV_DONTNEED));
  }
}

// ---- locks with priority inheritance
TEST(inheriting_locks_and_their_words) {
  Word word{0};
  unsigned self = thread_id();
  CHECK_OK(futex(&word, FUTEX_LOCK_PI));
  CHECK_EQ(word, self);
  CHECK_ERR(futex(&word, FUTEX_LOCK_PI), EDEADLK);
  CHECK_ERR(futex(&word, FUTEX_TRYLOCK_PI), EDEADLK);
  CHECK_OK(futex(&word, FUTEX_UNLOCK_PI));
  CHECK_EQ(word, 0);
  CHECK_ERR(futex(&word, FUTEX_UNLOCK_PI), EPERM);
  CHECK_OK(futex(&word, FUTEX_TRYLOCK_PI));
  CHECK_EQ(word, self);
  word = FUTEX_OWNER_DIED | FUTEX_WAITERS;  // what a robust list leaves
  CHECK_OK(futex(&word, FUTEX_LOCK_PI));
  CHECK_EQ(word, FUTEX_OWNER_DIED | self);
  CHECK_OK(futex(&word, FUTEX_UNLOCK_PI));
  CHECK_EQ(word, 0);
  pid_t dead = in_child([] {});
  CHECK_EXIT(dead, 0);
  word = dead;
  CHECK_ERR(futex(&word, FUTEX_LOCK_PI), ESRCH);
  word = dead;
  CHECK_ERR(futex(&word, FUTEX_TRYLOCK_PI), ESRCH);
  timespec past = {1, 0};
  pid_t other = in_child([] {
    for (;;) pause();
  });
  word = other;
  CHECK_ERR(futex(&word, FUTEX_TRYLOCK_PI), EAGAIN);
  CHECK_ERR(futex(&word, FUTEX_LOCK_PI, 0, &past), ETIMEDOUT);
  CHECK_ERR(futex(&word, FUTEX_UNLOCK_PI), EPERM);
  kill(other, SIGKILL);
  wait_for(other);
}
TEST(inheriting_locks_are_handed_over_one_by_one) {
  static Word word;
  static int count;
  static std::atomic<int> out_of_order;
  count = 0;
  auto body = [] {
    unsigned self = thread_id();
    for (int i = 0; i < scale(400); i++) {
      uint32_t free = 0;
      if (!word.compare_exchange_strong(free, self)) CHECK_OK(futex(&word, FUTEX_LOCK_PI));
      int seen = count;
      if ((word & FUTEX_TID_MASK) != self) out_of_order++;
      if (i % 7 == 0) sched_yield();
      count = seen + 1;
      uint32_t own = self;
      if (!word.compare_exchange_strong(own, 0)) CHECK_OK(futex(&word, FUTEX_UNLOCK_PI));
    }
  };
  { Joined a(body), b(body), c(body), d(body), e(body); }
  CHECK_EQ(count, 5 * scale(400));
  CHECK_EQ(out_of_order, 0);
  CHECK_EQ(word, 0);
}
TEST(a_circle_of_inheriting_locks_is_refused) {
  Word words[3] = {};
  std::atomic<unsigned> tids[3] = {};
  std::atomic<int> holding{0}, refused{0};
  auto body = [&](int i) {
    return [&, i] {
      CHECK_OK(futex(&words[i], FUTEX_LOCK_PI));
      tids[i] = thread_id();
      holding++;
      while (holding < 3) sched_yield();
      if (i == 2) {
        wait_asleep(tids[0]);
        wait_asleep(tids[1]);
      }
      if (futex(&words[(i + 1) % 3], FUTEX_LOCK_PI) == -1) {
        CHECK_EQ(errno, EDEADLK);
        refused++;
      } else {
        CHECK_OK(futex(&words[(i + 1) % 3], FUTEX_UNLOCK_PI));
      }
      CHECK_OK(futex(&words[i], FUTEX_UNLOCK_PI));
    };
  };
  { Joined a(body(0)), b(body(1)), c(body(2)); }
  CHECK_EQ(refused, 1);
}
TEST(two_kinds_of_waiters_do_not_mix) {
  Word word{0};
  std::atomic<unsigned> tid{0};
  CHECK_OK(futex(&word, FUTEX_LOCK_PI));
  Joined waiter([&] {
    tid = thread_id();
    CHECK_OK(futex(&word, FUTEX_LOCK_PI));
    CHECK_OK(futex(&word, FUTEX_UNLOCK_PI));
  });
  while (!tid) sched_yield();
  wait_asleep(tid);
  CHECK_EQ(word, thread_id() | FUTEX_WAITERS);
  CHECK_ERR(futex(&word, FUTEX_WAKE, 1), EINVAL);
  Word other{0};
  CHECK_ERR(futex(&word, FUTEX_REQUEUE, 1, as_timeout(1), &other), EINVAL);
  CHECK_OK(futex(&word, FUTEX_UNLOCK_PI));
}
TEST(a_signal_does_not_end_the_wait_for_an_inheriting_lock) {
  catch_with(0);
  g_signals = 0;
  Word word{0};
  std::atomic<unsigned> tid{0};
  CHECK_OK(futex(&word, FUTEX_LOCK_PI));
  Joined waiter([&] {
    tid = thread_id();
    CHECK_OK(futex(&word, FUTEX_LOCK_PI));
    CHECK_OK(futex(&word, FUTEX_UNLOCK_PI));
  });
  while (!tid) sched_yield();
  for (int i = 1; i <= 3; i++) {
    wait_asleep(tid);
    CHECK_OK(syscall(SYS_tgkill, getpid(), tid.load(), SIGUSR1));
    while (g_signals < i) sched_yield();
  }
  CHECK_OK(futex(&word, FUTEX_UNLOCK_PI));
}
TEST(lock_pi_waits_on_either_clock) {
  pid_t other = in_child([] {
    for (;;) pause();
  });
  for (clockid_t clock : {CLOCK_MONOTONIC, CLOCK_REALTIME}) {
    Word word{uint32_t(other)};
    int64_t end = now_on(clock) + 3000000;
    Time64 at = {end / 1000000000, int32_t(end % 1000000000), 0};
    long result = futex64(&word, FUTEX_LOCK_PI2 | (clock == CLOCK_REALTIME ? FUTEX_CLOCK_REALTIME : 0), 0, &at);
    int error = errno;
    if (result == -1 && error == ENOSYS) SKIP("this Linux is older than 5.14");
    CHECK(result == -1 && error == ETIMEDOUT);
    CHECK(now_on(clock) >= end);
  }
  kill(other, SIGKILL);
  wait_for(other);
}

// ---- what the dead leave behind
TEST(an_inheriting_lock_passes_from_the_dead_to_who_waits) {
  for (int how = 0; how < 3; how++) {
    Word* word = shared_word();
    Gate taken;
    pid_t owner = in_child([&] {
      CHECK_OK(futex(word, FUTEX_LOCK_PI));
      taken.open();
      if (how == 0) pause();
      while (!(*word & FUTEX_WAITERS)) sched_yield();
      if (how == 1) _exit(0);
      execl("/bin/true", "true", nullptr);
    });
    taken.wait();
    pid_t waiters[3];
    for (pid_t& waiter : waiters)
      waiter = in_child([&] {
        CHECK_OK(futex(word, FUTEX_LOCK_PI));
        CHECK((*word & FUTEX_TID_MASK) == thread_id());
        bool died = *word & FUTEX_OWNER_DIED;
        CHECK_OK(futex(word, FUTEX_UNLOCK_PI));
        _exit(died ? 1 : 0);
      });
    if (how == 0) {
      for (pid_t waiter : waiters) wait_state(waiter, "S");
      kill(owner, SIGKILL);
    }
    wait_for(owner);
    int deaths = 0;
    for (pid_t waiter : waiters) deaths += WEXITSTATUS(wait_for(waiter));
    CHECK_EQ(deaths, 1);
    CHECK_EQ(*word, 0);
  }
}
struct RobustNode {
  RobustNode* next;
  Word word;
};
struct RobustHead {
  RobustNode* first;
  long offset;
  RobustNode* in_progress;
};
TEST(robust_lists_of_every_shape) {
  auto* memory = (RobustNode*)map_pages(1, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
  auto marked = [](RobustNode* node) { return (RobustNode*)((uintptr_t)node | 1); };
  for (int shape = 0; shape < 7; shape++) {
    pid_t child = in_child([&] {
      static RobustHead head;
      head = {&memory[0], offsetof(RobustNode, word), nullptr};
      for (int i = 0; i < 4; i++) {
        memory[i].word = thread_id();
        memory[i].next = i < 3 ? &memory[i + 1] : (RobustNode*)&head;
      }
      if (shape == 1) memory[3].next = &memory[1];       // a circle that the head is not in
      if (shape == 2) memory[1].next = (RobustNode*)4;   // nowhere
      if (shape == 3) memory[1].word = thread_id() + 1;  // somebody else's
      if (shape == 4) head.in_progress = &memory[3], memory[2].next = (RobustNode*)&head;
      if (shape == 5) memory[0].next = marked(&memory[1]), memory[1].word = thread_id() | FUTEX_WAITERS;
      if (shape == 6) head.first = (RobustNode*)0xfffff000;
      CHECK_OK(syscall(SYS_set_robust_list, &head, sizeof head));
    });
    CHECK_EXIT(child, 0);
    uint32_t died[4];
    for (int i = 0; i < 4; i++) died[i] = memory[i].word & FUTEX_OWNER_DIED;
    CHECK_EQ(!!died[0], shape != 6);
    CHECK_EQ(!!died[1], shape != 3 && shape != 6);
    CHECK_EQ(!!died[2], shape != 2 && shape != 6);
    CHECK_EQ(!!died[3], shape != 2 && shape != 6);
    if (shape == 5) CHECK_EQ(memory[1].word, FUTEX_OWNER_DIED | FUTEX_WAITERS);
  }
}
// It had let go of the lock, and died before it woke anybody.
TEST(a_death_between_unlocking_and_waking) {
  auto* node = (RobustNode*)map_pages(1, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
  node->word = 0;
  pid_t waiter = in_child([&] { CHECK_OK(futex(&node->word, FUTEX_WAIT, 0)); });
  wait_state(waiter, "S");
  CHECK_EXIT(in_child([&] {
               static RobustHead head = {(RobustNode*)&head, offsetof(RobustNode, word), node};
               CHECK_OK(syscall(SYS_set_robust_list, &head, sizeof head));
             }),
             0);
  CHECK_EXIT(waiter, 0);
}
// Who waits in the kernel has the dead owner's lock: nobody may find it free in user mode meanwhile, or it has two owners.
TEST(a_dead_owners_lock_is_never_free_while_somebody_waits) {
  struct Shared {
    RobustNode node;
    std::atomic<bool> was_free, stop;
  };
  auto* shared = (Shared*)map_pages(1, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
  auto& word = *(std::atomic<uint32_t>*)&shared->node.word;
  pid_t watcher = in_child([&] {
    while (!shared->stop)
      if (uint32_t seen = word; (seen & FUTEX_TID_MASK) == 0 && (seen & FUTEX_OWNER_DIED)) shared->was_free = true;
  });
  for (int i = 0; i < scale(50); i++) {
    word = 0;
    pid_t owner = in_child([&] {
      static RobustHead head;
      head = {(RobustNode*)((uintptr_t)&shared->node | 1), offsetof(RobustNode, word), nullptr};  // the mark of an inheriting one
      shared->node.next = (RobustNode*)&head;
      CHECK_OK(syscall(SYS_set_robust_list, &head, sizeof head));
      word = thread_id();
      for (;;) pause();
    });
    while (word == 0) usleep(100);
    pid_t waiter = in_child([&] {
      CHECK_OK(futex(&shared->node.word, FUTEX_LOCK_PI, 0));
      CHECK_EQ(word, thread_id() | FUTEX_OWNER_DIED);
    });
    wait_state(waiter, "S");
    CHECK_OK(kill(owner, SIGKILL));
    CHECK_EXIT(waiter, 0);
    CHECK_SIGNAL(owner, SIGKILL);
  }
  shared->stop = true;
  CHECK_EXIT(watcher, 0);
  CHECK(!shared->was_free);
}

TEST(a_robust_list_is_walked_at_execve) {
  auto* node = (RobustNode*)map_pages(1, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
  CHECK_EXIT(in_child([&] {
               static RobustHead head = {node, offsetof(RobustNode, word), nullptr};
               node->next = (RobustNode*)&head;
               node->word = thread_id();
               CHECK_OK(syscall(SYS_set_robust_list, &head, sizeof head));
               execl("/bin/true", "true", nullptr);
             }),
             0);
  CHECK_EQ(node->word, FUTEX_OWNER_DIED);
}
TEST(get_robust_list_tells_of_others) {
  static RobustHead head = {(RobustNode*)&head, 4, nullptr};
  CHECK_ERR(syscall(SYS_set_robust_list, &head, 11), EINVAL);
  void* found;
  size_t size;
  std::atomic<unsigned> tid{0};
  std::atomic<bool> done{false};
  Joined other([&] {
    CHECK_OK(syscall(SYS_set_robust_list, &head, sizeof head));
    tid = thread_id();
    while (!done) sched_yield();
  });
  while (!tid) sched_yield();
  CHECK_OK(syscall(SYS_get_robust_list, tid.load(), &found, &size));
  CHECK(found == &head);
  CHECK_EQ(size, sizeof head);
  CHECK_ERR(syscall(SYS_get_robust_list, 0, nullptr, &size), EFAULT);
  CHECK_ERR(syscall(SYS_get_robust_list, 0x7ffffff, &found, &size), ESRCH);
  CHECK_EXIT(in_child([&] {
               CHECK_OK(setresuid(1000, 1000, 1000));
               CHECK_ERR(syscall(SYS_get_robust_list, getppid(), &found, &size), EPERM);
             }),
             0);
  done = true;
}
