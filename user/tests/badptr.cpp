// Bad pointers, for every system call that takes one: EFAULT, at every edge, and nothing else happens.
//
// Each row names a call, its arguments with one of them replaced by the pointer under test, how many bytes it points to,
// and whether the kernel reads or writes there.
#include "user/tests/harness.h"
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <grp.h>

enum Kind { kString, kIn, kOut };
constexpr long P = 0x5eed;  // stands for the pointer in a row
struct Row {
  const char* name;
  long number;
  long arguments[6];
  size_t size;
  Kind kind;
};

static int g_file, g_pipe[2], g_dir, g_ring;
static iovec g_bad_vector;
static sigset_t g_no_signals;
static timespec g_soon = {0, 1000};

#define S(text) long(text)
static const Row* rows(size_t* count) {
  static const long tmp = S(".");
  static const Row table[] = {
      {"open", SYS_open, {P, O_RDONLY}, 0, kString},
      {"open O_CREAT", SYS_open, {P, O_RDWR | O_CREAT, 0600}, 0, kString},
      {"openat", SYS_openat, {AT_FDCWD, P, O_RDONLY}, 0, kString},
      {"creat", SYS_creat, {P, 0600}, 0, kString},
      {"link from", SYS_link, {P, S("l")}, 0, kString},
      {"link to", SYS_link, {S("file"), P}, 0, kString},
      {"linkat", SYS_linkat, {AT_FDCWD, S("file"), AT_FDCWD, P, 0}, 0, kString},
      {"symlink target", SYS_symlink, {P, S("s")}, 0, kString},
      {"symlink name", SYS_symlink, {S("x"), P}, 0, kString},
      {"unlink", SYS_unlink, {P}, 0, kString},
      {"unlinkat", SYS_unlinkat, {AT_FDCWD, P, 0}, 0, kString},
      {"rename from", SYS_rename, {P, S("r")}, 0, kString},
      {"rename to", SYS_rename, {S("file"), P}, 0, kString},
      {"mkdir", SYS_mkdir, {P, 0700}, 0, kString},
      {"mkdirat", SYS_mkdirat, {AT_FDCWD, P, 0700}, 0, kString},
      {"rmdir", SYS_rmdir, {P}, 0, kString},
      {"mknod", SYS_mknod, {P, S_IFIFO | 0600, 0}, 0, kString},
      {"chdir", SYS_chdir, {P}, 0, kString},
      {"chroot", SYS_chroot, {P}, 0, kString},
      {"chmod", SYS_chmod, {P, 0600}, 0, kString},
      {"fchmodat", SYS_fchmodat, {AT_FDCWD, P, 0600}, 0, kString},
      {"chown32", SYS_chown32, {P, 0, 0}, 0, kString},
      {"lchown32", SYS_lchown32, {P, 0, 0}, 0, kString},
      {"fchownat", SYS_fchownat, {AT_FDCWD, P, 0, 0, 0}, 0, kString},
      {"access", SYS_access, {P, F_OK}, 0, kString},
      {"faccessat", SYS_faccessat, {AT_FDCWD, P, F_OK}, 0, kString},
      {"truncate", SYS_truncate, {P, 0}, 0, kString},
      {"truncate64", SYS_truncate64, {P, 0, 0}, 0, kString},
      {"execve path", SYS_execve, {P, 0, 0}, 0, kString},
      {"execve argv", SYS_execve, {S("/proc/self/exe"), P, 0}, 4, kIn},
      {"readlink path", SYS_readlink, {P, long(&g_bad_vector), 8}, 0, kString},
      {"readlink buffer", SYS_readlink, {S("/proc/self/exe"), P, 3}, 3, kOut},
      {"stat64 path", SYS_stat64, {P, long(&tmp)}, 0, kString},
      {"stat64", SYS_stat64, {tmp, P}, 96, kOut},
      {"lstat64", SYS_lstat64, {tmp, P}, 96, kOut},
      {"fstat64", SYS_fstat64, {0x100, P}, 96, kOut},
      {"fstatat64", SYS_fstatat64, {AT_FDCWD, tmp, P, 0}, 96, kOut},
      {"statx", SYS_statx, {AT_FDCWD, tmp, 0, 0x7ff, P}, 256, kOut},
      {"statfs64 path", SYS_statfs64, {P, 84, long(&g_bad_vector)}, 0, kString},
      {"statfs64", SYS_statfs64, {tmp, 84, P}, 84, kOut},
      {"utimensat path", SYS_utimensat, {AT_FDCWD, P, 0, 0}, 0, kString},
      {"utimensat times", SYS_utimensat, {AT_FDCWD, S("file"), P, 0}, 16, kIn},
      {"utimes", SYS_utimes, {S("file"), P}, 16, kIn},
      {"getcwd", SYS_getcwd, {P, 4000}, 2, kOut},
      {"getdents64", SYS_getdents64, {0x102, P, 4096}, 40, kOut},
      {"read", SYS_read, {0x100, P, 100}, 100, kOut},
      {"write", SYS_write, {0x101, P, 100}, 100, kIn},
      {"pread64", SYS_pread64, {0x100, P, 100, 0, 0}, 100, kOut},
      {"pwrite64", SYS_pwrite64, {0x100, P, 100, 0, 0}, 100, kIn},
      {"readv", SYS_readv, {0x100, P, 2}, 16, kIn},
      {"writev", SYS_writev, {0x100, P, 2}, 16, kIn},
      {"_llseek", SYS__llseek, {0x100, 0, 0, P, SEEK_SET}, 8, kOut},
      {"pipe", SYS_pipe, {P}, 8, kOut},
      {"pipe2", SYS_pipe2, {P, 0}, 8, kOut},
      {"fcntl64 F_GETLK", SYS_fcntl64, {0x100, F_GETLK, P}, 16, kIn},
      {"wait4 status", SYS_waitpid, {0x103, P, 0}, 4, kOut},
      {"rt_sigaction new", SYS_rt_sigaction, {SIGUSR1, P, 0, 8}, 20, kIn},
      {"rt_sigaction old", SYS_rt_sigaction, {SIGUSR1, 0, P, 8}, 20, kOut},
      {"rt_sigprocmask new", SYS_rt_sigprocmask, {SIG_BLOCK, P, 0, 8}, 8, kIn},
      {"rt_sigprocmask old", SYS_rt_sigprocmask, {SIG_BLOCK, 0, P, 8}, 8, kOut},
      {"rt_sigpending", SYS_rt_sigpending, {P, 8}, 8, kOut},
      {"rt_sigtimedwait set", SYS_rt_sigtimedwait, {P, 0, long(&g_soon), 8}, 8, kIn},
      {"rt_sigtimedwait time", SYS_rt_sigtimedwait, {long(&g_no_signals), 0, P, 8}, 8, kIn},
      {"rt_sigsuspend", SYS_rt_sigsuspend, {P, 8}, 8, kIn},
      {"sigaltstack new", SYS_sigaltstack, {P, 0}, 12, kIn},
      {"sigaltstack old", SYS_sigaltstack, {0, P}, 12, kOut},
      {"nanosleep", SYS_nanosleep, {P, 0}, 8, kIn},
      {"clock_nanosleep", SYS_clock_nanosleep, {CLOCK_MONOTONIC, 0, P, 0}, 8, kIn},
      {"clock_gettime", SYS_clock_gettime, {CLOCK_REALTIME, P}, 8, kOut},
      {"clock_gettime64", SYS_clock_gettime64, {CLOCK_REALTIME, P}, 16, kOut},
      {"gettimeofday", SYS_gettimeofday, {P, 0}, 8, kOut},
      {"time", SYS_time, {P}, 4, kOut},
      {"times", SYS_times, {P}, 16, kOut},
      {"setitimer", SYS_setitimer, {ITIMER_REAL, P, 0}, 16, kIn},
      {"getitimer", SYS_getitimer, {ITIMER_REAL, P}, 16, kOut},
      {"uname", SYS_uname, {P}, 390, kOut},
      {"sysinfo", SYS_sysinfo, {P}, 64, kOut},
      {"getrlimit", SYS_ugetrlimit, {RLIMIT_NOFILE, P}, 8, kOut},
      {"setrlimit", SYS_setrlimit, {RLIMIT_NOFILE, P}, 8, kIn},
      {"prlimit64 new", SYS_prlimit64, {0, RLIMIT_NOFILE, P, 0}, 16, kIn},
      {"prlimit64 old", SYS_prlimit64, {0, RLIMIT_NOFILE, 0, P}, 16, kOut},
      {"getrusage", SYS_getrusage, {RUSAGE_SELF, P}, 72, kOut},
      {"poll", SYS_poll, {P, 1, 0}, 8, kIn},
      {"select", SYS__newselect, {64, P, 0, 0, long(&g_bad_vector)}, 8, kIn},
      {"getgroups32", SYS_getgroups32, {64, P}, 8, kOut},
      {"setgroups32", SYS_setgroups32, {4, P}, 16, kIn},
      {"getresuid32", SYS_getresuid32, {P, long(&g_bad_vector), long(&g_bad_vector)}, 4, kOut},
      {"getrandom", SYS_getrandom, {P, 64, 0}, 64, kOut},
      {"sched_getaffinity", SYS_sched_getaffinity, {0, 128, P}, 4, kOut},
      {"set_thread_area", SYS_set_thread_area, {P}, 16, kIn},
      {"prctl PR_SET_NAME", SYS_prctl, {15, P}, 0, kString},
      {"memfd_create", SYS_memfd_create, {P, 0}, 0, kString},
      {"mount source", SYS_mount, {P, S("."), S("tmpfs"), 0, 0}, 0, kString},
      {"mount target", SYS_mount, {S("none"), P, S("tmpfs"), 0, 0}, 0, kString},
      {"mount type", SYS_mount, {S("none"), S("."), P, 0, 0}, 0, kString},
      {"umount2", SYS_umount2, {P, 0}, 0, kString},
      {"sethostname", SYS_sethostname, {P, 8}, 8, kIn},
      {"sendfile offset", SYS_sendfile, {0x101, 0x100, P, 10}, 4, kIn},
      {"ioctl FIONREAD", SYS_ioctl, {0x101, 0x541b, P}, 4, kOut},
      {"mincore", SYS_mincore, {0x104, kPage, P}, 1, kOut},
      {"io_uring_setup", SYS_io_uring_setup, {8, P}, 120, kIn},
      {"io_uring_setup result", SYS_io_uring_setup, {8, P}, 120, kOut},
      {"io_uring_enter", SYS_io_uring_enter, {0x105, 0, 1, 9, P, 24}, 24, kIn},  // GETEVENTS, EXT_ARG
      {"io_uring_register eventfd", SYS_io_uring_register, {0x105, 4, P, 1}, 4, kIn},
      {"io_uring_register probe", SYS_io_uring_register, {0x105, 8, P, 1}, 24, kOut},
  };
  *count = sizeof table / sizeof *table;
  return table;
}

static char* g_area;
static long value_of(long argument, long pointer) {
  switch (argument) {
    case P: return pointer;
    case 0x100: return g_file;
    case 0x101: return g_pipe[1];
    case 0x102: CHECK_OK(lseek(g_dir, 0, SEEK_SET)); return g_dir;
    case 0x103: return in_child([] {});
    case 0x104: return long(g_area);
    case 0x105: return g_ring;
  }
  return argument;
}
static long attempt(const Row& row, uintptr_t pointer) {
  long a[6];
  for (int i = 0; i < 6; i++) a[i] = value_of(row.arguments[i], pointer);
  return syscall(row.number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
// For every row, in a child of its own (a call that works by mistake must not spoil the next one).
template <typename F>
static void each_row(F body) {
  g_file = make_file("file", "0123456789", 10);
  char zeros[4096] = {};
  CHECK_EQ(write(g_file, zeros, sizeof zeros), sizeof zeros);
  g_dir = CHECK_OK(open(".", O_RDONLY | O_DIRECTORY));
  CHECK_OK(pipe(g_pipe));
  char parameters[120] = {};
  g_ring = CHECK_OK(syscall(SYS_io_uring_setup, 8, parameters));
  g_area = map_pages(4);
  *g_area = 1;
  gid_t groups[] = {1, 2};
  if (getuid() == 0) CHECK_OK(setgroups(2, groups));
  size_t count;
  int failures = 0;
  const Row* table = rows(&count);
  for (size_t i = 0; i < count; i++) {
    lseek(g_file, 0, SEEK_SET);
    failures += wait_for(in_child([&] { body(table[i]); })) != 0;
  }
  if (failures) FAIL("%d of %zu calls", failures, count);
}
static void expect_efault(const Row& row, uintptr_t pointer, const char* where) {
  errno = 0;
  long result = attempt(row, pointer);
  if (result != -1 || errno != EFAULT)
    FAIL("%s with %#lx (%s): returned %ld %s", row.name, (long)pointer, where, result, errno ? strerrorname_np(errno) : "");
}

TEST(wild_pointers) {
  each_row([](const Row& row) {
    for (uintptr_t p : {0x8u, 0xfffu, 0x20000000u, 0x7ffffff0u, 0x80000000u, 0x80100000u, 0x90000000u, 0xc0000000u, 0xffffe000u,
                        0xfffffffcu, 0xffffffffu})
      if (row.size < 1000 || p < 0xf0000000u) expect_efault(row, p, "wild");
  });
}
TEST(pages_without_access) {
  each_row([](const Row& row) {
    char* none = map_pages(3, PROT_NONE);
    expect_efault(row, uintptr_t(none + kPage), "PROT_NONE");
    char* file = (char*)mmap(nullptr, 8 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED, g_file, 0);
    CHECK(file != MAP_FAILED);
    expect_efault(row, uintptr_t(file + 4 * kPage), "past the end of the file");
    if (row.kind == kOut && row.size < 1000) {
      char* ro = map_pages(2, PROT_READ);
      expect_efault(row, uintptr_t(ro + 8), "read-only");
    }
  });
}
// The object begins in memory and ends outside it.
TEST(objects_across_the_edge) {
  each_row([](const Row& row) {
    for (int how = 0; how < 2; how++) {
      char* p = map_pages(2);
      if (how == 0)
        CHECK_OK(munmap(p + kPage, kPage));
      else
        CHECK_OK(mprotect(p + kPage, kPage, PROT_NONE));
      memset(p, row.kind == kString ? 'a' : 0, kPage);
      if (row.kind == kString)
        expect_efault(row, uintptr_t(p + kPage - 3), "a string without an end");
      else if (row.size > 1 && row.size < 300 && strcmp(row.name, "write") && strcmp(row.name, "pwrite64") && strcmp(row.name, "read") &&
               strcmp(row.name, "pread64") && strcmp(row.name, "getdents64") && strcmp(row.name, "getrandom"))
        expect_efault(row, uintptr_t(p + kPage - row.size + 1), "one byte short");
    }
  });
}

// Strings and small objects that end exactly at the end of memory are whole.
TEST(objects_that_just_fit) {
  char* end = map_pages(2) + kPage;
  CHECK_OK(munmap(end, kPage));
  strcpy(end - 5, "file");
  int fd = CHECK_OK(open(end - 5, O_RDWR | O_CREAT, 0600));
  CHECK_OK(access(end - 5, F_OK));
  struct stat* st = (struct stat*)(end - sizeof(struct stat));
  CHECK_OK(fstat(fd, st));
  timespec* t = (timespec*)(end - sizeof(timespec));
  CHECK_OK(clock_gettime(CLOCK_MONOTONIC, t));
  CHECK_OK(pipe((int*)(end - 8)));
  CHECK_EQ(pwrite(fd, end - 1, 1, 0), 1);
  CHECK_EQ(pread(fd, end - 1, 1, 0), 1);
  CHECK_ERR(pread(fd, end, 1, 0), EFAULT);
  CHECK_EQ(read(fd, end, 0), 0);  // nothing to copy, nothing to fault
  strcpy(end - 2, "");
  CHECK_ERR(open(end - 2, O_RDONLY), ENOENT);
  const char** argv = (const char**)(end - 8);
  argv[0] = "x", argv[1] = nullptr;
  CHECK_ERR(execv("/absent", (char**)argv), ENOENT);
}

// A transfer that runs out of memory half-way says how much was done, or that nothing was; never more.
TEST(transfers_that_end_in_the_middle) {
  char* end = map_pages(2) + kPage;
  CHECK_OK(munmap(end, kPage));
  char data[3 * kPage];
  memset(data, 'd', sizeof data);
  int fd = make_file("file", data, sizeof data), out = make_file("out");
  for (int valid : {1, 100, 4096}) {
    ssize_t n = pread(fd, end - valid, 2 * kPage, 0);
    CHECK((n == -1 && errno == EFAULT) || (n > 0 && n <= valid));
    n = pwrite(out, end - valid, 2 * kPage, 0);
    CHECK((n == -1 && errno == EFAULT) || (n > 0 && n <= valid));
    struct stat st;
    CHECK_OK(fstat(out, &st));
    CHECK(st.st_size <= valid);
  }
  iovec v[3] = {{end - 10, 10}, {end, 10}, {end - 10, 10}};
  ssize_t n = preadv(fd, v, 3, 0);
  CHECK(n == 10 || (n == -1 && errno == EFAULT));
  int p[2];
  CHECK_OK(pipe(p));
  n = write(p[1], end - 10, 100);
  CHECK(n == 10 || (n == -1 && errno == EFAULT));
  CHECK_EQ(write(p[1], "abcdefghijklmnop", 16), 16);
  n = read(p[0], end - 4, 100);
  CHECK((n > 0 && n <= 4) || (n == -1 && errno == EFAULT));
}
// Long copies move many bytes at a time; where one stops in the middle, every byte up to the edge has moved, and none behind it.
TEST(long_transfers_move_every_byte_up_to_the_edge) {
  constexpr int kMost = 1500;
  char* end = map_pages(2) + kPage;
  CHECK_OK(munmap(end, kPage));
  int p[2];
  CHECK_OK(pipe(p));
  char sent[kMost + 300], got[kMost + 300];
  for (size_t i = 0; i < sizeof sent; i++) sent[i] = char(i * 7 + i / 251);
  for (int length : {255, 256, 257, 383, 384, 511, 512, 513, 1000, kMost})
    for (int beyond : {0, 1, 2, 3, 4, 15, 16, 17, 127, 128, 129, 255})
      for (int offset : {0, 1, 2, 3, 13}) {
        if (beyond >= length) continue;
        const int valid = length - beyond;
        memcpy(end - valid, sent + offset, size_t(valid));  // out of memory that ends
        CHECK_EQ(write(p[1], end - valid, size_t(length)), valid);
        memset(got, 0, sizeof got);
        CHECK_EQ(read(p[0], got + offset, sizeof got - 100), valid);
        CHECK(memcmp(got + offset, sent + offset, size_t(valid)) == 0 && got[offset + valid] == 0);
        CHECK_EQ(write(p[1], sent + offset, size_t(length)), length);  // and into it
        memset(end - valid, 0, size_t(valid));
        CHECK_EQ(read(p[0], end - valid, size_t(length)), valid);
        CHECK(memcmp(end - valid, sent + offset, size_t(valid)) == 0);
        for (ssize_t left = beyond; left > 0;) left -= CHECK_OK(read(p[0], got, size_t(left)));
      }
}
TEST(lengths_that_wrap_around) {
  int fd = make_file("file", "0123456789", 10);
  char* p = map_pages(2);
  CHECK_OK(munmap(p + kPage, kPage));
  CHECK_EQ(pread(fd, p, 0x7fffffff, 0), 10);  // bounded by the file, not by the buffer
  long n = syscall(SYS_write, fd, p, 0xfffffff0ul);
  CHECK(n <= kPage && (n != -1 || errno == EFAULT || errno == EINVAL));
  iovec v = {p, 0xffffffff};
  CHECK_ERR(writev(fd, &v, 1), EINVAL);
  iovec two[2] = {{p, 0x7fffffff}, {p, 0x7fffffff}};
  n = readv(fd, two, 2);
  CHECK(n == 0 || (n == -1 && (errno == EINVAL || errno == EFAULT)) || n == 10);
  CHECK_ERR(syscall(SYS_readv, fd, two, -1), EINVAL);
  CHECK_ERR(syscall(SYS_readv, fd, two, 1025), EINVAL);
}

// xv6: a system call with a bad stack pointer; Pintos: bad esp. The kernel must not use the program's stack.
TEST(system_calls_with_a_wild_stack_pointer) {
  for (uintptr_t sp : {0x0u, 0x4u, 0x1000u, 0x80000000u, 0x80100000u, 0xfffffffcu}) {
    pid_t child = in_child([=] {
      asm volatile("mov %0, %%esp\n\t mov $20, %%eax\n\t int $0x80\n\t mov $1, %%eax\n\t mov $33, %%ebx\n\t int $0x80"
                   :
                   : "r"(sp)
                   : "eax", "ebx");
    });
    CHECK_EXIT(child, 33);
    child = in_child([=] { asm volatile("mov %0, %%esp\n\t push %%eax" : : "r"(sp)); });
    CHECK_SIGNAL(child, SIGSEGV);
  }
}
