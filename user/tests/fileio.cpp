// File contents: reading, writing, holes, sizes, offsets, appending, truncating, and files that have lost their names.
#include "user/tests/harness.h"
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <sys/vfs.h>

static off_t size_of(int fd) {
  struct stat st;
  CHECK_OK(fstat(fd, &st));
  return st.st_size;
}
static char byte_at(off_t i) { return char(i * 31 + (i >> 9)); }
static void write_pattern(int fd, off_t from, off_t to, int piece) {
  char buffer[20000];
  for (off_t at = from; at < to;) {
    int n = to - at < piece ? to - at : piece;
    for (int i = 0; i < n; i++) buffer[i] = byte_at(at + i);
    CHECK_EQ(pwrite(fd, buffer, n, at), n);
    at += n;
  }
}
static void check_pattern(int fd, off_t from, off_t to, int piece) {
  char buffer[20000];
  for (off_t at = from; at < to;) {
    int want = to - at < piece ? to - at : piece;
    int n = CHECK_OK(pread(fd, buffer, want, at));
    CHECK_EQ(n, want);
    for (int i = 0; i < n; i++)
      if (buffer[i] != byte_at(at + i)) FAIL("at %lld: %d, expected %d", (long long)(at + i), buffer[i], byte_at(at + i));
    at += n;
  }
}

// xv6: writetest, writebig, bigwrite, bigfile
TEST(small_files) {
  int fd = make_file("f");
  for (int i = 0; i < 100; i++) {
    CHECK_EQ(write(fd, "aaaaaaaaaa", 10), 10);
    CHECK_EQ(write(fd, "bbbbbbbbbb", 10), 10);
  }
  CHECK_EQ(size_of(fd), 2000);
  CHECK_OK(lseek(fd, 0, SEEK_SET));
  char buffer[3000];
  CHECK_EQ(read(fd, buffer, sizeof buffer), 2000);
  CHECK_EQ(read(fd, buffer, sizeof buffer), 0);
  for (int i = 0; i < 2000; i++) CHECK_EQ(buffer[i], i / 10 % 2 ? 'b' : 'a');
}
TEST(pieces_of_every_size) {
  for (int piece : {1, 3, 511, 512, 513, 1023, 1024, 1025, 4095, 4096, 4097, 8191, 20000}) {
    int fd = make_file("f");
    off_t size = piece < 10 ? 5000 : 100000;
    write_pattern(fd, 0, size, piece);
    CHECK_EQ(size_of(fd), size);
    check_pattern(fd, 0, size, 20000 - piece % 77);
    check_pattern(fd, 0, size, piece);
    close(fd);
  }
}
// Through the direct, the single and the double indirect blocks of a file system with blocks of 1 KiB.
TEST(a_big_file) {
  int fd = make_file("f");
  off_t size = off_t(scale(3)) << 20;
  write_pattern(fd, 0, size, 20000);
  CHECK_OK(fsync(fd));
  CHECK_OK(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
  check_pattern(fd, 0, size, 19999);
  struct stat st;
  CHECK_OK(fstat(fd, &st));
  CHECK(st.st_blocks * 512LL >= size);
}

// ---- holes and sizes
TEST(holes_are_zero_and_cost_nothing) {
  int fd = make_file("f");
  for (off_t at : {off_t(100000), off_t(5) << 20, off_t(70) << 20, (off_t(1) << 30) + 123}) CHECK_EQ(pwrite(fd, "end", 3, at), 3);
  CHECK_EQ(size_of(fd), (off_t(1) << 30) + 126);
  struct stat st;
  CHECK_OK(fstat(fd, &st));
  CHECK(st.st_blocks * 512LL < 300000);
  char buffer[5000];
  CHECK_EQ(pread(fd, buffer, 5000, 97000), 5000);
  for (int i = 0; i < 5000; i++) CHECK_EQ(buffer[i], i == 3000 ? 'e' : i == 3001 ? 'n' : i == 3002 ? 'd' : 0);
  CHECK_EQ(pwrite(fd, "middle", 6, 50000), 6);  // filling a hole changes nothing around it
  CHECK_EQ(pread(fd, buffer, 5000, 48000), 5000);
  for (int i = 0; i < 5000; i++) CHECK_EQ(buffer[i], i >= 2000 && i < 2006 ? "middle"[i - 2000] : 0);
}
TEST(files_of_more_than_2_gib) {
  int fd = make_file("f");
  off_t far = off_t(3) << 30;
  CHECK_EQ(pwrite(fd, "x", 1, far), 1);
  CHECK_EQ(size_of(fd), far + 1);
  CHECK_EQ(lseek(fd, 0, SEEK_END), far + 1);
  char c;
  CHECK(pread(fd, &c, 1, far) == 1 && c == 'x');
  CHECK_ERR(syscall(SYS_open, "f", O_RDONLY), EOVERFLOW);  // without O_LARGEFILE
  struct statfs fs;
  CHECK_OK(statfs(".", &fs));
  if (fs.f_type == 0xef53) {  // ext2; tmpfs can be larger than this
    CHECK_ERR(pwrite(fd, "x", 1, 1LL << 62), EFBIG);
    CHECK_ERR(ftruncate(fd, 1LL << 62), EFBIG);
  }
  CHECK_OK(ftruncate(fd, 10));
}
TEST(truncate_shrinks_grows_and_zeroes) {
  int fd = make_file("f");
  write_pattern(fd, 0, 100000, 20000);
  for (off_t size : {99999, 65536, 50001, 12289, 12288, 4097, 1025, 11, 0}) {
    CHECK_OK(ftruncate(fd, size));
    CHECK_EQ(size_of(fd), size);
    check_pattern(fd, 0, size, 20000);
    CHECK_OK(ftruncate(fd, size + 5000));
    char buffer[5000];
    CHECK_EQ(pread(fd, buffer, 5000, size), 5000);
    for (char c : buffer) CHECK_EQ(c, 0);  // nothing old comes back
    CHECK_OK(ftruncate(fd, size));
  }
  struct stat st;
  CHECK_OK(fstat(fd, &st));
  CHECK_EQ(st.st_blocks, 0);
  CHECK_ERR(ftruncate(fd, -1), EINVAL);
  CHECK_ERR(truncate("absent", 0), ENOENT);
  CHECK_ERR(ftruncate(CHECK_OK(open("f", O_RDONLY)), 0), EINVAL);
  // xv6-riscv: truncate1..3; readers see the new end, O_TRUNC of another open works
  write_pattern(fd, 0, 4000, 4000);
  int reader = CHECK_OK(open("f", O_RDONLY));
  char b[100];
  CHECK_EQ(read(reader, b, 100), 100);
  close(CHECK_OK(open("f", O_WRONLY | O_TRUNC)));
  CHECK_EQ(read(reader, b, 100), 0);
  CHECK_EQ(pwrite(fd, "abc", 3, 100), 3);
  CHECK_EQ(read(reader, b, 100), 3);
}

// ---- offsets
TEST(seeking) {
  int fd = make_file("f", "0123456789", 10);
  CHECK_EQ(lseek(fd, 3, SEEK_SET), 3);
  CHECK_EQ(lseek(fd, 2, SEEK_CUR), 5);
  CHECK_EQ(lseek(fd, -1, SEEK_END), 9);
  CHECK_EQ(lseek(fd, 1000, SEEK_END), 1010);
  CHECK_ERR(lseek(fd, -1, SEEK_SET), EINVAL);
  CHECK_ERR(lseek(fd, -2000, SEEK_CUR), EINVAL);
  CHECK_ERR(lseek(fd, 0, 99), EINVAL);
  CHECK_EQ(lseek(fd, 0, SEEK_CUR), 1010);
  char c;
  CHECK_EQ(read(fd, &c, 1), 0);
  CHECK_ERR(pread(fd, &c, 1, -1), EINVAL);
  CHECK_ERR(pwrite(fd, &c, 1, -1), EINVAL);
  CHECK_EQ(size_of(fd), 10);
  CHECK_ERR(lseek(999, 0, SEEK_SET), EBADF);
}
TEST(pread_and_pwrite_leave_the_offset) {
  int fd = make_file("f", "0123456789", 10);
  lseek(fd, 4, SEEK_SET);
  char c[3];
  CHECK_EQ(pread(fd, c, 3, 7), 3);
  CHECK(!memcmp(c, "789", 3));
  CHECK_EQ(pwrite(fd, "X", 1, 0), 1);
  CHECK_EQ(lseek(fd, 0, SEEK_CUR), 4);
  CHECK_EQ(pread(fd, c, 3, 9), 1);
  CHECK_EQ(pread(fd, c, 3, 10), 0);
}
TEST(vectors) {
  int fd = make_file("f");
  char a[] = "one", b[] = "two22", c[7] = {}, d[3] = {};
  iovec out[3] = {{a, 3}, {nullptr, 0}, {b, 5}}, in[2] = {{c, 6}, {d, 3}};
  CHECK_EQ(writev(fd, out, 3), 8);
  CHECK_EQ(pwritev(fd, out, 1, 20), 3);
  CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
  CHECK_EQ(readv(fd, in, 2), 9);
  CHECK(!memcmp(c, "onetwo", 6) && !memcmp(d, "22\0", 3));
  CHECK_EQ(preadv(fd, in, 1, 20), 3);
  CHECK(!memcmp(c, "onetwo", 6));
  CHECK_EQ(readv(fd, in, 0), 0);
}
TEST(descriptors_share_or_have_their_offset) {
  int a = make_file("f", "0123456789", 10), b = CHECK_OK(dup(a)), c = CHECK_OK(open("f", O_RDONLY));
  lseek(a, 5, SEEK_SET);
  CHECK_EQ(lseek(b, 0, SEEK_CUR), 5);
  CHECK_EQ(lseek(c, 0, SEEK_CUR), 0);
  CHECK_OK(fcntl(b, F_SETFL, O_APPEND));
  CHECK(fcntl(a, F_GETFL) & O_APPEND);
  CHECK_OK(fcntl(b, F_SETFD, FD_CLOEXEC));
  CHECK_EQ(fcntl(a, F_GETFD), 0);
}
TEST(appending_goes_to_the_end) {
  int a = CHECK_OK(open("f", O_RDWR | O_CREAT | O_APPEND, 0600)), b = CHECK_OK(open("f", O_WRONLY | O_APPEND));
  CHECK_EQ(write(a, "one", 3), 3);
  CHECK_EQ(write(b, "two", 3), 3);
  lseek(a, 0, SEEK_SET);
  CHECK_EQ(write(a, "three", 5), 5);
  CHECK_EQ(lseek(a, 0, SEEK_CUR), 11);
  CHECK_TEXT("f", "onetwothree");
  pid_t pids[4];
  for (int i = 0; i < 4; i++)
    pids[i] = in_child([&] {
      int fd = CHECK_OK(open("g", O_WRONLY | O_CREAT | O_APPEND, 0600));
      char line[10];
      memset(line, 'a' + i, 10);
      for (int k = 0; k < 200; k++) CHECK_EQ(write(fd, line, 10), 10);
    });
  for (pid_t p : pids) CHECK_EXIT(p, 0);
  int fd = CHECK_OK(open("g", O_RDONLY)), counts[4] = {};
  char line[10];
  while (read(fd, line, 10) == 10) {
    for (char c : line) CHECK_EQ(c, line[0]);
    counts[line[0] - 'a']++;
  }
  for (int n : counts) CHECK_EQ(n, 200);
}

// ---- without a name
// xv6: unlinkread, dirtest; the last reference ends the file
TEST(unlinked_files_live_while_open) {
  struct statfs before, after;
  sync();
  CHECK_OK(statfs(".", &before));
  int fd = make_file("f", "hello", 5);
  CHECK_OK(unlink("f"));
  make_text("f", "other");
  CHECK_EQ(write(fd, " world", 6), 6);
  char text[20] = {};
  CHECK_EQ(pread(fd, text, 20, 0), 11);
  CHECK_STR(text, "hello world");
  struct stat st;
  CHECK_OK(fstat(fd, &st));
  CHECK_EQ(st.st_nlink, 0);
  CHECK_EXIT(in_child([=] {
               char t[6];
               CHECK_EQ(pread(fd, t, 5, 0), 5);
             }),
             0);
  write_pattern(fd, 0, 1 << 20, 20000);
  close(fd);
  CHECK_OK(unlink("f"));
  sync();
  CHECK_OK(statfs(".", &after));
  if (before.f_type == 0xef53 && on_faultline()) CHECK_EQ(after.f_bfree, before.f_bfree);  // the blocks came back
}

// ---- descriptors
TEST(duplicating_descriptors) {
  int fd = make_file("f");
  CHECK_EQ(dup2(fd, fd), fd);
  CHECK_ERR(dup2(999, 5), EBADF);
  CHECK_ERR(dup3(fd, fd, 0), EINVAL);
  CHECK_ERR(dup2(fd, -1), EBADF);
  CHECK_EQ(dup3(fd, 50, O_CLOEXEC), 50);
  CHECK_EQ(fcntl(50, F_GETFD), FD_CLOEXEC);
  CHECK_EQ(fcntl(fd, F_DUPFD, 40), 40);
  CHECK_EQ(fcntl(fd, F_DUPFD_CLOEXEC, 40), 41);
  CHECK_ERR(fcntl(fd, F_DUPFD, -1), EINVAL);
  CHECK_OK(close(40));
  CHECK_ERR(close(40), EBADF);
  CHECK_EQ(dup(fd), fd + 1);  // the lowest that is free
  CHECK_OK(syscall(SYS_close_range, 41, 60, 0));
  CHECK_ERR(fcntl(50, F_GETFD), EBADF);
  CHECK_ERR(fcntl(fd, 9999), EINVAL);
}
TEST(access_modes_are_kept) {
  close(make_file("f", "abc", 3));
  char c;
  int r = CHECK_OK(open("f", O_RDONLY)), w = CHECK_OK(open("f", O_WRONLY));
  CHECK_ERR(write(r, "x", 1), EBADF);
  CHECK_ERR(read(w, &c, 1), EBADF);
  CHECK_EQ(fcntl(r, F_GETFL) & O_ACCMODE, O_RDONLY);
  CHECK_EQ(fcntl(w, F_GETFL) & O_ACCMODE, O_WRONLY);
  CHECK_OK(fcntl(r, F_SETFL, O_RDWR | O_NONBLOCK));
  CHECK_EQ(fcntl(r, F_GETFL) & (O_ACCMODE | O_NONBLOCK), O_RDONLY | O_NONBLOCK);
}
TEST(flush_and_space_calls) {
  int fd = make_file("f", "abc", 3);
  CHECK_OK(fsync(fd));
  CHECK_OK(fdatasync(fd));
  sync();
  CHECK_ERR(fsync(999), EBADF);
  struct statfs fs;
  CHECK_OK(statfs(".", &fs));
  CHECK(fs.f_bsize > 0 && fs.f_bfree <= fs.f_blocks && fs.f_namelen == 255);
  CHECK_OK(fstatfs(fd, &fs));
}
static long long blocks_of(int fd) {
  struct stat st;
  CHECK_OK(fstat(fd, &st));
  return st.st_blocks * 512LL;
}
static bool is_zero(int fd, off_t from, off_t to) {
  char buffer[4096];
  for (int n; from < to; from += n) {
    n = CHECK_OK(pread(fd, buffer, to - from < 4096 ? to - from : 4096, from));
    CHECK(n > 0);
    for (int i = 0; i < n; i++)
      if (buffer[i]) return false;
  }
  return true;
}
TEST(room_is_set_aside_and_given_back) {
  int fd = make_file("f", "abc", 3);
  if (fallocate(fd, 0, 0, 100000) && errno == EOPNOTSUPP && !on_faultline()) SKIP("no fallocate here");
  CHECK_OK(fallocate(fd, 0, 0, 100000));
  CHECK_EQ(size_of(fd), 100000);
  CHECK(blocks_of(fd) >= 100000);
  char c;
  CHECK(pread(fd, &c, 1, 2) == 1 && c == 'c');
  CHECK(is_zero(fd, 3, 100000));
  CHECK_OK(fallocate(fd, FALLOC_FL_KEEP_SIZE, 20000, 30000));  // it has that
  CHECK_EQ(size_of(fd), 100000);
  CHECK_ERR(fallocate(fd, 0, 0, 0), EINVAL);
  CHECK_ERR(fallocate(fd, 0, -1, 5), EINVAL);
  CHECK_ERR(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 5), EOPNOTSUPP);  // only without a change of size
  CHECK_ERR(fallocate(CHECK_OK(open("f", O_RDONLY)), 0, 0, 5), EBADF);
}
TEST(holes_can_be_punched) {
  constexpr int kSize = 3 << 20;
  int fd = make_file("f");
  write_pattern(fd, 0, kSize, 20000);
  CHECK_OK(fsync(fd));
  long long before = blocks_of(fd);
  char* map = map_pages(kSize / kPage, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
  const int punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, from = 10000, to = 2500001;
  if (fallocate(fd, punch, from, to - from) && errno == EOPNOTSUPP && !on_faultline()) SKIP("no holes here");
  CHECK_EQ(size_of(fd), kSize);
  CHECK(blocks_of(fd) <= before - (to - from) + 3 * kPage);
  for (int i = 0; i < kSize; i++) {
    if (i >= from && i < to ? map[i] != 0 : map[i] != byte_at(i)) FAIL("byte %d is %d", i, map[i]);
  }
  map[1 << 20] = 'x';  // a hole can be filled again
  CHECK_OK(fsync(fd));
  CHECK(is_zero(fd, (1 << 20) - 5000, 1 << 20) && is_zero(fd, (1 << 20) + 1, (1 << 20) + 5000));
  CHECK_OK(fallocate(fd, punch, 0, 8LL << 30));  // everything, and more
  CHECK_EQ(size_of(fd), kSize);
  CHECK(blocks_of(fd) <= kPage);
  CHECK(is_zero(fd, 0, 100) && is_zero(fd, kSize - 100, kSize) && map[1 << 20] == 0);
}
TEST(sendfile_copies) {
  int in = make_file("in"), out = make_file("out");
  write_pattern(in, 0, 30000, 20000);
  off_t offset = 0;
  for (int left = 30000; left > 0;) {
    int n = CHECK_OK(sendfile(out, in, &offset, left));
    CHECK(n > 0);
    left -= n;
  }
  check_pattern(out, 0, 30000, 20000);
  CHECK(offset == 30000 && lseek(in, 0, SEEK_CUR) == 0);
  CHECK_EQ(sendfile(out, in, &offset, 10), 0);
  // A full pipe takes nothing, and what was not taken is still to be sent.
  int pipes[2];
  CHECK_OK(pipe2(pipes, O_NONBLOCK));
  static char block[4096];
  CHECK_EQ(sendfile(pipes[1], in, nullptr, 1000), 1000);
  CHECK_EQ(lseek(in, 0, SEEK_CUR), 1000);
  for (size_t bytes : {sizeof block, size_t{1}})
    while (write(pipes[1], block, bytes) > 0) {
    }
  CHECK_ERR(sendfile(pipes[1], in, nullptr, 10000), EAGAIN);
  CHECK_EQ(lseek(in, 0, SEEK_CUR), 1000);
  CHECK_ERR(sendfile(out, pipes[0], nullptr, 10), EINVAL);
  CHECK_ERR(sendfile(out, pipes[0], &offset, 10), ESPIPE);
  offset = -1;
  CHECK_ERR(sendfile(out, in, &offset, 10), EINVAL);
  CHECK_ERR(sendfile(int(CHECK_OK(open("out", O_WRONLY | O_APPEND))), in, nullptr, 10), EINVAL);
  CHECK_ERR(sendfile(pipes[0], in, nullptr, 10), EBADF);
}
TEST(flock_excludes) {
  int a = make_file("f"), b = CHECK_OK(open("f", O_RDWR));
  CHECK_OK(flock(a, LOCK_EX));
  CHECK_ERR(flock(b, LOCK_EX | LOCK_NB), EWOULDBLOCK);
  CHECK_OK(flock(a, LOCK_SH));
  CHECK_OK(flock(b, LOCK_SH | LOCK_NB));
  CHECK_ERR(flock(a, LOCK_EX | LOCK_NB), EWOULDBLOCK);
  CHECK_OK(flock(b, LOCK_UN));
  CHECK_OK(flock(a, LOCK_EX | LOCK_NB));
  pid_t child = in_child([=] {
    close(a);
    int c = CHECK_OK(open("f", O_RDWR));
    CHECK_OK(flock(c, LOCK_EX));
  });
  CHECK_OK(flock(b, LOCK_UN));
  wait_state(child, "S");
  close(a);
  CHECK_EXIT(child, 0);
}
