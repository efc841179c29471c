// Changing what is mapped: munmap, mprotect, mremap, madvise, msync, mincore; and what the process is told about faults.
#include "user/tests/harness.h"
#include <sys/vfs.h>

constexpr int kRw = PROT_READ | PROT_WRITE;
static int numbered_file(int pages) {
  int fd = make_file("file");
  char page[kPage];
  for (int i = 0; i < pages; i++) {
    memset(page, 'a' + i, kPage);
    CHECK_EQ(write(fd, page, kPage), kPage);
  }
  return fd;
}
static void gone(const char* p) { CHECK_FAULT(peek(uintptr_t(p)), SIGSEGV, SEGV_MAPERR, p); }
static void forbidden(const char* p) { CHECK_FAULT(peek(uintptr_t(p)), SIGSEGV, SEGV_ACCERR, p); }
static void read_only(const char* p) {
  CHECK_FAULT(poke(uintptr_t(p), 1), SIGSEGV, SEGV_ACCERR, p);
  (void)peek(uintptr_t(p));
}

// ---- munmap
TEST(unmapping_the_head_the_tail_and_a_hole) {
  int fd = numbered_file(8);
  for (int flags : {MAP_SHARED, MAP_PRIVATE}) {
    char* p = map_pages(8, kRw, flags, fd);
    for (int i = 0; i < 8; i += 2) CHECK_EQ(p[i * kPage], 'a' + i);
    CHECK_OK(munmap(p, kPage));
    CHECK_OK(munmap(p + 7 * kPage, kPage));
    CHECK_OK(munmap(p + 3 * kPage, 2 * kPage));
    for (int i : {0, 3, 4, 7}) gone(p + i * kPage);
    for (int i : {1, 2, 5, 6}) CHECK_EQ(p[i * kPage], 'a' + i);
    p[2 * kPage] = flags == MAP_SHARED ? 'c' : 'X';
    CHECK_OK(munmap(p, 8 * kPage));  // over what is left, holes and all
    for (int i = 0; i < 8; i++) gone(p + i * kPage);
  }
  char c;
  CHECK(pread(fd, &c, 1, 2 * kPage) == 1 && c == 'c');
}
TEST(unmapped_memory_is_out_of_reach_for_system_calls) {
  int fd = make_file("f", "abc", 3);
  char* p = map_pages(2);
  memset(p, 1, 2 * kPage);
  CHECK_OK(munmap(p + kPage, kPage));
  CHECK_ERR(pread(fd, p + kPage, 3, 0), EFAULT);
  CHECK_ERR(pwrite(fd, p + kPage, 3, 0), EFAULT);
  CHECK_EQ(pread(fd, p + kPage - 3, 3, 0), 3);
}
TEST(unmapping_in_the_child_leaves_the_parents_mapping) {
  char *p = map_pages(8), *s = map_pages(8, kRw, MAP_SHARED | MAP_ANONYMOUS);
  memset(p, 3, 8 * kPage);
  memset(s, 4, 8 * kPage);
  CHECK_EXIT(in_child([=] {
               CHECK_OK(munmap(p, 8 * kPage));
               CHECK_OK(munmap(s, 8 * kPage));
               gone(p);
               gone(s);
             }),
             0);
  CHECK(p[7 * kPage] == 3 && s[7 * kPage] == 4);
}
TEST(addresses_are_used_again) {
  for (int i = 0; i < 3000; i++) {
    char* p = map_pages(256);
    p[i % 256 * kPage] = 1;
    CHECK_OK(munmap(p, 256 * kPage));
  }
}
TEST(a_thousand_small_mappings) {
  char* p = map_pages(2000);
  for (int i = 0; i < 2000; i += 2) CHECK_OK(mprotect(p + i * kPage, kPage, PROT_READ));
  for (int i = 1; i < 2000; i += 2) p[i * kPage] = i;
  for (int i = 1; i < 2000; i += 2) CHECK_EQ(p[i * kPage], (char)i);
  read_only(p + 1000 * kPage);
  CHECK_OK(mprotect(p, 2000 * kPage, kRw));
  p[1000 * kPage] = 1;
  CHECK_EXIT(in_child([=] {
               CHECK_OK(munmap(p, 1000 * kPage));
               CHECK_EQ(p[1001 * kPage], (char)1001);
             }),
             0);
}

// ---- mprotect
TEST(protection_takes_effect_at_once) {
  char* p = map_pages(4);
  memset(p, 7, 4 * kPage);
  CHECK_OK(mprotect(p + kPage, 2 * kPage, PROT_READ));
  read_only(p + kPage);
  read_only(p + 2 * kPage);
  p[0] = p[3 * kPage] = 1;
  CHECK_OK(mprotect(p + kPage, kPage, PROT_NONE));
  forbidden(p + kPage);
  CHECK_EQ(p[2 * kPage], 7);
  int fd = make_file("f", "abc", 3);
  CHECK_ERR(pread(fd, p + 2 * kPage, 3, 0), EFAULT);  // the kernel obeys it as well
  CHECK_ERR(pwrite(fd, p + kPage, 3, 0), EFAULT);
  CHECK_EQ(pwrite(fd, p + 2 * kPage, 3, 0), 3);
  CHECK_OK(mprotect(p, 4 * kPage, kRw));
  for (int i = 0; i < 4; i++) CHECK_EQ(p[i * kPage + 1], 7);  // what was there is still there
  p[kPage] = p[2 * kPage] = 1;
}
TEST(protection_of_pages_that_do_not_exist_yet) {
  char* p = map_pages(3, PROT_NONE);
  forbidden(p);
  CHECK_OK(mprotect(p + kPage, kPage, kRw));
  p[kPage] = 1;
  CHECK_OK(mprotect(p + kPage, kPage, PROT_NONE));
  CHECK_OK(mprotect(p, 3 * kPage, PROT_READ));
  CHECK(p[0] == 0 && p[kPage] == 1 && p[2 * kPage] == 0);
  read_only(p);
}
TEST(protection_is_per_process) {
  char* p = map_pages(2);
  p[0] = 1;
  CHECK_EXIT(in_child([=] {
               CHECK_OK(mprotect(p, 2 * kPage, PROT_READ));
               read_only(p);
             }),
             0);
  p[0] = 2;
  CHECK_OK(mprotect(p, kPage, PROT_READ));
  CHECK_EXIT(in_child([=] {
               read_only(p);
               CHECK_OK(mprotect(p, kPage, kRw));
               p[0] = 9;
             }),
             0);
  CHECK_EQ(p[0], 2);
  read_only(p);
}
TEST(read_only_sharing_does_not_become_writable_by_copy_on_write) {
  int fd = numbered_file(2);
  int ro = CHECK_OK(open("file", O_RDONLY));
  char* s = map_pages(2, PROT_READ, MAP_SHARED, ro);
  CHECK_EQ(s[0], 'a');
  read_only(s);
  CHECK_ERR(mprotect(s, kPage, kRw), EACCES);
  read_only(s);
  char* p = map_pages(2, PROT_READ, MAP_PRIVATE, ro);
  CHECK_OK(mprotect(p, 2 * kPage, kRw));
  p[0] = 'Z';
  CHECK_EQ(s[0], 'a');
  close(fd);
}
TEST(what_mprotect_refuses) {
  char* p = map_pages(4);
  CHECK_ERR(mprotect(p + 1, kPage, PROT_READ), EINVAL);
  CHECK_ERR(mprotect(p, kPage, 0x40), EINVAL);
  CHECK_OK(mprotect(p, 0, PROT_READ));
  p[0] = 1;
  CHECK_OK(munmap(p + 2 * kPage, kPage));
  CHECK_ERR(mprotect(p + 2 * kPage, kPage, PROT_READ), ENOMEM);
  CHECK_ERR(mprotect(p, 4 * kPage, PROT_READ), ENOMEM);  // Linux has changed what is before the hole, we change nothing
  CHECK_ERR(mprotect((void*)0xfffff000, kPage, PROT_READ), ENOMEM);
}

// ---- mremap
TEST(mremap_grows_shrinks_and_moves) {
  char* p = map_pages(4);
  for (int i = 0; i < 4; i++) p[i * kPage] = i + 1;
  char* q = (char*)mremap(p, 4 * kPage, 2 * kPage, 0);
  CHECK(q == p && p[kPage] == 2);
  gone(p + 2 * kPage);
  char* wall = (char*)mmap(p + 2 * kPage, kPage, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  CHECK(wall == p + 2 * kPage);
  CHECK(mremap(p, 2 * kPage, 64 * kPage, 0) == MAP_FAILED && errno == ENOMEM);
  q = (char*)mremap(p, 2 * kPage, 64 * kPage, MREMAP_MAYMOVE);
  CHECK(q != MAP_FAILED && q != p);
  CHECK(q[0] == 1 && q[kPage] == 2 && q[63 * kPage] == 0);
  gone(p);
  char* target = map_pages(8);
  char* r = (char*)mremap(q, 64 * kPage, 8 * kPage, MREMAP_MAYMOVE | MREMAP_FIXED, target);
  CHECK(r == target && r[0] == 1 && r[kPage] == 2);
  CHECK(mremap(r + 1, kPage, kPage, 0) == MAP_FAILED && errno == EINVAL);
  CHECK(mremap((void*)0x20000000, kPage, 2 * kPage, MREMAP_MAYMOVE) == MAP_FAILED && errno == EFAULT);
}
TEST(mremap_of_a_file_keeps_its_offset) {
  int fd = numbered_file(6);
  char* p = map_pages(2, kRw, MAP_SHARED, fd, 2 * kPage);
  CHECK_EQ(p[0], 'c');
  char* q = (char*)mremap(p, 2 * kPage, 4 * kPage, MREMAP_MAYMOVE);
  CHECK(q != MAP_FAILED && q[0] == 'c' && q[3 * kPage] == 'f');
}

// ---- madvise, msync, mincore
TEST(dontneed_gives_zeros_or_the_files_content) {
  char* p = map_pages(4);
  memset(p, 9, 4 * kPage);
  CHECK_OK(madvise(p + kPage, 2 * kPage, MADV_DONTNEED));
  CHECK(p[0] == 9 && p[kPage] == 0 && p[2 * kPage] == 0 && p[3 * kPage] == 9);
  int fd = numbered_file(2);
  char *mine = map_pages(2, kRw, MAP_PRIVATE, fd), *shared = map_pages(2, kRw, MAP_SHARED, fd);
  mine[0] = shared[kPage] = 'X';
  CHECK_OK(madvise(mine, 2 * kPage, MADV_DONTNEED));
  CHECK_OK(madvise(shared, 2 * kPage, MADV_DONTNEED));
  CHECK(mine[0] == 'a' && shared[kPage] == 'X');
  CHECK_ERR(madvise(p + 1, kPage, MADV_DONTNEED), EINVAL);
  CHECK_ERR(madvise(p, kPage, 9999), EINVAL);
  CHECK_ERR(madvise((void*)0x20000000, kPage, MADV_DONTNEED), ENOMEM);
}
TEST(msync_refuses) {
  char* p = map_pages(2);
  CHECK_OK(msync(p, 2 * kPage, MS_SYNC));
  CHECK_OK(msync(p, 2 * kPage, MS_ASYNC));
  CHECK_ERR(msync(p + 1, kPage, MS_SYNC), EINVAL);
  CHECK_ERR(msync(p, kPage, MS_SYNC | MS_ASYNC), EINVAL);
  CHECK_ERR(msync((void*)0x20000000, kPage, MS_SYNC), ENOMEM);
}
TEST(mincore_shows_what_is_resident) {
  char* p = map_pages(4);
  p[0] = p[2 * kPage] = 1;
  unsigned char v[4] = {};
  CHECK_OK(mincore(p, 4 * kPage, v));
  CHECK((v[0] & 1) && !(v[1] & 1) && (v[2] & 1) && !(v[3] & 1));
  CHECK_ERR(mincore(p + 1, kPage, v), EINVAL);
  CHECK_ERR(mincore((void*)0x20000000, kPage, v), ENOMEM);
}
TEST(populate_needs_no_further_faults) {
  char* p = map_pages(64, kRw, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE);
  rusage before, after;
  getrusage(RUSAGE_SELF, &before);
  for (int i = 0; i < 64; i++) p[i * kPage] = 1;
  getrusage(RUSAGE_SELF, &after);
  if (after.ru_minflt - before.ru_minflt > 2) FAIL("%ld faults", after.ru_minflt - before.ru_minflt);
}
TEST(dev_zero_can_be_mapped) {
  int fd = CHECK_OK(open("/dev/zero", O_RDWR));
  char *p = map_pages(2, kRw, MAP_PRIVATE, fd), *s = map_pages(2, kRw, MAP_SHARED, fd);
  CHECK(p[0] == 0 && s[kPage] == 0);
  p[0] = 1;
  CHECK_EXIT(in_child([=] {
               CHECK(p[0] == 1 && s[0] == 0);
               s[0] = 5;
               p[1] = 2;
             }),
             0);
  CHECK(s[0] == 5 && p[1] == 0);
}

// Lecture E5: a fault that needs the disk is counted apart from one that finds the page in memory.
TEST(major_and_minor_faults) {
  struct statfs fs;
  CHECK_OK(statfs(".", &fs));
  if (fs.f_type == 0x01021994) SKIP("tmpfs never needs the disk");
  int fd = numbered_file(16);
  CHECK_OK(fsync(fd));
  CHECK_OK(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
  empty_caches();
  rusage start, cold, warm;
  getrusage(RUSAGE_SELF, &start);
  char* p = map_pages(16, PROT_READ, MAP_SHARED, fd);
  for (int i = 0; i < 16; i++) CHECK_EQ(p[i * kPage], 'a' + i);
  getrusage(RUSAGE_SELF, &cold);
  char* q = map_pages(16, PROT_READ, MAP_SHARED, fd);
  for (int i = 0; i < 16; i++) CHECK_EQ(q[i * kPage], 'a' + i);
  getrusage(RUSAGE_SELF, &warm);
  if (cold.ru_majflt - start.ru_majflt < 1 || cold.ru_majflt - start.ru_majflt > 16)
    FAIL("cold: %ld major faults", cold.ru_majflt - start.ru_majflt);
  if (warm.ru_majflt != cold.ru_majflt) FAIL("warm: %ld major faults", warm.ru_majflt - cold.ru_majflt);
  if (warm.ru_minflt - cold.ru_minflt < 1 || warm.ru_minflt - cold.ru_minflt > 18)
    FAIL("warm: %ld minor faults", warm.ru_minflt - cold.ru_minflt);
}
