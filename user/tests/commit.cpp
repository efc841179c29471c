// What counts as promised memory (Committed_AS), to the page on Faultline. On Linux others map memory at the same time, so there the amounts are
// large (as far as the addresses allow) and a third of one is within the error.
#include "user/tests/harness.h"
#include <sys/ipc.h>
#include <sys/shm.h>

constexpr size_t kMiB = 1 << 20;
static const size_t kUnit = sizeof(void*) == 8 ? 2048 * kMiB : 24 * kMiB;

static long meminfo(const char* name) {
  char line[100];
  long value = -1;
  int fd = CHECK_OK(open("/proc/meminfo", O_RDONLY));
  static char text[8192] = "\n";
  ssize_t n = CHECK_OK(read(fd, text + 1, sizeof text - 2));
  close(fd);
  text[n + 1] = 0;
  snprintf(line, sizeof line, "\n%s:", name);
  if (char* at = strstr(text, line)) value = atol(at + strlen(line));
  if (value < 0) FAIL("no %s in /proc/meminfo", name);
  return value;
}
static long committed() { return meminfo("Committed_AS"); }  // kB

// How much is promised more than at the start of the scope.
struct Promised {
  const long before = committed();
  void check(long bytes, const char* file, int line) const {
    const long more = committed() - before, wanted = bytes / 1024, slack = on_faultline() ? 0 : long(kUnit / 3 / 1024);
    if (more < wanted - slack || more > wanted + slack) fail(file, line, "expected %ld kB to be promised, got %ld kB", wanted, more);
  }
};
#define CHECK_PROMISED(bytes) promised.check(long(bytes), __FILE__, __LINE__)

static char* map(size_t bytes, int prot = PROT_READ | PROT_WRITE, int flags = MAP_PRIVATE | MAP_ANONYMOUS) {
  void* p = mmap(nullptr, bytes, prot, flags, -1, 0);
  if (p == MAP_FAILED) FAIL("mmap: %s", strerrorname_np(errno));
  return (char*)p;
}

TEST(private_writable_memory_counts_until_it_is_unmapped) {
  Promised promised;
  char* p = map(kUnit);
  CHECK_PROMISED(kUnit);
  CHECK_OK(munmap(p + kUnit / 2, kUnit / 4));  // a hole in the middle
  CHECK_PROMISED(kUnit * 3 / 4);
  CHECK_OK(munmap(p, kUnit / 4));
  CHECK_PROMISED(kUnit / 2);
  CHECK_OK(munmap(p, kUnit));
  CHECK_PROMISED(0);
  map(kUnit, PROT_READ);
  map(kUnit, PROT_NONE);
  map(kUnit, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE);
  CHECK_PROMISED(0);
  int zero = CHECK_OK(open("/dev/zero", O_RDWR));
  CHECK(mmap(nullptr, kUnit, PROT_READ | PROT_WRITE, MAP_PRIVATE, zero, 0) != MAP_FAILED);
  CHECK_PROMISED(kUnit);
}
TEST(mappings_of_files_count_if_they_are_private_and_writable) {
  int fd = CHECK_OK(open("file", O_RDWR | O_CREAT, 0600));
  CHECK_OK(ftruncate(fd, kUnit));
  Promised promised;
  CHECK(mmap(nullptr, kUnit, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED);
  CHECK(mmap(nullptr, kUnit, PROT_READ, MAP_PRIVATE, fd, 0) != MAP_FAILED);
  CHECK_PROMISED(0);
  CHECK(mmap(nullptr, kUnit, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0) != MAP_FAILED);
  CHECK_PROMISED(kUnit);
}
TEST(a_fixed_mapping_counts_instead_of_what_it_replaces) {
  Promised promised;
  char* p = map(kUnit);
  CHECK(mmap(p + kUnit / 2, kUnit / 4, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == p + kUnit / 2);
  CHECK_PROMISED(kUnit);
  CHECK(mmap(p, kUnit / 2, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == p);
  CHECK_PROMISED(kUnit / 2);
}
TEST(becoming_writable_counts_once) {
  Promised promised;
  char* p = map(kUnit, PROT_READ);
  CHECK_OK(mprotect(p + kUnit / 4, kUnit / 4, PROT_READ | PROT_WRITE));
  CHECK_PROMISED(kUnit / 4);
  p[kUnit / 4] = 1;
  CHECK_OK(mprotect(p + kUnit / 4, kUnit / 4, PROT_READ));  // it has pages: it stays a promise
  CHECK_PROMISED(kUnit / 4);
  CHECK_OK(mprotect(p, kUnit, PROT_READ | PROT_WRITE));
  CHECK_PROMISED(kUnit);
  CHECK_OK(mprotect(p, kUnit, PROT_READ | PROT_WRITE));
  CHECK_PROMISED(kUnit);
  CHECK_OK(munmap(p, kUnit));
  CHECK_PROMISED(0);
  p = map(kUnit, PROT_READ, MAP_SHARED | MAP_ANONYMOUS);  // of shared memory the object counts
  CHECK_PROMISED(kUnit);
  CHECK_OK(mprotect(p, kUnit, PROT_READ | PROT_WRITE));
  CHECK_PROMISED(kUnit);
}
TEST(mremap_moves_the_promise) {
  Promised promised;
  char* p = map(kUnit);
  p[0] = 1;
  p = (char*)mremap(p, kUnit, kUnit / 2, 0);
  CHECK(p != MAP_FAILED);
  CHECK_PROMISED(kUnit / 2);
  p = (char*)mremap(p, kUnit / 2, 2 * kUnit, MREMAP_MAYMOVE);
  CHECK(p != MAP_FAILED);
  CHECK_PROMISED(2 * kUnit);
  char* place = map(4 * kUnit, PROT_NONE);
  char* q = (char*)mremap(p, 2 * kUnit, 3 * kUnit, MREMAP_MAYMOVE | MREMAP_FIXED, place);
  CHECK(q == place);
  CHECK_PROMISED(3 * kUnit);
  p = map(kUnit, PROT_NONE);
  q = (char*)mremap(q, 3 * kUnit, kUnit, MREMAP_MAYMOVE | MREMAP_FIXED, p);  // smaller, elsewhere
  CHECK(q == p && q[0] == 1);
  CHECK_PROMISED(kUnit);
  q = (char*)mremap(q, kUnit, kUnit, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, nullptr);
  CHECK(q != MAP_FAILED && q[0] == 1 && p[0] == 0);
  CHECK_PROMISED(2 * kUnit);
  char* half = (char*)mremap(q + kUnit / 2, kUnit / 4, kUnit / 2, MREMAP_MAYMOVE);  // a part out of the middle
  CHECK(half != MAP_FAILED);
  CHECK_PROMISED(2 * kUnit + kUnit / 4);
}
TEST(the_break_and_the_stack_count) {
  Promised promised;
  char* start = (char*)sbrk(0);
  CHECK(sbrk(kUnit) == start);
  CHECK_PROMISED(kUnit);
  CHECK(sbrk(-long(kUnit / 2)) != (void*)-1);
  CHECK_PROMISED(kUnit / 2);
  CHECK(sbrk(-long(kUnit / 2)) != (void*)-1);
  CHECK_PROMISED(0);
  constexpr size_t kDepth = 6 * kMiB;
  volatile char* here = (volatile char*)__builtin_frame_address(0);
  if (on_faultline()) {
    const long before = committed();
    here[-long(kDepth)] = 1;
    const long more = (committed() - before) * 1024;
    CHECK(more > long(kDepth) - 256 * 1024 && more <= long(kDepth) + kPage);
  }
}
TEST(a_child_is_promised_what_its_parent_has) {
  Promised promised;
  char* p = map(kUnit);
  char* q = map(kUnit);
  CHECK_OK(madvise(q, kUnit, MADV_DONTFORK));
  const long before = committed();
  Gate ready, done;
  pid_t child = in_child([&] {
    ready.open();
    done.wait();
  });
  ready.wait();
  const long own = (committed() - before) * 1024;
  if (on_faultline()) CHECK(own >= long(kUnit) && own < long(kUnit) + 8 * long(kMiB));
  done.open();
  CHECK_EXIT(child, 0);
  CHECK_PROMISED(2 * kUnit);
  CHECK_EXIT(in_child([&] {  // an exec gives it back
               CHECK_OK(munmap(p, kUnit / 2));
               execl("/bin/true", "true", nullptr);
             }),
             0);
  CHECK_PROMISED(2 * kUnit);
}
TEST(shared_memory_counts_once_by_its_size) {
  Promised promised;
  char* p = map(kUnit, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
  CHECK_PROMISED(kUnit);
  Gate ready, done;
  pid_t child = in_child([&] {
    p[0] = 1;
    ready.open();
    done.wait();
  });
  ready.wait();
  CHECK_OK(munmap(p + kUnit / 2, kUnit / 2));  // the object is as large as before
  CHECK_OK(munmap(p, kUnit / 2));
  if (on_faultline()) CHECK(committed() - promised.before >= long(kUnit) / 1024);
  done.open();
  CHECK_EXIT(child, 0);
  CHECK_PROMISED(0);
  map(kUnit, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE);
  CHECK_PROMISED(0);
}
TEST(a_segment_counts_while_it_lives) {
  Promised promised;
  int id = CHECK_OK(shmget(IPC_PRIVATE, kUnit, 0600));
  CHECK_PROMISED(kUnit);
  char* p = (char*)shmat(id, nullptr, 0);
  CHECK(p != (void*)-1);
  CHECK_OK(shmctl(id, IPC_RMID, nullptr));
  CHECK_PROMISED(kUnit);
  CHECK_OK(shmdt(p));
  CHECK_PROMISED(0);
}
TEST(files_in_memory_count_by_the_page) {
  Promised promised;
  int fd = CHECK_OK(memfd_create("file", 0));
  CHECK_OK(ftruncate(fd, 4 * kUnit));
  CHECK_PROMISED(0);
  char* p = (char*)mmap(nullptr, 4 * kUnit, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  CHECK(p != MAP_FAILED);
  CHECK_PROMISED(0);
  static char piece[64 * 1024];
  memset(piece, 1, sizeof piece);
  for (size_t at = 0; at < kUnit / 2; at += sizeof piece) CHECK_EQ(pwrite(fd, piece, sizeof piece, at), sizeof piece);
  CHECK_PROMISED(kUnit / 2);
  for (size_t at = 0; at < kUnit; at += kPage) p[at] = 1;
  CHECK_PROMISED(kUnit);
  CHECK_OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, kUnit / 4));
  CHECK_PROMISED(kUnit * 3 / 4);
  CHECK_OK(ftruncate(fd, kUnit / 2));
  CHECK_PROMISED(kUnit / 4);
  CHECK_OK(close(fd));
  CHECK_OK(munmap(p, 4 * kUnit));
  CHECK_PROMISED(0);
}
TEST(a_mapping_that_fails_promises_nothing) {
  Promised promised;
  CHECK(mmap(nullptr, kUnit, PROT_READ | PROT_WRITE, MAP_PRIVATE, 99, 0) == MAP_FAILED);
  char* p = map(kUnit);
  CHECK(mmap(p, kUnit, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == MAP_FAILED);
  const size_t too_much = sizeof(void*) == 8 ? size_t(1) << 47 : 0xb0000000;
  CHECK(mmap(nullptr, too_much, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
  CHECK(mremap(p, kUnit, too_much, MREMAP_MAYMOVE) == MAP_FAILED);
  CHECK_OK(munmap(p + kUnit / 2, kPage));
  CHECK(mremap(p, kUnit, 3 * kUnit, MREMAP_MAYMOVE) == MAP_FAILED);  // there is a hole in it
  CHECK(mmap(p + kUnit / 2, kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED);
  CHECK_PROMISED(kUnit);
  rlimit limit = {kUnit + kUnit / 2, RLIM_INFINITY};
  CHECK_OK(setrlimit(RLIMIT_AS, &limit));
  CHECK(mmap(nullptr, kUnit, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
  CHECK(mremap(p, kUnit, 3 * kUnit, MREMAP_MAYMOVE) == MAP_FAILED);
  CHECK(sbrk(kUnit) == (void*)-1);
  CHECK_PROMISED(kUnit);
}

// ---- the modes: Faultline only, for a machine that others use has its own
static void set(const char* name, long value) {
  char path[100], text[20];
  snprintf(path, sizeof path, "/proc/sys/vm/%s", name);
  int fd = CHECK_OK(open(path, O_WRONLY));
  int length = snprintf(text, sizeof text, "%ld\n", value);
  CHECK_EQ(write(fd, text, length), length);
  CHECK_OK(close(fd));
}
struct Restored {  // the defaults, at the end of the scope
  ~Restored() {
    set("overcommit_memory", 0);
    set("overcommit_ratio", 50);
  }
};

TEST(settings_are_checked) {
  if (!on_faultline()) SKIP("changes the machine's settings");
  Restored at_end;
  int fd = CHECK_OK(open("/proc/sys/vm/overcommit_memory", O_WRONLY));
  for (const char* bad : {"3", "-1", "x", "1x", ""}) {
    errno = 0;
    ssize_t n = pwrite(fd, bad, strlen(bad), 0);
    CHECK(bad[0] ? n == -1 && errno == EINVAL : n <= 0);
  }
  close(fd);
  const long ram = meminfo("MemTotal"), swap = meminfo("SwapTotal");
  CHECK_EQ(meminfo("CommitLimit"), ram / 4 * 50 / 100 * 4 + swap);
  set("overcommit_ratio", 80);
  CHECK_EQ(meminfo("CommitLimit"), ram / 4 * 80 / 100 * 4 + swap);
  set("overcommit_kbytes", 40000);
  CHECK_EQ(meminfo("CommitLimit"), 40000 + swap);
  set("overcommit_ratio", 10);
  CHECK_EQ(meminfo("CommitLimit"), ram / 4 * 10 / 100 * 4 + swap);
  CHECK_EXIT(in_child([] {
               CHECK_OK(setuid(1000));
               CHECK_ERR(open("/proc/sys/vm/overcommit_memory", O_WRONLY), EACCES);
             }),
             0);
}
TEST(only_the_obvious_is_refused_by_default) {
  if (!on_faultline()) SKIP("changes the machine's settings");
  Restored at_end;
  const size_t all = size_t(meminfo("MemTotal") + meminfo("SwapTotal")) * 1024;
  if (all > 1024 * kMiB) SKIP("more memory than a program can map");
  constexpr int kAnonymous = MAP_PRIVATE | MAP_ANONYMOUS;
  for (int round = 0; round < 2; round++) {
    char* p = map(all);  // any number of what alone is possible
    CHECK_ERR(mprotect(map(all + kPage, PROT_READ), all + kPage, PROT_READ | PROT_WRITE), ENOMEM);
    CHECK(mremap(p, all, all + kPage, MREMAP_MAYMOVE) != MAP_FAILED);  // it is the growth that is asked about
    CHECK(mmap(nullptr, all + kPage, PROT_READ | PROT_WRITE, kAnonymous, -1, 0) == MAP_FAILED && errno == ENOMEM);
    CHECK_OK(munmap(map(all + kPage, PROT_READ | PROT_WRITE, kAnonymous | MAP_NORESERVE), all + kPage));
    CHECK(mmap(nullptr, all + kPage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == ENOMEM);
    if (all > 400 * kMiB) break;  // there is no room for more
  }
  set("overcommit_memory", 1);
  CHECK_EXIT(in_child([=] {
               if (all < 300 * kMiB) CHECK(mmap(nullptr, all + kPage, PROT_READ | PROT_WRITE, kAnonymous, -1, 0) != MAP_FAILED);
             }),
             0);
}
TEST(a_strict_kernel_promises_what_it_has) {
  if (!on_faultline()) SKIP("changes the machine's settings");
  Restored at_end;
  set("overcommit_kbytes", committed() + 64 * 1024 - meminfo("SwapTotal") + 20 * 1024);
  set("overcommit_memory", 2);
  constexpr int kAnonymous = MAP_PRIVATE | MAP_ANONYMOUS;
  Promised promised;
  size_t total = 0;
  char* pieces[200];
  int count = 0;
  for (; count < 200; count++, total += kMiB) {  // NORESERVE does not count here
    void* p = mmap(nullptr, kMiB, PROT_READ | PROT_WRITE, kAnonymous | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) break;
    pieces[count] = (char*)p;
  }
  CHECK_EQ(errno, ENOMEM);
  CHECK(total > 60 * kMiB && total <= 84 * kMiB);
  CHECK_PROMISED(total);
  CHECK(committed() <= meminfo("CommitLimit"));
  char* none = map(8 * kMiB, PROT_READ);
  CHECK_ERR(mprotect(none, 8 * kMiB, PROT_READ | PROT_WRITE), ENOMEM);
  CHECK(sbrk(8 * kMiB) == (void*)-1 && errno == ENOMEM);
  CHECK(mremap(pieces[0], kMiB, 8 * kMiB, MREMAP_MAYMOVE) == MAP_FAILED && errno == ENOMEM);
  CHECK(mmap(nullptr, 8 * kMiB, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == ENOMEM);
  CHECK_ERR(shmget(IPC_PRIVATE, 8 * kMiB, 0600), ENOMEM);
  errno = 0;
  CHECK(fork() == -1 && errno == ENOMEM);
  CHECK_PROMISED(total);
  for (int i = 0; i < count; i++) CHECK_OK(munmap(pieces[i], kMiB));
  CHECK_PROMISED(0);
  CHECK_EXIT(in_child([] {}), 0);
  int fd = CHECK_OK(memfd_create("file", 0));  // by the page, until the last
  static char piece[64 * 1024];
  size_t written = 0;
  for (;;) {
    errno = 0;
    ssize_t n = write(fd, piece, sizeof piece);
    if (n <= 0) break;
    written += n;
  }
  CHECK_EQ(errno, ENOSPC);
  CHECK(written > 60 * kMiB && written <= 88 * kMiB);
  CHECK_OK(ftruncate(fd, written + kPage));
  char* last = (char*)mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED, fd, written & -kPage);
  CHECK(last != MAP_FAILED);
  CHECK_FAULT(poke(uintptr_t(last), 1), SIGBUS, BUS_ADRERR, last);
  CHECK_OK(close(fd));
}
