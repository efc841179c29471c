// clone(2) and clone3(2): which flags go together, what they write where, and /proc/PID/task.
#include "user/tests/harness.h"
#include <linux/futex.h>
#include <pthread.h>
#include <atomic>

#ifndef CLONE_CLEAR_SIGHAND
#define CLONE_CLEAR_SIGHAND 0x100000000ULL
#endif

struct Arguments {
  uint64_t flags = 0, pidfd = 0, child_tid = 0, parent_tid = 0, exit_signal = 0, stack = 0, stack_size = 0, tls = 0, set_tid = 0, set_tid_size = 0,
           cgroup = 0;
};
static long clone3(Arguments arguments, size_t size = sizeof(Arguments)) { return syscall(SYS_clone3, &arguments, size); }
// As fork.
static long clone_raw(unsigned long flags, void* stack = nullptr, void* parent_tid = nullptr, void* tls = nullptr,
                      void* child_tid = nullptr) {
  return syscall(SYS_clone, flags, stack, parent_tid, tls, child_tid);
}

TEST(flags_that_do_not_go_together) {
  CHECK_ERR(clone_raw(CLONE_THREAD), EINVAL);
  CHECK_ERR(clone_raw(CLONE_THREAD | CLONE_VM), EINVAL);
  CHECK_ERR(clone_raw(CLONE_SIGHAND), EINVAL);
  CHECK_ERR(clone_raw(CLONE_THREAD | CLONE_SIGHAND), EINVAL);
  CHECK_ERR(clone_raw(CLONE_NEWNS | CLONE_FS), EINVAL);
}
TEST(bad_descriptors_of_thread_local_storage) {
  struct {
    unsigned entry, base, limit, flags;
  } descriptor = {3, 0, 0xfffff, 0x51};
  CHECK_ERR(clone_raw(CLONE_SETTLS | SIGCHLD, nullptr, nullptr, &descriptor), EINVAL);
  CHECK_ERR(clone_raw(CLONE_SETTLS | SIGCHLD, nullptr, nullptr, (void*)8), EFAULT);
}
TEST(numbers_are_written_where_they_are_wanted) {
  auto* numbers = (std::atomic<int>*)map_pages(1, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
  long pid = clone_raw(CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | SIGCHLD, nullptr, &numbers[0], nullptr, &numbers[1]);
  if (pid == 0) _exit(numbers[1] == getpid() && numbers[0] == getpid() ? 0 : 1);
  CHECK(pid > 0);
  CHECK_EQ(numbers[0], pid);
  CHECK_EXIT(pid, 0);
  CHECK_EQ(numbers[1], pid);
  numbers[2] = -1;
  pid = clone_raw(CLONE_CHILD_CLEARTID | SIGCHLD, nullptr, nullptr, nullptr, &numbers[2]);
  if (pid == 0) _exit(0);
  CHECK_EXIT(pid, 0);
  CHECK_EQ(numbers[2], -1);  // nobody shared its memory
}
TEST(a_child_without_a_signal_is_waited_for_as_a_clone) {
  long pid = clone_raw(0);
  if (pid == 0) _exit(0);
  CHECK_ERR(waitpid(pid, nullptr, 0), ECHILD);
  CHECK_EQ(waitpid(pid, nullptr, __WCLONE), pid);
}
TEST(clone3_reads_its_arguments) {
  CHECK_ERR(clone3({}, 63), EINVAL);
  CHECK_ERR(clone3({}, kPage + 1), E2BIG);
  CHECK_ERR(syscall(SYS_clone3, (void*)8, sizeof(Arguments)), EFAULT);
  struct {
    Arguments known;
    uint64_t more;
  } longer = {};
  longer.more = 1;
  CHECK_ERR(syscall(SYS_clone3, &longer, sizeof longer), E2BIG);
  longer.more = 0;
  longer.known.exit_signal = SIGCHLD;
  long pid = syscall(SYS_clone3, &longer, sizeof longer);
  if (pid == 0) _exit(5);
  CHECK_EXIT(pid, 5);
  CHECK_ERR(clone3({.flags = SIGCHLD}), EINVAL);
  CHECK_ERR(clone3({.flags = 1ull << 40}), EINVAL);
  CHECK_ERR(clone3({.flags = 0x400000}), EINVAL);  // CLONE_DETACHED
  CHECK_ERR(clone3({.exit_signal = 65}), EINVAL);
  CHECK_ERR(clone3({.flags = CLONE_THREAD | CLONE_SIGHAND | CLONE_VM, .exit_signal = SIGCHLD}), EINVAL);
  CHECK_ERR(clone3({.flags = CLONE_PARENT, .exit_signal = SIGCHLD}), EINVAL);
  CHECK_ERR(clone3({.flags = CLONE_SIGHAND | CLONE_VM | CLONE_CLEAR_SIGHAND}), EINVAL);
  CHECK_ERR(clone3({.exit_signal = SIGCHLD, .stack = 0x1000}), EINVAL);
  CHECK_ERR(clone3({.exit_signal = SIGCHLD, .stack_size = 0x1000}), EINVAL);
  CHECK_ERR(clone3({.exit_signal = SIGCHLD, .stack = 0xfffff000, .stack_size = 0x2000}), EINVAL);
  CHECK_ERR(clone3({.exit_signal = SIGCHLD, .set_tid_size = 1}), EINVAL);
}
TEST(clone3_can_reset_handlers) {
  signal(SIGUSR1, [](int) {});
  signal(SIGUSR2, SIG_IGN);
  long pid = clone3({.flags = CLONE_CLEAR_SIGHAND, .exit_signal = SIGCHLD});
  if (pid == 0) {
    struct sigaction one, two;
    sigaction(SIGUSR1, nullptr, &one);
    sigaction(SIGUSR2, nullptr, &two);
    _exit(one.sa_handler == SIG_DFL && two.sa_handler == SIG_IGN ? 0 : 1);
  }
  CHECK_EXIT(pid, 0);
}

// ---- /proc/PID/task
static void read_text(char (&text)[1024], const char* format, unsigned number) {
  char path[64];
  snprintf(path, sizeof path, format, number);
  int fd = CHECK_OK(open(path, O_RDONLY));
  ssize_t n = CHECK_OK(read(fd, text, sizeof text - 1));
  text[n] = 0;
  close(fd);
}
TEST(each_thread_has_a_directory) {
  static std::atomic<unsigned> tid{0};
  static std::atomic<bool> done{false};
  pthread_t thread;
  auto body = [](void*) -> void* {
    tid = syscall(SYS_gettid);
    while (!done) pause_a_little();
    return nullptr;
  };
  CHECK_EQ(pthread_create(&thread, nullptr, body, nullptr), 0);
  while (!tid) sched_yield();
  CHECK_EQ(pthread_setname_np(thread, "worker"), 0);  // through /proc/self/task/TID/comm
  char name[16], text[1024], expected[64];
  CHECK_EQ(pthread_getname_np(thread, name, sizeof name), 0);
  CHECK_STR(name, "worker");
  read_text(text, "/proc/self/task/%u/comm", tid);
  CHECK_STR(text, "worker\n");
  read_text(text, "/proc/self/task/%u/stat", tid);
  snprintf(expected, sizeof expected, "%u (worker) ", tid.load());
  CHECK(!strncmp(text, expected, strlen(expected)));
  read_text(text, "/proc/self/task/%u/status", tid);
  CHECK(!strncmp(text, "Name:\tworker\n", 13));
  snprintf(expected, sizeof expected, "\nTgid:\t%d\n", getpid());
  CHECK(strstr(text, expected));
  snprintf(expected, sizeof expected, "\nPid:\t%u\n", tid.load());
  CHECK(strstr(text, expected));
  CHECK(strstr(text, "\nThreads:\t2\n"));
  read_text(text, "/proc/self/comm", 0);
  CHECK_STR(text, "clone\n");  // the process keeps its own
  done = true;
  CHECK_EQ(pthread_join(thread, nullptr), 0);
  char path[64];
  snprintf(path, sizeof path, "/proc/self/task/%u", tid.load());
  while (access(path, F_OK) == 0) sched_yield();  // joined a moment before it has gone
}
