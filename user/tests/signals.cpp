// Signals: sending, handling, masks, pending, restarting, the information that comes along, the alternate stack.
// (Stopping and continuing: jobs.cpp.)
#include "user/tests/harness.h"
#include <sys/time.h>
#include <sys/ucontext.h>

static volatile int g_count, g_last;
static siginfo_t g_info;
static void counting(int number) {
  g_count = g_count + 1;
  g_last = number;
}
static void informed(int number, siginfo_t* info, void*) {
  counting(number);
  g_info = *info;
}
static void handle(int number, void (*handler)(int), int flags = 0) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = flags;
  CHECK_OK(sigaction(number, &action, nullptr));
}
static void handle_info(int number, void (*handler)(int, siginfo_t*, void*), int flags = 0) {
  struct sigaction action = {};
  action.sa_sigaction = handler;
  action.sa_flags = flags | SA_SIGINFO;
  CHECK_OK(sigaction(number, &action, nullptr));
}
static sigset_t set_of(std::initializer_list<int> numbers) {
  sigset_t set;
  sigemptyset(&set);
  for (int n : numbers) sigaddset(&set, n);
  return set;
}
static void block(std::initializer_list<int> numbers) {
  sigset_t s = set_of(numbers);
  CHECK_OK(sigprocmask(SIG_BLOCK, &s, nullptr));
}
static void unblock(std::initializer_list<int> numbers) {
  sigset_t s = set_of(numbers);
  CHECK_OK(sigprocmask(SIG_UNBLOCK, &s, nullptr));
}
static bool pending(int number) {
  sigset_t s;
  CHECK_OK(sigpending(&s));
  return sigismember(&s, number);
}

TEST(a_handler_runs_and_the_program_goes_on) {
  handle(SIGUSR1, counting);
  for (int i = 1; i <= 100; i++) {
    CHECK_OK(kill(getpid(), SIGUSR1));
    CHECK_EQ(g_count, i);
  }
  CHECK_EQ(g_last, SIGUSR1);
}
TEST(default_actions) {
  for (int number : {SIGHUP,  SIGINT,  SIGQUIT,   SIGILL,  SIGTRAP, SIGABRT,   SIGBUS,  SIGFPE, SIGKILL, SIGUSR1, SIGSEGV, SIGUSR2, SIGPIPE,
                     SIGALRM, SIGTERM, SIGSTKFLT, SIGXCPU, SIGXFSZ, SIGVTALRM, SIGPROF, SIGIO,  SIGPWR,  SIGSYS,  33,      64})
    CHECK_SIGNAL(in_child([=] {
                   syscall(SYS_kill, getpid(), number);
                   _exit(0);
                 }),
                 number);
  for (int number : {SIGCHLD, SIGURG, SIGWINCH, SIGCONT})
    CHECK_EXIT(in_child([=] {
                 kill(getpid(), number);
                 _exit(5);
               }),
               5);
}
TEST(ignored_signals_do_nothing) {
  signal(SIGTERM, SIG_IGN);
  CHECK_OK(raise(SIGTERM));
  handle(SIGTERM, counting);
  block({SIGTERM});
  CHECK_OK(raise(SIGTERM));
  CHECK(pending(SIGTERM));
  signal(SIGTERM, SIG_IGN);  // discards what is pending
  CHECK(!pending(SIGTERM));
  signal(SIGTERM, SIG_DFL);
  unblock({SIGTERM});
}
TEST(kill_and_stop_cannot_be_caught) {
  for (int number : {SIGKILL, SIGSTOP}) {
    struct sigaction action = {};
    action.sa_handler = counting;
    CHECK_ERR(sigaction(number, &action, nullptr), EINVAL);
    action.sa_handler = SIG_IGN;
    CHECK_ERR(sigaction(number, &action, nullptr), EINVAL);
    CHECK_OK(sigaction(number, nullptr, &action));
    CHECK(action.sa_handler == SIG_DFL);
  }
  sigset_t all, now;
  sigfillset(&all);
  CHECK_OK(sigprocmask(SIG_SETMASK, &all, nullptr));
  CHECK_OK(sigprocmask(SIG_SETMASK, nullptr, &now));
  CHECK(!sigismember(&now, SIGKILL) && !sigismember(&now, SIGSTOP) && sigismember(&now, SIGTERM));
  CHECK_SIGNAL(in_child([] {
                 kill(getpid(), SIGKILL);
                 for (;;) pause();
               }),
               SIGKILL);
}
TEST(what_is_refused) {
  CHECK_ERR(kill(getpid(), 65), EINVAL);
  CHECK_ERR(kill(getpid(), -1), EINVAL);
  CHECK_ERR(kill(0x3ffffff, SIGTERM), ESRCH);
  CHECK_OK(kill(getpid(), 0));
  CHECK_ERR(syscall(SYS_rt_sigaction, 65, 0, 0, 8), EINVAL);
  CHECK_ERR(syscall(SYS_rt_sigaction, 0, 0, 0, 8), EINVAL);
  CHECK_ERR(syscall(SYS_rt_sigaction, SIGUSR1, 0, 0, 4), EINVAL);
  CHECK_ERR(syscall(SYS_rt_sigprocmask, 77, set_of({1}).__val, 0, 8), EINVAL);
  CHECK_ERR(syscall(SYS_tgkill, getpid(), getpid(), 65), EINVAL);
  CHECK_ERR(syscall(SYS_tgkill, -1, getpid(), SIGTERM), EINVAL);
}
TEST(another_users_process_cannot_be_signalled) {
  if (getuid()) SKIP("needs root");
  Gate ready;
  pid_t victim = in_child([&] {
    ready.open();
    pause();
  });
  ready.wait();
  CHECK_EXIT(in_child([=] {
               CHECK_OK(setuid(54321));
               CHECK_ERR(kill(victim, SIGTERM), EPERM);
               CHECK_ERR(kill(victim, 0), EPERM);
               CHECK_ERR(kill(1, SIGTERM), EPERM);
             }),
             0);
  CHECK_EQ(waitpid(victim, nullptr, WNOHANG), 0);
  CHECK_OK(kill(victim, SIGTERM));
  CHECK_SIGNAL(victim, SIGTERM);
}

// ---- masks
TEST(a_blocked_signal_waits_and_comes_once) {
  handle(SIGUSR1, counting);
  block({SIGUSR1});
  for (int i = 0; i < 5; i++) CHECK_OK(raise(SIGUSR1));
  CHECK(pending(SIGUSR1) && g_count == 0);
  unblock({SIGUSR1});
  CHECK_EQ(g_count, 1);
  CHECK(!pending(SIGUSR1));
}
TEST(real_time_signals_queue_in_order_with_their_values) {
  static int values[8], n;
  auto note = [](int, siginfo_t* info, void*) { values[n++] = info->si_value.sival_int; };
  handle_info(SIGRTMIN, note);
  handle_info(SIGRTMIN + 1, note);
  block({SIGRTMIN, SIGRTMIN + 1});
  for (int v : {1, 2, 3}) {
    sigval value;
    value.sival_int = v + 10;
    CHECK_OK(sigqueue(getpid(), SIGRTMIN + 1, value));
  }
  for (int v : {1, 2}) {
    sigval value;
    value.sival_int = v;
    CHECK_OK(sigqueue(getpid(), SIGRTMIN, value));
  }
  // Both are let in at once: handlers are entered lowest number first, so the last entered runs first.
  sigset_t low = set_of({SIGRTMIN}), high = set_of({SIGRTMIN + 1});
  CHECK_OK(sigprocmask(SIG_UNBLOCK, &low, nullptr));
  CHECK_EQ(n, 2);
  CHECK_OK(sigprocmask(SIG_UNBLOCK, &high, nullptr));
  CHECK_EQ(n, 5);
  for (int i = 0; i < 5; i++) {
    static const int expected[] = {1, 2, 11, 12, 13};
    CHECK_EQ(values[i], expected[i]);
  }
}
TEST(the_mask_during_a_handler) {
  static bool own, other, third;
  auto look = [](int) {
    sigset_t s;
    sigprocmask(SIG_BLOCK, nullptr, &s);
    own = sigismember(&s, SIGUSR1);
    other = sigismember(&s, SIGUSR2);
    third = sigismember(&s, SIGTERM);
  };
  struct sigaction action = {};
  action.sa_handler = look;
  action.sa_mask = set_of({SIGUSR2});
  CHECK_OK(sigaction(SIGUSR1, &action, nullptr));
  raise(SIGUSR1);
  CHECK(own && other && !third);
  action.sa_flags = SA_NODEFER;
  CHECK_OK(sigaction(SIGUSR1, &action, nullptr));
  raise(SIGUSR1);
  CHECK(!own && other);
  sigset_t after;
  sigprocmask(SIG_BLOCK, nullptr, &after);
  CHECK(!sigismember(&after, SIGUSR2) && !sigismember(&after, SIGUSR1));
}
TEST(a_signal_during_its_handler_comes_after_it) {
  static int depth, deepest;
  handle(SIGUSR1, [](int) {
    if (++depth > deepest) deepest = depth;
    if (g_count < 3) {
      g_count = g_count + 1;
      raise(SIGUSR1);
    }
    depth--;
  });
  raise(SIGUSR1);
  CHECK_EQ(g_count, 3);
  CHECK_EQ(deepest, 1);
}
TEST(reset_hand_and_nested_handlers) {
  handle(SIGUSR1, counting, SA_RESETHAND);
  raise(SIGUSR1);
  struct sigaction action;
  CHECK_OK(sigaction(SIGUSR1, nullptr, &action));
  CHECK(action.sa_handler == SIG_DFL && g_count == 1);
  handle(SIGUSR2, [](int) {
    raise(SIGTERM);
    CHECK_EQ(g_count, 2);
  });
  handle(SIGTERM, counting);
  raise(SIGUSR2);
  CHECK_EQ(g_last, SIGTERM);
}
TEST(sigsuspend_swaps_the_mask_and_swaps_it_back) {
  handle(SIGUSR1, counting);
  block({SIGUSR1});
  pid_t parent = getpid();
  pid_t child = in_child([=] {
    wait_state(parent, "S");
    kill(parent, SIGUSR1);
  });
  sigset_t none = set_of({});
  CHECK_ERR(sigsuspend(&none), EINTR);
  CHECK_EQ(g_count, 1);
  raise(SIGUSR1);
  CHECK_EQ(g_count, 1);
  CHECK(pending(SIGUSR1));
  CHECK_EXIT(child, 0);
}
TEST(sigtimedwait_takes_a_signal_without_a_handler) {
  sigset_t set = set_of({SIGUSR1, SIGUSR2});
  block({SIGUSR1, SIGUSR2});
  timespec soon = {0, 5000000};
  siginfo_t info;
  CHECK_ERR(sigtimedwait(&set, &info, &soon), EAGAIN);
  raise(SIGUSR2);
  CHECK_EQ(sigtimedwait(&set, &info, &soon), SIGUSR2);
  CHECK_EQ(info.si_signo, SIGUSR2);
  CHECK(!pending(SIGUSR2));
  pid_t parent = getpid();
  pid_t child = in_child([=] {
    wait_state(parent, "S");
    kill(parent, SIGUSR1);
  });
  CHECK_EQ(sigwaitinfo(&set, &info), SIGUSR1);
  CHECK_EQ(info.si_pid, child);
  CHECK_EXIT(child, 0);
}

// ---- what the handler is told
TEST(siginfo_of_a_kill_a_child_and_a_fault) {
  handle_info(SIGUSR1, informed);
  pid_t parent = getpid();
  pid_t child = in_child([=] { kill(parent, SIGUSR1); });
  CHECK_EXIT(child, 0);
  CHECK(g_count == 1 && g_info.si_signo == SIGUSR1 && g_info.si_code == SI_USER && g_info.si_pid == child && g_info.si_uid == getuid());
  handle_info(SIGCHLD, informed);
  block({SIGCHLD});
  child = in_child([] { _exit(17); });
  wait_state(child, "Z");
  unblock({SIGCHLD});
  CHECK(g_info.si_code == CLD_EXITED && g_info.si_pid == child && g_info.si_status == 17);
  CHECK_EXIT(child, 17);
  sigval value;
  value.sival_int = 4711;
  CHECK_OK(sigqueue(getpid(), SIGUSR1, value));
  CHECK(g_info.si_code == SI_QUEUE && g_info.si_value.sival_int == 4711);
  CHECK_OK(syscall(SYS_tgkill, getpid(), getpid(), SIGUSR1));
  CHECK_EQ(g_info.si_code, SI_TKILL);
}
TEST(the_context_shows_and_changes_registers) {
  static uint32_t resume;
  handle_info(SIGSEGV, [](int, siginfo_t*, void* c) {
    greg_t* r = ((ucontext_t*)c)->uc_mcontext.gregs;
    CHECK_EQ(r[REG_EBX], 0x1234);
    CHECK_EQ(((ucontext_t*)c)->uc_mcontext.cr2, 0x60);
    CHECK_EQ(r[REG_TRAPNO], 14);
    CHECK_EQ(r[REG_ERR] & 6, 6);
    r[REG_ECX] = 0x5678;
    r[REG_EIP] = resume;
  });
  uint32_t c = 0;
  asm volatile("movl $1f, %1\n\t mov $0x1234, %%ebx\n\t movl $1, 0x60\n\t ud2\n1:" : "=c"(c), "=m"(resume) : : "ebx", "memory");
  CHECK_EQ(c, 0x5678);
}
// sigreturn cannot be used to get privilege.
TEST(a_forged_context_is_refused) {
  for (int what = 0; what < 6; what++) {
    static int w;
    w = what;
    pid_t child = in_child([] {
      handle_info(SIGUSR1, [](int, siginfo_t*, void* c) {
        greg_t* r = ((ucontext_t*)c)->uc_mcontext.gregs;
        switch (w) {
          case 0: r[REG_CS] = 0x08; break;
          case 1: r[REG_SS] = 0x10; break;
          case 2: r[REG_EFL] |= 0x3000; break;  // the I/O privilege level: ignored
          case 3: r[REG_DS] = 0xfff8; break;
          case 4: r[REG_EIP] = 0x80100000; break;
          case 5: r[REG_CS] = 0; break;
        }
      });
      raise(SIGUSR1);
      asm volatile("in $0x71, %%al" : : : "eax");
      _exit(0);
    });
    CHECK_SIGNAL(child, SIGSEGV);
  }
  CHECK_SIGNAL(in_child([] { asm volatile("mov $0x90000000, %%esp\n\t mov $173, %%eax\n\t int $0x80" : : : "memory"); }), SIGSEGV);
  CHECK_SIGNAL(in_child([] { asm volatile("mov $0x1000, %%esp\n\t mov $119, %%eax\n\t int $0x80" : : : "memory"); }), SIGSEGV);
}
TEST(jumping_out_of_a_handler) {
  static sigjmp_buf back;
  handle(SIGUSR1, [](int) { siglongjmp(back, 1); });
  static int i;
  for (i = 0; i < 50; i++)
    if (!sigsetjmp(back, 1)) {
      raise(SIGUSR1);
      FAIL("not reached");
    }
}

// ---- interrupted calls
static void interrupt_when_asleep(pid_t target, int number = SIGUSR1) {
  in_child([=] {
    wait_state(target, "S");
    kill(target, number);
  });
}
TEST(a_blocking_read_is_interrupted_or_restarted) {
  int fd[2];
  char c;
  CHECK_OK(pipe(fd));
  handle(SIGUSR1, counting);
  interrupt_when_asleep(getpid());
  CHECK_ERR(read(fd[0], &c, 1), EINTR);
  handle(
      SIGUSR1, [](int) { g_count = 10; }, SA_RESTART);
  pid_t me = getpid(), writer = in_child([&] {
                         wait_state(me, "S");
                         kill(me, SIGUSR1);
                         pause_a_little();
                         wait_state(me, "S");
                         CHECK_EQ(write(fd[1], "r", 1), 1);
                       });
  CHECK_EQ(read(fd[0], &c, 1), 1);
  CHECK(c == 'r' && g_count == 10);
  CHECK_EXIT(writer, 0);
}
TEST(calls_that_are_never_restarted) {
  handle(SIGUSR1, counting, SA_RESTART);
  interrupt_when_asleep(getpid());
  CHECK_ERR(pause(), EINTR);
  interrupt_when_asleep(getpid());
  CHECK_ERR(poll(nullptr, 0, -1), EINTR);
  interrupt_when_asleep(getpid());
  CHECK_ERR(select(0, nullptr, nullptr, nullptr, nullptr), EINTR);
  timespec longer = {1000, 0}, rest = {};
  interrupt_when_asleep(getpid());
  CHECK_ERR(nanosleep(&longer, &rest), EINTR);
  CHECK(rest.tv_sec >= 900 && rest.tv_sec < 1000);
  CHECK_EQ(g_count, 4);
}
TEST(wait_is_restarted_or_interrupted) {
  handle(SIGUSR1, counting);
  Gate go;
  pid_t me = getpid(), child = in_child([&] { go.wait(); });
  in_child([=] {
    wait_state(me, "S");
    kill(me, SIGUSR1);
  });
  int status;
  CHECK_ERR(waitpid(child, &status, 0), EINTR);
  handle(SIGUSR1, counting, SA_RESTART);
  pid_t helper = in_child([&] {
    wait_state(me, "S");
    kill(me, SIGUSR1);
    pause_a_little();
    wait_state(me, "S");
    go.open();
  });
  CHECK_EQ(waitpid(child, &status, 0), child);
  CHECK_EXIT(helper, 0);
  CHECK_EQ(g_count, 2);
}
TEST(ignored_signals_interrupt_nothing) {
  signal(SIGUSR1, SIG_IGN);
  int fd[2];
  char c;
  CHECK_OK(pipe(fd));
  pid_t me = getpid();
  in_child([&] {
    wait_state(me, "S");
    kill(me, SIGUSR1);
    kill(me, SIGCHLD);
    kill(me, SIGWINCH);
    pause_a_little();
    CHECK_EQ(write(fd[1], "x", 1), 1);
  });
  CHECK_EQ(read(fd[0], &c, 1), 1);
}

// ---- the alternate stack
TEST(the_alternate_stack_is_used_and_reported) {
  static char memory[32768];
  static stack_t seen;
  static uintptr_t at;
  stack_t stack = {memory, 0, sizeof memory}, old;
  CHECK_OK(sigaltstack(&stack, &old));
  CHECK(old.ss_flags & SS_DISABLE);
  handle(
      SIGUSR1,
      [](int) {
        char c;
        at = uintptr_t(&c);
        sigaltstack(nullptr, &seen);
        stack_t s = {memory, 0, sizeof memory};
        CHECK_ERR(sigaltstack(&s, nullptr), EPERM);
      },
      SA_ONSTACK);
  raise(SIGUSR1);
  CHECK(at >= uintptr_t(memory) && at < uintptr_t(memory + sizeof memory));
  CHECK(seen.ss_flags & SS_ONSTACK);
  handle(SIGUSR1, [](int) {
    char c;
    at = uintptr_t(&c);
  });
  raise(SIGUSR1);
  CHECK(at < uintptr_t(memory) || at >= uintptr_t(memory + sizeof memory));
  CHECK_OK(sigaltstack(nullptr, &old));
  CHECK(old.ss_sp == memory && old.ss_size == sizeof memory && old.ss_flags == 0);
  stack.ss_size = 100;
  CHECK_ERR(sigaltstack(&stack, nullptr), ENOMEM);
  stack.ss_flags = 77;
  CHECK_ERR(sigaltstack(&stack, nullptr), EINVAL);
}
// JOS: faultevilhandler, faultbadhandler
TEST(handlers_and_stacks_that_are_not_there) {
  CHECK_SIGNAL(in_child([] {
                 handle(SIGUSR1, (void (*)(int))0x80100000);
                 raise(SIGUSR1);
               }),
               SIGSEGV);
  CHECK_SIGNAL(in_child([] {
                 handle(SIGUSR1, (void (*)(int))0x1000);
                 raise(SIGUSR1);
               }),
               SIGSEGV);
  CHECK_SIGNAL(in_child([] {
                 handle(SIGSEGV, (void (*)(int))0x1000);
                 peek(0);
               }),
               SIGSEGV);
  CHECK_SIGNAL(in_child([] {
                 stack_t s = {(void*)0x80100000, 0, 65536};
                 sigaltstack(&s, nullptr);
                 handle(SIGUSR1, counting, SA_ONSTACK);
                 raise(SIGUSR1);
               }),
               SIGSEGV);
  CHECK_SIGNAL(in_child([] {
                 block({SIGSEGV});
                 peek(0);
               }),
               SIGSEGV);  // blocked or ignored: a fault kills nonetheless
  CHECK_SIGNAL(in_child([] {
                 signal(SIGSEGV, SIG_IGN);
                 peek(0);
               }),
               SIGSEGV);
}
