// mmap of anonymous memory and of files: what is shared, what is private, where it ends, what is refused.
#include "user/tests/harness.h"

static char* map_file(int fd, size_t size, int protection, int flags, off_t offset = 0) {
  void* p = mmap(nullptr, size, protection, flags, fd, offset);
  if (p == MAP_FAILED) FAIL("mmap: %s", strerrorname_np(errno));
  return (char*)p;
}
constexpr int kRw = PROT_READ | PROT_WRITE;
#define CHECK_MAP_ERR(call, error) (errno = 0, (call) != MAP_FAILED ? FAIL("%s worked", #call) : (void)CHECK_EQ(errno, error))

// MIT mmap: a file of a page and a half; the rest of its last page is zero, the page after is not there.
static int page_and_a_half() {
  char data[6144];
  memset(data, 'A', sizeof data);
  return make_file("file", data, sizeof data);
}
static void check_page_and_a_half(const char* p) {
  for (int i = 0; i < 6144; i++) CHECK_EQ(p[i], 'A');
  for (int i = 6144; i < 8192; i++) CHECK_EQ(p[i], 0);
}

TEST(anonymous_memory_is_zero_and_writable) {
  char* p = map_pages(100);
  for (int i = 0; i < 100; i++) CHECK_EQ(*(int*)(p + i * kPage), 0);
  for (int i = 0; i < 100; i++) p[i * kPage] = i;
  for (int i = 0; i < 100; i++) CHECK_EQ(p[i * kPage], (char)i);
}
TEST(shared_anonymous_memory_is_shared_with_children) {
  char* p = map_pages(10, kRw, MAP_SHARED | MAP_ANONYMOUS);
  p[0] = 1;
  CHECK_EXIT(in_child([=] {
               CHECK_EQ(p[0], 1);
               p[0] = 2;
               p[9 * kPage] = 3;
               CHECK_EXIT(in_child([=] { p[5 * kPage] = 4; }), 0);
             }),
             0);
  CHECK(p[0] == 2 && p[9 * kPage] == 3 && p[5 * kPage] == 4);
  CHECK_OK(munmap(p, 10 * kPage));
}

TEST(a_private_file_mapping_shows_the_file_and_never_changes_it) {
  int fd = page_and_a_half();
  char* p = map_file(fd, 2 * kPage, kRw, MAP_PRIVATE);
  check_page_and_a_half(p);
  p[0] = 'Z';
  p[5000] = 'Z';
  char c[2];
  CHECK(pread(fd, c, 1, 0) == 1 && pread(fd, c + 1, 1, 5000) == 1);
  CHECK(c[0] == 'A' && c[1] == 'A');
  CHECK_OK(munmap(p, 2 * kPage));
  check_page_and_a_half(map_file(fd, 2 * kPage, PROT_READ, MAP_PRIVATE));
}
TEST(a_private_writable_mapping_of_a_read_only_descriptor) {
  close(page_and_a_half());
  int fd = CHECK_OK(open("file", O_RDONLY));
  char* p = map_file(fd, 2 * kPage, kRw, MAP_PRIVATE);
  close(fd);
  check_page_and_a_half(p);
  p[6000] = 1;
}

// Lecture E2: every mapping of a file, and read and write on it, use the same pages.
TEST(shared_mappings_read_and_write_are_coherent) {
  int fd = page_and_a_half(), other = CHECK_OK(open("file", O_RDWR));
  char *p = map_file(fd, 2 * kPage, kRw, MAP_SHARED), *q = map_file(other, 2 * kPage, PROT_READ, MAP_SHARED);
  char* private_view = map_file(fd, 2 * kPage, PROT_READ, MAP_PRIVATE);
  check_page_and_a_half(p);
  for (int i = 0; i < 6144; i += 500) {
    char c = 0;
    p[i] = i / 500;
    CHECK(pread(other, &c, 1, i) == 1 && c == i / 500 && q[i] == c && private_view[i] == c);
    c = 'w';
    CHECK_EQ(pwrite(fd, &c, 1, i), 1);
    CHECK(p[i] == 'w' && q[i] == 'w' && private_view[i] == 'w');
  }
  CHECK_EXIT(in_child([&] {
               p[3] = 'c';
               char d = 'd';
               CHECK_EQ(pwrite(other, &d, 1, 4), 1);
             }),
             0);
  CHECK(q[3] == 'c' && q[4] == 'd');
}
TEST(shared_changes_reach_the_file) {
  int fd = page_and_a_half();
  char* p = map_file(fd, 2 * kPage, kRw, MAP_SHARED);
  p[10] = 'x';
  p[6143] = 'y';
  p[6144] = 'n';  // past the end: never part of the file
  CHECK_OK(msync(p, 2 * kPage, MS_SYNC));
  CHECK_OK(munmap(p, 2 * kPage));
  struct stat st;
  CHECK_OK(fstat(fd, &st));
  CHECK_EQ(st.st_size, 6144);
  char data[6144];
  CHECK_EQ(pread(fd, data, 6144, 0), 6144);
  CHECK(data[10] == 'x' && data[6143] == 'y' && data[11] == 'A');
}
// Pintos: mmap-exit
TEST(shared_changes_are_kept_when_the_process_ends_or_dies) {
  int fd = page_and_a_half();
  CHECK_EXIT(in_child([&] { map_file(fd, 2 * kPage, kRw, MAP_SHARED)[1] = 'e'; }), 0);
  CHECK_SIGNAL(in_child([&] {
                 map_file(fd, 2 * kPage, kRw, MAP_SHARED)[4097] = 'k';
                 raise(SIGKILL);
               }),
               SIGKILL);
  char c[2];
  CHECK(pread(fd, c, 1, 1) == 1 && pread(fd, c + 1, 1, 4097) == 1);
  CHECK(c[0] == 'e' && c[1] == 'k');
}

TEST(a_mapping_survives_close_and_unlink) {
  int fd = page_and_a_half();
  char* p = map_file(fd, 2 * kPage, kRw, MAP_SHARED);
  close(fd);
  CHECK_OK(unlink("file"));
  int again = make_file("file", "new", 3);
  check_page_and_a_half(p);
  p[1] = 'x';
  char c[4] = "";
  CHECK_EQ(pread(again, c, 3, 0), 3);
  CHECK_STR(c, "new");
}
TEST(offsets_select_the_page) {
  char data[5 * kPage];
  for (int i = 0; i < 5; i++) memset(data + i * kPage, 'a' + i, kPage);
  int fd = make_file("file", data, sizeof data);
  for (int i = 0; i < 5; i++) {
    char* p = map_file(fd, kPage, PROT_READ, i & 1 ? MAP_SHARED : MAP_PRIVATE, i * kPage);
    CHECK(p[0] == 'a' + i && p[4095] == 'a' + i);
  }
  char* two = map_file(fd, 2 * kPage, kRw, MAP_SHARED, 3 * kPage);
  CHECK(two[0] == 'd' && two[kPage] == 'e');
  CHECK_EQ(lseek(fd, 0, SEEK_CUR), 5 * kPage);  // the file's position is not involved
}
TEST(beyond_the_end_of_the_file_is_sigbus) {
  int fd = page_and_a_half();
  for (int flags : {MAP_SHARED, MAP_PRIVATE}) {
    char* p = map_file(fd, 4 * kPage, kRw, flags);
    CHECK_EQ(peek(uintptr_t(p) + 8191), 0);
    CHECK_FAULT(peek(uintptr_t(p) + 8192), SIGBUS, BUS_ADRERR, p + 8192);
    CHECK_FAULT(poke(uintptr_t(p) + 3 * kPage + 5, 1), SIGBUS, BUS_ADRERR, p + 3 * kPage + 5);
    CHECK_ERR(write(fd, p + 8192, 1), EFAULT);
    CHECK_SIGNAL(in_child([=] { p[8192] = 1; }), SIGBUS);
  }
}
TEST(truncation_takes_pages_away_and_growth_gives_them) {
  int fd = page_and_a_half();
  char *shared = map_file(fd, 3 * kPage, kRw, MAP_SHARED), *mine = map_file(fd, 3 * kPage, kRw, MAP_PRIVATE);
  mine[0] = 'm';
  mine[4096] = 'm';
  CHECK_EQ(shared[5000], 'A');
  CHECK_OK(ftruncate(fd, 100));
  CHECK_FAULT(peek(uintptr_t(shared) + 4096), SIGBUS, BUS_ADRERR, shared + 4096);
  CHECK_FAULT(peek(uintptr_t(mine) + 4096), SIGBUS, BUS_ADRERR, mine + 4096);  // private copies go as well
  CHECK(shared[99] == 'A' && shared[100] == 0 && mine[0] == 'm');
  CHECK_OK(ftruncate(fd, 3 * kPage));
  CHECK_EQ(shared[2 * kPage], 0);
  CHECK_EQ(shared[5000], 0);
  shared[3 * kPage - 1] = 'z';
  char c;
  CHECK(pread(fd, &c, 1, 3 * kPage - 1) == 1 && c == 'z');
}
TEST(file_mappings_after_fork) {
  int fd = page_and_a_half();
  char *shared = map_file(fd, 2 * kPage, kRw, MAP_SHARED), *mine = map_file(fd, 2 * kPage, kRw, MAP_PRIVATE);
  mine[1] = 'p';
  pid_t child = in_child([=] {
    CHECK(mine[1] == 'p' && shared[1] == 'A');
    shared[2] = 's';
    mine[2] = 'c';
    CHECK_OK(munmap(shared, kPage));
    CHECK_EQ(shared[5000], 'A');
  });
  CHECK_EXIT(child, 0);
  CHECK(shared[2] == 's' && mine[2] == 'A');
  CHECK_EQ(shared[0], 'A');
}
// A read or write whose buffer is a mapping of the same file, the same page even.
TEST(a_file_copied_onto_itself_through_its_mapping) {
  int fd = page_and_a_half();
  char* p = map_file(fd, 2 * kPage, kRw, MAP_SHARED);
  for (int i = 0; i < 6000; i++) p[i] = i;
  CHECK_EQ(pwrite(fd, p, 1000, 2000), 1000);
  for (int i = 0; i < 1000; i++) CHECK_EQ(p[2000 + i], (char)i);
  CHECK_EQ(pread(fd, p + 4096, 500, 100), 500);
  for (int i = 0; i < 500; i++) CHECK_EQ(p[4096 + i], (char)(100 + i));
  CHECK_OK(madvise(p, 2 * kPage, MADV_DONTNEED));  // the buffer is not resident when the call begins
  CHECK_EQ(pwrite(fd, p + 10, 50, 0), 50);
  CHECK_EQ(p[0], 10);
}
TEST(what_mmap_refuses) {
  int rw = page_and_a_half(), ro = CHECK_OK(open("file", O_RDONLY)), wo = CHECK_OK(open("file", O_WRONLY)),
      dir = CHECK_OK(open(".", O_RDONLY)), fd[2];
  CHECK_OK(pipe(fd));
  auto map = [](size_t size, int prot, int flags, int f, off_t offset = 0, void* at = nullptr) {
    return mmap(at, size, prot, flags, f, offset);
  };
  CHECK_MAP_ERR(map(0, PROT_READ, MAP_PRIVATE, rw), EINVAL);
  CHECK_MAP_ERR(map(kPage, PROT_READ, 0, rw), EINVAL);
  CHECK_MAP_ERR(map(kPage, PROT_READ, MAP_ANONYMOUS, -1), EINVAL);
  CHECK_MAP_ERR(map(kPage, PROT_READ, MAP_PRIVATE, -1), EBADF);
  CHECK_MAP_ERR(map(kPage, PROT_READ, MAP_PRIVATE, 999), EBADF);
  CHECK_MAP_ERR(map(kPage, kRw, MAP_SHARED, ro), EACCES);
  CHECK_MAP_ERR(map(kPage, PROT_READ, MAP_SHARED, wo), EACCES);
  CHECK_MAP_ERR(map(kPage, PROT_READ, MAP_PRIVATE, wo), EACCES);
  CHECK_MAP_ERR(map(kPage, PROT_READ, MAP_PRIVATE, dir), ENODEV);
  CHECK_MAP_ERR(map(kPage, PROT_READ, MAP_PRIVATE, fd[0]), ENODEV);
  CHECK_MAP_ERR(map(0xfffff001, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1), ENOMEM);
  CHECK_MAP_ERR(map(0xffff0000, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1), ENOMEM);
  CHECK_MAP_ERR(map(kPage, PROT_READ, MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS, -1, 0, (void*)0x12345), EINVAL);
  CHECK_MAP_ERR(map(kPage, PROT_READ, MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS, -1, 0, (void*)0xfffff000), ENOMEM);
  if (on_faultline()) CHECK_MAP_ERR(map(2 * kPage, PROT_READ, MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS, -1, 0, (void*)0x7ffff000), ENOMEM);
  CHECK_MAP_ERR(map(kPage, PROT_READ, MAP_PRIVATE, rw, 100), EINVAL);
  CHECK_EQ(syscall(SYS_munmap, 0x12345, kPage), -1);
  CHECK_ERR(munmap(map_pages(1), 0), EINVAL);
  CHECK_ERR(syscall(SYS_munmap, 0xfffff000, 0x2000), EINVAL);
  CHECK_OK(munmap((void*)0x20000000, kPage));  // nothing mapped there: fine
}
TEST(hints_fixed_and_noreplace) {
  char* p = map_pages(4);
  CHECK_OK(munmap(p, 4 * kPage));
  CHECK(mmap(p, kPage, kRw, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == p);  // a free hint is taken
  CHECK(mmap(p, kPage, kRw, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != p);  // an occupied one is not
  p[0] = 1;
  CHECK_MAP_ERR(mmap(p, kPage, kRw, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0), EEXIST);
  CHECK(mmap(p, 2 * kPage, kRw, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == p);  // MAP_FIXED replaces
  CHECK_EQ(p[0], 0);
}
