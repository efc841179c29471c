// Programs that take memory without end: one process ends, the largest or the one that is marked, and the others go on. Needs a machine that may run
// out (tools/run --mem); elsewhere only the files in /proc are tested.
#include "user/tests/harness.h"
#include <sys/prctl.h>
#include <sys/swap.h>
#include <sys/sysinfo.h>

constexpr size_t kMiB = 1 << 20;

static size_t all_memory() {
  struct sysinfo info;
  CHECK_OK(sysinfo(&info));
  return (size_t(info.totalram) + info.totalswap) * info.mem_unit;
}
static void need_small_machine() {
  if (!on_faultline() && !getenv("MAY_RUN_OUT")) SKIP("the machine may not run out of memory");
  if (all_memory() > 700 * kMiB) SKIP("one program cannot fill so much memory");
}

static int adjustment(pid_t pid, const char* text) {  // 0, or the errno
  char path[60];
  snprintf(path, sizeof path, "/proc/%d/oom_score_adj", pid);
  int fd = open(path, O_WRONLY);
  if (fd < 0) return errno;
  ssize_t n = write(fd, text, strlen(text));
  int error = n < 0 ? errno : 0;
  close(fd);
  return error;
}
static long number_in(pid_t pid, const char* name) {
  char path[60], text[40] = {};
  snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
  int fd = CHECK_OK(open(path, O_RDONLY));
  CHECK(read(fd, text, sizeof text - 1) > 0);
  close(fd);
  return atol(text);
}

// Fills new memory, each page with something of its own, and never returns. Several regions, for there may be limits to one.
[[noreturn]] static void eat(size_t piece = 4 * kMiB) {
  for (;;) {
    char* p = (char*)mmap(nullptr, piece, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) FAIL("mmap: %s", strerrorname_np(errno));
    for (size_t at = 0; at < piece; at += kPage) *(uintptr_t*)(p + at) = uintptr_t(p) + at;
  }
}
// A child that holds `bytes`, and says at the end whether they are as they were.
struct Holder {
  Gate filled, end;
  pid_t pid;
  explicit Holder(size_t bytes, const char* adjust = nullptr) {
    pid = in_child([&] {
      if (adjust) CHECK_EQ(adjustment(getpid(), adjust), 0);
      char* p = (char*)mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      if (p == MAP_FAILED) FAIL("mmap: %s", strerrorname_np(errno));
      for (size_t at = 0; at < bytes; at += sizeof(uintptr_t)) *(uintptr_t*)(p + at) = at * 2654435761u;
      filled.open();
      end.wait();
      for (size_t at = 0; at < bytes; at += sizeof(uintptr_t)) CHECK_EQ(*(uintptr_t*)(p + at), uintptr_t(at * 2654435761u));
    });
    filled.wait();
  }
  void check_intact() {
    end.open();
    CHECK_EXIT(pid, 0);
  }
};

TEST_SLOW(who_eats_without_end_is_ended) {
  need_small_machine();
  Holder other(all_memory() / 16);
  for (int round = 0; round < scale(3); round++) CHECK_SIGNAL(in_child([] { eat(); }), SIGKILL);
  other.check_intact();
  CHECK_EXIT(in_child([] { execl("/bin/true", "true", nullptr); }), 0);
}
TEST_SLOW(the_log_says_who_and_why) {
  need_small_machine();
  int log = CHECK_OK(open("/dev/kmsg", O_RDONLY | O_NONBLOCK));
  lseek(log, 0, SEEK_END);
  pid_t pid = in_child([] { eat(); });
  CHECK_SIGNAL(pid, SIGKILL);
  char line[2048], wanted[60];
  snprintf(wanted, sizeof wanted, "Killed process %d (", pid);
  bool found = false;
  for (ssize_t n; (n = read(log, line, sizeof line - 1)) > 0;) {
    line[n] = 0;
    const char* at = strstr(line, wanted);
    found |= at && strstr(at, "total-vm:") && strstr(at, "anon-rss:") && strstr(at, "oom_score_adj:0");
  }
  CHECK(found);
  CHECK_OK(close(log));
}
TEST_SLOW(several_who_eat_are_ended) {
  need_small_machine();
  Holder other(all_memory() / 16);
  pid_t pids[4];
  for (pid_t& pid : pids) pid = in_child([] { eat(kMiB); });
  for (pid_t pid : pids) CHECK_SIGNAL(pid, SIGKILL);
  other.check_intact();
}
TEST_SLOW(the_kernels_own_touch_is_no_different) {
  need_small_machine();
  Holder other(all_memory() / 16);
  CHECK_SIGNAL(in_child([] {
                 int zero = CHECK_OK(open("/dev/zero", O_RDONLY));
                 for (;;) {
                   char* p = (char*)mmap(nullptr, kMiB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
                   CHECK(p != MAP_FAILED);
                   CHECK_EQ(read(zero, p, kMiB), kMiB);
                 }
               }),
               SIGKILL);
  other.check_intact();
}
// Whoever finds no frame when the eater's end is all but over must not end a second process, for memory that is there.
TEST_SLOW(one_end_is_enough) {
  need_small_machine();
  auto* end = (volatile bool*)mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(end != MAP_FAILED);
  pid_t nibblers[3];
  for (pid_t& pid : nibblers)
    pid = in_child([&] {
      while (!*end) {
        char* p = (char*)mmap(nullptr, 64 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        CHECK(p != MAP_FAILED);
        for (size_t at = 0; at < 64 * kPage; at += kPage) p[at] = 1;
        CHECK_OK(munmap(p, 64 * kPage));
      }
    });
  for (int round = 0; round < scale(4); round++) CHECK_SIGNAL(in_child([] { eat(); }), SIGKILL);
  *end = true;
  for (pid_t pid : nibblers) CHECK_EXIT(pid, 0);
  CHECK_OK(munmap((void*)end, kPage));
}
TEST_SLOW(the_largest_is_ended_though_another_asks) {
  need_small_machine();
  Holder large(all_memory() / 2);
  pid_t small = in_child([] {  // less than the other has, but more than there is
    const size_t bytes = all_memory() / 32 * 15;
    char* p = (char*)mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    for (size_t at = 0; at < bytes; at += kPage) *(uintptr_t*)(p + at) = at;
    char* q = (char*)mmap(nullptr, bytes / 16, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(q != MAP_FAILED);
    for (size_t at = 0; at < bytes / 16; at += kPage) q[at] = 1;
    for (size_t at = 0; at < bytes; at += kPage) CHECK_EQ(*(uintptr_t*)(p + at), at);
  });
  CHECK_EXIT(small, 0);
  CHECK_SIGNAL(large.pid, SIGKILL);
}
TEST_SLOW(the_adjustment_decides) {
  need_small_machine();
  Holder marked(all_memory() / 64, "1000"), spared(all_memory() / 4, "-1000");
  pid_t eater = in_child([] {
    CHECK_EQ(adjustment(getpid(), "-500"), 0);
    eat();
  });
  CHECK_SIGNAL(marked.pid, SIGKILL);  // small, but asked for
  CHECK_SIGNAL(eater, SIGKILL);       // then it was the largest after all
  spared.check_intact();
}
TEST_SLOW(all_who_share_the_memory_end) {
  need_small_machine();
  Gate started;
  pid_t pid = in_child([&] {
    pid_t child = vfork();  // in the parent's memory, and does not come back
    if (child == 0) {
      started.open();
      eat();
    }
  });
  started.wait();
  CHECK_SIGNAL(pid, SIGKILL);
}
TEST_SLOW(swapoff_without_room_loses_nothing) {
  need_small_machine();
  struct sysinfo info;
  CHECK_OK(sysinfo(&info));
  if (info.totalswap < info.totalram / 2) SKIP("needs swap, half as much as memory");
  static char area[200];
  FILE* swaps = fopen("/proc/swaps", "r");
  CHECK(swaps && fscanf(swaps, "%*[^\n] %199s", area) == 1);
  fclose(swaps);
  Holder large(info.totalram / 8 * 10);
  const int status = wait_for(in_child([] { _exit(swapoff(area) == -1 && errno == ENOMEM ? 7 : 8); }));
  CHECK(WIFEXITED(status) ? WEXITSTATUS(status) == 7 : WTERMSIG(status) == SIGKILL);  // Linux may end the one who asks
  large.check_intact();
}
TEST(the_adjustment_is_inherited_and_checked) {
  CHECK_EQ(number_in(getpid(), "oom_score_adj"), 0);
  for (const char* bad : {"1001", "-1001", "x", "5x", "--5"}) CHECK_EQ(adjustment(getpid(), bad), EINVAL);
  CHECK_EQ(adjustment(getpid(), "300\n"), 0);
  CHECK_EXIT(in_child([] {
               CHECK_EQ(number_in(getpid(), "oom_score_adj"), 300);
               CHECK_EQ(adjustment(getpid(), "-7"), 0);
               CHECK_OK(setuid(1000));
             }),
             0);
  CHECK_EQ(number_in(getpid(), "oom_score_adj"), 300);
  CHECK_EXIT(in_child([] {
               CHECK_OK(setuid(1000));
               CHECK_OK(prctl(PR_SET_DUMPABLE, 1));
               CHECK_EQ(adjustment(getpid(), "299"), EACCES);  // root has set it
               CHECK_EQ(adjustment(getpid(), "500"), 0);
               CHECK_EQ(adjustment(getpid(), "300"), 0);
               CHECK_EQ(adjustment(1, "500"), EACCES);
             }),
             0);
}
TEST(the_score_follows_size_and_adjustment) {
  const long none = number_in(getpid(), "oom_score");
  CHECK(none > 600 && none < 760);  // two thirds of 1000, for a small process
  CHECK_EQ(adjustment(getpid(), "600"), 0);
  const long more = number_in(getpid(), "oom_score");
  CHECK(more > none + 350 && more < none + 450);
  CHECK_EQ(adjustment(getpid(), "-1000"), 0);
  CHECK_EQ(number_in(getpid(), "oom_score"), 0);
  CHECK_EQ(adjustment(getpid(), "0"), 0);
}
HELPER(eat) { eat(); }
