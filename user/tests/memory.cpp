// The mmap family's corners: a table of arguments and errors for each call, and what its rarer flags do.
#include "user/tests/harness.h"

constexpr int kRw = PROT_READ | PROT_WRITE, kAnonymous = MAP_PRIVATE | MAP_ANONYMOUS;
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

// The raw calls: nothing that the C library checks itself.
static long raw_mmap(uintptr_t at, size_t size, int protection, int flags, int fd, uint32_t page) {
  return syscall(SYS_mmap2, at, size, protection, flags, fd, page);
}
static long raw_mremap(const void* at, size_t old_size, size_t size, int flags, const void* to = nullptr) {
  return syscall(SYS_mremap, at, old_size, size, flags, to);
}
// 0, or the errno, of a call whose value may be any address.
static int error_of(long value) { return value == -1 ? errno : 0; }
#define CHECK_CASE(i, call, expected)                                                                       \
  do {                                                                                                      \
    errno = 0;                                                                                              \
    int case_got = error_of((long)(call)), case_wanted = (expected);                                        \
    if (case_got != case_wanted) FAIL("case %d: expected errno %d, got %d", int(i), case_wanted, case_got); \
  } while (0)

static void drop_privileges() { CHECK_OK(syscall(SYS_setresuid32, 12345, 12345, 12345)); }
static void set_limit(int which, rlim_t bytes) {
  rlimit limit;
  CHECK_OK(getrlimit(__rlimit_resource(which), &limit));
  limit.rlim_cur = bytes;
  CHECK_OK(setrlimit(__rlimit_resource(which), &limit));
}
static int file_of(int pages) {
  int fd = make_file("file");
  char page[kPage];
  for (int i = 0; i < pages; i++) {
    memset(page, 'a' + i, kPage);
    CHECK_EQ(write(fd, page, kPage), kPage);
  }
  return fd;
}
// A line of /proc/self/NAME that begins with `key`, as a number.
static long number_in(const char* path, const char* key) {
  FILE* file = fopen(path, "r");
  if (!file) FAIL("%s: %s", path, strerrorname_np(errno));
  char line[512];
  long value = -1;
  while (fgets(line, sizeof line, file))
    if (!strncmp(line, key, strlen(key))) value = strtol(line + strlen(key), nullptr, 10);
  fclose(file);
  return value;
}
// How many lines of /proc/self/maps lie within [from, to).
static int regions_within(const char* from, const char* to) {
  FILE* file = fopen("/proc/self/maps", "r");
  CHECK(file != nullptr);
  char line[512];
  int count = 0;
  while (fgets(line, sizeof line, file)) {
    unsigned long start = 0, end = 0;
    CHECK_EQ(sscanf(line, "%lx-%lx", &start, &end), 2);
    count += start >= (unsigned long)from && end <= (unsigned long)to;
  }
  fclose(file);
  return count;
}
static bool is_resident(char* page) {
  unsigned char v = 0;
  CHECK_OK(mincore(page, kPage, &v));
  return v & 1;
}
// A place with nothing around it: `pages` unmapped pages with a mapped one far off on either side.
static char* clearing(int pages) {
  char* p = map_pages(pages, PROT_NONE);
  CHECK_OK(munmap(p, size_t(pages) * kPage));
  return p;
}

// ---- one table a call
TEST(mmaps_arguments) {
  int rw = file_of(2), ro = CHECK_OK(open("file", O_RDONLY)), wo = CHECK_OK(open("file", O_WRONLY)), dir = CHECK_OK(open(".", O_RDONLY));
  int path = CHECK_OK(open("file", O_PATH)), null = CHECK_OK(open("/dev/null", O_RDWR)), fd[2];
  CHECK_OK(pipe(fd));
  const uintptr_t busy = uintptr_t(map_pages(1)), free = uintptr_t(clearing(4));
  const struct {
    uintptr_t at;
    size_t size;
    int protection, flags, fd;
    uint32_t page;
    int error;
  } cases[] = {
      {free, kPage, PROT_READ, kAnonymous | MAP_FIXED_NOREPLACE, -1, 0, 0},
      {free + 2 * kPage, 1, PROT_READ, kAnonymous, -1, 0, 0},  // any length is rounded up
      {0, 0, PROT_READ, kAnonymous, -1, 0, EINVAL},
      {0, kPage, PROT_READ, MAP_ANONYMOUS, -1, 0, EINVAL},        // neither shared nor private
      {0, kPage, PROT_READ, MAP_ANONYMOUS | 0xf, -1, 0, EINVAL},  // no such type
      {0, kPage, PROT_READ, MAP_ANONYMOUS | MAP_SHARED_VALIDATE, -1, 0, EINVAL},
      {0, kPage, PROT_READ, MAP_SHARED_VALIDATE, rw, 0, 0},
      {0, kPage, PROT_READ, MAP_SHARED_VALIDATE | MAP_POPULATE | MAP_NORESERVE, rw, 0, 0},
      {0, kPage, PROT_READ, MAP_SHARED_VALIDATE | 0x00200000, rw, 0, EOPNOTSUPP},  // an unknown flag
      {0, kPage, PROT_READ, MAP_SHARED | 0x00200000, rw, 0, 0},                    // ignored without _VALIDATE
      {0, kPage, PROT_READ, MAP_PRIVATE, -1, 0, EBADF},
      {0, 0, PROT_READ, MAP_PRIVATE, -1, 0, EBADF},  // the descriptor is looked at first
      {0, kPage, PROT_READ, MAP_PRIVATE, path, 0, EBADF},
      {0, kPage, PROT_READ, kAnonymous, 999, 0, 0},  // not looked at
      {0, kPage, PROT_READ, kAnonymous, -1, 7, 0},
      {0, kPage, PROT_READ, MAP_SHARED, ro, 0, 0},
      {0, kPage, kRw, MAP_SHARED, ro, 0, EACCES},
      {0, kPage, kRw, MAP_PRIVATE, ro, 0, 0},
      {0, kPage, PROT_READ, MAP_PRIVATE, wo, 0, EACCES},
      {0, kPage, PROT_WRITE, MAP_SHARED, wo, 0, EACCES},  // writing a page reads it
      {0, kPage, PROT_READ, MAP_PRIVATE, dir, 0, ENODEV},
      {0, kPage, PROT_READ, MAP_SHARED, fd[0], 0, ENODEV},
      {0, kPage, PROT_READ, MAP_PRIVATE, null, 0, ENODEV},
      {0, kPage, PROT_READ, MAP_PRIVATE | MAP_GROWSDOWN, rw, 0, EINVAL},
      {0, kPage, kRw, MAP_SHARED | MAP_ANONYMOUS | MAP_GROWSDOWN, -1, 0, EINVAL},
      {0, kPage, kRw, kAnonymous | MAP_GROWSDOWN, -1, 0, 0},
      {0, kPage, 0x7fff0000, kAnonymous, -1, 0, 0},  // protection's other bits are ignored
      {0, 0xfffff000, PROT_READ, kAnonymous, -1, 0, ENOMEM},
      {0, 0xffffffff, PROT_READ, kAnonymous, -1, 0, ENOMEM},
      {free + 1, kPage, PROT_READ, kAnonymous | MAP_FIXED, -1, 0, EINVAL},
      {0xfffff000, kPage, PROT_READ, kAnonymous | MAP_FIXED, -1, 0, ENOMEM},
      {0xffff0000, 0x20000, PROT_READ, kAnonymous | MAP_FIXED, -1, 0, ENOMEM},
      {busy, kPage, PROT_READ, kAnonymous | MAP_FIXED_NOREPLACE, -1, 0, EEXIST},
      {busy + 1, kPage, PROT_READ, kAnonymous | MAP_FIXED_NOREPLACE, -1, 0, EINVAL},
      {0, kPage, PROT_READ, kAnonymous | MAP_LOCKED, -1, 0, 0},
      {0, kPage, PROT_READ, kAnonymous | MAP_STACK, -1, 0, 0},
  };
  for (auto& c : cases) CHECK_CASE(&c - cases, raw_mmap(c.at, c.size, c.protection, c.flags, c.fd, c.page), c.error);
}
TEST(munmaps_arguments) {
  char* p = map_pages(8);
  const struct {
    uintptr_t at;
    size_t size;
    int error;
  } cases[] = {
      {uintptr_t(p) + 1, kPage, EINVAL}, {uintptr_t(p), 0, EINVAL},          {0xfffff000, 0x2000, EINVAL},
      {0xfffff000, 0xfffff000, EINVAL},  {uintptr_t(p), 0xffffffff, EINVAL}, {uintptr_t(p) + kPage, 1, 0},
      {uintptr_t(p) + kPage, kPage, 0},  {uintptr_t(p), 8 * kPage, 0},       {0x20000000, kPage, 0},
  };
  for (auto& c : cases) CHECK_CASE(&c - cases, syscall(SYS_munmap, c.at, c.size), c.error);
}
TEST(mprotects_arguments) {
  int ro = (close(file_of(1)), CHECK_OK(open("file", O_RDONLY)));
  char *p = map_pages(8), *shared = map_pages(1, PROT_READ, MAP_SHARED, ro);
  CHECK_OK(munmap(p + 4 * kPage, kPage));
  constexpr int kSem = 8, kGrowsDown = 0x01000000, kGrowsUp = 0x02000000;
  const struct {
    const char* at;
    size_t size;
    int protection, error;
  } cases[] = {
      {p + 1, kPage, PROT_READ, EINVAL},
      {p, kPage, 0x40, EINVAL},
      {p, 0, PROT_READ, 0},
      {p, 0, 0x40, 0},
      {p + 1, 0, PROT_READ, EINVAL},
      {p, kPage, kRw | kSem, 0},
      {p, kPage, kRw | kGrowsDown | kGrowsUp, EINVAL},
      {p, kPage, kRw | kGrowsDown, EINVAL},  // not a region that grows
      {p, 0xffffffff, PROT_READ, ENOMEM},
      {p + 4 * kPage, kPage, PROT_READ, ENOMEM},
      {(char*)0xfffff000, kPage, PROT_READ, ENOMEM},
      {p + 5 * kPage, 1, PROT_READ, 0},
      {shared, kPage, kRw, EACCES},
      {shared, kPage, PROT_READ | PROT_EXEC, 0},
  };
  for (auto& c : cases) CHECK_CASE(&c - cases, syscall(SYS_mprotect, c.at, c.size, c.protection), c.error);
}
TEST(mprotect_growsdown_reaches_to_the_regions_start) {
  char* p = (char*)raw_mmap(uintptr_t(clearing(600)) + 500 * kPage, 8 * kPage, kRw, kAnonymous | MAP_GROWSDOWN, -1, 0);
  CHECK(p != MAP_FAILED);
  CHECK_OK(mprotect(p + 4 * kPage, kPage, PROT_READ | PROT_GROWSDOWN));
  CHECK_FAULT(poke(uintptr_t(p), 1), SIGSEGV, SEGV_ACCERR, p);
  CHECK_FAULT(poke(uintptr_t(p) + 4 * kPage, 1), SIGSEGV, SEGV_ACCERR, p + 4 * kPage);
  p[5 * kPage] = 1;
}
TEST(mremaps_arguments) {
  char *p = map_pages(8), *s = map_pages(4, kRw, MAP_SHARED | MAP_ANONYMOUS), *target = map_pages(8);
  char* wall = map_pages(3, PROT_READ);
  CHECK_OK(mprotect(wall, kPage, kRw));
  CHECK_OK(munmap(p + 4 * kPage, kPage));
  constexpr int kMove = MREMAP_MAYMOVE, kFixed = MREMAP_MAYMOVE | MREMAP_FIXED, kKeep = MREMAP_MAYMOVE | MREMAP_DONTUNMAP;
  const struct {
    const char* at;
    size_t old_size, size;
    int flags;
    const void* to;
    int error;
  } cases[] = {
      {p, kPage, kPage, 8, nullptr, EINVAL},
      {p + 1, kPage, kPage, kMove, nullptr, EINVAL},
      {p, kPage, 0, kMove, nullptr, EINVAL},
      {p, kPage, kPage, MREMAP_FIXED, target, EINVAL},       // FIXED wants MAYMOVE
      {p, kPage, kPage, MREMAP_DONTUNMAP, nullptr, EINVAL},  // so does DONTUNMAP
      {p, kPage, 2 * kPage, kKeep, nullptr, EINVAL},         // which cannot resize
      {p, kPage, kPage, kFixed, target + 1, EINVAL},
      {p, 2 * kPage, 2 * kPage, kFixed, p + kPage, EINVAL},
      {p, kPage, kPage, kFixed, p, EINVAL},
      {p, kPage, kPage, kFixed, (void*)0xfffff000, EINVAL},
      {p, kPage, 0xfffff000, kFixed, target, EINVAL},
      {p, 0, kPage, kMove, nullptr, EINVAL},  // duplicates shared memory only
      {s, 0, kPage, kFixed, target, 0},
      {s, 0, kPage, 0, nullptr, ENOMEM},
      {(char*)0x20000000, kPage, 2 * kPage, kMove, nullptr, EFAULT},
      {p + 4 * kPage, kPage, 2 * kPage, kMove, nullptr, EFAULT},
      {p, 5 * kPage, 6 * kPage, kMove, nullptr, EFAULT},     // over a hole
      {wall, 3 * kPage, 4 * kPage, kMove, nullptr, EFAULT},  // over two regions
      {wall, kPage, 2 * kPage, 0, nullptr, ENOMEM},          // no room, may not move
      {p, kPage, 0xc0000000, kMove, nullptr, ENOMEM},        // larger than our user space
      {p + 5 * kPage, 1, 1, 0, nullptr, 0},
      {p, 4 * kPage, 2 * kPage, 0, nullptr, 0},
      {s, 4 * kPage, 4 * kPage, kKeep, nullptr, 0},
      {s, 0, kPage, kMove, nullptr, 0},
  };
  for (auto& c : cases) {
    if (c.size == 0xc0000000 && !on_faultline()) continue;
    CHECK_CASE(&c - cases, raw_mremap(c.at, c.old_size, c.size, c.flags, c.to), c.error);
  }
}
TEST(msyncs_arguments) {
  char *p = map_pages(4), *locked = map_pages(1);
  CHECK_OK(mlock(locked, kPage));
  CHECK_OK(munmap(p + 2 * kPage, kPage));
  const struct {
    const char* at;
    size_t size;
    int flags, error;
  } cases[] = {
      {p, kPage, 0, 0},
      {p, kPage, MS_SYNC, 0},
      {p, kPage, MS_ASYNC | MS_INVALIDATE, 0},
      {p, kPage, MS_SYNC | MS_INVALIDATE, 0},
      {p, kPage, 8, EINVAL},
      {p, kPage, MS_SYNC | MS_ASYNC, EINVAL},
      {p + 1, kPage, MS_SYNC, EINVAL},
      {p + 1, 0, MS_SYNC, EINVAL},
      {p, 0, MS_SYNC, 0},
      {p, 4 * kPage, MS_SYNC, ENOMEM},
      {p, 4 * kPage, MS_ASYNC, ENOMEM},
      {p + 2 * kPage, kPage, MS_SYNC, ENOMEM},
      {(char*)0x20000000, kPage, MS_SYNC, ENOMEM},
      {p, 1, MS_SYNC, 0},
      {locked, kPage, MS_INVALIDATE, EBUSY},
      {locked, kPage, MS_SYNC, 0},
  };
  for (auto& c : cases) CHECK_CASE(&c - cases, syscall(SYS_msync, c.at, c.size, c.flags), c.error);
}
TEST(madvises_arguments) {
  char *p = map_pages(4), *file = map_pages(2, kRw, MAP_SHARED, file_of(2)), *none = map_pages(1, PROT_NONE), *ro = map_pages(1, PROT_READ);
  char* locked = map_pages(1);
  CHECK_OK(munmap(p + 2 * kPage, kPage));
  CHECK_OK(mlock(locked, kPage));
  const struct {
    const char* at;
    size_t size;
    int advice, error;
  } cases[] = {
      {p, kPage, MADV_NORMAL, 0},
      {p, kPage, MADV_RANDOM, 0},
      {p, kPage, MADV_SEQUENTIAL, 0},
      {file, kPage, MADV_WILLNEED, 0},
      {p, kPage, MADV_DONTNEED, 0},
      {p, kPage, MADV_FREE, 0},
      {p, kPage, MADV_DONTFORK, 0},
      {p, kPage, MADV_DOFORK, 0},
      {p, kPage, MADV_DONTDUMP, 0},
      {p, kPage, MADV_DODUMP, 0},
      {p, kPage, MADV_WIPEONFORK, 0},
      {p, kPage, MADV_KEEPONFORK, 0},
      {p, kPage, MADV_COLD, 0},
      {p, kPage, MADV_PAGEOUT, 0},
      {p, kPage, MADV_POPULATE_READ, 0},
      {p, kPage, MADV_POPULATE_WRITE, 0},
      {p, kPage, 5, EINVAL},
      {p, kPage, 9999, EINVAL},
      {p, kPage, -1, EINVAL},
      {p + 1, kPage, MADV_DONTNEED, EINVAL},
      {p, 0, MADV_DONTNEED, 0},
      {p, 0, 9999, EINVAL},
      {p, 0xffffffff, MADV_DONTNEED, EINVAL},
      {p, 4 * kPage, MADV_DONTNEED, ENOMEM},
      {p, 4 * kPage, MADV_SEQUENTIAL, ENOMEM},
      {p, 4 * kPage, MADV_POPULATE_READ, ENOMEM},
      {(char*)0x20000000, kPage, MADV_NORMAL, ENOMEM},
      {file, kPage, MADV_FREE, EINVAL},
      {file, kPage, MADV_WIPEONFORK, EINVAL},
      {none, kPage, MADV_POPULATE_READ, EINVAL},
      {ro, kPage, MADV_POPULATE_WRITE, EINVAL},
      {locked, kPage, MADV_DONTNEED, EINVAL},
      {locked, kPage, MADV_FREE, EINVAL},
      {p, kPage, MADV_REMOVE, EINVAL},
      {locked, kPage, MADV_SEQUENTIAL, 0},
  };
  for (auto& c : cases) {
    if (!on_faultline() && c.size == 0xffffffff) continue;  // on a 64-bit kernel the sum does not wrap
    CHECK_CASE(&c - cases, syscall(SYS_madvise, c.at, c.size, c.advice), c.error);
  }
}
TEST(mincores_arguments) {
  char *p = map_pages(4), v[8];
  CHECK_OK(munmap(p + 2 * kPage, kPage));
  const struct {
    const char* at;
    size_t size;
    void* vector;
    int error;
  } cases[] = {
      {p, kPage, v, 0},
      {p + 1, kPage, v, EINVAL},
      {p, 0, v, 0},
      {p, 1, v, 0},
      {p, 4 * kPage, v, ENOMEM},
      {(char*)0x20000000, kPage, v, ENOMEM},
      {p, kPage, (void*)0x20000000, EFAULT},
      {p, kPage, (void*)0xffffffff, EFAULT},
      {(char*)0xfffff000, 0x2000, v, ENOMEM},
  };
  for (auto& c : cases) CHECK_CASE(&c - cases, syscall(SYS_mincore, c.at, c.size, c.vector), c.error);
}
TEST(mlocks_arguments) {
  char *p = map_pages(4), *none = map_pages(1, PROT_NONE);
  CHECK_OK(munmap(p + 2 * kPage, kPage));
  const struct {
    const char* at;
    size_t size;
    int error;
  } cases[] = {
      {p, kPage, 0},
      {p + 1, kPage, 0},
      {p, 0, 0},
      {(char*)0x20000000, 0, 0},
      {p, 4 * kPage, ENOMEM},
      {(char*)0x20000000, kPage, ENOMEM},
      {none, kPage, ENOMEM},  // cannot be brought in
  };
  for (auto& c : cases) {
    CHECK_CASE(&c - cases, syscall(SYS_mlock, c.at, c.size), c.error);
    CHECK_CASE(100 + (&c - cases), syscall(SYS_mlock2, c.at, c.size, 0), c.error);
    CHECK_CASE(200 + (&c - cases), syscall(SYS_munlock, c.at, c.size), c.at == none ? 0 : c.error);
  }
  CHECK_ERR(syscall(SYS_mlock2, p, kPage, 2), EINVAL);
  CHECK_OK(syscall(SYS_mlock2, none, kPage, MLOCK_ONFAULT));  // nothing to bring in
  for (int flags : {0, 8, MCL_ONFAULT, MCL_CURRENT | 16}) CHECK_ERR(mlockall(flags), EINVAL);
  CHECK_OK(munlockall());
}

// ---- locked memory
TEST(locking_brings_pages_in_and_counts_them) {
  char* p = map_pages(8);
  CHECK(!is_resident(p));
  CHECK_OK(mlock(p + 1, 2 * kPage));  // three pages, by the bytes
  CHECK(is_resident(p) && is_resident(p + 2 * kPage) && !is_resident(p + 3 * kPage));
  CHECK_EQ(number_in("/proc/self/status", "VmLck:"), 12);
  CHECK_OK(syscall(SYS_mlock2, p + 4 * kPage, 2 * kPage, MLOCK_ONFAULT));
  CHECK(!is_resident(p + 4 * kPage));
  CHECK_EQ(number_in("/proc/self/status", "VmLck:"), 20);
  p[4 * kPage] = 1;
  CHECK(is_resident(p + 4 * kPage));
  CHECK_EXIT(in_child([] { CHECK_EQ(number_in("/proc/self/status", "VmLck:"), 0); }), 0);  // not inherited
  CHECK_OK(munlock(p + kPage, kPage));
  CHECK_EQ(number_in("/proc/self/status", "VmLck:"), 16);
  CHECK(is_resident(p + kPage));  // allowed to go, not thrown out
  char* q = (char*)raw_mmap(0, 3 * kPage, kRw, kAnonymous | MAP_LOCKED, -1, 0);
  CHECK(is_resident(q) && is_resident(q + 2 * kPage));
  CHECK_EQ(number_in("/proc/self/status", "VmLck:"), 28);
  CHECK_OK(munmap(q, 3 * kPage));
  CHECK_EQ(number_in("/proc/self/status", "VmLck:"), 16);
  CHECK_OK(munlockall());
  CHECK_EQ(number_in("/proc/self/status", "VmLck:"), 0);
}
TEST(locking_all_that_is_and_all_that_comes) {
  char* before = map_pages(4);
  CHECK_OK(mlockall(MCL_CURRENT));
  CHECK(is_resident(before) && is_resident(before + 3 * kPage));
  char* after = map_pages(4);
  CHECK(!is_resident(after));
  CHECK_OK(mlockall(MCL_FUTURE));  // only what comes
  CHECK(!is_resident(after));
  char* later = map_pages(4);
  CHECK(is_resident(later) && is_resident(later + 3 * kPage));
  char* grown = (char*)raw_mremap(later, 4 * kPage, 40 * kPage, MREMAP_MAYMOVE);
  CHECK(grown != MAP_FAILED && is_resident(grown + 39 * kPage));
  char* top = (char*)sbrk(0);
  CHECK(sbrk(8 * kPage) == top);
  CHECK(is_resident((char*)(uintptr_t(top + 7 * kPage) & ~uintptr_t(kPage - 1))));
  CHECK_EXIT(in_child([] { CHECK(!is_resident(map_pages(4))); }), 0);  // neither is this inherited
  CHECK_OK(mlockall(MCL_FUTURE | MCL_ONFAULT));
  char* onfault = map_pages(4);
  CHECK(!is_resident(onfault));
  onfault[kPage] = 1;
  CHECK_OK(munlockall());
  CHECK_EQ(number_in("/proc/self/status", "VmLck:"), 0);
  CHECK(!is_resident(map_pages(4)));
}
TEST(the_limit_on_locked_memory) {
  char* p = map_pages(64);
  CHECK_EXIT(in_child([=] {
               set_limit(RLIMIT_MEMLOCK, 16 * kPage);
               CHECK_OK(mlock(p, 64 * kPage));  // the superuser has none
               CHECK_OK(munlockall());
               drop_privileges();
               CHECK_ERR(mlock(p, 17 * kPage), ENOMEM);
               CHECK_OK(mlock(p, 16 * kPage));
               CHECK_OK(mlock(p, 16 * kPage));  // these are locked already
               CHECK_ERR(mlock(p + 20 * kPage, kPage), ENOMEM);
               CHECK_ERR(mlock(p + kPage, 16 * kPage), ENOMEM);
               CHECK_ERR(raw_mmap(0, kPage, kRw, kAnonymous | MAP_LOCKED, -1, 0), EAGAIN);
               CHECK_ERR(raw_mremap(p, 16 * kPage, 100 * kPage, MREMAP_MAYMOVE), EAGAIN);
               CHECK_OK(munlock(p, kPage));
               CHECK_OK(mlock(p + 20 * kPage, kPage));
               CHECK_OK(munlockall());
               CHECK_ERR(mlockall(MCL_CURRENT), ENOMEM);  // more than the limit is mapped
               CHECK_OK(mlockall(MCL_FUTURE));
               CHECK_ERR(raw_mmap(0, 17 * kPage, kRw, kAnonymous, -1, 0), EAGAIN);
               char* q = map_pages(2);
               CHECK(is_resident(q));
               set_limit(RLIMIT_MEMLOCK, 0);
               CHECK_ERR(mlock(p, kPage), EPERM);
               CHECK_ERR(mlockall(MCL_CURRENT), EPERM);
               CHECK_ERR(raw_mmap(0, kPage, kRw, kAnonymous | MAP_LOCKED, -1, 0), EPERM);
             }),
             0);
}

// ---- limits on the space
TEST(the_limit_on_address_space) {
  CHECK_EXIT(in_child([] {
               char* old = map_pages(64);
               long used = number_in("/proc/self/status", "VmSize:") * 1024;
               set_limit(RLIMIT_AS, used + 32 * kPage);
               CHECK_ERR(raw_mmap(0, 33 * kPage, kRw, kAnonymous, -1, 0), ENOMEM);
               char* p = map_pages(30);
               CHECK_ERR(raw_mremap(p, 30 * kPage, 64 * kPage, MREMAP_MAYMOVE), ENOMEM);
               CHECK(raw_mmap(uintptr_t(old), 64 * kPage, kRw, kAnonymous | MAP_FIXED, -1, 0) == long(old));  // replaces as much
               CHECK(sbrk(16 * kPage) == (void*)-1);
               CHECK_OK(munmap(p, 30 * kPage));
               CHECK_OK(raw_mmap(0, 32 * kPage, PROT_NONE, kAnonymous, -1, 0));
             }),
             0);
}
TEST(the_limit_on_data) {
  int fd = file_of(8);
  CHECK_EXIT(in_child([=] {
               char* ro = map_pages(40, PROT_READ);
               long used = number_in("/proc/self/status", "VmData:") * 1024;
               set_limit(RLIMIT_DATA, used + 16 * kPage);
               CHECK_ERR(raw_mmap(0, 64 * kPage, kRw, kAnonymous, -1, 0), ENOMEM);
               CHECK_OK(raw_mmap(0, 64 * kPage, PROT_READ, kAnonymous, -1, 0));  // only what is private and writable counts
               CHECK_OK(raw_mmap(0, 64 * kPage, kRw, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
               CHECK_OK(raw_mmap(0, 8 * kPage, kRw, MAP_SHARED, fd, 0));
               CHECK_ERR(mprotect(ro, 40 * kPage, kRw), ENOMEM);
               CHECK(sbrk(64 * kPage) == (void*)-1);
               CHECK_OK(mprotect(ro, 8 * kPage, kRw));
             }),
             0);
}
TEST(the_number_of_regions_is_limited) {
  FILE* file = fopen("/proc/sys/vm/max_map_count", "r");
  long limit = 0;
  CHECK(file && fscanf(file, "%ld", &limit) == 1);
  fclose(file);
  if (limit > 100000) SKIP("too many to try");
  CHECK_EXIT(in_child([=] {
               size_t pages = limit + 1000;
               char* p = map_pages(pages, PROT_NONE);
               size_t i = 0;
               while (i < pages && !mprotect(p + i * kPage, kPage, PROT_READ)) i += 2;
               CHECK_EQ(errno, ENOMEM);
               if (long(i) > limit || long(i) < limit - 200) FAIL("%zu regions of %ld", i, limit);
               int holes = 0;  // each makes one more
               while (holes < 4 && !munmap(p + (pages - 300 + 2 * holes) * kPage, kPage)) holes++;
               CHECK(errno == ENOMEM && holes < 4);
               for (int n = 0; n < 4; n++)  // alternating, so that they do not merge
                 if (raw_mmap(0, kPage, n & 1 ? PROT_READ : kRw, kAnonymous, -1, 0) == -1) {
                   CHECK_EQ(errno, ENOMEM);
                   break;
                 } else
                   CHECK(n < 3);
               CHECK_OK(munmap(p, 1000 * kPage));  // fewer are always possible
               CHECK_OK(raw_mmap(0, kPage, PROT_EXEC, kAnonymous, -1, 0));
             }),
             0);
}

// ---- mremap's rarer forms
TEST(mremap_that_leaves_the_old_place_empty) {
  char* p = map_pages(4);
  for (int i = 0; i < 4; i++) p[i * kPage] = i + 1;
  char* q = (char*)raw_mremap(p, 4 * kPage, 4 * kPage, MREMAP_MAYMOVE | MREMAP_DONTUNMAP);
  CHECK(q != MAP_FAILED && q != p);
  for (int i = 0; i < 4; i++) CHECK(q[i * kPage] == i + 1 && p[i * kPage] == 0);
  p[0] = 9;
  CHECK(q[0] == 1);
  char* target = clearing(4);
  CHECK(raw_mremap(q + kPage, 2 * kPage, 2 * kPage, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, target) == long(target));
  CHECK(target[0] == 2 && target[kPage] == 3 && q[0] == 1 && q[kPage] == 0 && q[2 * kPage] == 0 && q[3 * kPage] == 4);
  char* file = map_pages(2, kRw, MAP_SHARED, file_of(2));
  char* again = (char*)raw_mremap(file, 2 * kPage, 2 * kPage, MREMAP_MAYMOVE | MREMAP_DONTUNMAP);
  CHECK(again != MAP_FAILED && again[kPage] == 'b' && file[kPage] == 'b');
  again[0] = 'X';
  CHECK_EQ(file[0], 'X');
}
TEST(mremap_of_nothing_duplicates_a_shared_mapping) {
  char* s = map_pages(4, kRw, MAP_SHARED, file_of(4));
  char* twin = (char*)raw_mremap(s + kPage, 0, 2 * kPage, MREMAP_MAYMOVE);
  CHECK(twin != MAP_FAILED && twin[0] == 'b' && twin[kPage] == 'c');
  twin[0] = 'X';
  CHECK(s[kPage] == 'X' && s[0] == 'a');
  char* target = clearing(2);
  CHECK(raw_mremap(s, 0, 2 * kPage, MREMAP_MAYMOVE | MREMAP_FIXED, target) == long(target));
  CHECK(target[0] == 'a' && target[kPage] == 'X');
}
TEST(mremap_of_nothing_upon_itself_finds_nothing_left) {
  char* p = map_pages(2, kRw, MAP_SHARED | MAP_ANONYMOUS);
  CHECK(raw_mremap(p, 0, kPage, MREMAP_MAYMOVE | MREMAP_FIXED, p) == -1 && errno == EFAULT);
  unsigned char resident;
  CHECK_ERR(mincore(p, kPage, &resident), ENOMEM);  // its place had been made free
  CHECK_OK(mincore(p + kPage, kPage, &resident));
}
TEST(mremap_moves_part_of_a_region) {
  char* p = map_pages(9);
  for (int i = 0; i < 9; i++) p[i * kPage] = i;
  char* target = clearing(20);
  CHECK(raw_mremap(p + 3 * kPage, 3 * kPage, 5 * kPage, MREMAP_MAYMOVE | MREMAP_FIXED, target) == long(target));
  CHECK(target[0] == 3 && target[2 * kPage] == 5 && target[3 * kPage] == 0 && p[2 * kPage] == 2 && p[6 * kPage] == 6);
  CHECK_FAULT(peek(uintptr_t(p) + 3 * kPage), SIGSEGV, SEGV_MAPERR, p + 3 * kPage);
  CHECK(raw_mremap(target, 5 * kPage, 2 * kPage, MREMAP_MAYMOVE | MREMAP_FIXED, p + 3 * kPage) ==
        long(p + 3 * kPage));  // shrinks and moves
  CHECK(p[3 * kPage] == 3 && p[4 * kPage] == 4);
  CHECK_FAULT(peek(uintptr_t(p) + 5 * kPage), SIGSEGV, SEGV_MAPERR, p + 5 * kPage);
  CHECK_FAULT(peek(uintptr_t(target)), SIGSEGV, SEGV_MAPERR, target);
}
TEST(mremap_keeps_protection_and_copy_on_write) {
  char* p = map_pages(4);
  memset(p, 7, 4 * kPage);
  CHECK_OK(mprotect(p, 4 * kPage, PROT_READ));
  char* target = clearing(4);
  CHECK_EXIT(in_child([=] {
               CHECK(raw_mremap(p, 4 * kPage, 4 * kPage, MREMAP_MAYMOVE | MREMAP_FIXED, target) == long(target));
               CHECK_FAULT(poke(uintptr_t(target), 1), SIGSEGV, SEGV_ACCERR, target);
               CHECK_OK(mprotect(target, 4 * kPage, kRw));
               target[0] = 8;
               CHECK(target[1] == 7);
             }),
             0);
  CHECK(p[0] == 7);
}

// ---- madvise's rarer forms
TEST(advice_reaches_around_a_hole) {
  char* p = map_pages(4);
  memset(p, 1, 4 * kPage);
  CHECK_OK(munmap(p + kPage, kPage));
  CHECK_ERR(madvise(p, 4 * kPage, MADV_DONTNEED), ENOMEM);
  CHECK(p[0] == 0 && p[2 * kPage] == 0 && p[3 * kPage] == 0);  // done all the same
}
TEST(freed_pages_hold_what_they_held_or_zero) {
  char* p = map_pages(64);
  for (int i = 0; i < 64; i++) p[i * kPage] = i + 1;
  CHECK_OK(madvise(p, 64 * kPage, MADV_FREE));
  for (int i = 0; i < 64; i++) CHECK(p[i * kPage] == 0 || p[i * kPage] == i + 1);
  p[5] = 9;  // written again: kept
  CHECK_EQ(p[5], 9);
}
TEST(memory_that_children_do_not_get) {
  char* p = map_pages(3);
  memset(p, 5, 3 * kPage);
  CHECK_OK(madvise(p + kPage, kPage, MADV_DONTFORK));
  CHECK_EXIT(in_child([=] {
               CHECK(p[0] == 5 && p[2 * kPage] == 5);
               CHECK_FAULT(peek(uintptr_t(p) + kPage), SIGSEGV, SEGV_MAPERR, p + kPage);
               p[0] = 6;
             }),
             0);
  CHECK(p[0] == 5 && p[kPage] == 5);
  CHECK_OK(madvise(p + kPage, kPage, MADV_DOFORK));
  CHECK_EXIT(in_child([=] { CHECK(p[kPage] == 5); }), 0);
}
TEST(memory_that_children_get_empty) {
  char* p = map_pages(2000);
  memset(p, 5, 2000 * kPage);
  CHECK_OK(madvise(p + kPage, 1998 * kPage, MADV_WIPEONFORK));  // tables wholly and partly inside
  CHECK_EXIT(in_child([=] {
               CHECK(p[0] == 5 && p[1999 * kPage] == 5);
               for (int i = 1; i < 1999; i++) CHECK_EQ(p[i * kPage], 0);
               p[kPage] = 7;
               CHECK_EXIT(in_child([=] { CHECK(p[kPage] == 0); }), 0);  // and so on
               CHECK_EQ(p[kPage], 7);
             }),
             0);
  for (int i = 0; i < 2000; i++) CHECK_EQ(p[i * kPage], 5);
  CHECK_OK(madvise(p + kPage, 1998 * kPage, MADV_KEEPONFORK));
  CHECK_EXIT(in_child([=] { CHECK(p[kPage] == 5); }), 0);
}
TEST(populating_on_request) {
  char *p = map_pages(8), *ro = map_pages(8, PROT_READ);
  CHECK_OK(madvise(p, 8 * kPage, MADV_POPULATE_WRITE));
  CHECK_OK(madvise(ro, 8 * kPage, MADV_POPULATE_READ));
  CHECK(is_resident(p) && is_resident(p + 7 * kPage));
  int fd = file_of(2);
  char* past = map_pages(4, kRw, MAP_SHARED, fd);
  CHECK_ERR(madvise(past, 4 * kPage, MADV_POPULATE_READ), EFAULT);          // past the end of the file
  CHECK_OK(raw_mmap(0, 4 * kPage, kRw, MAP_SHARED | MAP_POPULATE, fd, 0));  // here nobody minds
}
TEST(removing_pages_of_shared_memory) {
  char* s = map_pages(4, kRw, MAP_SHARED | MAP_ANONYMOUS);
  memset(s, 3, 4 * kPage);
  CHECK_OK(madvise(s + kPage, 2 * kPage, MADV_REMOVE));
  CHECK(s[0] == 3 && s[kPage] == 0 && s[2 * kPage] == 0 && s[3 * kPage] == 3);
}
TEST(removing_pages_of_a_file_makes_a_hole) {
  int fd = file_of(8);
  char* p = map_pages(8, kRw, MAP_SHARED, fd);
  memset(p, 4, 8 * kPage);
  CHECK_OK(fsync(fd));
  struct stat before, after;
  CHECK_OK(fstat(fd, &before));
  CHECK_OK(madvise(p + 2 * kPage, 4 * kPage, MADV_REMOVE));
  CHECK_OK(fstat(fd, &after));
  CHECK(after.st_size == before.st_size && before.st_blocks - after.st_blocks == 4 * kPage / 512);
  char page[kPage];
  for (int i = 0; i < 8; i++) {
    const char expected = i >= 2 && i < 6 ? 0 : 4;
    CHECK_EQ(pread(fd, page, kPage, i * kPage), kPage);
    CHECK(p[i * kPage] == expected && p[(i + 1) * kPage - 1] == expected && page[7] == expected);
  }
  int other = CHECK_OK(open("file", O_RDONLY));
  char* r = map_pages(8, PROT_READ, MAP_SHARED, other);
  CHECK_ERR(madvise(r, kPage, MADV_REMOVE), EACCES);  // not through what cannot write
  CHECK_OK(munmap(r, 8 * kPage));
  CHECK_OK(close(other));
  CHECK_OK(close(fd));
}

// ---- where things are
TEST(neighbours_that_are_alike_become_one_region) {
  char* p = map_pages(12, PROT_NONE);
  char *from = p, *to = p + 12 * kPage;
  auto map_at = [=](int page, int pages, int protection, int flags = kAnonymous, int fd = -1, uint32_t offset = 0) {
    CHECK(raw_mmap(uintptr_t(p + page * kPage), pages * kPage, protection, flags | MAP_FIXED, fd, offset) == long(p + page * kPage));
  };
  CHECK_OK(munmap(p, 12 * kPage));
  map_at(1, 4, kRw);
  map_at(5, 3, kRw);
  CHECK_EQ(regions_within(from, to), 1);
  p[2 * kPage] = p[6 * kPage] = 1;
  CHECK_OK(mprotect(p + 3 * kPage, 2 * kPage, PROT_READ));
  CHECK_EQ(regions_within(from, to), 3);
  CHECK_OK(mprotect(p + 3 * kPage, 2 * kPage, kRw));
  CHECK_EQ(regions_within(from, to), 1);
  CHECK_OK(mlock(p + 4 * kPage, kPage));
  CHECK_EQ(regions_within(from, to), 3);
  CHECK_OK(munlock(p + 4 * kPage, kPage));
  CHECK_EQ(regions_within(from, to), 1);
  CHECK_OK(madvise(p + 4 * kPage, kPage, MADV_DONTFORK));
  CHECK_EQ(regions_within(from, to), 3);
  CHECK_OK(madvise(p + 4 * kPage, kPage, MADV_DOFORK));
  CHECK_EQ(regions_within(from, to), 1);
  CHECK_OK(munmap(p + 3 * kPage, kPage));
  CHECK_EQ(regions_within(from, to), 2);
  map_at(3, 1, kRw);  // the hole is filled
  CHECK_EQ(regions_within(from, to), 1);
  CHECK_OK(munmap(p, 12 * kPage));
  int fd = file_of(8);
  map_at(0, 2, PROT_READ, MAP_SHARED, fd, 0);
  map_at(2, 2, PROT_READ, MAP_SHARED, fd, 2);  // continues the file
  CHECK_EQ(regions_within(from, to), 1);
  map_at(4, 2, PROT_READ, MAP_SHARED, fd, 5);  // does not
  CHECK_EQ(regions_within(from, to), 2);
  map_at(6, 2, PROT_READ, MAP_PRIVATE, fd, 7);  // is of another kind
  CHECK_EQ(regions_within(from, to), 3);
}
TEST(offsets_past_four_gigabytes) {
  int fd = make_file("file");
  for (off_t at : {off_t(0x7ffff000), off_t(0x80000000), off_t(0xfffff000), off_t(0x100000000), off_t(0x2fffff000)}) {
    char c = char(at >> 28) + 1;
    CHECK_EQ(pwrite(fd, &c, 1, at + 5), 1);
  }
  char* p = map_pages(2, kRw, MAP_SHARED, fd, 0x7ffff000);
  CHECK(p[5] == 8 && p[kPage + 5] == 9);
  p = map_pages(2, kRw, MAP_SHARED, fd, 0xfffff000);
  CHECK(p[5] == 0x10 && p[kPage + 5] == 0x11);
  p = map_pages(1, kRw, MAP_SHARED, fd, 0x2fffff000);
  CHECK(p[5] == 0x30);
  p[5] = 'x';
  char c = 0;
  CHECK(pread(fd, &c, 1, 0x2fffff005) == 1 && c == 'x');
  char* past = map_pages(1, kRw, MAP_SHARED, fd, 0x300000000);
  CHECK_FAULT(peek(uintptr_t(past)), SIGBUS, BUS_ADRERR, past);
  // The last page that the call can name, and one more.
  long last = raw_mmap(0, kPage, PROT_READ, MAP_SHARED, fd, 0xffffffff);
  if (last == -1) CHECK_EQ(errno, EOVERFLOW);
  if (on_faultline()) CHECK_ERR(raw_mmap(0, 2 * kPage, PROT_READ, MAP_SHARED, fd, 0xffffffff), EOVERFLOW);
}
TEST(a_region_that_grows_down) {
  constexpr int kGap = 256;  // pages that stay free below it
  char* place = clearing(1000);
  char* p = place + 900 * kPage;
  CHECK(raw_mmap(uintptr_t(p), kPage, kRw, kAnonymous | MAP_GROWSDOWN | MAP_FIXED, -1, 0) == long(p));
  p[-kPage] = 1;
  p[-40 * kPage] = 2;  // from far below: grows to there
  CHECK(p[-40 * kPage] == 2 && p[-20 * kPage] == 0);
  char* wall = place + 500 * kPage;
  CHECK(raw_mmap(uintptr_t(wall), kPage, kRw, kAnonymous | MAP_FIXED, -1, 0) == long(wall));
  char* lowest = wall + (1 + kGap) * kPage;
  CHECK_FAULT(poke(uintptr_t(lowest) - 1, 1), SIGSEGV, SEGV_MAPERR, lowest - 1);
  lowest[0] = 3;
  CHECK_FAULT(poke(uintptr_t(lowest) - kPage, 1), SIGSEGV, SEGV_MAPERR, lowest - kPage);
  CHECK_OK(mprotect(wall, kPage, PROT_NONE));  // a guard page of the program's own needs no gap
  wall[2 * kPage] = 4;
  CHECK(p[-40 * kPage] == 2 && lowest[0] == 3);
}
TEST(chosen_addresses_keep_away_from_what_grows_down) {
  char* place = clearing(600);
  char* p = place + 500 * kPage;
  CHECK(raw_mmap(uintptr_t(p), kPage, kRw, kAnonymous | MAP_GROWSDOWN | MAP_FIXED, -1, 0) == long(p));
  char* hint = p - 8 * kPage;
  CHECK(raw_mmap(uintptr_t(hint), kPage, kRw, kAnonymous, -1, 0) != long(hint));              // within the gap: not taken
  CHECK(raw_mmap(uintptr_t(hint), kPage, kRw, kAnonymous | MAP_FIXED, -1, 0) == long(hint));  // unless it must be
}

// ---- PROT_NONE is for the kernel too
TEST(system_calls_cannot_use_memory_without_rights) {
  char *none = map_pages(2), *ro = map_pages(1);
  strcpy(none, "file");
  CHECK_OK(mprotect(none, 2 * kPage, PROT_NONE));
  CHECK_OK(mprotect(ro, kPage, PROT_READ));
  int fd = file_of(1), pipes[2];
  CHECK_OK(pipe(pipes));
  CHECK_EQ(write(pipes[1], "abc", 3), 3);
  CHECK_ERR(pread(fd, none, 1, 0), EFAULT);
  CHECK_ERR(pread(fd, ro, 1, 0), EFAULT);
  CHECK_ERR(pwrite(fd, none, 1, 0), EFAULT);
  CHECK_ERR(read(pipes[0], none, 1), EFAULT);
  CHECK_ERR(write(pipes[1], none, 1), EFAULT);
  CHECK_ERR(open(none, O_RDONLY), EFAULT);
  struct stat st;
  CHECK_ERR(stat(none, &st), EFAULT);
  CHECK_ERR(syscall(SYS_stat64, ".", none), EFAULT);
  CHECK_ERR(syscall(SYS_pipe, ro), EFAULT);
  CHECK_ERR(syscall(SYS_uname, none), EFAULT);
  CHECK_ERR(syscall(SYS_getcwd, none, kPage), EFAULT);
  CHECK_ERR(syscall(SYS_nanosleep, none, nullptr), EFAULT);
  CHECK_ERR(syscall(SYS_rt_sigaction, SIGUSR1, nullptr, none, 8), EFAULT);
  CHECK_ERR(syscall(SYS_futex, none, 0, 0, nullptr, nullptr, 0), EFAULT);
  CHECK_ERR(mincore(none, kPage, (unsigned char*)none), EFAULT);
  CHECK_OK(mprotect(none, 2 * kPage, PROT_READ));
  CHECK_STR(none, "file");
}
