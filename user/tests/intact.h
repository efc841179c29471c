// What a call that fails must leave as it was: the caller's memory, descriptors, signals, identity. Taken before, compared after.
#pragma once
#include <sys/auxv.h>

#include "user/tests/harness.h"

class Caller {
 public:
  // Gives the caller something to lose: data in private and shared pages, a file at an offset, a handler, a mask, an alternate stack.
  static void furnish() {
    pattern_ = map_pages(kPatternPages);
    shared_ = map_pages(1, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
    for (int i = 0; i < kPatternPages * kPage; i++) pattern_[i] = expected(i);
    strcpy(shared_, "shared");
    CHECK_OK(lseek(make_file("intact.file", "0123456789", 10), 7, SEEK_SET));
    struct sigaction action = {};
    action.sa_handler = [](int) { handled_ = handled_ + 1; };
    CHECK_OK(sigaction(SIGUSR1, &action, nullptr));
    action.sa_handler = SIG_IGN;
    CHECK_OK(sigaction(SIGHUP, &action, nullptr));
    stack_t stack = {};
    stack.ss_sp = alternate_;
    stack.ss_size = sizeof alternate_;
    CHECK_OK(sigaltstack(&stack, nullptr));
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    CHECK_OK(sigprocmask(SIG_SETMASK, &set, nullptr));
    CHECK_OK(raise(SIGUSR2));  // stays pending
    umask(027);
  }

  Caller() { take(); }

  // Fails unless everything is as it was, and works.
  void check(const char* after) const {
    static Caller now;
    now.take();
    if (strcmp(maps, now.maps)) FAIL("%s: the memory map was\n%sand is\n%s", after, maps, now.maps);
    if (memcmp(descriptors, now.descriptors, sizeof descriptors)) FAIL("%s: descriptors have changed", after);
    if (memcmp(actions, now.actions, sizeof actions)) FAIL("%s: signal actions have changed", after);
    if (memcmp(ids, now.ids, sizeof ids)) FAIL("%s: ids, masks or limits have changed", after);
    if (strcmp(name, now.name)) FAIL("%s: the name was %s and is %s", after, name, now.name);
    if (pattern_) {
      for (int i = 0; i < kPatternPages * kPage; i++)
        if (pattern_[i] != expected(i)) FAIL("%s: private byte %d has changed", after, i);
      CHECK_STR(shared_, "shared");
    }
    int before = handled_;
    struct sigaction action;
    CHECK_OK(sigaction(SIGUSR1, nullptr, &action));
    if (action.sa_handler == SIG_DFL) return;
    CHECK_OK(raise(SIGUSR1));
    CHECK_EQ(handled_, before + 1);
  }

 private:
  static constexpr int kPatternPages = 8, kDescriptors = 32, kSignals = 64;
  static char expected(int i) { return char(i * 7 + i / kPage); }

  void take() {
    memset((void*)this, 0, sizeof *this);
    int fd = CHECK_OK(open("/proc/self/maps", O_RDONLY));
    for (ssize_t n = 0, r; (r = read(fd, maps + n, sizeof maps - 1 - n)) > 0;) n += r;
    close(fd);
    for (int i = 0; i < kDescriptors; i++) {
      struct stat st;
      if (fstat(i, &st)) continue;
      descriptors[i] = {1 + fcntl(i, F_GETFD), fcntl(i, F_GETFL), lseek(i, 0, SEEK_CUR), st.st_ino};
    }
    for (int i = 1; i <= kSignals; i++) {
      struct sigaction action = {};
      if (sigaction(i, nullptr, &action) == 0) actions[i - 1] = {action.sa_handler, action.sa_flags};
    }
    stack_t stack;
    sigset_t mask, pending;
    uint16_t control;
    asm volatile("fnstcw %0" : "=m"(control));
    sigaltstack(nullptr, &stack);
    sigprocmask(SIG_BLOCK, nullptr, &mask);
    sigpending(&pending);
    mode_t creation = umask(0);
    umask(creation);
    const long all[] = {getpid(),
                        getppid(),
                        getpgrp(),
                        getsid(0),
                        (long)getuid(),
                        (long)geteuid(),
                        (long)getgid(),
                        (long)getegid(),
                        (long)sbrk(0),
                        (long)stack.ss_sp,
                        stack.ss_flags,
                        (long)stack.ss_size,
                        (long)mask.__val[0],
                        (long)mask.__val[1],
                        (long)pending.__val[0],
                        (long)creation,
                        control};
    static_assert(sizeof all == sizeof ids);
    memcpy(ids, all, sizeof ids);
    syscall(SYS_prctl, 16, name);
  }

  struct Descriptor {
    int flags, status;
    off_t offset;
    ino_t inode;
  };
  struct Action {
    void (*handler)(int);
    int flags;
  };
  char maps[8192];
  Descriptor descriptors[kDescriptors];
  Action actions[kSignals];
  long ids[17];
  char name[16];

  static inline char *pattern_, *shared_;
  static inline char alternate_[16384];
  static inline volatile int handled_;
};
