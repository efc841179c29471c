// Ordinary calls when the kernel's N-th allocation fails, for every N until the call gets through without: each says ENOMEM or does what it
// should, and the machine has exactly as much free memory afterwards as before.
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/select.h>
#include <sys/statfs.h>
#include <sys/time.h>
#include <sys/uio.h>

#include "user/tests/injection.h"

namespace {

int g_fd[8];
char *g_memory, *g_buffer;

struct Call {
  const char* name;
  void (*prepare)();
  long (*call)();
  void (*check)(long) = nullptr;  // after success
  int other_error = ENOMEM;       // also allowed
};

int file_of(int pages) {
  static char page[kPage];
  memset(page, 'f', sizeof page);
  int fd = make_file("file");
  for (int i = 0; i < pages; i++) CHECK_EQ(write(fd, page, kPage), kPage);
  CHECK_OK(lseek(fd, 0, SEEK_SET));
  return fd;
}
void nothing() {}
void with_file() { g_fd[0] = file_of(20); }
void with_memory() {
  g_memory = map_pages(40);
  memset(g_memory, 'm', 40 * kPage);
}
void with_directory() {
  CHECK_OK(mkdir("d", 0755));
  make_text("d/a", "a");
  CHECK_OK(symlink("a", "d/s"));
}
void with_pipe() { CHECK_OK(pipe(g_fd)); }
void closes(long fd) { close(int(fd)); }
void waits(long pid) { CHECK_EXIT(pid_t(pid), 5); }
void reads_file(long n) {
  CHECK_EQ(n, 3 * kPage);
  for (int i = 0; i < 3 * kPage; i++) CHECK_EQ(g_buffer[i], 'f');
}

long forks() {
  pid_t pid = fork();
  if (pid == 0) _exit(5);
  return pid;
}
long vforks() {
  pid_t pid = vfork();
  if (pid == 0) _exit(5);
  return pid;
}

const Call kCalls[] = {
    {"open", with_file, [] { return (long)open("file", O_RDONLY); }, closes},
    {"open to create", nothing, [] { return (long)open("new", O_RDWR | O_CREAT | O_EXCL, 0644); },
     [](long fd) { CHECK_EQ(write(fd, "x", 1), 1); }},
    {"open to truncate", with_file, [] { return (long)open("file", O_RDWR | O_TRUNC); }, closes},
    {"mkdir", nothing, [] { return (long)mkdir("new", 0755); }, [](long) { CHECK_OK(rmdir("new")); }},
    {"mknod of a pipe", nothing, [] { return (long)mkfifo("new", 0644); }, [](long) { CHECK_OK(unlink("new")); }},
    {"symlink", nothing, [] { return (long)symlink("somewhere", "new"); }, [](long) { CHECK_OK(unlink("new")); }},
    {"link", with_file, [] { return (long)link("file", "new"); }, [](long) { CHECK_OK(unlink("new")); }},
    {"rename", with_directory, [] { return (long)rename("d/a", "b"); }, [](long) { CHECK_TEXT("b", "a"); }},
    {"rename over", with_directory, [] { return (long)rename("d/a", "d/s"); }, [](long) { CHECK_TEXT("d/s", "a"); }},
    {"unlink", with_file, [] { return (long)unlink("file"); }, [](long) { CHECK_ERR(access("file", F_OK), ENOENT); }},
    {"stat", with_directory,
     [] {
       struct stat st;
       return (long)stat("d/a", &st);
     }},
    {"readlink", with_directory,
     [] {
       char text[10];
       return (long)readlink("d/s", text, 10);
     },
     [](long n) { CHECK_EQ(n, 1); }},
    {"chdir", with_directory, [] { return (long)chdir("d"); }},
    {"getcwd", nothing,
     [] {
       char text[300];
       return (long)syscall(SYS_getcwd, text, 300);
     }},
    {"chmod", with_file, [] { return (long)chmod("file", 0600); }},
    {"statfs", nothing,
     [] {
       struct statfs st;
       return (long)statfs(".", &st);
     }},
    {"getdents", with_directory,
     [] {
       g_fd[0] = open("d", O_RDONLY | O_DIRECTORY);
       return g_fd[0] < 0 ? -1L : (long)syscall(SYS_getdents64, g_fd[0], g_buffer, 1000);
     }},
    {"read", with_file, [] { return (long)read(g_fd[0], g_buffer, 3 * kPage); }, reads_file},
    {"read into new memory", with_file,
     [] {
       g_memory = (char*)mmap(nullptr, 4 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
       return g_memory == MAP_FAILED ? -1L : (long)read(g_fd[0], g_memory, 3 * kPage);
     },
     nullptr, EFAULT},
    {"write", with_file, [] { return (long)pwrite(g_fd[0], g_buffer, 3 * kPage, 100 * kPage); }},
    {"writev", with_file,
     [] {
       iovec v[12];
       for (iovec& i : v) i = {g_buffer, 1000};
       return (long)writev(g_fd[0], v, 12);
     }},
    {"ftruncate to more", with_file, [] { return (long)ftruncate(g_fd[0], 1 << 20); }},
    {"ftruncate to less", with_file, [] { return (long)ftruncate(g_fd[0], 5000); }},
    {"fsync",
     [] {
       with_file();
       CHECK_EQ(pwrite(g_fd[0], "w", 1, 9000), 1);
     },
     [] { return (long)fsync(g_fd[0]); }},
    {"fcntl F_SETLK", with_file,
     [] {
       struct flock lock = {F_WRLCK, SEEK_SET, 0, 10, 0};
       return (long)fcntl(g_fd[0], F_SETLK, &lock);
     },
     nullptr, ENOLCK},
    {"flock", with_file, [] { return (long)flock(g_fd[0], LOCK_EX); }, nullptr, ENOLCK},
    {"dup2 far away", with_file, [] { return (long)dup2(g_fd[0], 900); }},
    {"fcntl F_DUPFD", with_file, [] { return (long)fcntl(g_fd[0], F_DUPFD, 700); }},
    {"pipe", nothing, [] { return (long)pipe(g_fd); }, [](long) { CHECK_EQ(write(g_fd[1], "x", 1), 1); }},
    {"write to a pipe", with_pipe, [] { return (long)write(g_fd[1], g_buffer, 3 * kPage); }},
    {"open of a pseudo-terminal", nothing, [] { return (long)open("/dev/ptmx", O_RDWR | O_NOCTTY); }, closes, ENOSPC},
    {"memfd_create", nothing, [] { return (long)syscall(SYS_memfd_create, "name", 0); }, closes},
    {"poll of many", with_pipe,
     [] {
       static pollfd p[100];
       for (pollfd& e : p) e = {g_fd[0], POLLIN, 0};
       return (long)poll(p, 100, 0);
     }},
    {"select of many", with_pipe,
     [] {
       if (dup2(g_fd[0], 300) != 300) return -1L;
       fd_set* set = (fd_set*)g_buffer;
       memset(g_buffer, 0, kPage);
       g_buffer[300 / 8] = 1 << 300 % 8;
       timeval zero = {0, 0};
       return (long)select(301, set, nullptr, nullptr, &zero);
     }},
    {"mmap", nothing,
     [] {
       g_memory = (char*)mmap(nullptr, 10 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
       return g_memory == MAP_FAILED ? -1L : 0L;
     },
     [](long) { memset(g_memory, 1, 10 * kPage); }},
    {"mmap with MAP_POPULATE", nothing,
     [] {
       g_memory = (char*)mmap(nullptr, 10 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
       return g_memory == MAP_FAILED ? -1L : 0L;
     },
     [](long) { memset(g_memory, 1, 10 * kPage); }},
    {"mmap of shared memory", nothing,
     [] {
       g_memory = (char*)mmap(nullptr, 10 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
       return g_memory == MAP_FAILED ? -1L : 0L;
     },
     [](long) { memset(g_memory, 1, 10 * kPage); }},
    {"mmap of a file", with_file,
     [] {
       g_memory = (char*)mmap(nullptr, 10 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED, g_fd[0], 0);
       return g_memory == MAP_FAILED ? -1L : 0L;
     },
     [](long) {
       CHECK_EQ(g_memory[5000], 'f');
       g_memory[5000] = 'g';
     }},
    {"mmap in the midst", with_memory,
     [] {
       return mmap(g_memory + 5 * kPage, 3 * kPage, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED ? -1L : 0L;
     }},
    {"munmap in the midst", with_memory, [] { return (long)munmap(g_memory + 5 * kPage, 3 * kPage); }},
    {"mprotect in the midst", with_memory, [] { return (long)mprotect(g_memory + 5 * kPage, 3 * kPage, PROT_READ); }},
    {"mremap to more", with_memory,
     [] {
       g_memory = (char*)mremap(g_memory, 40 * kPage, 3000 * kPage, MREMAP_MAYMOVE);
       return g_memory == MAP_FAILED ? -1L : 0L;
     },
     [](long) {
       CHECK_EQ(g_memory[39 * kPage], 'm');
       g_memory[2999 * kPage] = 1;
     }},
    {"mremap of a part", with_memory,
     [] {
       char* to = (char*)mremap(g_memory + 10 * kPage, 5 * kPage, 50 * kPage, MREMAP_MAYMOVE);
       if (to == MAP_FAILED) return -1L;
       CHECK_EQ(to[4 * kPage], 'm');
       return 0L;
     }},
    {"brk", nothing, [] { return sbrk(3000 * kPage) == (void*)-1 ? -1L : 0L; }},
    {"madvise MADV_DONTNEED", with_memory, [] { return (long)madvise(g_memory + 5 * kPage, 3 * kPage, MADV_DONTNEED); }},
    {"mlock", with_memory, [] { return (long)mlock(g_memory + 5 * kPage, 3 * kPage); }},
    {"msync",
     [] {
       with_file();
       g_memory = map_pages(10, PROT_READ | PROT_WRITE, MAP_SHARED, g_fd[0]);
       g_memory[5000] = 1;
     },
     [] { return (long)msync(g_memory, 10 * kPage, MS_SYNC); }},
    {"fork", with_memory, forks, waits},
    {"vfork", nothing, vforks, waits},
    {"fork with memory that is shared already",
     [] {
       with_memory();
       CHECK_EXIT(in_child([] { _exit(5); }), 5);
     },
     forks, waits},
    {"write to memory that fork has shared",
     [] {
       with_memory();
       g_fd[0] = CHECK_OK(open("/dev/zero", O_RDONLY));
       CHECK_OK(pipe(g_fd + 1));
       in_child([] {
         close(g_fd[2]);
         char c;
         read(g_fd[1], &c, 1);
       });
     },
     [] { return (long)read(g_fd[0], g_memory, 20 * kPage); }, [](long n) { CHECK(n > 0 && g_memory[0] == 0); }, EFAULT},
    {"sigqueue",
     [] {
       sigset_t set;
       sigemptyset(&set);
       sigaddset(&set, SIGRTMIN);
       sigprocmask(SIG_BLOCK, &set, nullptr);
     },
     [] { return (long)sigqueue(getpid(), SIGRTMIN, {3}); }, nullptr, EAGAIN},
    {"setitimer", nothing,
     [] {
       itimerval t = {{0, 0}, {100, 0}};
       return (long)setitimer(ITIMER_REAL, &t, nullptr);
     }},
    {"setgroups", nothing,
     [] {
       gid_t groups[12] = {1, 2, 3};
       return (long)syscall(SYS_setgroups32, 12, groups);
     }},
    {"read of /proc/self/maps", nothing,
     [] {
       int fd = open("/proc/self/maps", O_RDONLY);
       if (fd < 0) return -1L;
       long n = read(fd, g_buffer, 3000);
       close(fd);
       return n;
     }},
    {"read of /proc/meminfo", nothing,
     [] {
       int fd = open("/proc/meminfo", O_RDONLY);
       if (fd < 0) return -1L;
       long n = read(fd, g_buffer, 3000);
       close(fd);
       return n;
     }},
    {"mount", [] { CHECK_OK(mkdir("m", 0755)); }, [] { return (long)mount("none", "m", "tmpfs", 0, nullptr); },
     [](long) { CHECK_OK(umount("m")); }},
    {"chroot", with_directory, [] { return (long)chroot("d"); }},
};

void attempt(const Call& call, int nth, int times, Caches caches) {
  Injection injection;
  g_buffer = map_pages(4);
  memset(g_buffer, 'b', 4 * kPage);
  call.prepare();
  CHECK_OK(mlockall(MCL_CURRENT));  // the program's own pages are all there, so that no failure is that of a touch
  CHECK_OK(munlockall());
  if (caches == Caches::kCold) memory_in_use();  // which empties them
  injection.arm(nth, times);
  errno = 0;
  long result = call.call();
  int error = errno;
  long left = injection.left();
  injection.disarm();
  if (result == -1 && (left != 0 || (error != ENOMEM && error != call.other_error)))
    FAIL("%s failed with %s and %ld left of %d", call.name, strerrorname_np(error), left, nth);
  if (result != -1 && call.check) call.check(result);
  for (int fd : g_fd)
    if (fd > 2) close(fd);
  while (wait(nullptr) > 0) {
  }  // what children hold is given back before it is counted
  _exit(result == -1 ? kError : left == 0 ? kMadeGood : kNotReached);
}

void sweep_calls(const char* how, int times, Caches caches) {
  Tally all;
  for (const Call& call : kCalls) {
    Tally tally = sweep(call.name, caches, [&](int nth) { attempt(call, nth, times, caches); });
    say("  %s: failed at %d places, made good at %d\n", call.name, tally.failed, tally.made_good);
    all.failed += tally.failed;
    all.made_good += tally.made_good;
  }
  say("  %zu calls, %s: %d failed, %d made good\n", sizeof kCalls / sizeof *kCalls, how, all.failed, all.made_good);
  CHECK(all.failed + all.made_good >= 150);
}

}  // namespace

TEST_SLOW(one_allocation_fails_and_the_caches_are_full) { sweep_calls("one allocation, caches full", 1, Caches::kWarm); }
TEST_SLOW(one_allocation_fails_and_the_caches_are_empty) { sweep_calls("one allocation, caches empty", 1, Caches::kCold); }
TEST_SLOW(all_allocations_from_one_on_fail) { sweep_calls("all from one on, caches full", kForEver, Caches::kWarm); }

// Whoever is told to end does not try again what fails for ever.
TEST(who_is_killed_among_failures_ends) {
  for (int round = 0; round < scale(10); round++) {
    Gate about_to_fail;
    pid_t pid = in_child([&] {
      static char block[64 * kPage];
      int fd = make_file("file");
      Injection injection;
      about_to_fail.open();
      injection.arm(1, 999'999'999);
      for (;;) pwrite(fd, block, sizeof block, 0), ftruncate(fd, 0);
    });
    about_to_fail.wait();
    spin(100000 + round * 10000);
    CHECK_OK(kill(pid, SIGKILL));
    CHECK_SIGNAL(pid, SIGKILL);
  }
}
