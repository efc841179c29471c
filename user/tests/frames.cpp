// Where signal frames may lie, and what they hold: stacks on memory of every kind, frames that only half fit or are half taken away, and the
// x87 and SSE state in them.
#include <sys/ucontext.h>

#include "user/tests/float_state.h"
#include "user/tests/harness.h"

namespace {

constexpr uint32_t kImage = 112;  // FXSAVE's image in a frame's float state, behind FSAVE's
constexpr uint32_t kStateBytes = kImage + 512;

volatile int g_handled, g_refused;
void (*g_change)(ucontext_t*);

void dirty() {
  State other = make_state(8), t;
  load(other);
  store(t);
  load(other);
}
void handle(int, siginfo_t*, void* context) {
  if (g_change) g_change((ucontext_t*)context);
  dirty();
  g_handled = g_handled + 1;
}
// The plain kind of frame, too, has its context, right behind the handler's argument.
void handle_plain(int signal) {
  dirty();
  g_handled = g_handled + 1;
  CHECK_EQ(signal, SIGUSR1);
}

// SIGUSR1 gets a handler that runs on the `size` bytes from `base` on.
void set_up(void* base, size_t size, int flags) {
  stack_t stack = {};
  stack.ss_sp = base;
  stack.ss_size = size;
  CHECK_OK(syscall(SYS_sigaltstack, &stack, nullptr));  // glibc's would be as good
  struct sigaction action = {};
  if (flags & SA_SIGINFO)
    action.sa_sigaction = handle;
  else
    action.sa_handler = handle_plain;
  action.sa_flags = SA_ONSTACK | flags;
  CHECK_OK(sigaction(SIGUSR1, &action, nullptr));
}

// In a child: a signal on that stack, with all float registers in use. What it died of, 0 if its registers were the same afterwards.
int outcome_on(void* base, size_t size, int flags, const State& expected = make_state(7)) {
  pid_t child = in_child([&] {
    rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    set_up(base, size, flags);
    State s = make_state(7), t;
    long me = getpid();
    load(s);
    raw_call(SYS_kill, me, SIGUSR1);
    store(t);
    CHECK_EQ(g_handled, 1);
    compare(t, expected);
  });
  int status = wait_for(child);
  if (WIFSIGNALED(status)) return WTERMSIG(status);
  CHECK_EQ(WEXITSTATUS(status), 0);
  return 0;
}

fpregset_t state_of(ucontext_t* context) { return context->uc_mcontext.fpregs; }
char* image_of(ucontext_t* context) { return (char*)state_of(context) + kImage; }

}  // namespace

TEST(a_handlers_stack_may_be_any_memory_that_can_be_written) {
  constexpr int kPages = 4;
  for (int flags : {0, SA_SIGINFO}) {
    char* fresh = map_pages(kPages);
    CHECK_EQ(outcome_on(fresh, kPages * kPage, flags), 0);
    char* shared = map_pages(kPages);
    memset(shared, 1, kPages * kPage);  // after fork the child writes to copies of its own
    CHECK_EQ(outcome_on(shared, kPages * kPage, flags), 0);
    for (int i = 0; i < kPages * kPage; i++) CHECK_EQ(shared[i], 1);
    char* common = map_pages(kPages, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
    CHECK_EQ(outcome_on(common, kPages * kPage, flags), 0);
    int written = 0;
    for (int i = 0; i < kPages * kPage; i++) written += common[i] != 0;
    CHECK(written > 0);  // the parent sees it
    int file = make_file("stack", shared, kPages * kPage);
    char* mapped = map_pages(kPages, PROT_READ | PROT_WRITE, MAP_PRIVATE, file);
    CHECK_EQ(outcome_on(mapped, kPages * kPage, flags), 0);
    close(file);
  }
}

TEST(stacks_that_cannot_be_written_are_fatal) {
  for (int flags : {0, SA_SIGINFO}) {
    CHECK_EQ(outcome_on(map_pages(4, PROT_READ), 4 * kPage, flags), SIGSEGV);
    CHECK_EQ(outcome_on(map_pages(4, PROT_NONE), 4 * kPage, flags), SIGSEGV);
    char* top_missing = map_pages(4);
    CHECK_OK(munmap(top_missing + 3 * kPage, kPage));
    CHECK_EQ(outcome_on(top_missing, 4 * kPage, flags), SIGSEGV);
    CHECK_EQ(outcome_on((void*)8, 0x4000, flags), SIGSEGV);
    if (!on_faultline()) continue;      // where the border is elsewhere
    constexpr uint32_t kSmall = 0x800;  // the program's own stack is not far
    for (uint32_t top : {0x80000000u, 0x80000008u, 0x80000270u, 0x80000280u, 0x80000300u, 0x80001000u, 0xfffffff0u, 0u, 0x100u, 0x280u})
      CHECK_EQ(outcome_on((void*)(top - kSmall), kSmall, flags), SIGSEGV);
  }
}

// The stack's top wanders over a page that is not there, so that each part of the frame comes to lie on the border once. Where it does not
// fit, the program gets a SIGSEGV with everything as it was.
static uint64_t g_mask_seen;
TEST(a_frame_that_does_not_fit_changes_nothing) {
  char* base = map_pages(4);
  char* border = base + 3 * kPage;
  CHECK_OK(munmap(border, kPage));
  struct sigaction action = {};
  action.sa_sigaction = [](int, siginfo_t* info, void* context) {
    g_refused = g_refused + 1;
    memcpy(&g_mask_seen, &((ucontext_t*)context)->uc_sigmask, 8);
    CHECK(info->si_code > 0);
    dirty();
  };
  action.sa_flags = SA_SIGINFO;
  CHECK_OK(sigaction(SIGSEGV, &action, nullptr));
  long me = getpid();
  int fitted = 0, refused = 0;
  for (int flags : {0, SA_SIGINFO})
    for (uint32_t beyond = 0; beyond < 1700; beyond += 20) {
      set_up(base, 3 * kPage + beyond, flags);
      g_handled = 0;
      g_refused = 0;
      State s = make_state(1 + beyond % 7), t;
      load(s);
      raw_call(SYS_kill, me, SIGUSR1);
      store(t);
      compare(t, s);
      CHECK_EQ(g_handled + g_refused, 1);
      fitted += g_handled;
      refused += g_refused;
      if (g_refused) CHECK(!(g_mask_seen & 1ull << (SIGUSR1 - 1)));
    }
  CHECK(fitted > 0 && refused > 0);
}

// The handler's own stack is below; the state, which the last page has a part of, is changed or goes away before it returns.
static char* g_border;
TEST(a_state_whose_page_changes_before_it_is_taken_back) {
  struct Case {
    void (*change)(ucontext_t*);
    int outcome;
  };
  const Case cases[] = {
      {[](ucontext_t*) { CHECK_OK(mprotect(g_border, kPage, PROT_READ)); }, 0},
      {[](ucontext_t*) { CHECK_OK(mprotect(g_border, kPage, PROT_NONE)); }, SIGSEGV},
      {[](ucontext_t*) { CHECK_OK(munmap(g_border, kPage)); }, SIGSEGV},
  };
  for (const Case& one : cases)
    for (uint32_t beyond : {0x40u, 0x150u, 0x1f0u, 0x240u}) {
      char* base = map_pages(5);
      g_border = base + 4 * kPage;
      g_change = one.change;
      int got = outcome_on(base, 4 * kPage + beyond, SA_SIGINFO);
      // An instruction need not touch the image's last bytes.
      if (got != one.outcome && beyond > 0x100) FAIL("%u bytes in the page: expected signal %d, got %d", beyond, one.outcome, got);
    }
}

static char* g_elsewhere;
TEST(a_state_that_the_handler_puts_elsewhere) {
  char* pages = map_pages(3);
  CHECK_OK(munmap(pages + 2 * kPage, kPage));
  g_change = [](ucontext_t* context) {
    memcpy(g_elsewhere, state_of(context), kStateBytes);
    context->uc_mcontext.fpregs = (fpregset_t)g_elsewhere;
  };
  char* stack = map_pages(4);
  char* end = pages + 2 * kPage;
  for (char* place : {pages, pages + 16, pages + 1, pages + 4, pages + 8, pages + kPage - 200, pages + kPage - 307, end - kStateBytes}) {
    g_elsewhere = place;
    int got = outcome_on(stack, 4 * kPage, SA_SIGINFO);
    bool is_aligned = (uint32_t)place % 16 == 0;
    if (got != 0 && (on_faultline() || is_aligned || got != SIGSEGV)) FAIL("at %p: signal %d", place, got);
  }
  // Where less than all of it is mapped.
  g_change = [](ucontext_t* context) { context->uc_mcontext.fpregs = (fpregset_t)g_elsewhere; };
  for (uint32_t less : {100u, 256u, 400u, 512u, 600u}) {
    g_elsewhere = end - kStateBytes + less;
    CHECK_EQ(outcome_on(stack, 4 * kPage, SA_SIGINFO), SIGSEGV);
  }
}

TEST(what_the_handler_writes_into_the_state_counts) {
  g_change = [](ucontext_t* context) {
    State other = make_state(5);
    char* image = image_of(context);
    memcpy(image, &other.control, 2);
    memcpy(image + 24, &other.mxcsr, 4);
    for (int i = 0; i < 8; i++) {
      long double value = other.x87[i];
      memcpy(image + 32 + 16 * i, &value, 10);
      memcpy(image + 160 + 16 * i, other.xmm[i], 16);
    }
  };
  CHECK_EQ(outcome_on(map_pages(4), 4 * kPage, SA_SIGINFO, make_state(5)), 0);
}

static uint8_t g_state[kStateBytes];
static uint16_t word_at(const uint8_t* bytes) { return uint16_t(bytes[0] | bytes[1] << 8); }
static uint32_t long_at(const uint8_t* bytes) { return word_at(bytes) | uint32_t(word_at(bytes + 2)) << 16; }
TEST(both_layouts_of_the_state_say_the_same) {
  struct sigaction action = {};
  action.sa_flags = SA_SIGINFO;
  action.sa_sigaction = [](int, siginfo_t*, void* context) { memcpy(g_state, state_of((ucontext_t*)context), kStateBytes); };
  CHECK_OK(sigaction(SIGUSR1, &action, nullptr));
  double values[3] = {0, 1, __builtin_huge_val()};
  long me = getpid();
  // Physical registers 7, 6 and 5: zero, an ordinary number, infinity; and a result that was not exact.
  asm volatile("fninit\n\t fldpi\n\t fldl %0\n\t fmulp\n\t fldl %1\n\t fldl %2" : : "m"(values[0]), "m"(values[1]), "m"(values[2]));
  raw_call(SYS_kill, me, SIGUSR1);
  asm volatile("fninit");
  const uint8_t* image = g_state + kImage;
  CHECK_EQ(long_at(g_state), 0xffff037f);
  CHECK_EQ(long_at(g_state + 4) & 0xffff3800, 0xffff2800);
  CHECK_EQ(long_at(g_state + 8), 0xffff4bff);
  CHECK_EQ(word_at(g_state + 108), word_at(g_state + 4));
  CHECK_EQ(word_at(image), 0x37f);
  CHECK_EQ(word_at(image + 2), word_at(g_state + 4));
  CHECK_EQ(image[4], 0xe0);
  CHECK_EQ(long_at(image + 24) & 0xffc0, 0x1f80);
  for (int i = 0; i < 8; i++) CHECK(memcmp(g_state + 28 + 10 * i, image + 32 + 16 * i, 10) == 0);
}

TEST(denormals_that_count_as_zero_do_so_after_a_signal) {
  signal(SIGUSR1, [](int) {
    uint32_t usual = 0x1f80;
    asm volatile("ldmxcsr %0" : : "m"(usual));
  });
  alignas(16) static uint8_t image[512];
  asm volatile("fxsave %0" : "=m"(image));
  constexpr uint32_t kDenormalsAreZero = 0x40;
  if (!(long_at(image + 28) & kDenormalsAreZero)) SKIP("this processor does not know of it");  // SDM volume 1, 11.6.6
  uint32_t mxcsr = 0x1f80 | kDenormalsAreZero, now;
  long me = getpid();
  asm volatile("ldmxcsr %0" : : "m"(mxcsr));
  raw_call(SYS_kill, me, SIGUSR1);
  asm volatile("stmxcsr %0" : "=m"(now));
  CHECK_EQ(now & 0xffc0, mxcsr);
}
