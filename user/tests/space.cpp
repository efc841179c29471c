// When it is all used up: the disk, its inodes, more open files than any table has. Clean errors, and it all comes back.
//
// `fill_*` and `use_all_inodes` want a small file system: give one with -d (or the guest's own disk); they don't fill a big one.
#include "user/tests/harness.h"
#include <sys/mount.h>
#include <sys/vfs.h>

static long long free_bytes() {
  struct statfs fs;
  CHECK_OK(statfs(".", &fs));
  return (long long)fs.f_bfree * fs.f_bsize;
}
static long free_inodes() {
  struct statfs fs;
  CHECK_OK(statfs(".", &fs));
  return fs.f_ffree;
}
static void only_small() {
  if (free_bytes() > 200 << 20) SKIP("the file system is too big to be filled");
}
static char g_block[65536];

TEST_SLOW(fill_the_file_system_and_empty_it) {
  only_small();
  sync();
  long long before = free_bytes();
  for (int round = 0; round < 2; round++) {
    int fd = make_file("big");
    long long written = 0;
    memset(g_block, 'f', sizeof g_block);
    ssize_t n;
    while ((n = write(fd, g_block, sizeof g_block)) > 0) written += n;
    CHECK(n == -1 && errno == ENOSPC);
    CHECK_ERR(write(fd, g_block, sizeof g_block), ENOSPC);
    CHECK(written <= before && written > before / 2);
    struct stat st;
    CHECK_OK(fstat(fd, &st));
    CHECK_EQ(st.st_size, written);
    char c;
    CHECK(pread(fd, &c, 1, written - 1) == 1 && c == 'f');
    CHECK(pwrite(fd, "X", 1, 0) == 1);                  // what is allocated can be overwritten
    int other = open("small", O_RDWR | O_CREAT, 0600);  // a name may still fit, its data does not
    if (other >= 0) {
      CHECK_ERR(write(other, g_block, sizeof g_block), ENOSPC);
      CHECK_OK(unlink("small"));
      close(other);
    } else
      CHECK_EQ(errno, ENOSPC);
    int made = mkdir("d", 0755);
    if (made == 0)
      CHECK_OK(rmdir("d"));
    else
      CHECK_EQ(errno, ENOSPC);
    CHECK_EXIT(in_child([] {}), 0);  // the machine is otherwise well
    CHECK_OK(ftruncate(fd, 100));
    CHECK_EQ(pwrite(fd, g_block, 50000, 0), 50000);
    CHECK_OK(unlink("big"));
    close(fd);
    sync();
    long long after = free_bytes();
    if (after < before - 65536 || after > before + 65536) FAIL("%lld bytes free before, %lld after", before, after);
  }
}
// xv6-riscv: a failed write must not keep a block; many small ones on a full disk.
TEST_SLOW(failed_writes_keep_no_blocks) {
  only_small();
  int big = make_file("big");
  while (write(big, g_block, sizeof g_block) > 0) {
  }
  while (write(big, g_block, 512) > 0) {
  }
  sync();  // a page's blocks past the end go back
  long long before = free_bytes();
  for (int i = 0; i < 50; i++) {
    int fd = open("x", O_RDWR | O_CREAT, 0600);
    if (fd < 0) {
      CHECK_EQ(errno, ENOSPC);
      continue;
    }
    (void)!write(fd, g_block, 8192);
    (void)!pwrite(fd, "far", 3, 50 << 20);
    close(fd);
    CHECK_OK(unlink("x"));
  }
  sync();
  CHECK_EQ(free_bytes(), before);
}
// A shared mapping over a hole of a file on a full disk: the write cannot be kept, the process is told by SIGBUS.
TEST_SLOW(a_mapped_hole_on_a_full_file_system) {
  only_small();
  int hole = make_file("hole");
  CHECK_OK(ftruncate(hole, 16 * kPage));
  char* p = map_pages(16, PROT_READ | PROT_WRITE, MAP_SHARED, hole);
  CHECK_EQ(p[0], 0);
  int big = make_file("big");
  while (write(big, g_block, sizeof g_block) > 0) {
  }
  while (write(big, g_block, 512) > 0) {
  }
  for (int i = 0; i < 16; i++) {
    Fault fault = fault_of([=] { p[i * kPage] = 1; });
    CHECK(fault.signal == 0 || (fault.signal == SIGBUS && fault.code == BUS_ADRERR));
  }
  (void)!msync(p, 16 * kPage, MS_SYNC);
}
TEST_SLOW(use_all_inodes) {
  only_small();
  long before = free_inodes();
  if (before > 40000) SKIP("too many inodes");
  char name[32];
  int n = 0, dirs = 0;
  for (;; n++) {
    if (n % 500 == 0) {
      snprintf(name, sizeof name, "d%d", dirs);
      if (mkdir(name, 0755)) {
        CHECK_EQ(errno, ENOSPC);
        break;
      }
      dirs++;
    }
    snprintf(name, sizeof name, "d%d/%d", dirs - 1, n);
    int fd = open(name, O_CREAT | O_EXCL | O_WRONLY, 0600);
    if (fd < 0) {
      CHECK_EQ(errno, ENOSPC);
      break;
    }
    close(fd);
  }
  CHECK(n > 10);
  CHECK_ERR(mkdir("one more", 0755), ENOSPC);
  CHECK_ERR(symlink("x", "one more"), ENOSPC);
  CHECK_ERR(mkfifo("one more", 0600), ENOSPC);
  CHECK_OK(link("d0/1", "a link"));  // needs no inode
  CHECK_OK(unlink("d0/2"));
  close(CHECK_OK(open("one more", O_CREAT | O_EXCL, 0600)));
  for (int d = 0; d < dirs; d++) {
    for (int i = d * 500; i < (d + 1) * 500; i++) {
      snprintf(name, sizeof name, "d%d/%d", d, i);
      unlink(name);
    }
    snprintf(name, sizeof name, "d%d", d);
    CHECK_OK(rmdir(name));
  }
  CHECK_OK(unlink("one more"));
  CHECK_OK(unlink("a link"));
  CHECK_EQ(free_inodes(), before);
}

// xv6's users' crash: more open inodes than the table. Each of these files is a different one and stays open.
TEST_SLOW(thousands_of_open_files) {
  constexpr int kProcesses = 4;
  const int each = scale(1500) / 4;
  Gate ready, go;
  pid_t pids[kProcesses];
  for (int p = 0; p < kProcesses; p++)
    pids[p] = in_child([&] {
      rlimit limit = {rlim_t(each + 50), rlim_t(each + 50)};
      CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
      int* fds = (int*)malloc(each * sizeof(int));
      char name[32];
      for (int i = 0; i < each; i++) {
        snprintf(name, sizeof name, "%d-%d", p, i);
        fds[i] = CHECK_OK(open(name, O_RDWR | O_CREAT | O_EXCL, 0600));
        CHECK_EQ(write(fds[i], &i, sizeof i), sizeof i);
      }
      ready.open();
      go.wait();
      for (int i = 0; i < each; i++) {
        int value = -1;
        CHECK_EQ(pread(fds[i], &value, sizeof value, 0), sizeof value);
        CHECK_EQ(value, i);
        snprintf(name, sizeof name, "%d-%d", p, i);
        CHECK_OK(unlink(name));
      }
    });
  for (int p = 0; p < kProcesses; p++) ready.wait();
  for (int p = 0; p < kProcesses; p++) go.open();
  for (pid_t pid : pids) CHECK_EXIT(pid, 0);
}

TEST(a_small_tmpfs_has_its_limits) {
  if (getuid()) SKIP("needs root");
  CHECK_OK(mkdir("m", 0755));
  if (mount("none", "m", "tmpfs", 0, "size=1m,nr_inodes=20")) {
    CHECK(errno == EINVAL || errno == EPERM);
    SKIP("no tmpfs of a given size");
  }
  CHECK_OK(chdir("m"));
  int fd = make_file("f");
  long long total = 0;
  for (ssize_t n; (n = write(fd, g_block, sizeof g_block)) > 0;) total += n;
  CHECK_EQ(errno, ENOSPC);
  CHECK_EQ(total, 1 << 20);
  CHECK_OK(ftruncate(fd, 0));
  CHECK_EQ(write(fd, g_block, sizeof g_block), sizeof g_block);
  int n = 0;
  char name[16];
  for (;; n++) {
    snprintf(name, sizeof name, "%d", n);
    int f = open(name, O_CREAT | O_EXCL, 0600);
    if (f < 0) break;
    close(f);
  }
  CHECK(errno == ENOSPC && n == 18);  // the root directory and f have two
  CHECK_OK(chdir(".."));
  CHECK_ERR(umount("m"), EBUSY);
  close(fd);
  CHECK_OK(umount("m"));
  CHECK_ERR(umount("m"), EINVAL);
}
