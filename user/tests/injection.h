// Making allocations of the kernel fail one after the other, and seeing that nothing is lost: see docs/fault-injection.md. Linux has the same
// file on kernels built for it; elsewhere such tests are skipped.
#pragma once
#include "user/tests/harness.h"

constexpr int kForEver = 100000;  // failures

// /proc/self/fail-nth.
class Injection {
 public:
  Injection() : fd_(CHECK_OK(open("/proc/self/fail-nth", O_RDWR | O_CLOEXEC))) {
    CHECK_EQ(left(), 0);  // later reads need no memory
  }
  void arm(int nth, int times) {
    char text[30];
    int n = snprintf(text, sizeof text, times == 1 ? "%d" : "%d %d", nth, times);
    CHECK_EQ(write(fd_, text, n), n);
  }
  // 0: an allocation has failed.
  long left() {
    char text[20] = "";
    CHECK(pread(fd_, text, sizeof text - 1, 0) > 0);
    return atol(text);
  }
  // Writing needs memory as well, so it may take the last of the failures.
  void disarm() {
    for (int i = 0; write(fd_, "0", 1) != 1; i++) CHECK(errno == ENOMEM && i <= kForEver);
  }

 private:
  int fd_;
};

// How much of the kernel's memory is in use, caches emptied.
struct Stock {
  Memory memory;
  int classes = 0;
  int used[32] = {};

  void take() {
    memory = memory_in_use();
    CHECK(memory.kinds > 0);
    classes = 0;
    FILE* file = fopen("/proc/slabinfo", "r");
    CHECK(file);
    char line[300];
    while (fgets(line, sizeof line, file))
      if (sscanf(line, "kmalloc-%*d %d", &used[classes]) == 1) classes++;
    fclose(file);
  }
  bool operator==(const Stock& other) const {
    return !memory.has_lost(other.memory) && !other.memory.has_lost(memory) && !memcmp(used, other.used, sizeof used);
  }
  // Waits a moment for what is freed late; a leak stays.
  void compare(const char* what, int nth) const {
    Stock now;
    now.take();
    for (int i = 0; i < 50 && !(now == *this); i++) pause_a_little(), now.take();
    if (now == *this) return;
    char text[500] = "";
    int n = 0;
    for (int i = 0; i < memory.kinds; i++)
      if (memory.counts[i] != now.memory.counts[i])
        n += snprintf(text + n, sizeof text - n, " %s: %ld, now %ld;", memory.names[i], memory.counts[i], now.memory.counts[i]);
    for (int i = 0; i < classes; i++)
      if (used[i] != now.used[i])
        n += snprintf(text + n, sizeof text - n, " slab class %d: %d, now %d;", i, used[i], now.used[i]);
    FAIL("%s, allocation %d fails: memory in use:%s", what, nth, text);
  }
};

enum class Caches { kCold, kWarm };
enum Ending { kError = 10, kMadeGood = 11, kNotReached = 12 };

struct Tally {
  int failed = 0, made_good = 0;
};

// Runs `attempt` in children, each in an empty directory, with N = 1, 2, 3…; it ends with one of Ending. The tally of what came.
template <typename F>
Tally sweep(const char* what, Caches caches, F attempt) {
  if (access("/proc/self/fail-nth", F_OK)) SKIP("this kernel has no /proc/self/fail-nth");
  auto run = [&](int nth) {
    CHECK_OK(mkdir("attempt", 0755));
    int status = wait_for(in_child([&] {
      CHECK_OK(chdir("attempt"));
      attempt(nth);
    }));
    remove_tree(AT_FDCWD, "attempt");
    if (WIFSIGNALED(status)) FAIL("%s, allocation %d fails: killed by signal %d", what, nth, WTERMSIG(status));
    int ending = WEXITSTATUS(status);
    if (ending < kError || ending > kNotReached) FAIL("%s, allocation %d fails: the child ended with %d", what, nth, ending);
    return ending;
  };
  Stock before;
  Tally tally;
  CHECK_EQ(run(1000000), kNotReached);  // whatever is made once and kept is made here
  before.take();
  before.take();
  for (int nth = 1; nth <= 5000; nth++) {
    int ending = run(nth);
    if (caches == Caches::kCold || ending == kNotReached) before.compare(what, nth);  // which empties the caches
    if (ending == kNotReached) return tally;
    (ending == kError ? tally.failed : tally.made_good)++;
  }
  FAIL("%s: it never gets through", what);
}
