// A small test harness for user space: named tests, each in a process and an empty directory of its own.
//
//   TEST(name) { CHECK(...); }     registers a test; TEST_SLOW allows it ten times as long
//   HELPER(name) { ... }           runs when the program is started again as: PROGRAM @name ARG...  (see run_self)
//
//   PROGRAM [-d DIR] [-n COUNT] [--list | NAME...]
//     -d  where the tests' directories are made (default /tmp)      -n  what scale() returns (each test has its default)
//
// A failed check prints file, line, what was expected and what came, and ends the process; so a check also works in a
// test's children, provided that the parent checks their exit status. The only clock is a watchdog against hangs.
// On a kernel that offers /proc/faultline/frames, a test after which any kind of memory is more than before it has failed.
#pragma once
#ifndef _FILE_OFFSET_BITS
#define _FILE_OFFSET_BITS 64
#endif
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <initializer_list>

constexpr int kPage = 4096;
constexpr int kSkipped = 77;

struct Test {
  const char* name;
  void (*run)();
  unsigned seconds;
  bool helper;
  Test* next = nullptr;
  static inline Test* first = nullptr;
  static inline Test** last = &first;
  Test(const char* n, void (*f)(), unsigned s, bool h = false) : name(n), run(f), seconds(s), helper(h) {
    *last = this;
    last = &next;
  }
};
#define TEST_WITH(id, seconds, helper)                     \
  static void test_##id();                                 \
  static Test entry_##id(#id, test_##id, seconds, helper); \
  static void test_##id()
#define TEST(id) TEST_WITH(id, 120, false)
#define TEST_SLOW(id) TEST_WITH(id, 1200, false)
#define HELPER(id) TEST_WITH(id, 0, true)

// Everything that the process was started with.
inline int g_argc, g_scale;
inline char **g_argv, *g_program;
inline const char* g_directory = "/tmp";
inline const char* g_test = "?";
inline int scale(int otherwise) { return g_scale ? g_scale : otherwise; }

// For the few rules that Faultline makes stricter than Linux.
inline bool on_faultline() { return access("/proc/faultline", F_OK) == 0; }

// ---- output and checks: plain write(2), so that forks cannot print a buffer twice
inline void say(const char* format, ...) __attribute__((format(printf, 1, 2)));
inline void say(const char* format, ...) {
  char line[1024];
  va_list args;
  va_start(args, format);
  int n = vsnprintf(line, sizeof line, format, args);
  va_end(args);
  if (n > int(sizeof line) - 1) n = sizeof line - 1;
  for (int done = 0, r; done < n; done += r)
    if ((r = write(1, line + done, n - done)) <= 0) return;
}
[[noreturn]] inline void fail(const char* file, int line, const char* format, ...) __attribute__((format(printf, 3, 4)));
[[noreturn]] inline void fail(const char* file, int line, const char* format, ...) {
  char text[700];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  const char* base = strrchr(file, '/');
  say("FAIL %s: %s:%d: %s\n", g_test, base ? base + 1 : file, line, text);
  _exit(1);
}
#define FAIL(...) fail(__FILE__, __LINE__, __VA_ARGS__)
#define SKIP(reason) (say("skip %s: %s\n", g_test, reason), _exit(kSkipped))
#define CHECK(condition) ((condition) ? (void)0 : FAIL("expected %s", #condition))

inline long long check_eq(long long got, long long expected, const char* text, const char* file, int line) {
  if (got != expected) fail(file, line, "%s: expected %lld (0x%llx), got %lld (0x%llx)", text, expected, expected, got, got);
  return got;
}
#define CHECK_EQ(got, expected) check_eq((long long)(got), (long long)(expected), #got, __FILE__, __LINE__)

inline void check_str(const char* got, const char* expected, const char* text, const char* file, int line) {
  if (strcmp(got, expected)) fail(file, line, "%s: expected \"%s\", got \"%s\"", text, expected, got);
}
#define CHECK_STR(got, expected) check_str(got, expected, #got, __FILE__, __LINE__)

// A call that must succeed; its value.
inline long check_ok(long value, const char* text, const char* file, int line) {
  if (value == -1) fail(file, line, "%s: failed with %s", text, strerrorname_np(errno));
  return value;
}
#define CHECK_OK(call) check_ok((long)(call), #call, __FILE__, __LINE__)

// A call that must fail with this errno.
inline void check_err(long value, int expected, const char* text, const char* file, int line) {
  int error = errno;
  if (value != -1) fail(file, line, "%s: expected %s, but it returned %ld", text, strerrorname_np(expected), value);
  if (error != expected) fail(file, line, "%s: expected %s, got %s", text, strerrorname_np(expected), strerrorname_np(error));
}
#define CHECK_ERR(call, expected) (errno = 0, check_err((long)(call), expected, #call, __FILE__, __LINE__))

// ---- processes
template <typename F>
pid_t in_child(F body) {
  pid_t pid = fork();
  if (pid < 0) FAIL("fork: %s", strerrorname_np(errno));
  if (pid == 0) {
    body();
    _exit(0);
  }
  return pid;
}
inline int wait_for(pid_t pid) {
  int status = -1;
  while (waitpid(pid, &status, 0) != pid)
    if (errno != EINTR) FAIL("waitpid(%d): %s", pid, strerrorname_np(errno));
  return status;
}
inline void check_end(int status, bool by_signal, int number, const char* file, int line) {
  if (by_signal ? WIFSIGNALED(status) && WTERMSIG(status) == number : WIFEXITED(status) && WEXITSTATUS(status) == number) return;
  fail(file, line, "expected the child to %s %d, got wait status 0x%x (%s %d)", by_signal ? "die by signal" : "exit with", number, status,
       WIFEXITED(status) ? "exit" : "signal", WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
}
#define CHECK_EXIT(pid, code) check_end(wait_for(pid), false, code, __FILE__, __LINE__)
#define CHECK_SIGNAL(pid, number) check_end(wait_for(pid), true, number, __FILE__, __LINE__)

// Starts this program again as `@name args...` and returns the process; the child exits with 127 if execve fails.
template <typename... A>
pid_t run_self(const char* name, A... args) {
  char mode[64];
  snprintf(mode, sizeof mode, "@%s", name);
  return in_child([&] {
    execl(g_program, g_program, mode, args..., (char*)nullptr);
    _exit(127);
  });
}

// The state letter in /proc/PID/stat (0 if there is no such process), and waiting until it is one of `wanted`.
inline char state_of(pid_t pid) {
  char path[40], text[256] = "";
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  int fd = open(path, O_RDONLY);
  if (fd < 0) return 0;
  ssize_t n = read(fd, text, sizeof text - 1);
  close(fd);
  char* end = n > 0 ? strrchr(text, ')') : nullptr;
  return end ? end[2] : 0;
}
inline void pause_a_little() {
  timespec t = {0, 2000000};
  nanosleep(&t, nullptr);
}
inline void wait_state(pid_t pid, const char* wanted) {
  for (char s; !(s = state_of(pid)) || !strchr(wanted, s);) pause_a_little();
}

inline void spin(int turns) {
  for (int i = 0; i < turns; i++) asm volatile("");
}

// One byte through a pipe as a signal between processes.
struct Gate {
  int fd[2];
  Gate() { CHECK_OK(pipe(fd)); }
  ~Gate() {
    close(fd[0]);
    close(fd[1]);
  }
  void open() { CHECK_EQ(write(fd[1], "x", 1), 1); }
  void wait() {
    char c;
    CHECK_EQ(read(fd[0], &c, 1), 1);
  }
};

// ---- faults: runs `body` and returns the signal that it raised, with its code and address (all 0 if none)
struct Fault {
  int signal, code;
  uintptr_t address;
};
inline sigjmp_buf g_fault_jump;
inline Fault g_fault;
inline void fault_handler(int signal, siginfo_t* info, void*) {
  g_fault = {signal, info->si_code, (uintptr_t)info->si_addr};
  siglongjmp(g_fault_jump, 1);
}
template <typename F>
[[gnu::noinline]] Fault fault_of(F body) {
  static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};
  struct sigaction action = {}, old[5];
  action.sa_sigaction = fault_handler;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  for (int i = 0; i < 5; i++) sigaction(signals[i], &action, &old[i]);
  g_fault = {};
  if (!sigsetjmp(g_fault_jump, 1)) body();
  for (int i = 0; i < 5; i++) sigaction(signals[i], &old[i], nullptr);
  return g_fault;
}
inline void check_fault(Fault got, Fault expected, const char* text, const char* file, int line) {
  if (got.signal == expected.signal && got.code == expected.code && got.address == expected.address) return;
  fail(file, line, "%s: expected signal %d code %d address %#lx, got signal %d code %d address %#lx", text, expected.signal, expected.code,
       (long)expected.address, got.signal, got.code, (long)got.address);
}
#define CHECK_FAULT(statement, number, si_code, si_address) \
  check_fault(fault_of([&] { statement; }), Fault{number, si_code, (uintptr_t)(si_address)}, #statement, __FILE__, __LINE__)
inline char peek(uintptr_t address) {
  asm volatile("" : "+r"(address));
  return *(volatile char*)address;
}
inline void poke(uintptr_t address, char value) {
  asm volatile("" : "+r"(address));
  *(volatile char*)address = value;
}

// ---- memory and files
inline char* map_pages(int pages, int protection = PROT_READ | PROT_WRITE, int flags = MAP_PRIVATE | MAP_ANONYMOUS, int fd = -1,
                       off_t offset = 0) {
  void* p = mmap(nullptr, size_t(pages) * kPage, protection, flags, fd, offset);
  if (p == MAP_FAILED) FAIL("mmap of %d pages: %s", pages, strerrorname_np(errno));
  return (char*)p;
}
inline int make_file(const char* name, const void* data = "", size_t size = 0, int mode = 0644) {
  int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, mode);
  if (fd < 0) FAIL("create %s: %s", name, strerrorname_np(errno));
  for (size_t done = 0; done < size;) {
    ssize_t n = write(fd, (const char*)data + done, size - done);
    if (n <= 0) FAIL("write %s at %zu: %zd %s", name, done, n, strerrorname_np(errno));
    done += n;
  }
  return fd;
}
inline void make_text(const char* name, const char* text) { close(make_file(name, text, strlen(text))); }
inline void check_text(const char* name, const char* expected, const char* file, int line) {
  char text[4096];
  int fd = open(name, O_RDONLY);
  if (fd < 0) fail(file, line, "open %s: %s", name, strerrorname_np(errno));
  ssize_t n = read(fd, text, sizeof text - 1);
  close(fd);
  text[n < 0 ? 0 : n] = 0;
  check_str(text, expected, name, file, line);
}
#define CHECK_TEXT(name, expected) check_text(name, expected, __FILE__, __LINE__)

// Empties the kernel's caches, of mapped pages too, where it can be asked to.
inline void empty_caches() {
  char line[256];
  int fd = open("/proc/faultline/frames", O_RDONLY);
  if (fd >= 0 && read(fd, line, sizeof line) < 0) FAIL("/proc/faultline/frames: %s", strerrorname_np(errno));
  close(fd);
}

#include "user/tests/harness_main.h"
