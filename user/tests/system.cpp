// What the system says about itself: uname, sysinfo, /proc, and the devices that are always there.
#include "user/tests/harness.h"
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/sysinfo.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>

static char g_text[65536];
static const char* contents(const char* path) {
  int fd = open(path, O_RDONLY);
  if (fd < 0) FAIL("open %s: %s", path, strerrorname_np(errno));
  size_t n = 0;
  for (ssize_t r; n < sizeof g_text - 1 && (r = CHECK_OK(read(fd, g_text + n, sizeof g_text - 1 - n))) > 0;) n += r;
  close(fd);
  g_text[n] = 0;
  return g_text;
}
static long long field(const char* path, const char* name) {
  const char* p = strstr(contents(path), name);
  if (!p) FAIL("%s has no %s", path, name);
  return atoll(p + strlen(name));
}

TEST(uname_and_the_host_name) {
  utsname u;
  CHECK_OK(uname(&u));
  CHECK(u.sysname[0] && u.release[0] && u.version[0] && u.nodename[0]);
  CHECK(u.machine[0] == 'i' || !strcmp(u.machine, "x86_64"));
  CHECK(atoi(u.release) >= 3);  // glibc refuses to run on less
  if (on_faultline()) {
    CHECK_OK(sethostname("another", 7));
    CHECK_OK(uname(&u));
    CHECK_STR(u.nodename, "another");
  }
  char longer[100] = {};
  CHECK_ERR(sethostname(longer, 100), EINVAL);
}
TEST(sysinfo_adds_up) {
  struct sysinfo s;
  CHECK_OK(sysinfo(&s));
  CHECK(s.mem_unit > 0 && s.totalram > 0 && s.freeram < s.totalram && s.procs > 1 && s.uptime >= 0);
  long long total = field("/proc/meminfo", "MemTotal:"), free = field("/proc/meminfo", "MemFree:");
  CHECK_EQ(total, (long long)s.totalram * s.mem_unit / 1024);
  CHECK(free > 0 && free < total);
  CHECK(strstr(contents("/proc/meminfo"), "kB\n"));
}
TEST(proc_describes_this_process) {
  char link[4096] = "";
  CHECK_OK(readlink("/proc/self", link, sizeof link));
  CHECK_EQ(atoi(link), getpid());
  CHECK_OK(readlink("/proc/self/cwd", link, sizeof link));
  char cwd[4096];
  CHECK(getcwd(cwd, sizeof cwd));
  CHECK(!strncmp(link, cwd, strlen(cwd)));
  memset(link, 0, sizeof link);
  CHECK_OK(readlink("/proc/self/exe", link, sizeof link));
  CHECK_STR(link, g_program);
  contents("/proc/self/cmdline");
  CHECK_STR(g_text, g_argv[0]);
  int pid, ppid, pgrp, session;
  char state, name[40];
  CHECK_EQ(sscanf(contents("/proc/self/stat"), "%d (%39[^)]) %c %d %d %d", &pid, name, &state, &ppid, &pgrp, &session), 6);
  CHECK(pid == getpid() && ppid == getppid() && pgrp == getpgrp() && session == getsid(0) && state == 'R');
  CHECK(!strncmp(strrchr(g_program, '/') + 1, name, strlen(name)));
  CHECK_EQ(field("/proc/self/status", "Pid:"), getpid());
  CHECK_EQ(field("/proc/self/status", "PPid:"), getppid());
  CHECK_EQ(field("/proc/self/status", "Uid:"), getuid());
  CHECK(field("/proc/self/status", "VmRSS:") > 0 && field("/proc/self/status", "VmSize:") >= field("/proc/self/status", "VmRSS:"));
}
TEST(proc_names_descriptors) {
  int fd = make_file("a file", "contents", 8);
  char path[40], link[4096] = "";
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  CHECK_OK(readlink(path, link, sizeof link));
  CHECK_STR(strrchr(link, '/'), "/a file");
  CHECK_TEXT(path, "contents");
  int p[2], seen = 0;
  CHECK_OK(pipe(p));
  snprintf(path, sizeof path, "/proc/self/fd/%d", p[0]);
  memset(link, 0, sizeof link);
  CHECK_OK(readlink(path, link, sizeof link));
  CHECK(!strncmp(link, "pipe:[", 6));
  DIR* dir = opendir("/proc/self/fd");
  while (dirent* e = readdir(dir)) seen += atoi(e->d_name) == fd || atoi(e->d_name) == p[0] || atoi(e->d_name) == p[1];
  closedir(dir);
  CHECK_EQ(seen, 3);
  CHECK_ERR(open("/proc/self/fd/999", O_RDONLY), ENOENT);
  CHECK_TEXT("/proc/self/comm", strcat(strncpy(link, strrchr(g_program, '/') + 1, 15), "\n"));
}
// Once the kernel fell over this.
TEST(proc_leads_to_files_that_have_no_name) {
  int p[2], sockets[2];
  CHECK_OK(pipe(p));
  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
  char path[40], c = 0;
  struct stat direct, through;
  auto link_of = [&](int fd) { return snprintf(path, sizeof path, "/proc/self/fd/%d", fd), path; };
  int writer = CHECK_OK(open(link_of(p[0]), O_WRONLY | O_NONBLOCK));
  CHECK_EQ(write(writer, "x", 1), 1);
  CHECK_EQ(read(p[0], &c, 1), 1);
  CHECK_OK(fstat(p[0], &direct));
  CHECK_OK(stat(link_of(p[0]), &through));
  CHECK(direct.st_ino == through.st_ino && S_ISFIFO(through.st_mode));
  close(p[1]);
  close(writer);
  int reader = CHECK_OK(open(link_of(p[0]), O_RDONLY));  // no writer is left, and there is none to wait for
  CHECK_EQ(read(reader, &c, 1), 0);
  writer = CHECK_OK(open(link_of(reader), O_WRONLY));
  close(p[0]);
  close(reader);
  CHECK_OK(open(link_of(writer), O_WRONLY | O_NONBLOCK));
  CHECK_OK(pipe(p));
  int place = CHECK_OK(open(link_of(p[1]), O_PATH));
  CHECK_ERR(read(place, &c, 1), EBADF);
  CHECK_ERR(open(link_of(sockets[0]), O_RDWR), ENXIO);
  CHECK_ERR(open(link_of(eventfd(0, 0)), O_RDWR), ENXIO);
  CHECK_ERR(openat(AT_FDCWD, strcat(link_of(p[0]), "/x"), O_RDONLY), ENOTDIR);
  CHECK_ERR(chdir(link_of(p[0])), ENOTDIR);
}
// Every mapping is listed, in order, with its rights, and none overlaps another.
TEST(proc_maps_are_true) {
  int fd = make_file("mapped", g_text, 8192);
  char* p = map_pages(2, PROT_READ, MAP_SHARED, fd);
  char* q = map_pages(3);
  CHECK_OK(mprotect(q + kPage, kPage, PROT_NONE));
  char probe;
  unsigned long start, end, offset, last = 0;
  char rights[5], *line = (char*)contents("/proc/self/maps");
  const unsigned long code_address = (unsigned long)&uname;
  bool stack = false, file = false, none = false, code = false;
  for (char* next; *line; line = next) {
    next = strchr(line, '\n');
    CHECK(next != nullptr);
    *next++ = 0;
    CHECK_EQ(sscanf(line, "%lx-%lx %4s %lx", &start, &end, rights, &offset), 4);
    CHECK(start >= last && end > start && start % kPage == 0 && end % kPage == 0);
    last = end;
    if (start <= (unsigned long)&probe && (unsigned long)&probe < end) stack = !strcmp(rights, "rw-p") && strstr(line, "[stack]");
    if (start == (unsigned long)p) file = !strcmp(rights, "r--s") && strstr(line, "/mapped") && end - start == 2 * kPage;
    if (start == (unsigned long)q + kPage) none = !strcmp(rights, "---p") && end - start == kPage;
    if (start <= code_address && code_address < end) code = rights[0] == 'r' && rights[1] == '-' && strstr(line, strrchr(g_program, '/'));
  }
  CHECK(stack);
  CHECK(file);
  CHECK(none);
  CHECK(code);
}
TEST(proc_lists_processes) {
  pid_t child = in_child([] {
    for (;;) pause();
  });
  bool seen = false, one = false;
  DIR* dir = opendir("/proc");
  while (dirent* e = readdir(dir)) seen |= atoi(e->d_name) == child, one |= !strcmp(e->d_name, "1");
  closedir(dir);
  CHECK(seen && one);
  char path[40];
  snprintf(path, sizeof path, "/proc/%d", child);
  int fd = CHECK_OK(open(path, O_RDONLY | O_DIRECTORY));
  kill(child, SIGKILL);
  CHECK_SIGNAL(child, SIGKILL);
  struct stat st;
  CHECK_ERR(stat(path, &st), ENOENT);
  CHECK(openat(fd, "stat", O_RDONLY) == -1 && (errno == ENOENT || errno == ESRCH));
}
TEST(proc_about_the_system) {
  double up, idle;
  CHECK_EQ(sscanf(contents("/proc/uptime"), "%lf %lf", &up, &idle), 2);
  CHECK(up >= 0);
  CHECK(strstr(contents("/proc/cpuinfo"), "processor\t: 0"));
  CHECK(strstr(contents("/proc/mounts"), " / "));
  CHECK(strstr(contents("/proc/stat"), "cpu  "));
  CHECK(strstr(contents("/proc/stat"), "\nctxt "));
  CHECK(strstr(contents("/proc/version"), " version "));
  CHECK(strstr(contents("/proc/filesystems"), "proc"));
  float load;
  CHECK_EQ(sscanf(contents("/proc/loadavg"), "%f", &load), 1);
  CHECK(atoi(contents("/proc/sys/kernel/pid_max")) >= 1000);
  CHECK_ERR(open("/proc/absent", O_RDONLY), ENOENT);
  CHECK(mkdir("/proc/x", 0700) == -1);
  // Read in small pieces it is the same text.
  int fd = CHECK_OK(open("/proc/version", O_RDONLY));
  char piece[1000];
  int n = 0;
  while (read(fd, piece + n, 1) == 1) n++;
  piece[n] = 0;
  CHECK_STR(contents("/proc/version"), piece);
}

// ---- devices
TEST(null_zero_and_full) {
  char buffer[5000];
  int null = CHECK_OK(open("/dev/null", O_RDWR)), zero = CHECK_OK(open("/dev/zero", O_RDWR)), full = CHECK_OK(open("/dev/full", O_RDWR));
  CHECK_EQ(read(null, buffer, 10), 0);
  CHECK_EQ(write(null, buffer, 5000), 5000);
  memset(buffer, 1, sizeof buffer);
  CHECK_EQ(read(zero, buffer, 5000), 5000);
  for (char c : buffer) CHECK_EQ(c, 0);
  CHECK_EQ(write(zero, buffer, 10), 10);
  CHECK_ERR(write(full, buffer, 10), ENOSPC);
  CHECK_EQ(read(full, buffer, 10), 10);
  struct stat st;
  CHECK_OK(fstat(null, &st));
  CHECK(S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3));
}
TEST(random_bytes_differ) {
  char a[64], b[64], c[64];
  int fd = CHECK_OK(open("/dev/urandom", O_RDONLY));
  CHECK_EQ(read(fd, a, 64), 64);
  CHECK_EQ(read(fd, b, 64), 64);
  CHECK_EQ(syscall(SYS_getrandom, c, 64, 0), 64);
  CHECK(memcmp(a, b, 64) && memcmp(b, c, 64));
  fd = CHECK_OK(open("/dev/random", O_RDONLY));
  CHECK(read(fd, a, 16) > 0);
  CHECK_ERR(syscall(SYS_getrandom, c, 64, 0x100), EINVAL);
}
TEST(standard_descriptors_have_names) {
  int fd = make_file("in", "text", 4);
  lseek(fd, 0, SEEK_SET);
  CHECK_OK(dup2(fd, 0));
  int again = CHECK_OK(open("/dev/stdin", O_RDONLY));
  char c[5] = "";
  CHECK_EQ(read(again, c, 4), 4);
  CHECK_STR(c, "text");
  struct stat st;
  for (const char* name : {"/dev/tty", "/dev/console", "/dev/ptmx", "/dev/random", "/dev/stdout", "/dev/stderr"})
    CHECK_OK(lstat(name, &st));
}
TEST(the_process_name) {
  CHECK_OK(syscall(SYS_prctl, 15, "a new name"));
  CHECK_STR(contents("/proc/self/comm"), "a new name\n");
  char name[16];
  CHECK_OK(syscall(SYS_prctl, 16, name));
  CHECK_STR(name, "a new name");
}
