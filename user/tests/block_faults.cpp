// What programs see of a disk that fails: on /dev/vdb, by /proc/faultline/block_faults (docs/fault-injection.md). Faultline only; as root, with a
// disk that may be overwritten.
#include "user/tests/disk_rules.h"
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/swap.h>

constexpr int kPages = 8;

static void drop_caches() {
  int fd = CHECK_OK(open("/proc/sys/vm/drop_caches", O_WRONLY));
  CHECK_EQ(write(fd, "1", 1), 1);
  CHECK_OK(close(fd));
}
static int rules() {
  char text[4096];
  int fd = CHECK_OK(open("/proc/faultline/block_faults", O_RDONLY)), lines = 0;
  ssize_t n = CHECK_OK(read(fd, text, sizeof text));
  for (ssize_t i = 0; i < n; i++) lines += text[i] == '\n';
  CHECK_OK(close(fd));
  return lines;
}
// A fresh file system on /dev/vdb at "disk", with a file of a few pages that no cache holds; no rules at the end.
struct Disk {
  int fd;
  Disk() {
    if (!on_faultline() || access("/dev/vdb", F_OK)) SKIP("needs Faultline and a disk /dev/vdb");
    rule("clear");
    swapoff("/dev/vdb");
    CHECK_EXIT(in_child([] {
                 close(1);
                 open("/dev/null", O_WRONLY);
                 execlp("mke2fs", "mke2fs", "-b", "4096", "/dev/vdb", nullptr);
               }),
               0);
    CHECK_OK(mkdir("disk", 0700));
    CHECK_OK(mount("/dev/vdb", "disk", "ext2", 0, nullptr));
    fd = CHECK_OK(open("disk/file", O_RDWR | O_CREAT, 0600));
    char page[kPage];
    for (int i = 0; i < kPages; i++) {
      memset(page, 'a' + i, sizeof page);
      CHECK_EQ(write(fd, page, sizeof page), kPage);
    }
    CHECK_OK(fsync(fd));
    drop_caches();
  }
  Disk(const Disk&) = delete;
  ~Disk() {
    rule("clear");
    CHECK_OK(close(fd));
    CHECK_OK(umount("disk"));
  }
};

TEST(rules_are_checked) {
  if (!on_faultline()) SKIP("needs Faultline");
  int fd = CHECK_OK(open("/proc/faultline/block_faults", O_WRONLY));
  auto refused = [fd](const char* text, int error) {
    errno = 0;
    if (pwrite(fd, text, strlen(text), 0) != -1 || errno != error) FAIL("\"%s\" gives %s", text, strerrorname_np(errno));
  };
  refused("vdz read error", ENODEV);
  for (const char* bad :
       {"vda", "vda read", "vda look error", "vda read error at", "vda read error nth", "vda read error nth x", "vda read error seed 0",
        "vda read delay", "vda read delay x", "vda read error sectors 1", "vda read, error", "vda read error nth 1x"})
    refused(bad, EINVAL);
  CHECK_OK(close(fd));
  CHECK_EXIT(in_child([] {
               CHECK_OK(setuid(1000));
               CHECK_ERR(open("/proc/faultline/block_faults", O_WRONLY), EACCES);
             }),
             0);
  CHECK_EQ(rules(), 0);
}
TEST(a_read_error_reaches_read) {
  Disk disk;
  char page[kPage];
  rule("vdb read error");
  CHECK_ERR(pread(disk.fd, page, kPage, 0), EIO);
  CHECK_ERR(pread(disk.fd, page, kPage, 3 * kPage), EIO);
  CHECK(struck() >= 2);
  rule("clear");
  for (int i = 0; i < kPages; i++) {  // nothing of it stays
    CHECK_EQ(pread(disk.fd, page, kPage, i * kPage), kPage);
    CHECK_EQ(page[kPage - 1], 'a' + i);
  }
}
TEST(only_the_nth_fails) {
  Disk disk;
  int raw = CHECK_OK(open("/dev/vdb", O_RDONLY));
  char page[kPage];
  rule("vdb read error nth 3");
  int failed = 0;
  for (int i = 0; i < 6; i++) {
    CHECK_OK(posix_fadvise(raw, 0, 0, POSIX_FADV_RANDOM));
    drop_caches();
    ssize_t n = pread(raw, page, kPage, i * 64 * kPage);
    CHECK(n == kPage || (n == -1 && errno == EIO));
    if (n == -1) failed++;
  }
  CHECK(failed <= 1);  // what was read ahead with it is read again, page by page
  CHECK_EQ(struck(), 1);
  CHECK_OK(close(raw));
}
TEST(only_some_sectors_fail) {
  Disk disk;
  int raw = CHECK_OK(open("/dev/vdb", O_RDONLY));
  CHECK_OK(posix_fadvise(raw, 0, 0, POSIX_FADV_RANDOM));
  char page[kPage];
  drop_caches();
  rule("vdb read error sectors 8000 8");
  CHECK_EQ(pread(raw, page, kPage, 990 * kPage), kPage);
  CHECK_ERR(pread(raw, page, kPage, 1000 * kPage), EIO);
  CHECK_EQ(pread(raw, page, kPage, 1001 * kPage), kPage);
  CHECK_OK(close(raw));
}
TEST(a_write_error_reaches_fsync_once) {
  Disk disk;
  char page[kPage];
  memset(page, 'z', sizeof page);
  CHECK_EQ(pwrite(disk.fd, page, kPage, 0), kPage);
  rule("vdb write error");
  CHECK_ERR(fsync(disk.fd), EIO);
  rule("clear");
  CHECK_OK(fsync(disk.fd));
  CHECK_EQ(pwrite(disk.fd, page, kPage, kPage), kPage);
  CHECK_OK(fsync(disk.fd));
  drop_caches();
  CHECK_EQ(pread(disk.fd, page, kPage, kPage), kPage);
  CHECK_EQ(page[5], 'z');
}
TEST(a_flush_error_reaches_fsync) {
  Disk disk;
  CHECK_EQ(pwrite(disk.fd, "z", 1, 0), 1);
  rule("vdb flush error times 1");
  CHECK_ERR(fsync(disk.fd), EIO);
  CHECK_OK(fsync(disk.fd));
}
TEST(a_read_error_of_a_mapping_is_sigbus) {
  Disk disk;
  char* p = (char*)mmap(nullptr, kPages * kPage, PROT_READ | PROT_WRITE, MAP_SHARED, disk.fd, 0);
  CHECK(p != MAP_FAILED);
  rule("vdb read error");
  CHECK_FAULT(peek(uintptr_t(p + 2 * kPage)), SIGBUS, BUS_ADRERR, p + 2 * kPage);
  CHECK_FAULT(poke(uintptr_t(p + 2 * kPage), 1), SIGBUS, BUS_ADRERR, p + 2 * kPage);
  char byte;
  int pipes[2];
  CHECK_OK(pipe(pipes));
  CHECK_ERR(write(pipes[1], p + 3 * kPage, 1), EFAULT);  // the kernel's own touch
  rule("clear");
  CHECK_EQ(write(pipes[1], p + 3 * kPage, 1), 1);
  CHECK(read(pipes[0], &byte, 1) == 1 && byte == 'd');
  CHECK_EQ(p[2 * kPage], 'c');
  CHECK_OK(munmap(p, kPages * kPage));
  close(pipes[0]);
  close(pipes[1]);
}
TEST(chance_is_the_same_for_the_same_seed) {
  { Disk disk; }  // a mounted file system's own reads would be drawn as well
  int raw = CHECK_OK(open("/dev/vdb", O_RDONLY));
  CHECK_OK(posix_fadvise(raw, 0, 0, POSIX_FADV_RANDOM));
  auto run = [raw](const char* seed) {
    unsigned long long pattern = 0;
    char page[kPage], text[100];
    snprintf(text, sizeof text, "vdb read error permille 400 seed %s", seed);
    rule("clear");
    rule(text);
    for (int i = 0; i < 60; i++) {
      drop_caches();
      ssize_t n = pread(raw, page, kPage, i * 40 * kPage);
      pattern = pattern << 1 | (n == kPage ? 0 : 1);
    }
    return pattern;
  };
  const unsigned long long first = run("5"), again = run("5"), other = run("6");
  CHECK(first == again && first != other);
  const int failed = __builtin_popcountll(first);
  CHECK(failed > 0 && failed < 60);
  rule("clear");
  CHECK_OK(close(raw));
}
TEST(a_slow_disk_is_late) {
  Disk disk;
  rule("vdb read delay 60");
  timespec before, after;
  char byte;
  clock_gettime(CLOCK_MONOTONIC, &before);
  CHECK_EQ(pread(disk.fd, &byte, 1, 0), 1);
  clock_gettime(CLOCK_MONOTONIC, &after);
  CHECK((after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000 >= 59);
  CHECK_EQ(byte, 'a');
}
TEST(a_program_on_a_failing_disk_does_not_start) {
  Disk disk;
  CHECK_EXIT(in_child([] { execl("/bin/cp", "cp", "/bin/busybox", "disk/true", nullptr); }), 0);
  CHECK_OK(chmod("disk/true", 0755));
  sync();
  drop_caches();
  CHECK_EXIT(in_child([] { execl("disk/true", "true", nullptr); }), 0);
  drop_caches();
  rule("vdb read error");
  CHECK_EXIT(in_child([] {
               execl("disk/true", "true", nullptr);
               _exit(errno == EIO ? 7 : 8);
             }),
             7);
}
static void make_swap_disk() {  // prepared, and not in use
  if (!on_faultline() || access("/dev/vdb", F_OK)) SKIP("needs Faultline and a disk /dev/vdb");
  swapoff("/dev/vdb");
  CHECK_EXIT(in_child([] {
               close(1);
               open("/dev/null", O_WRONLY);
               execlp("mkswap", "mkswap", "/dev/vdb", nullptr);
             }),
             0);
}
TEST(a_header_that_cannot_be_read) {
  make_swap_disk();
  sync();
  drop_caches();
  rule("vdb read error");
  CHECK_ERR(swapon("/dev/vdb", 0), EIO);
  rule("clear");
  CHECK_OK(swapon("/dev/vdb", 0));  // it was let go
  CHECK_OK(swapoff("/dev/vdb"));
}

// ---- swap
static long swapped_kilobytes(pid_t pid) {
  char path[60], text[4096] = {};
  snprintf(path, sizeof path, "/proc/%d/status", pid);
  int fd = CHECK_OK(open(path, O_RDONLY));
  CHECK(read(fd, text, sizeof text - 1) > 0);
  close(fd);
  char* at = strstr(text, "VmSwap:");
  CHECK(at);
  return atol(at + 7);
}
// The number of the swap area's page that has the process's page at `address`, or 0: it is in memory.
static unsigned long slot_of(pid_t pid, char* address) {
  char path[60];
  snprintf(path, sizeof path, "/proc/%d/pagemap", pid);
  int fd = CHECK_OK(open(path, O_RDONLY));
  uint64_t entry = 0;
  CHECK_EQ(pread(fd, &entry, sizeof entry, uintptr_t(address) / kPage * sizeof entry), sizeof entry);
  close(fd);
  return entry >> 62 == 1 ? (entry & ((1ull << 55) - 1)) >> 5 : 0;
}
TEST_SLOW(a_page_of_swap_that_cannot_be_read_costs_one_process) {
  make_swap_disk();
  CHECK_OK(swapon("/dev/vdb", 0));
  constexpr size_t kBytes = 4 << 20;
  char* p = (char*)mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(p != MAP_FAILED);
  Gate filled, go, other_filled, other_go;
  auto holder = [&](Gate& full, Gate& wait) {
    return in_child([&] {
      for (size_t at = 0; at < kBytes; at += kPage) memset(p + at, int(at / kPage), kPage);
      full.open();
      wait.wait();
      for (size_t at = 0; at < kBytes; at++) CHECK_EQ(p[at], char(at / kPage));
    });
  };
  const pid_t pid = holder(filled, go), other = holder(other_filled, other_go);
  filled.wait();
  other_filled.wait();
  CHECK_EXIT(in_child([=] {  // somebody else needs the memory
               for (int i = 0; i < 400 && swapped_kilobytes(pid) < 2048; i++) {
                 char* q = (char*)mmap(nullptr, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
                 CHECK(q != MAP_FAILED);
                 for (size_t at = 0; at < 1 << 20; at += kPage) q[at] = 1;
               }
             }),
             0);
  other_go.open();
  CHECK_EXIT(other, 0);
  CHECK_OK(mlockall(MCL_CURRENT));       // what this process needs is not among what fails
  unsigned long first = ~0ul, last = 0;  // of its pages; a few of them may still be in memory
  for (size_t at = 0; at < kBytes; at += kPage) {
    const unsigned long slot = slot_of(pid, p + at);
    if (slot && slot < first) first = slot;
    if (slot > last) last = slot;
  }
  CHECK(last);
  char text[100];
  snprintf(text, sizeof text, "vdb read error sectors %lu %lu", first * 8, (last - first + 1) * 8);
  rule(text);
  go.open();
  const int status = wait_for(pid), times = struck();
  rule("clear");
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS && times > 0);
  CHECK_OK(munlockall());
  CHECK_OK(swapoff("/dev/vdb"));
}
