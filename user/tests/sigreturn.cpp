// Signal frames in bad hands: a handler may write anything into the registers that sigreturn takes back, and a program may call sigreturn with
// no frame at all. It gets its registers back without what it may not have, or a SIGSEGV; the kernel gets nothing.
#include <ucontext.h>

#include "user/tests/harness.h"

namespace {

constexpr uint32_t kTrap = 0x100, kDirection = 0x400, kPrivilege = 0x3000, kNested = 0x4000, kVirtual86 = 0x20000, kCarry = 1,
                   kVirtualInterrupt = 0x180000, kIdentification = 0x200000, kAlignment = 0x40000;
constexpr uint32_t kInterrupt = 0x200;

using Change = void (*)(ucontext_t*);
Change g_change;
uint32_t g_value;

uint32_t flags_now() {
  uint32_t flags;
  asm volatile("pushfl\n popl %0" : "=r"(flags));
  return flags;
}

enum : int { kReturned = 0 };
// Handles a signal in a child, with `change` applied to the context it returns to; what the child died of, or kReturned. Afterwards
// `verify` looks at what came back.
int outcome_of(Change change, void (*verify)() = nullptr, bool on_alternate_stack = false) {
  pid_t child = in_child([&] {
    rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    alarm(20);
    close(2);  // what the C library says of a stack that it finds damaged is of no interest
    static char stack[16384];
    stack_t alternate = {};
    alternate.ss_sp = stack;
    alternate.ss_size = sizeof stack;
    if (on_alternate_stack) CHECK_OK(sigaltstack(&alternate, nullptr));
    g_change = change;
    struct sigaction action = {};
    action.sa_sigaction = [](int, siginfo_t*, void* context) { g_change((ucontext_t*)context); };
    action.sa_flags = SA_SIGINFO | (on_alternate_stack ? SA_ONSTACK : 0);
    CHECK_OK(sigaction(SIGUSR1, &action, nullptr));
    syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGUSR1);
    if (verify) verify();
    _exit(0);
  });
  int status = wait_for(child);
  if (WIFSIGNALED(status)) return WTERMSIG(status);
  if (WEXITSTATUS(status)) FAIL("the child ended with %d", WEXITSTATUS(status));
  return kReturned;
}

int g_cases;
void expect(const char* what, uint32_t value, int expected, int got, int also = -1) {
  g_cases++;
  if (got != expected && got != also) FAIL("%s %#x: expected signal %d, got %d", what, value, expected, got);
}

void flags_are_a_programs() {
  uint32_t flags = flags_now();
  if (flags & (kPrivilege | kNested | kVirtual86 | kVirtualInterrupt | kTrap)) FAIL("eflags are %#x", flags);
  if (!(flags & kInterrupt)) FAIL("interrupts are off: eflags are %#x", flags);
}

struct Flags {
  const char* name;
  uint32_t value;
  int outcome;
};

}  // namespace

TEST(a_frame_that_nobody_touched_returns) {
  expect("no change", 0, kReturned, outcome_of([](ucontext_t*) {}, flags_are_a_programs));
  expect("no change", 0, kReturned, outcome_of([](ucontext_t*) {}, flags_are_a_programs, true));
}

TEST(flags_that_a_program_may_not_set_do_not_come_back) {
  const Flags table[] = {
      {"I/O privilege", kPrivilege, kReturned},
      {"nested task", kNested, kReturned},
      {"virtual 8086", kVirtual86, kReturned},
      {"virtual interrupts", kVirtualInterrupt, kReturned},
      {"reserved", 0xffc00000 | 0x8028, kReturned},
      {"single step", kTrap, SIGTRAP},
      {"carry and direction", kCarry | kDirection, kReturned},
      {"all at once", 0xffffffff & ~kTrap & ~kAlignment, kReturned},
      {"all and single step", 0xffffffff & ~kAlignment, SIGTRAP},
  };
  for (const Flags& flags : table) {
    g_value = flags.value;
    auto verify = [] {
      asm volatile("cld");
      flags_are_a_programs();
    };
    expect(flags.name, flags.value, flags.outcome, outcome_of([](ucontext_t* c) { c->uc_mcontext.gregs[REG_EFL] |= g_value; }, verify));
  }
  auto none = [](ucontext_t* c) { c->uc_mcontext.gregs[REG_EFL] = 0; };
  expect("no flags, interrupts off", 0, kReturned, outcome_of(none, flags_are_a_programs));
  say("  %d eflags\n", g_cases);
}

// Every selector of the first 64 and some beyond, in each register. What is the kernel's, or nothing, is a SIGSEGV, or is never loaded.
static uint32_t segment(int which) {
  uint16_t value = 0;
  if (which == REG_DS) asm volatile("movw %%ds, %0" : "=r"(value));
  if (which == REG_ES) asm volatile("movw %%es, %0" : "=r"(value));
  if (which == REG_FS) asm volatile("movw %%fs, %0" : "=r"(value));
  if (which == REG_GS) asm volatile("movw %%gs, %0" : "=r"(value));
  return value;
}
static int g_register;
template <typename F>
static void for_each_selector(F test) {
  for (uint32_t index = 0; index < 40; index++)
    for (uint32_t privilege : {0, 3}) test(index << 3 | privilege);
  for (uint32_t selector : {1u, 2u, 4u, 7u, 0x0cu, 0x0fu, 0xffffu, 0xfffcu, 0xfff8u, 0x8000u, 0x12340000u, 0xffffffffu}) test(selector);
}
TEST_SLOW(code_and_stack_selectors) {
  for (int which : {REG_CS, REG_SS})
    for_each_selector([&](uint32_t selector) {
      g_value = selector, g_register = which;
      // On a 64-bit Linux some selectors lead to code of another width, which dies of anything.
      int got = outcome_of([](ucontext_t* c) { c->uc_mcontext.gregs[g_register] = g_value; }, flags_are_a_programs);
      g_cases++;
      if (on_faultline() && got != kReturned && got != SIGSEGV && got != SIGBUS)
        FAIL("%s %#x: signal %d", which == REG_CS ? "cs" : "ss", selector, got);
      if ((selector & 0xfff8) == 0 && got != SIGSEGV) FAIL("a null selector: signal %d", got);
    });
  say("  %d code and stack selectors\n", g_cases);
}
TEST_SLOW(data_selectors) {
  for (int which : {REG_DS, REG_ES, REG_FS, REG_GS})
    for_each_selector([&](uint32_t selector) {
      g_value = selector, g_register = which;
      int got = outcome_of([](ucontext_t* c) { c->uc_mcontext.gregs[g_register] = g_value; },
                           [] {
                             uint32_t loaded = segment(g_register), rights = 0;
                             if (loaded <= 3) return;
                             asm volatile("larl %1, %0" : "+r"(rights) : "r"(loaded));
                             if ((rights >> 13 & 3) != 3) FAIL("selector %x of the kernel's privilege", loaded);
                           });
      g_cases++;
      if (got != kReturned && got != SIGSEGV) FAIL("register %d, selector %#x: signal %d", which, selector, got);
    });
  say("  %d data selectors\n", g_cases);
}

TEST(places_that_cannot_be_run_or_used) {
  for (uint32_t address :
       {0u, 1u, 0xfffu, 0x70000000u, 0xffffffffu, 0xfffffff0u, 0xc0000000u, 0x80000000u, 0x80100000u, 0x7ffff000u, 0x7fffffffu}) {
    if (!on_faultline() && address >= 0x70000000 && address < 0xffff0000) continue;  // where Linux may have something
    g_value = address;
    expect("eip", address, SIGSEGV, outcome_of([](ucontext_t* c) { c->uc_mcontext.gregs[REG_EIP] = g_value; }));
    expect("esp", address, SIGSEGV, outcome_of([](ucontext_t* c) { c->uc_mcontext.gregs[REG_ESP] = g_value; }), SIGBUS);
  }
  say("  %d places\n", g_cases);
}

static void float_works() {
  volatile double a = 3, b = 4;
  CHECK(a * a + b * b == 25);
  flags_are_a_programs();
}
TEST(float_state_that_cannot_be) {
  for (uint32_t address : {1u, 0x10u, 0x80000000u, 0x80100000u, 0xfffffff0u, 0xffffffffu, 0x7ffffff0u, 0x7fffff00u}) {
    if (!on_faultline() && address >= 0x70000000 && address < 0xffff0000) continue;
    g_value = address;
    expect("float state at", address, SIGSEGV, outcome_of([](ucontext_t* c) { c->uc_mcontext.fpregs = (fpregset_t)g_value; }, float_works));
  }
  expect("no float state", 0, kReturned, outcome_of([](ucontext_t* c) { c->uc_mcontext.fpregs = nullptr; }, float_works));
  // The FXSAVE image follows the 112 bytes of the old layout; MXCSR is at its byte 24.
  for (uint32_t control : {0xffffffffu, 0xffff0000u, 0x80000000u, 0x00010000u, 0xffbfu, 0x1f80u, 0x0040u}) {
    g_value = control;
    auto change = [](ucontext_t* c) { memcpy((char*)c->uc_mcontext.fpregs + 112 + 24, &g_value, 4); };
    auto verify = [] {
      uint32_t now;
      asm volatile("stmxcsr %0" : "=m"(now));
      if (now & 0xffff0000) FAIL("mxcsr is %#x", now);
      uint32_t clean = 0x1f80;
      asm volatile("ldmxcsr %0" : : "m"(clean));
      flags_are_a_programs();
    };
    expect("mxcsr", control, kReturned, outcome_of(change, verify), on_faultline() ? -1 : SIGSEGV);
  }
  auto garbage = [](ucontext_t* c) { memset((char*)c->uc_mcontext.fpregs, 0xff, 112 + 464); };
  expect("garbage", 0xff, kReturned, outcome_of(garbage, [] { asm volatile("fninit"); }), SIGSEGV);
  say("  %d float states\n", g_cases);
}

// sigreturn and rt_sigreturn from nowhere: the stack pointer is set and the call made.
static void call_with_stack(uint32_t number, uint32_t stack) {
  asm volatile("movl %1, %%esp\n int $0x80\n ud2" : : "a"(number), "r"(stack) : "memory");
}
TEST(sigreturn_without_a_frame) {
  static char zeroes[4096], ones[4096], random_bytes[4096];
  memset(ones, 0xff, sizeof ones);
  srand(7);
  for (char& c : random_bytes) c = char(rand());
  char* edge = map_pages(2) + kPage;
  CHECK_OK(munmap(edge, kPage));
  for (uint32_t number : {uint32_t(SYS_sigreturn), uint32_t(SYS_rt_sigreturn)})
    for (uint32_t stack : {0u, 4u, 8u, 0x1000u, 0x80000000u, 0x7fffff80u, 0x80100000u, 0xfffffff0u, 0xffffffffu, (uint32_t)zeroes + 64,
                           (uint32_t)ones + 64, (uint32_t)random_bytes + 64, (uint32_t)random_bytes + 99, (uint32_t)edge - 4,
                           (uint32_t)edge - 40, (uint32_t)edge - 100, (uint32_t)edge + 4}) {
      if (!on_faultline() && stack >= 0x70000000 && stack < 0xfffffff0) continue;
      int status = wait_for(in_child([&] {
        rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        call_with_stack(number, stack);
      }));
      g_cases++;
      if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSEGV) FAIL("call %u with esp %#x: wait status %#x", number, stack, status);
    }
  say("  %d calls without a frame\n", g_cases);
}

TEST(a_mask_of_all_signals_leaves_the_two_that_nobody_may_block) {
  auto all = [](ucontext_t* c) { memset(&c->uc_sigmask, 0xff, 8); };
  expect("mask", ~0u, kReturned, outcome_of(all, [] {
           sigset_t mask;
           CHECK_OK(sigprocmask(SIG_BLOCK, nullptr, &mask));
           CHECK(sigismember(&mask, SIGTERM) && !sigismember(&mask, SIGKILL) && !sigismember(&mask, SIGSTOP));
         }));
  expect("mask", ~0u, SIGKILL, outcome_of(all, [] { raise(SIGKILL); }));
}

// Random bytes in the whole of the context, many times: any outcome but a kernel that stops.
TEST_SLOW(random_damage) {
  static unsigned seed = 4711;
  int returned = 0, rounds = scale(300);
  for (int round = 0; round < rounds; round++) {
    seed = seed * 1103515245 + 12345;
    returned += kReturned == outcome_of(
                                 [](ucontext_t* c) {
                                   auto next = [] { return seed = seed * 1103515245 + 12345, seed >> 8; };
                                   // The mask stays, or the alarm might be blocked.
                                   for (int n = next() % 4; n >= 0; n--)
                                     ((char*)&c->uc_mcontext)[next() % sizeof c->uc_mcontext] = char(next());
                                 },
                                 [] { _exit(0); });
  }
  say("  %d damaged frames, %d of them returned\n", rounds, returned);
}
