// One file seen through several mappings, descriptors and processes, and what of it reaches the disk, and how often.
#include "user/tests/harness.h"
#include <sys/vfs.h>

constexpr int kRw = PROT_READ | PROT_WRITE, kPages = 12, kBytes = kPages * kPage;

static bool on_a_disk() {
  struct statfs fs;
  CHECK_OK(statfs(".", &fs));
  return fs.f_type != 0x01021994;  // tmpfs
}
// Requests to write that the root disk has had: field 8 of its line in /proc/diskstats.
static long disk_writes() {
  FILE* file = fopen("/proc/diskstats", "r");
  CHECK(file != nullptr);
  char line[256], name[32];
  long sum = 0, writes;
  while (fgets(line, sizeof line, file)) {
    CHECK_EQ(sscanf(line, "%*d %*d %31s %*d %*d %*d %*d %ld", name, &writes), 2);
    sum += writes;
  }
  fclose(file);
  return sum;
}
static unsigned g_random;
static unsigned random_below(unsigned limit) {
  g_random = g_random * 1664525 + 1013904223;
  return (g_random >> 8) % limit;
}

// Three processes take turns at random operations on one file; a model in shared memory says what everybody must see.
struct Model {
  int size;
  unsigned char bytes[kBytes];
};
static void operate(int fd, Model& model, unsigned char* map, unsigned char*& other, int who, int turn) {
  int at = random_below(kBytes), n = 1 + random_below(5000);
  unsigned char value = turn * 3 + who, data[5000];
  switch (random_below(9)) {
    case 0:
    case 1:  // write(2), perhaps past the end
      if (at + n > kBytes) n = kBytes - at;
      memset(data, value, n);
      CHECK_EQ(pwrite(fd, data, n, at), n);
      memset(model.bytes + at, value, n);
      if (at + n > model.size) model.size = at + n;
      break;
    case 2:
    case 3:  // through the mapping
      if (at >= model.size) break;
      if (at + n > model.size) n = model.size - at;
      memset(map + at, value, n);
      memset(model.bytes + at, value, n);
      break;
    case 4:
      CHECK_OK(ftruncate(fd, at));
      if (at < model.size) memset(model.bytes + at, 0, model.size - at);
      model.size = at;
      break;
    case 5: CHECK_OK(msync(map, kBytes, random_below(2) ? MS_SYNC : MS_ASYNC)); break;
    case 6: CHECK_OK(fsync(fd)); break;
    case 7: CHECK_OK(madvise(map, kBytes, MADV_DONTNEED)); break;
    case 8:  // another mapping, elsewhere
      CHECK_OK(munmap(other, kBytes));
      other = (unsigned char*)map_pages(kPages, kRw, MAP_SHARED, fd);
      break;
  }
}
static void compare(int fd, const Model& model, const unsigned char* map, const unsigned char* other) {
  struct stat st;
  CHECK_OK(fstat(fd, &st));
  CHECK_EQ(st.st_size, model.size);
  static unsigned char data[kBytes];
  CHECK_EQ(pread(fd, data, kBytes, 0), model.size);
  CHECK(!memcmp(data, model.bytes, model.size));
  CHECK(!memcmp(map, model.bytes, model.size));
  CHECK(!memcmp(other, model.bytes, model.size));
}
TEST(processes_see_the_same_bytes_at_once) {
  close(make_file("file"));
  auto& model = *(Model*)map_pages(kPages + 1, kRw, MAP_SHARED | MAP_ANONYMOUS);
  constexpr int kProcesses = 3;
  const int turns = scale(300);
  Gate gates[kProcesses];
  pid_t children[kProcesses];
  for (int who = 0; who < kProcesses; who++)
    children[who] = in_child([&, who] {
      int fd = CHECK_OK(open("file", O_RDWR));
      g_random = 77 + who;
      auto *map = (unsigned char*)map_pages(kPages, kRw, MAP_SHARED, fd), *other = (unsigned char*)map_pages(kPages, kRw, MAP_SHARED, fd);
      for (int turn = 0; turn < turns; turn++) {
        gates[who].wait();
        compare(fd, model, map, other);
        operate(fd, model, map, other, who, turn);
        compare(fd, model, map, other);
        gates[(who + 1) % kProcesses].open();
      }
    });
  gates[0].open();
  for (pid_t child : children) CHECK_EXIT(child, 0);
}
// Without turns: each has words of its own, all over the same pages, written by mapping and by write(2).
TEST(writers_of_one_page_do_not_undo_each_other) {
  int fd = make_file("file");
  CHECK_OK(ftruncate(fd, 4 * kPage));
  constexpr int kProcesses = 4;
  pid_t children[kProcesses];
  const int turns = scale(2000);
  for (int who = 0; who < kProcesses; who++)
    children[who] = in_child([=] {
      g_random = who;
      auto* map = (volatile unsigned*)map_pages(4, kRw, MAP_SHARED, fd);
      for (int turn = 1; turn <= turns; turn++) {
        unsigned slot = random_below(kPage) / kProcesses * kProcesses + who, value = turn;
        if (turn & 1)
          map[slot] = value;
        else
          CHECK_EQ(pwrite(fd, &value, 4, slot * 4), 4);
        unsigned back = 0;
        CHECK(map[slot] == value && pread(fd, &back, 4, slot * 4) == 4 && back == value);
        if (turn % 256 == 0) CHECK_OK(fsync(fd));
      }
    });
  for (pid_t child : children) CHECK_EXIT(child, 0);
}
TEST(a_write_through_a_mapping_is_a_change_of_the_file) {
  if (!on_a_disk()) SKIP("not noted on tmpfs");
  int fd = make_file("file");
  CHECK_OK(ftruncate(fd, 2 * kPage));
  const timespec old[2] = {{1000000000, 0}, {1000000000, 0}};
  char* p = map_pages(2, kRw, MAP_SHARED, fd);
  for (int round = 0; round < 3; round++) {
    CHECK_OK(fsync(fd));
    CHECK_OK(futimens(fd, old));
    struct stat st;
    CHECK_EQ(p[kPage], round);
    CHECK_OK(fstat(fd, &st));
    CHECK_EQ(st.st_mtime, 1000000000);  // reading is none
    p[kPage] = round + 1;
    CHECK_OK(msync(p, 2 * kPage, MS_SYNC));
    CHECK_OK(fstat(fd, &st));
    if (st.st_mtime == 1000000000) FAIL("round %d: mtime has not changed", round);
    CHECK_OK(msync(p, 2 * kPage, MS_SYNC));
  }
}
// Lecture E: what is dirty goes to the disk once, when asked or by itself.
TEST(dirty_pages_are_written_once) {
  if (!on_faultline() || !on_a_disk()) SKIP("others use the disk");
  int fd = make_file("file");
  CHECK_OK(ftruncate(fd, 8 * kPage));
  char* p = map_pages(8, kRw, MAP_SHARED, fd);
  memset(p, 1, 8 * kPage);
  for (int round = 0; round < 3; round++) {
    sync();
    long before = disk_writes();
    sync();
    CHECK_EQ(disk_writes(), before);  // nothing new: nothing to write
    p[round * kPage] = 7;
    char c = 8;
    CHECK_EQ(pwrite(fd, &c, 1, 5 * kPage), 1);
    if (round == 0)
      sync();
    else if (round == 1) {
      CHECK_OK(msync(p, 8 * kPage, MS_SYNC));
      CHECK_OK(fsync(fd));
    } else
      while (disk_writes() == before) pause_a_little();  // the flusher comes by itself
    CHECK(disk_writes() > before);
  }
}
TEST(the_page_cache_takes_free_memory_and_gives_it_back) {
  if (!on_faultline() || !on_a_disk()) SKIP("it would take all of the host's memory");
  char page[kPage];
  int fd = make_file("file");
  for (int i = 0; i < 2000; i++) {
    memset(page, i, kPage);
    CHECK_EQ(write(fd, page, kPage), kPage);
  }
  CHECK_OK(fsync(fd));
  CHECK_OK(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
  char* p = map_pages(2000, PROT_READ, MAP_SHARED, fd);
  unsigned char v[2000];
  CHECK_OK(mincore(p, 2000 * kPage, v));
  int resident = 0;
  for (unsigned char one : v) resident += one & 1;
  CHECK_EQ(resident, 0);  // the advice was taken
  for (int i = 0; i < 2000; i++) CHECK_EQ(pread(fd, page, kPage, off_t(i) * kPage), kPage);
  CHECK_OK(mincore(p, 2000 * kPage, v));
  for (unsigned char one : v) resident += one & 1;
  CHECK_EQ(resident, 2000);  // all of it stays: there is room
  CHECK_OK(posix_fadvise(fd, kPage, 2 * kPage, POSIX_FADV_DONTNEED));
  CHECK_OK(mincore(p, 4 * kPage, v));
  CHECK((v[0] & 1) && !(v[1] & 1) && !(v[2] & 1) && (v[3] & 1));
  CHECK_OK(posix_fadvise(fd, kPage, 2 * kPage, POSIX_FADV_WILLNEED));
}
