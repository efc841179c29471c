// /proc/PID/faults: what the kernel tells of page faults, kind by kind, and who may listen. Faultline's own; skipped on Linux.
#include "user/tests/harness.h"
#include "user/include/faultline/faults.h"

using namespace faultline;

static int watch(pid_t pid, int flags = O_NONBLOCK) {
  if (!on_faultline()) SKIP("only Faultline tells of its faults");
  char name[40];
  snprintf(name, sizeof name, "/proc/%d/faults", pid);
  return open(name, O_RDONLY | O_CLOEXEC | flags);
}

// The records since the last call that fell into [start, start + bytes).
struct Seen {
  FaultRecord records[64];
  int count = 0;
  void collect(int fd, const void* start, size_t bytes) {
    static FaultRecord buffer[64];
    count = 0;
    for (ssize_t n; (n = read(fd, buffer, sizeof buffer)) > 0;)
      for (unsigned i = 0; i < n / sizeof(FaultRecord); i++)
        if (buffer[i].address - uintptr_t(start) < bytes && count < 64) records[count++] = buffer[i];
  }
};
static Seen g_seen;

// What one access to `place` was told as. It must be told once.
static const FaultRecord& told(int fd, volatile char* place, FaultDecision decision) {
  g_seen.collect(fd, (char*)(uintptr_t(place) & ~uintptr_t(kPage - 1)), kPage);
  CHECK_EQ(g_seen.count, 1);
  const FaultRecord& record = g_seen.records[0];
  CHECK_EQ(record.decision, decision);
  CHECK_EQ(record.address, uintptr_t(place));
  CHECK_EQ(record.kind, 1);
  CHECK_EQ(record.bytes, sizeof record);
  return record;
}

static char* map(size_t bytes, int protection = PROT_READ | PROT_WRITE, int flags = MAP_PRIVATE | MAP_ANONYMOUS, int fd = -1) {
  char* p = (char*)mmap(nullptr, bytes, protection, flags, fd, 0);
  CHECK(p != MAP_FAILED);
  return p;
}

TEST(anonymous_memory) {
  int fd = CHECK_OK(watch(getpid()));
  volatile char* p = map(16 * kPage);
  p = (volatile char*)((uintptr_t(p) + 8 * kPage - 1) & ~uintptr_t(8 * kPage - 1));  // the window of a read is aligned
  p[0x123] = 1;
  const FaultRecord& write = told(fd, p + 0x123, FaultDecision::kZeroFrame);
  CHECK_EQ(write.access, FaultAccess::kWrite);
  CHECK_EQ(write.mode, FaultMode::kUser);
  CHECK_EQ(write.pid, getpid());
  CHECK_EQ(write.region, FaultRegion::kAnonymous);
  CHECK_EQ(write.protection, 3);
  CHECK(write.region_start <= uintptr_t(p) && uintptr_t(p) < write.region_end);
  CHECK_EQ(write.pte_before, 0);
  CHECK_EQ(write.pte_after & 0xfff, 0x67);  // P W U A D
  CHECK(write.cost > 0 && write.time > 0 && write.instruction != 0);
  (void)p[kPage];
  const FaultRecord& read = told(fd, p + kPage, FaultDecision::kZeroPage);
  CHECK_EQ(read.access, FaultAccess::kRead);
  CHECK_EQ(read.pte_after & 3, 1);
  CHECK_EQ(read.neighbours, 6);  // of the aligned eight: itself, and the one that has a frame
  (void)p[2 * kPage];
  g_seen.collect(fd, (void*)(p + 2 * kPage), kPage);
  CHECK_EQ(g_seen.count, 0);  // a neighbour is there already
  p[2 * kPage] = 1;
  CHECK_EQ(told(fd, p + 2 * kPage, FaultDecision::kZeroPageReplaced).pte_before & 3, 1);
}

TEST(copy_on_write) {
  int fd = CHECK_OK(watch(getpid()));
  volatile char* p = map(2 * kPage);
  p[0] = 1;
  p[kPage] = 1;
  g_seen.collect(fd, nullptr, ~0u);
  CHECK_EXIT(in_child([&] { p[5] = 2; }), 0);
  const FaultRecord& copied = told(fd, p + 5, FaultDecision::kCopied);
  CHECK(copied.pid != (uint32_t)getpid());  // children are followed
  CHECK_EQ(copied.users, 2);
  CHECK_EQ(copied.pte_before & 3, 1);
  CHECK(copied.pte_before >> 12 != copied.pte_after >> 12);
  p[7] = 3;
  const FaultRecord& last = told(fd, p + 7, FaultDecision::kMadeWritable);
  CHECK_EQ(last.pte_before >> 12, last.pte_after >> 12);
  CHECK_EQ(last.pte_after & 3, 3);
}

TEST(files) {
  static char content[4 * kPage];
  int file = make_file("a_file", content, sizeof content);
  CHECK_OK(fsync(file));
  volatile char* shared = map(sizeof content, PROT_READ | PROT_WRITE, MAP_SHARED, file);
  volatile char* own = map(sizeof content, PROT_READ | PROT_WRITE, MAP_PRIVATE, file);
  int fd = CHECK_OK(watch(getpid()));
  (void)shared[kPage];
  const FaultRecord& read = told(fd, shared + kPage, FaultDecision::kFileMapped);
  CHECK_EQ(read.file_page, 1);
  CHECK_EQ(read.region, FaultRegion::kFile);
  CHECK_EQ(read.steps & kFaultMajor, 0);
  CHECK_EQ(read.protection, 3 | 8);
  CHECK_STR(strrchr(read.name, '/') + 1, "a_file");
  uint32_t frame = read.pte_after >> 12;
  shared[kPage] = 1;
  CHECK_EQ(told(fd, shared + kPage, FaultDecision::kSharedWritten).pte_after >> 12, frame);
  own[kPage] = 2;
  CHECK(told(fd, own + kPage, FaultDecision::kFileCopied).pte_after >> 12 != frame);
  volatile char* page = map(kPage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
  page[0] = 1;
  CHECK_EQ(told(fd, page, FaultDecision::kSharedWritten).steps & kFaultNewShared, kFaultNewShared);
}

[[gnu::noinline]] static void deep(volatile char* above) {
  volatile char array[256 * 1024];  // more than what a program begins with
  array[0] = *above;
  (void)array[0];
}

TEST(the_stack_grows) {
  volatile char here = 0;
  int fd = CHECK_OK(watch(getpid()));
  deep(&here);
  g_seen.collect(fd, (void*)(uintptr_t(&here) - 300 * 1024), 300 * 1024);
  bool grew = false;
  for (int i = 0; i < g_seen.count; i++) {
    CHECK_EQ(g_seen.records[i].region, FaultRegion::kStack);
    grew = grew || (g_seen.records[i].steps & kFaultStackGrew);
  }
  CHECK(grew);
}

TEST(the_kernel_on_the_programs_behalf) {
  int fd = CHECK_OK(watch(getpid()));
  char* p = map(kPage);
  int zero = CHECK_OK(open("/dev/zero", O_RDONLY));
  CHECK_EQ(read(zero, p + 8, 8), 8);
  const FaultRecord& record = told(fd, p + 8, FaultDecision::kZeroFrame);
  CHECK_EQ(record.mode, FaultMode::kKernel);
  CHECK_EQ(record.access, FaultAccess::kWrite);
  char* ahead = map(3 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE);
  g_seen.collect(fd, ahead, 3 * kPage);
  CHECK_EQ(g_seen.count, 3);
  CHECK_EQ(g_seen.records[0].mode, FaultMode::kAhead);
  char* nothing = map(kPage);
  CHECK_OK(munmap(nothing, kPage));
  CHECK_ERR(read(zero, nothing, 8), EFAULT);
  g_seen.collect(fd, nothing, kPage);  // the kernel may try more than once
  CHECK(g_seen.count >= 1);
  CHECK_EQ(g_seen.records[0].decision, FaultDecision::kNotMapped);
  CHECK_EQ(g_seen.records[0].mode, FaultMode::kKernel);
}

TEST(refusals) {
  int fd = CHECK_OK(watch(getpid()));
  volatile char* p = map(2 * kPage, PROT_READ);
  CHECK_FAULT(p[0] = 1, SIGSEGV, SEGV_ACCERR, p);
  told(fd, p, FaultDecision::kNotAllowed);
  CHECK_OK(munmap((void*)(p + kPage), kPage));
  CHECK_FAULT((void)p[kPage], SIGSEGV, SEGV_MAPERR, p + kPage);
  told(fd, p + kPage, FaultDecision::kNotMapped);
  int file = make_file("short", "abc", 3);
  volatile char* beyond = map(2 * kPage, PROT_READ, MAP_SHARED, file);
  CHECK_FAULT((void)beyond[kPage], SIGBUS, BUS_ADRERR, beyond + kPage);
  told(fd, beyond + kPage, FaultDecision::kPastEnd);
  volatile char* kernel = (volatile char*)0x80001234;
  CHECK_FAULT((void)kernel[0], SIGSEGV, SEGV_ACCERR, kernel);
  told(fd, kernel, FaultDecision::kKernelHalf);
}

TEST(prot_none_and_back) {
  volatile char* p = map(kPage);
  p[0] = 7;
  CHECK_OK(mprotect((void*)p, kPage, PROT_NONE));
  int fd = CHECK_OK(watch(getpid()));
  CHECK_OK(mprotect((void*)p, kPage, PROT_READ));
  CHECK_EQ(p[0], 7);
  told(fd, p, FaultDecision::kRevealed);
}

TEST(threads_and_their_end) {
  Gate gate;
  pid_t child = in_child([&] {
    gate.wait();
    volatile char* p = map(kPage);
    *p = 1;
  });
  int fd = CHECK_OK(watch(child, 0));
  pollfd wait = {fd, POLLIN, 0};
  CHECK_EQ(poll(&wait, 1, 0) == 1 ? wait.revents & POLLHUP : 0, 0);
  gate.open();
  int records = 0, zeroed = 0;
  FaultRecord record;
  ssize_t n;
  while ((n = read(fd, &record, sizeof record)) > 0) {  // waits for each; ends with the child
    CHECK_EQ(n, sizeof record);
    CHECK_EQ(record.pid, child);
    records++, zeroed += record.decision == FaultDecision::kZeroFrame;
  }
  CHECK_EQ(n, 0);
  CHECK(zeroed >= 1 && records >= zeroed);
  CHECK_EQ(poll(&wait, 1, -1), 1);
  CHECK(wait.revents & POLLHUP);
  CHECK_EXIT(child, 0);
  CHECK_ERR(watch(child), ENOENT);
}

TEST(one_watcher_and_only_who_may) {
  int fd = CHECK_OK(watch(getpid()));
  CHECK_ERR(watch(getpid()), EBUSY);
  char byte;
  CHECK_ERR(read(fd, &byte, 1), EINVAL);
  CHECK_ERR(pread(fd, &byte, 1, 0), ESPIPE);
  close(fd);
  CHECK_EXIT(in_child([] {
               CHECK_OK(setuid(1000));
               CHECK_ERR(watch(getppid()), EACCES);
             }),
             0);
  fd = CHECK_OK(watch(getpid()));
  close(fd);
}

// Who does not read loses the oldest, and sees it by the numbers.
TEST(what_is_not_read_is_counted) {
  constexpr int kPages = 12000;
  volatile char* p = map(kPages * kPage);
  int fd = CHECK_OK(watch(getpid()));
  for (int i = 0; i < kPages; i++) p[i * kPage] = 1;
  FaultRecord record;
  uint64_t first = 0, last = 0, count = 0;
  while (read(fd, &record, sizeof record) == sizeof record && count < kPages) {
    CHECK(record.number > last);
    if (!first) first = record.number;
    last = record.number, count++;
  }
  CHECK(first > 1);
  CHECK(last >= kPages);
  CHECK(count < kPages);
}

// Watches that begin and end while the watched fault on all processors.
TEST(watches_come_and_go_under_load) {
  pid_t children[4];
  for (pid_t& child : children)
    child = in_child([] {
      for (;;) {
        volatile char* p = map(16 * kPage);
        for (int i = 0; i < 16; i++) p[i * kPage] = 1;
        CHECK_OK(munmap((void*)p, 16 * kPage));
      }
    });
  static FaultRecord buffer[16];
  for (int round = 0; round < scale(200); round++) {
    int fd = CHECK_OK(watch(children[round % 4], 0));
    ssize_t n = read(fd, buffer, sizeof buffer);
    CHECK(n > 0);
    for (unsigned i = 0; i < n / sizeof *buffer; i++) CHECK_EQ(buffer[i].pid, children[round % 4]);
    close(fd);
  }
  for (pid_t child : children) kill(child, SIGKILL), wait_for(child);
}
