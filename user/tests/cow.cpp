// Copy-on-write: after fork each process sees its own writes only, whoever makes them, and pages are copied once, at most.
#include "user/tests/harness.h"
#include <sys/sysinfo.h>
#include <sys/uio.h>

static long minor_faults() {
  rusage u;
  getrusage(RUSAGE_SELF, &u);
  return u.ru_minflt;
}
static void fill(char* p, int pages, int value) {
  for (int i = 0; i < pages; i++) memset(p + i * kPage, value + i, kPage);
}
static void check(const char* p, int pages, int value) {
  for (int i = 0; i < pages; i++)
    for (int at : {0, 1, 2047, 4095}) CHECK_EQ(p[i * kPage + at], (char)(value + i));
}

TEST(writes_stay_in_their_process) {
  char* p = map_pages(64);
  fill(p, 64, 1);
  Gate done, go;
  pid_t child = in_child([&] {
    check(p, 64, 1);
    fill(p, 64, 50);
    done.open();
    go.wait();
    check(p, 64, 50);
  });
  done.wait();
  check(p, 64, 1);
  fill(p, 64, 100);
  go.open();
  CHECK_EXIT(child, 0);
  check(p, 64, 100);
}

TEST(data_bss_heap_and_stack_are_all_private) {
  static int data = 1, bss;
  int* heap = (int*)malloc(100);
  int stack = 3;
  *heap = 2;
  CHECK_EXIT(in_child([&] {
               CHECK(data == 1 && bss == 0 && *heap == 2 && stack == 3);
               data = bss = *heap = stack = 9;
             }),
             0);
  CHECK(data == 1 && bss == 0 && *heap == 2 && stack == 3);
  free(heap);
}

// One fault for each page that is written, none for those that are read.
TEST(only_written_pages_fault) {
  char* p = map_pages(128);
  fill(p, 128, 0);
  CHECK_EXIT(in_child([&] {
               p[0] = 1;
               long before = minor_faults();
               int sum = 0;
               for (int i = 0; i < 128; i++) sum += p[i * kPage];
               CHECK(sum != 0);
               long reads = minor_faults() - before;
               for (int i = 64; i < 96; i++) p[i * kPage] = 1;
               long all = minor_faults() - before;
               for (int i = 64; i < 96; i++) p[i * kPage + 1] = 1;
               CHECK_EQ(minor_faults() - before, all);
               if (reads > 3) FAIL("reading 128 pages: %ld faults", reads);
               if (all - reads < 32 || all - reads > 36) FAIL("writing 32 pages: %ld faults", all - reads);
             }),
             0);
}
// The last user's write makes the page writable; its content stays.
TEST(the_sole_owner_writes_in_place) {
  char* p = map_pages(64);
  fill(p, 64, 5);
  CHECK_EXIT(in_child([] {}), 0);
  check(p, 64, 5);
  for (int i = 0; i < 64; i++) p[i * kPage + 7] = 1;
  check(p, 64, 5);
  long before = minor_faults();
  for (int i = 0; i < 64; i++) p[i * kPage + 8] = 1;
  if (minor_faults() - before > 3) FAIL("%ld faults on pages already owned", minor_faults() - before);
}

// MIT cow: filetest; the kernel writes into shared pages.
TEST(system_calls_write_into_shared_pages) {
  char* p = map_pages(4);
  fill(p, 4, 65);
  int fd = make_file("f", "from the file", 13);
  for (int i = 0; i < 4; i++) {
    Gate g;
    pid_t child = in_child([&] {
      CHECK_EQ(write(g.fd[1], "pipe", 4), 4);
      CHECK_EQ(read(g.fd[0], p + 100, 4), 4);
      CHECK_EQ(pread(fd, p + kPage - 5, 13, 0), 13);  // across two pages
      CHECK(!memcmp(p + 100, "pipe", 4) && !memcmp(p + kPage - 5, "from the file", 13));
      CHECK_OK(fstat(fd, (struct stat*)(p + 2 * kPage)));
      CHECK_OK(clock_gettime(CLOCK_REALTIME, (timespec*)(p + 3 * kPage)));
      iovec v[2] = {{p + 3 * kPage + 100, 6}, {p + 2 * kPage + 100, 7}};
      CHECK_EQ(preadv(fd, v, 2, 0), 13);
      CHECK(!memcmp(p + 2 * kPage + 100, "he file", 7));
    });
    CHECK_EXIT(child, 0);
    check(p, 4, 65);
  }
}

// MIT cow: threetest
TEST(three_writers_check_their_values) {
  char* p = map_pages(200);
  for (int round = 0; round < 3; round++) {
    fill(p, 200, round);
    pid_t first = in_child([&] {
      pid_t second = in_child([&] {
        for (int i = 0; i < 160; i++) *(int*)(p + i * kPage) = getpid();
        for (int i = 0; i < 160; i++) CHECK_EQ(*(int*)(p + i * kPage), getpid());
      });
      for (int i = 0; i < 100; i++) *(int*)(p + i * kPage) = 9999;
      for (int i = 0; i < 100; i++) CHECK_EQ(*(int*)(p + i * kPage), 9999);
      CHECK_EXIT(second, 0);
    });
    for (int i = 0; i < 200; i++) *(int*)(p + i * kPage) = getpid();
    CHECK_EXIT(first, 0);
    for (int i = 0; i < 200; i++) CHECK_EQ(*(int*)(p + i * kPage), getpid());
  }
}

// Both sides write the same pages at the same time, again and again: reference counts must come out right.
TEST(both_write_at_once) {
  char* p = map_pages(32);
  for (int round = 0; round < scale(100); round++) {
    fill(p, 32, round);
    pid_t child = in_child([&] {
      fill(p, 32, round + 100);
      check(p, 32, round + 100);
    });
    fill(p, 32, round + 50);
    check(p, 32, round + 50);
    CHECK_EXIT(child, 0);
  }
}
TEST(one_page_shared_by_many) {
  char* p = map_pages(1);
  *p = 1;
  pid_t pids[30];
  Gate go;
  for (int i = 0; i < 30; i++)
    pids[i] = in_child([&] {
      go.wait();
      CHECK_EQ(*p, 1);
      *p = i;
      sched_yield();
      CHECK_EQ(*p, i);
    });
  for (int i = 0; i < 30; i++) go.open();
  for (pid_t pid : pids) CHECK_EXIT(pid, 0);
  CHECK_EQ(*p, 1);
}

// UW: many generations, each changing a page that all later ones inherit; sharing is undone from both ends.
TEST(generations_inherit_what_was_written_before) {
  char* p = map_pages(20);
  for (int g = 0; g < 20; g++) {
    p[g * kPage] = g + 1;
    CHECK_EXIT(in_child([&] {
                 for (int i = 0; i < 20; i++) CHECK_EQ(p[i * kPage], i <= g ? i + 1 : 0);
                 CHECK_EXIT(in_child([&] { memset(p, 0, 20 * kPage); }), 0);
                 for (int i = 0; i <= g; i++) CHECK_EQ(p[i * kPage], i + 1);
               }),
               0);
  }
}
TEST(a_parent_that_ends_first_leaves_the_pages) {
  char* p = map_pages(50);
  fill(p, 50, 3);
  Gate over, done;
  pid_t middle = in_child([&] {
    fill(p, 25, 60);
    in_child([&] {
      over.wait();
      check(p, 25, 60);
      fill(p, 25, 9);
      check(p, 25, 9);
      done.open();
    });
  });
  CHECK_EXIT(middle, 0);
  over.open();
  done.wait();
  check(p, 50, 3);
}

// MIT cow: simpletest, twice, so that frames must have come back: fork with most of the free memory in use.
TEST_SLOW(fork_with_two_thirds_of_memory_in_use) {
  struct sysinfo info;
  CHECK_OK(sysinfo(&info));
  unsigned long long free_bytes = (unsigned long long)info.freeram * info.mem_unit;
  long pages = free_bytes * 2 / 3 / kPage < 40000 ? free_bytes * 2 / 3 / kPage : 40000;
  for (int round = 0; round < 2; round++) {
    char* p = map_pages(pages);
    for (long i = 0; i < pages; i++) *(int*)(p + i * kPage) = i;
    CHECK_EXIT(in_child([&] {
                 for (long i = 0; i < pages; i += 7) CHECK_EQ(*(int*)(p + i * kPage), i);
                 p[0] = 1;
               }),
               0);
    for (long i = 0; i < pages; i++) CHECK_EQ(*(int*)(p + i * kPage), i);
    CHECK_OK(munmap(p, size_t(pages) * kPage));
  }
}

// What a process reads but never wrote is the zero page, also after fork, and becomes its own on the first write.
TEST(the_zero_page_is_never_written) {
  char* p = map_pages(16);
  for (int i = 0; i < 16; i++) CHECK_EQ(p[i * kPage], 0);
  CHECK_EXIT(in_child([&] {
               for (int i = 0; i < 16; i++) p[i * kPage] = 1;
             }),
             0);
  for (int i = 0; i < 16; i++) CHECK_EQ(p[i * kPage], 0);
  for (int i = 0; i < 16; i += 2) p[i * kPage] = 2;
  char* q = map_pages(16);
  for (int i = 0; i < 16; i++) CHECK_EQ(q[i * kPage], 0);
  for (int i = 1; i < 16; i += 2) CHECK_EQ(p[i * kPage], 0);
}

// Ranges on either side of a 4 MiB border, where page tables begin and end.
TEST(across_page_table_borders) {
  char* area = map_pages(4096);
  char* border = (char*)((uintptr_t(area) + (8 << 20)) & -uintptr_t(4 << 20));
  for (int i = -3; i < 3; i++) border[i * kPage] = i;
  for (int round = 0; round < 20; round++) {
    pid_t child = in_child([&] {
      border[-kPage] = 77;
      CHECK_EQ(border[0], 0);
      CHECK_EXIT(in_child([&] {
                   CHECK_EQ(border[-kPage], 77);
                   border[2 * kPage] = 88;
                   CHECK_OK(munmap(border - 2 * kPage, 4 * kPage));
                   CHECK_EQ(border[2 * kPage], 88);
                 }),
                 0);
      CHECK_EQ(border[2 * kPage], 2);
      CHECK_OK(mprotect(border - kPage, 2 * kPage, PROT_READ));
      CHECK_EQ(fault_of([&] { border[0] = 1; }).signal, SIGSEGV);
    });
    border[kPage] = round;
    CHECK_EXIT(child, 0);
    for (int i = -3; i < 3; i++) CHECK_EQ(border[i * kPage], i == 1 ? round : i);
  }
}
TEST(fork_unmap_and_exit_in_any_order) {
  for (int round = 0; round < scale(40); round++) {
    char* p = map_pages(100);
    fill(p, 100, round);
    pid_t a = in_child([&] {
      munmap(p, 50 * kPage);
      check(p + 50 * kPage, 50, round + 50);
    });
    pid_t b = in_child([&] {
      munmap(p + 30 * kPage, 70 * kPage);
      check(p, 30, round);
      fill(p, 30, 1);
    });
    munmap(p + 20 * kPage, 10 * kPage);
    check(p, 20, round);
    CHECK_EXIT(b, 0);
    CHECK_EXIT(a, 0);
    check(p + 30 * kPage, 70, round + 30);
    munmap(p, 100 * kPage);
  }
}
