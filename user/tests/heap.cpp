// brk: growing, shrinking, byte granularity, memory that comes with the first touch, also when the kernel touches it.
#include "user/tests/harness.h"
#include <sys/sysinfo.h>

static char* now() { return (char*)sbrk(0); }
static long kernel_break(void* wanted) { return syscall(SYS_brk, wanted); }

TEST(brk_returns_the_break) {
  long start = kernel_break(nullptr);
  CHECK_EQ(kernel_break((void*)(start + 10000)), start + 10000);
  CHECK_EQ(kernel_break((void*)(start + 1)), start + 1);
  CHECK_EQ(kernel_break((void*)16), start + 1);  // refused: the break as it is, not an error
  CHECK_EQ(kernel_break((void*)0xfffff000), start + 1);
  CHECK_EQ(kernel_break((void*)start), start);
}

// xv6: sbrkbasic
TEST(byte_by_byte) {
  for (int i = 0; i < 9000; i++) {
    char* p = (char*)CHECK_OK(sbrk(1));
    *p = i;
    CHECK(now() == p + 1);
  }
  char* end = now();
  CHECK_EXIT(in_child([=] {
               CHECK(now() == end);
               CHECK(sbrk(1) == end);
               CHECK(sbrk(1) == end + 1);
             }),
             0);
  CHECK(now() == end);
}

TEST(new_memory_is_zero_and_old_memory_stays) {
  char* p = (char*)CHECK_OK(sbrk(3 * kPage));
  for (int i = 0; i < 3 * kPage; i++) CHECK_EQ(p[i], 0);
  memset(p, 7, 3 * kPage);
  CHECK_OK(sbrk(10 * kPage));
  for (int i = 0; i < 3 * kPage; i++) CHECK_EQ(p[i], 7);
  for (int i = 3 * kPage; i < 13 * kPage; i += 100) CHECK_EQ(p[i], 0);
}

// xv6: sbrkmain; what is given back and taken again is zero.
TEST(shrinking_really_frees) {
  char* p = (char*)CHECK_OK(sbrk(8 * kPage));
  memset(p, 9, 8 * kPage);
  CHECK_OK(sbrk(-6 * kPage));
  CHECK(now() == p + 2 * kPage);
  char* beyond = (char*)((uintptr_t(p) + 3 * kPage) & -kPage);
  CHECK_FAULT(peek(uintptr_t(beyond)), SIGSEGV, SEGV_MAPERR, beyond);
  CHECK_EQ(p[2 * kPage - 1], 9);
  CHECK_OK(sbrk(6 * kPage));
  for (int i = 3 * kPage; i < 8 * kPage; i++) CHECK_EQ(p[i], 0);
  CHECK_OK(sbrk(-8 * kPage));
}

// Bytes of the last page stay after a shrink within it.
TEST(a_shrink_inside_a_page_keeps_the_page) {
  char* p = (char*)CHECK_OK(sbrk(kPage * 2));
  char* page = (char*)((uintptr_t(p) + kPage - 1) & -kPage);
  CHECK_OK(brk(page + 100));
  memset(page, 5, 100);
  CHECK_OK(brk(page + 50));
  CHECK_EQ(page[99], 5);
  CHECK_OK(brk(page + 100));
  CHECK_EQ(page[99], 5);
}

TEST(the_break_cannot_go_below_the_heap) {
  long start = kernel_break(nullptr);
  for (long wanted : {start - (64 << 20), 0x08048000L, 0x1000L, 1L}) CHECK_EQ(kernel_break((void*)wanted), start);
}

// MIT lazy: a sparse gigabyte costs what is touched.
TEST(a_sparse_gigabyte) {
  constexpr long kSize = 1L << 30;
  char* p = (char*)sbrk(kSize);
  if (p == (char*)-1) SKIP("no gigabyte of address space, or a kernel that does not promise so much");
  for (long i = 0; i < kSize; i += 64 << 20) p[i] = i >> 20;
  for (long i = 0; i < kSize; i += 64 << 20) CHECK_EQ(p[i], (char)(i >> 20));
  CHECK_EXIT(in_child([=] {
               for (long i = 0; i < kSize; i += 64 << 20) CHECK_EQ(p[i], (char)(i >> 20)), p[i] = 1;
             }),
             0);
  CHECK_EQ(p[64 << 20], 64);
  CHECK_OK(sbrk(-kSize));
}

TEST(only_touched_pages_are_allocated) {
  rusage before, after;
  char* p = (char*)((uintptr_t(sbrk(200 * kPage)) + kPage - 1) & -kPage);
  getrusage(RUSAGE_SELF, &before);
  for (int i = 0; i < 190; i += 10) p[i * kPage] = 1;
  getrusage(RUSAGE_SELF, &after);
  long faults = after.ru_minflt - before.ru_minflt;
  if (faults < 19 || faults > 25) FAIL("19 pages touched, %ld minor faults", faults);
}

// xv6: sbrkarg, MIT lazy: the kernel is the first to touch.
TEST(the_kernel_touches_first) {
  int fd = make_file("f", "hello", 5);
  char* p = (char*)CHECK_OK(sbrk(10 * kPage));
  CHECK_EQ(pread(fd, p + kPage, 5, 0), 5);
  CHECK(!memcmp(p + kPage, "hello", 5));
  CHECK_EQ(pwrite(fd, p + 3 * kPage, 5, 0), 5);  // never touched: zeros
  char back[5];
  CHECK_EQ(pread(fd, back, 5, 0), 5);
  CHECK(!memcmp(back, "\0\0\0\0\0", 5));
  CHECK_OK(pipe((int*)(p + 5 * kPage)));
  CHECK_OK(stat("f", (struct stat*)(p + 7 * kPage)));
  CHECK_EQ(((struct stat*)(p + 7 * kPage))->st_size, 5);
}

// xv6: sbrkfail, the kernel's reads beyond the heap; a read that would reach past its end.
TEST(system_calls_stop_at_the_end_of_the_heap) {
  int fd = make_file("f", "0123456789", 10);
  char* page = (char*)((uintptr_t(now()) + kPage - 1) & -kPage);
  CHECK_OK(brk(page + kPage));
  memset(page, 1, kPage);
  CHECK_ERR(pread(fd, page + kPage, 10, 0), EFAULT);
  CHECK_ERR(pwrite(fd, page + kPage, 10, 0), EFAULT);
  ssize_t n = pread(fd, page + kPage - 4, 10, 0);
  CHECK(n == 4 || (n == -1 && errno == EFAULT));
  CHECK_OK(brk(page));
  CHECK_ERR(pread(fd, page, 1, 0), EFAULT);
}

TEST(limits_make_brk_fail_with_enomem) {
  char* before = now();
  rlimit limit = {8 << 20, 8 << 20};
  CHECK_OK(setrlimit(RLIMIT_DATA, &limit));
  CHECK_ERR(sbrk(64 << 20), ENOMEM);
  CHECK(now() == before);
  CHECK_OK(sbrk(1 << 20));
  limit = {32 << 20, 32 << 20};
  CHECK_EXIT(in_child([&] {
               CHECK_OK(setrlimit(RLIMIT_AS, &limit));
               CHECK(mmap(nullptr, 64 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
               CHECK_EQ(errno, ENOMEM);
             }),
             0);
}

// The heap ends where another mapping begins.
TEST(the_heap_does_not_grow_into_a_mapping) {
  char* page = (char*)((uintptr_t(now()) + kPage - 1) & -kPage);
  char* wall = (char*)mmap(page + 16 * kPage, kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  CHECK(wall == page + 16 * kPage);
  *wall = 77;
  CHECK_ERR(brk(wall + kPage), ENOMEM);
  CHECK_ERR(brk(wall + 1), ENOMEM);
  CHECK_EQ(*wall, 77);
  CHECK_OK(brk(page + 8 * kPage));
  page[8 * kPage - 1] = 1;
}

// xv6: mem; everything that a limit allows, in small pieces, given back, and again.
TEST(allocate_until_it_fails_then_free) {
  rlimit limit = {24 << 20, 24 << 20};
  CHECK_OK(setrlimit(RLIMIT_AS, &limit));
  int counts[2];
  for (int& count : counts) {
    void** list = nullptr;
    for (count = 0; void** p = (void**)malloc(10001); count++) *p = list, list = p;
    CHECK(count > 500);
    while (list) {
      void** next = (void**)*list;
      free(list);
      list = next;
    }
  }
  if (counts[1] < counts[0] * 9 / 10) FAIL("%d pieces at first, %d later", counts[0], counts[1]);
  CHECK(malloc(1 << 20) != nullptr);
}

// MIT lazy: touching what was unmapped dies.
TEST(touching_freed_heap_kills) {
  char* p = (char*)CHECK_OK(sbrk(16 * kPage));
  memset(p, 1, 16 * kPage);
  CHECK_OK(brk(p));
  CHECK_SIGNAL(in_child([=] { p[8 * kPage] = 1; }), SIGSEGV);
  CHECK_SIGNAL(in_child([=] { _exit(p[12 * kPage]); }), SIGSEGV);
}

TEST(a_forked_heap_is_private_in_growth_too) {
  char* p = (char*)CHECK_OK(sbrk(kPage));
  *p = 1;
  CHECK_EXIT(in_child([=] {
               CHECK_OK(sbrk(100 * kPage));
               p[50 * kPage] = 2;
               CHECK_OK(brk(p));
             }),
             0);
  CHECK(now() == p + kPage);
  CHECK_EQ(*p, 1);
}

TEST(a_failed_sbrk_leaks_nothing) {
  for (int i = 0; i < 50; i++) CHECK_ERR(brk((void*)0xfff00000), ENOMEM);
  CHECK_OK(sbrk(kPage));
}
