// The stack: it grows when touched, by programs and by the kernel alike, as far as its limit and no further.
#include "user/tests/harness.h"

static uintptr_t stack_pointer() {
  uintptr_t sp;
  asm volatile("mov %%esp, %0" : "=r"(sp));
  return sp;
}
static uintptr_t page_of(uintptr_t a) { return a & -uintptr_t(kPage); }
static long minor_faults() {
  rusage u;
  getrusage(RUSAGE_SELF, &u);
  return u.ru_minflt;
}

// Exercise C4: a 128 KiB array of which one byte in 16 KiB is written needs 8 pages.
[[gnu::noinline]] static void touch_sparsely(long* faults, int step) {
  volatile char array[128 * 1024];
  long before = minor_faults();
  for (int i = sizeof array - step; i >= 0; i -= step) array[i] = 1;
  *faults = minor_faults() - before;
}
TEST(a_sparse_array_allocates_only_touched_pages) {
  long faults = 0;
  touch_sparsely(&faults, 16384);
  if (faults < 7 || faults > 10) FAIL("8 pages touched, %ld faults", faults);
  touch_sparsely(&faults, 16384);
  if (faults > 2) FAIL("touched again: %ld faults", faults);
}

// Pintos: pt-grow-stack, pt-big-stk-obj
[[gnu::noinline]] static int deep(int n) {
  volatile char frame[1000];
  frame[0] = n;
  return n == 0 ? 0 : deep(n - 1) + (frame[0] == (char)n);
}
TEST(deep_recursion) { CHECK_EQ(deep(4000), 4000); }
[[gnu::noinline]] static int big_object() {
  volatile char object[64 * 1024];
  for (size_t i = 0; i < sizeof object; i++) object[i] = i;
  int sum = 0;
  for (size_t i = 0; i < sizeof object; i++) sum += object[i] == (char)i;
  return sum;
}
TEST(an_object_of_64_kib) { CHECK_EQ(big_object(), 65536); }

// Pintos: pt-grow-pusha; the instruction writes 32 bytes below the stack pointer before moving it.
TEST(pusha_just_above_a_fresh_page) {
  uintptr_t page = page_of(stack_pointer()) - 64 * kPage;
  asm volatile("mov %%esp, %%esi\n\t mov %0, %%esp\n\t pusha\n\t mov %%esi, %%esp" : : "r"(page) : "esi", "memory");
  asm volatile("mov %%esp, %%esi\n\t lea -131072(%0), %%esp\n\t call 1f\n1:\n\t mov %%esi, %%esp" : : "r"(page) : "esi", "memory");
  asm volatile("mov %%esp, %%esi\n\t lea -262144(%0), %%esp\n\t enter $256, $0\n\t mov %%esi, %%esp\n\t mov %%esi, %%esp"
               :
               : "r"(page)
               : "esi", "memory", "cc");
}

// Pintos: pt-grow-stk-sc; the kernel is the first to touch.
[[gnu::noinline]] static void read_into_fresh_stack(int fd) {
  char buffer[96 * 1024];
  CHECK_EQ(pread(fd, buffer + 100, 5, 0), 5);
  CHECK(!memcmp(buffer + 100, "stack", 5));
  CHECK_EQ(pread(fd, buffer + 50000, 5, 0), 5);
  struct stat* st = (struct stat*)(buffer + 30000);
  CHECK_OK(fstat(fd, st));
  CHECK_EQ(st->st_size, 5);
}
TEST(a_system_call_grows_the_stack) { read_into_fresh_stack(make_file("f", "stack", 5)); }

[[gnu::noinline]] static void write_fresh_stack(int fd) {
  char buffer[96 * 1024];
  asm volatile("" : : "r"(buffer) : "memory");
  CHECK_EQ(pwrite(fd, buffer, 3, 0), 3);
}
TEST(a_system_call_reads_untouched_stack_as_zeros) {
  int fd = make_file("f", "abcdef", 6);
  write_fresh_stack(fd);
  char c[4] = "xyz";
  CHECK_EQ(pread(fd, c, 3, 0), 3);
  CHECK(!memcmp(c, "\0\0\0", 3));
}

// A signal's frame is the first to touch a page, too.
static volatile int g_handled;
TEST(a_signal_frame_grows_the_stack) {
  signal(SIGUSR1, [](int) { g_handled = g_handled + 1; });
  uintptr_t low = page_of(stack_pointer()) - 100 * kPage + 16;
  pid_t me = getpid();
  asm volatile("mov %%esp, %%esi\n\t mov %1, %%esp\n\t int $0x80\n\t mov %%esi, %%esp"
               :
               : "a"(SYS_kill), "r"(low), "b"(me), "c"(SIGUSR1)
               : "esi", "memory");
  CHECK_EQ(g_handled, 1);
}

HELPER(recurse) { CHECK_EQ(deep(atoi(g_argv[2])), atoi(g_argv[2])); }
static pid_t recurse_with_limit(rlim_t bytes, const char* frames) {
  rlimit limit;
  CHECK_OK(getrlimit(RLIMIT_STACK, &limit));
  limit.rlim_cur = bytes;
  CHECK_OK(setrlimit(RLIMIT_STACK, &limit));
  return run_self("recurse", frames);
}
TEST(the_limit_ends_growth) {
  CHECK_EXIT(recurse_with_limit(1 << 20, "500"), 0);
  CHECK_SIGNAL(recurse_with_limit(1 << 20, "2000"), SIGSEGV);
  CHECK_EXIT(recurse_with_limit(4 << 20, "2000"), 0);
  CHECK_SIGNAL(recurse_with_limit(8 << 20, "1000000"), SIGSEGV);
}
TEST(far_below_the_stack_is_a_fault) {
  uintptr_t sp = stack_pointer();
  CHECK_FAULT(poke(sp - (64 << 20), 1), SIGSEGV, SEGV_MAPERR, sp - (64 << 20));
  CHECK_FAULT(peek(sp - (16 << 20)), SIGSEGV, SEGV_MAPERR, sp - (16 << 20));
  int fd = make_file("f", "x", 1);
  CHECK_ERR(pread(fd, (void*)(sp - (64 << 20)), 1, 0), EFAULT);
  CHECK_ERR(pwrite(fd, (void*)(sp - (64 << 20)), 1, 0), EFAULT);
}

// Overflow can be caught on another stack, and says where.
static uintptr_t g_address;
static sigjmp_buf g_back;
TEST(overflow_is_caught_on_the_alternate_stack) {
  static char other[32768];
  stack_t alternate = {other, 0, sizeof other};
  CHECK_OK(sigaltstack(&alternate, nullptr));
  struct sigaction action = {};
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  action.sa_sigaction = [](int, siginfo_t* info, void*) {
    g_address = (uintptr_t)info->si_addr;
    siglongjmp(g_back, 1);
  };
  sigaction(SIGSEGV, &action, nullptr);
  uintptr_t sp = stack_pointer();
  for (int round = 0; round < 2; round++)
    if (!sigsetjmp(g_back, 1)) {
      deep(1 << 30);
      FAIL("no end");
    }
  rlimit limit;
  getrlimit(RLIMIT_STACK, &limit);
  CHECK(g_address < sp);
  CHECK(sp - g_address > limit.rlim_cur / 2 && sp - g_address < limit.rlim_cur + (1 << 20));
}
TEST(overflow_without_an_alternate_stack_kills_even_with_a_handler) {
  pid_t child = in_child([] {
    signal(SIGSEGV, [](int) { _exit(1); });
    deep(1 << 30);
  });
  CHECK_SIGNAL(child, SIGSEGV);
}

// The stack never grows into something else.
TEST(a_mapping_below_the_stack_is_not_overrun) {
  char* wall = (char*)(page_of(stack_pointer()) - (4 << 20));
  CHECK(mmap(wall, kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == wall);
  *wall = 55;
  CHECK_SIGNAL(in_child([] { deep(1 << 30); }), SIGSEGV);
  CHECK_EQ(wall[0], 55);
  CHECK_FAULT(poke(uintptr_t(wall) + kPage, 1), SIGSEGV, SEGV_MAPERR, wall + kPage);  // a gap is kept
}

TEST(a_grown_stack_survives_fork) {
  volatile char array[200 * 1024];
  for (size_t i = 0; i < sizeof array; i += 512) array[i] = i >> 9;
  auto check = [&] {
    for (size_t i = 0; i < sizeof array; i += 512) CHECK_EQ(array[i], (char)(i >> 9));
  };
  CHECK_EXIT(in_child([&] {
               check();
               for (size_t i = 0; i < sizeof array; i += 512) array[i] = 99;
               CHECK_EQ(deep(500), 500);
             }),
             0);
  check();
}

// Address 0 and the page before any mapping.
TEST(null_is_never_mapped) {
  CHECK_FAULT(peek(0), SIGSEGV, SEGV_MAPERR, 0);
  CHECK_FAULT(poke(4095, 1), SIGSEGV, SEGV_MAPERR, 4095);
}
