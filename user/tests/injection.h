// Making allocations of the kernel fail one after the other, and seeing that nothing is lost: see docs/fault-injection.md. Linux has the same
// file on kernels built for it; elsewhere such tests are skipped.
#pragma once
#include "user/tests/harness.h"

constexpr int kForEver = 500;  // failures: more than any call here has allocations

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
  bool has_lost(const Stock& before) const {
    bool lost = memory.has_lost(before.memory);
    for (int i = 0; i < classes; i++) lost |= used[i] > before.used[i];
    return lost;
  }
  // As it is now, unless more is in use than `before`: then what is freed late is waited for.
  void take_settled(const Stock& before) {
    take();
    for (int i = 0; i < 100 && has_lost(before); i++) pause_a_little(), take();
  }
  void describe(const Stock& before, char* text, size_t size) const {
    size_t n = 0;
    text[0] = 0;
    for (int i = 0; i < memory.kinds && n < size; i++)
      if (memory.counts[i] != before.memory.counts[i])
        n += snprintf(text + n, size - n, " %s: %ld, now %ld;", memory.names[i], before.memory.counts[i], memory.counts[i]);
    for (int i = 0; i < classes && n < size; i++)
      if (used[i] != before.used[i]) n += snprintf(text + n, size - n, " slab class %d: %d, now %d;", i, before.used[i], used[i]);
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
  Stock before, now;
  Tally tally;
  CHECK_EQ(run(1000000), kNotReached);  // whatever is made once and kept is made here
  before.take();
  // A page of a program that runs beside may come in between; a leak takes more each time.
  auto check = [&](int nth) {
    Stock first = before;
    for (int again = 0; again < 5; again++) {
      now.take_settled(before);
      bool lost = now.has_lost(before);
      before = now;
      if (!lost) return;
      for (int each = caches == Caches::kCold ? nth : 1; each <= nth; each++) run(each);  // all that could have lost it
    }
    char text[500];
    now.describe(first, text, sizeof text);
    FAIL("%s, allocation %d fails: more memory in use after each of 5 runs:%s", what, nth, text);
  };
  for (int nth = 1; nth <= 5000; nth++) {
    int ending = run(nth);
    if (caches == Caches::kCold || ending == kNotReached) check(nth);  // which empties the caches
    if (ending == kNotReached) return tally;
    (ending == kError ? tally.failed : tally.made_good)++;
  }
  FAIL("%s: it never gets through", what);
}
