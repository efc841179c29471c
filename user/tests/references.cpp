// /proc/PID/references: every touch of a page that is not among the last few is told, in order, none is lost however slow the reader is, and
// the program notices nothing. Faultline's own; skipped on Linux.
#include "user/tests/harness.h"
#include "user/include/faultline/faults.h"

using namespace faultline;

constexpr int kPages = 40;  // more than what a thread sees at once: each touch in turn is recorded

static int watch(pid_t pid) {
  if (!on_faultline()) SKIP("only Faultline traces references");
  char name[40];
  snprintf(name, sizeof name, "/proc/%d/references", pid);
  return CHECK_OK(open(name, O_RDONLY | O_CLOEXEC));
}

static volatile char* map_pages() {
  void* p = mmap(nullptr, kPages * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(p != MAP_FAILED);
  return (volatile char*)p;
}

// Reads to the end of all that is watched: the pages within [start, start + kPages), in order. Nothing may be missing.
struct Trace {
  static constexpr int kMost = 20000;
  uint8_t page[kMost];
  FaultAccess access[kMost];
  int count = 0;
  pid_t pid = 0;
  void collect(
      int fd, volatile char* start, void (*between)() = [] {}) {
    FaultRecord records[64];
    uint64_t number = 0;
    for (ssize_t n; (n = read(fd, records, sizeof records)) > 0; between())
      for (unsigned i = 0; i < n / sizeof *records; i++) {
        CHECK_EQ(records[i].number, ++number);
        CHECK_EQ(records[i].pid, pid);
        uint32_t at = (records[i].address - uint32_t(uintptr_t(start))) / kPage;
        if (at >= kPages) continue;
        CHECK(count < kMost);
        access[count] = records[i].access;
        page[count++] = uint8_t(at);
      }
  }
};
static Trace g_trace;

TEST(touches_in_turn_are_all_told) {
  volatile char* p = map_pages();
  Gate gate;
  pid_t child = in_child([&] {
    gate.wait();
    for (int round = 0; round < 10; round++)
      for (int i = 0; i < kPages; i++) {
        CHECK_EQ(p[i * kPage + i], char(round));
        p[i * kPage + i] = char(round + 1);
      }
  });
  int fd = watch(child);
  gate.open();
  g_trace.pid = child;
  g_trace.collect(fd, p);
  CHECK_EXIT(child, 0);
  // Each touch is a read and then a write of the same page: told once or twice, as the read leaves the page read-only.
  int expected = 0;
  for (int i = 0; i < g_trace.count; i++) {
    if (i > 0 && g_trace.page[i] == g_trace.page[i - 1]) continue;
    CHECK_EQ(g_trace.page[i], expected++ % kPages);
  }
  CHECK_EQ(expected, 10 * kPages);
}

TEST(touches_of_the_last_few_are_not_told) {
  volatile char* p = map_pages();
  Gate gate;
  pid_t child = in_child([&] {
    gate.wait();
    for (int round = 0; round < 1000; round++) p[round % 2 * kPage] = 1;
  });
  int fd = watch(child);
  gate.open();
  g_trace.pid = child;
  g_trace.collect(fd, p);
  CHECK_EXIT(child, 0);
  CHECK(g_trace.count >= 2 && g_trace.count <= 6);
}

TEST(nothing_is_lost_on_a_slow_reader) {
  volatile char* p = map_pages();
  Gate gate;
  pid_t child = in_child([&] {
    gate.wait();
    for (int i = 0; i < 400 * kPages; i++) p[i % kPages * kPage] = 1;
  });
  int fd = watch(child);
  gate.open();
  g_trace.pid = child;
  g_trace.collect(fd, p, [] { sched_yield(); });
  CHECK_EXIT(child, 0);
  CHECK_EQ(g_trace.count, 400 * kPages);
  for (int i = 0; i < g_trace.count; i++) CHECK_EQ(g_trace.page[i], i % kPages);
}

TEST(a_reader_that_leaves_lets_go) {
  volatile char* p = map_pages();
  Gate gate;
  pid_t child = in_child([&] {
    gate.wait();
    for (int i = 0; i < 100 * kPages; i++) p[i % kPages * kPage] = char(i % kPages);
    for (int i = 0; i < kPages; i++) CHECK_EQ(p[i * kPage], i);
  });
  int fd = watch(child);
  gate.open();
  FaultRecord record;
  CHECK_EQ(read(fd, &record, sizeof record), sizeof record);
  close(fd);
  CHECK_EXIT(child, 0);
}

TEST(one_that_waits_for_its_reader_can_be_killed) {
  volatile char* p = map_pages();
  Gate gate;
  pid_t child = in_child([&] {
    gate.wait();
    for (int i = 0;; i++) p[i % kPages * kPage] = 1;
  });
  int fd = watch(child);
  gate.open();
  FaultRecord record;
  CHECK_EQ(read(fd, &record, sizeof record), sizeof record);
  kill(child, SIGKILL);
  CHECK_SIGNAL(child, SIGKILL);
  close(fd);
}

// fork shares the tables; both sides see their own memory, and the child is not told of.
TEST(a_fork_in_the_middle) {
  volatile char* p = map_pages();
  Gate gate;
  pid_t child = in_child([&] {
    gate.wait();
    for (int i = 0; i < kPages; i++) p[i * kPage] = char(i);
    pid_t grandchild = in_child([&] {
      for (int i = 0; i < kPages; i++) CHECK_EQ(p[i * kPage], i);
      for (int i = 0; i < kPages; i++) p[i * kPage] = 99;
    });
    for (int i = 0; i < kPages; i++) CHECK_EQ(p[i * kPage], i);
    CHECK_EXIT(grandchild, 0);
    for (int i = 0; i < kPages; i++) CHECK_EQ(p[i * kPage], i);
  });
  int fd = watch(child);
  gate.open();
  g_trace.pid = child;
  g_trace.collect(fd, p);
  CHECK_EXIT(child, 0);
  CHECK(g_trace.count >= 3 * kPages);
}

TEST(files_and_the_kernels_copies) {
  static char content[kPages * kPage];
  for (int i = 0; i < kPages; i++) memset(content + i * kPage, i + 1, kPage);
  int file = make_file("a_file", content, sizeof content);
  volatile char* p = (volatile char*)mmap(nullptr, sizeof content, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  CHECK(p != MAP_FAILED);
  Gate gate;
  pid_t child = in_child([&] {
    gate.wait();
    int sink = CHECK_OK(open("copy", O_RDWR | O_CREAT, 0600));
    CHECK_EQ(write(sink, (const void*)p, sizeof content), sizeof content);
    for (int i = 0; i < kPages; i++) p[i * kPage] = 77;
  });
  int fd = watch(child);
  gate.open();
  g_trace.pid = child;
  g_trace.collect(fd, p);
  CHECK_EXIT(child, 0);
  bool was_read[kPages] = {}, was_written[kPages] = {};
  for (int i = 0; i < g_trace.count; i++) (g_trace.access[i] == FaultAccess::kWrite ? was_written : was_read)[g_trace.page[i]] = true;
  for (int i = 0; i < kPages; i++) CHECK(was_read[i] && was_written[i]);
  static char back[kPages * kPage];
  CHECK_EQ(pread(file, back, sizeof back, 0), sizeof back);
  for (int i = 0; i < kPages; i++) CHECK(back[i * kPage] == 77 && back[i * kPage + 1] == i + 1);
  CHECK_EQ(pread(CHECK_OK(open("copy", O_RDONLY)), back, sizeof back, 0), sizeof back);
  CHECK_EQ(memcmp(back, content, sizeof back), 0);
}
