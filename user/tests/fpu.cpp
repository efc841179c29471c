// State that belongs to a thread beyond its registers: x87, SSE and the TLS segment, across switches, signals, fork, exec.
#include "user/tests/float_state.h"
#include "user/tests/harness.h"
#include <asm/ldt.h>
#include <sys/ucontext.h>

TEST(state_survives_system_calls) {
  State s = make_state(3), t;
  load(s);
  for (int i = 0; i < 100; i++) raw_call(SYS_getppid);
  store(t);
  compare(t, s);
}
// The kernel copies with these registers; the pages that it copies to and from are touched for the first time in the middle of that, and other
// processes run meanwhile.
TEST(state_survives_long_copies_that_fault) {
  constexpr size_t kBytes = 16 * kPage;
  pid_t pids[4];
  for (int p = 0; p < 4; p++)
    pids[p] = in_child([&] {
      int pipes[2];
      CHECK_OK(pipe(pipes));
      for (int round = 0; round < scale(60); round++) {
        State s = make_state(p * 100 + round), t;
        char *from = map_pages(16), *to = map_pages(16);
        for (size_t i = 0; i < kBytes; i += 512) *(uint32_t*)(from + i) = uint32_t(p << 24 | round << 16 | i);
        CHECK_EQ(madvise(from, kPage, MADV_DONTNEED), 0);
        load(s);
        long written = raw_call(SYS_write, pipes[1], long(from), kBytes);
        long got = raw_call(SYS_read, pipes[0], long(to), kBytes);
        store(t);
        CHECK_EQ(written, (long)kBytes);
        CHECK_EQ(got, (long)kBytes);
        compare(t, s);
        CHECK(memcmp(from, to, kBytes) == 0);
        CHECK_OK(munmap(from, kBytes));
        CHECK_OK(munmap(to, kBytes));
      }
    });
  for (pid_t p : pids) CHECK_EXIT(p, 0);
}
TEST(state_survives_switches_between_processes) {
  pid_t pids[6];
  for (int p = 0; p < 6; p++)
    pids[p] = in_child([&] {
      State s = make_state(p + 1), t;
      for (int round = 0; round < scale(300); round++) {
        load(s);
        raw_call(SYS_sched_yield);
        spin(20000);  // pre-empted somewhere in here, too
        store(t);
        compare(t, s);
      }
    });
  for (pid_t p : pids) CHECK_EXIT(p, 0);
}
TEST(a_child_starts_with_the_parents_state) {
  State s = make_state(5), t;
  load(s);
  long pid = raw_call(SYS_fork);
  store(t);
  if (pid == 0) {
    compare(t, s);
    _exit(0);
  }
  compare(t, s);
  CHECK_EXIT(pid, 0);
}
static volatile int g_handled;
static void dirty_handler(int) {
  State other = make_state(8), t;
  load(other);
  store(t);
  load(other);  // and leaves its own values behind
  g_handled = g_handled + 1;
}
// sigreturn's way back is long enough to be pre-empted in: two processes on one processor do nothing else.
TEST(state_survives_switches_on_the_way_back_from_a_handler) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(0, &one);
  CHECK_OK(sched_setaffinity(0, sizeof one, &one));
  pid_t other = in_child([] {
    for (;;) {
    }
  });
  signal(SIGUSR1, dirty_handler);
  State s = make_state(7), t;
  long me = getpid();
  rusage before, now;
  getrusage(RUSAGE_SELF, &before);
  do {
    for (int i = 0; i < 200; i++) {
      load(s);
      raw_call(SYS_kill, me, SIGUSR1);
      store(t);
      compare(t, s);
    }
    getrusage(RUSAGE_SELF, &now);
  } while (now.ru_nivcsw < before.ru_nivcsw + scale(150));
  CHECK_OK(kill(other, SIGKILL));
  CHECK_SIGNAL(other, SIGKILL);
}
TEST(state_survives_a_signal_handler_that_uses_it) {
  signal(SIGUSR1, dirty_handler);
  State s = make_state(7), t;
  long me = getpid();
  load(s);
  raw_call(SYS_kill, me, SIGUSR1);
  raw_call(SYS_kill, me, SIGUSR1);
  store(t);
  compare(t, s);
  CHECK_EQ(g_handled, 2);
}
TEST(a_handler_begins_with_a_clean_unit) {
  static uint16_t control, status;
  signal(SIGUSR1, [](int) { asm volatile("fnstcw %0\n\t fnstsw %1" : "=m"(control), "=m"(status)); });
  State s = make_state(4), t;
  long me = getpid();
  load(s);
  raw_call(SYS_kill, me, SIGUSR1);
  store(t);
  CHECK_EQ(control, 0x37f);
  compare(t, s);
}
TEST(the_context_holds_the_state) {
  static double seen;
  struct sigaction action = {};
  action.sa_flags = SA_SIGINFO;
  action.sa_sigaction = [](int, siginfo_t*, void* c) {
    fpregset_t f = ((ucontext_t*)c)->uc_mcontext.fpregs;
    CHECK(f != nullptr);
    long double top;
    memcpy(&top, &f->_st[0], 10);
    seen = (double)top;
    long double changed = 99.5L;
    memcpy(&f->_st[0], &changed, 10);
    memcpy((char*)f + 112 + 32, &changed, 10);  // the FXSAVE area that follows is what is restored
  };
  sigaction(SIGUSR1, &action, nullptr);
  State s = make_state(6), t;
  long me = getpid();
  load(s);
  raw_call(SYS_kill, me, SIGUSR1);
  store(t);
  CHECK(seen == s.x87[0]);
  CHECK(t.x87[0] == 99.5);
  t.x87[0] = s.x87[0];
  compare(t, s);
}
// Reserved bits that a forged context sets must not reach the processor.
TEST(a_forged_context_does_no_harm) {
  pid_t child = in_child([] {
    struct sigaction action = {};
    action.sa_flags = SA_SIGINFO;
    action.sa_sigaction = [](int, siginfo_t*, void* c) {
      fpregset_t f = ((ucontext_t*)c)->uc_mcontext.fpregs;
      if (f) memset((char*)f + 112 + 24, 0xff, 8);
    };
    sigaction(SIGUSR1, &action, nullptr);
    raise(SIGUSR1);
    _exit(5);
  });
  int status = wait_for(child);
  CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 5) || (WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV));
  child = in_child([] {
    struct sigaction action = {};
    action.sa_flags = SA_SIGINFO;
    action.sa_sigaction = [](int, siginfo_t*, void* c) { ((ucontext_t*)c)->uc_mcontext.fpregs = (fpregset_t)0x80100000; };
    sigaction(SIGUSR1, &action, nullptr);
    raise(SIGUSR1);
  });
  CHECK_SIGNAL(child, SIGSEGV);
}
HELPER(fresh_unit) {
  uint16_t control;
  uint32_t mxcsr;
  asm volatile("fnstcw %0\n\t stmxcsr %1" : "=m"(control), "=m"(mxcsr));
  CHECK_EQ(control, 0x37f);
  CHECK_EQ(mxcsr & 0xffc0, 0x1f80);
}
TEST(exec_starts_with_a_clean_unit) {
  uint16_t control = 0x0f40;
  uint32_t mxcsr = 0x7f80;
  asm volatile("fldcw %0\n\t ldmxcsr %1" : : "m"(control), "m"(mxcsr));
  char mode[] = "@fresh_unit", *argv[] = {g_program, mode, nullptr}, *envp[] = {nullptr};
  raw_call(SYS_execve, (long)g_program, (long)argv, (long)envp);
  FAIL("exec");
}
TEST(unmasked_exceptions_become_sigfpe) {
  Fault fault = fault_of([] {
    uint16_t control = 0x037f & ~4;  // division by zero
    double one = 1, zero = 0;
    asm volatile("fninit\n\t fldcw %0\n\t fldl %1\n\t fdivl %2\n\t fwait" : : "m"(control), "m"(one), "m"(zero));
  });
  asm volatile("fninit");
  CHECK(fault.signal == SIGFPE && fault.code == FPE_FLTDIV);
  fault = fault_of([] {
    uint32_t mxcsr = 0x1f80 & ~0x80;  // invalid operation
    float negative = -1;
    asm volatile("ldmxcsr %0\n\t sqrtss %1, %%xmm0" : : "m"(mxcsr), "m"(negative));
  });
  if (fault.signal) CHECK(fault.signal == SIGFPE && fault.code == FPE_FLTINV);  // QEMU's TCG does not raise it
}

// ---- the TLS segments
static uint32_t g_block_a[4] = {11}, g_block_b[4] = {22};
static int set_area(int entry, const void* base) {
  user_desc d = {};
  d.entry_number = entry;
  d.base_addr = (uintptr_t)base;
  d.limit = 0xfffff;
  d.seg_32bit = d.limit_in_pages = d.useable = 1;
  CHECK_OK(syscall(SYS_set_thread_area, &d));
  return d.entry_number;
}
static uint32_t through_fs(int entry) {
  uint32_t value;
  asm volatile("push %%fs\n\t mov %1, %%fs\n\t mov %%fs:0, %0\n\t pop %%fs" : "=&r"(value) : "r"(entry * 8 + 3));
  return value;
}
TEST(thread_areas) {
  int a = set_area(-1, g_block_a), b = set_area(-1, g_block_b);  // glibc has the first of three
  CHECK(a != b);
  CHECK_EQ(through_fs(a), 11);
  CHECK_EQ(through_fs(b), 22);
  user_desc d = {};
  d.entry_number = -1u;
  d.limit = 0xfffff;
  d.seg_32bit = d.limit_in_pages = d.useable = 1;
  CHECK_ERR(syscall(SYS_set_thread_area, &d), ESRCH);
  d.entry_number = 1000;
  CHECK_ERR(syscall(SYS_set_thread_area, &d), EINVAL);
  d.entry_number = a;
  CHECK_OK(syscall(SYS_get_thread_area, &d));
  CHECK_EQ(d.base_addr, (uintptr_t)g_block_a);
}
TEST(thread_areas_belong_to_the_process_and_are_inherited) {
  int entry = set_area(-1, g_block_a);
  uint16_t selector = entry * 8 + 3;
  asm volatile("mov %0, %%fs" : : "r"(selector));
  pid_t child = in_child([=] {
    for (int i = 0; i < 200; i++) {
      uint32_t value;
      asm volatile("mov %%fs:0, %0" : "=r"(value));
      CHECK_EQ(value, i == 0 ? 11 : 22);
      set_area(entry, g_block_b);
      asm volatile("mov %0, %%fs" : : "r"(selector));
      sched_yield();
    }
  });
  for (int i = 0; i < 200; i++) {
    uint32_t value;
    uint16_t now;
    asm volatile("mov %%fs:0, %0\n\t mov %%fs, %1" : "=&r"(value), "=r"(now));
    CHECK_EQ(value, 11);
    CHECK_EQ(now, selector);
    sched_yield();
  }
  CHECK_EXIT(child, 0);
}
TEST(errno_is_where_it_was_after_many_switches) {  // glibc's own thread area, by %gs
  pid_t pids[3];
  for (int i = 0; i < 3; i++)
    pids[i] = in_child([=] {
      for (int k = 0; k < 500; k++) {
        errno = i + 100;
        syscall(SYS_sched_yield);
        if (errno != i + 100) _exit(1);
      }
    });
  for (pid_t p : pids) CHECK_EXIT(p, 0);
}
