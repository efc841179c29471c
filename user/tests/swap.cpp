// Memory as a cache for the disk: programs larger than RAM, alone, after fork, over shared memory and over a file, with every word checked.
// Made for a small machine with a swap area (tools/run --mem 24 --swap 192). -n is the size in per cent of RAM.
#include "user/tests/harness.h"
#include "user/tests/swap_space.h"
#include <sys/mount.h>
#include <sys/shm.h>
#include <sys/swap.h>
#include <sys/time.h>

// Every word of a page tells which page it is and which writing of it.
static uint32_t word_for(size_t at, uint32_t seed) { return uint32_t(at) * 2654435761u ^ seed; }
static void write_page(char* page, size_t number, uint32_t seed) {
  uint32_t* words = (uint32_t*)page;
  for (size_t i = 0; i < kPage / 4; i++) words[i] = word_for(number * (kPage / 4) + i, seed);
}
static void check_page(const char* page, size_t number, uint32_t seed) {
  const uint32_t* words = (const uint32_t*)page;
  for (size_t i = 0; i < kPage / 4; i++)
    if (words[i] != word_for(number * (kPage / 4) + i, seed))
      FAIL("page %zu word %zu is %#x, should be %#x", number, i, words[i], word_for(number * (kPage / 4) + i, seed));
}
static char* map_bytes(size_t bytes, int flags = MAP_PRIVATE | MAP_ANONYMOUS, int fd = -1) {
  char* p = (char*)mmap(nullptr, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);
  CHECK(p != MAP_FAILED);
  return p;
}
// Pages first, first + step, … of `pages`.
static void write_pages(char* p, size_t first, size_t pages, size_t step, uint32_t seed) {
  for (size_t i = first; i < pages; i += step) write_page(p + i * kPage, i, seed);
}
static void check_pages(const char* p, size_t first, size_t pages, size_t step, uint32_t seed) {
  for (size_t i = first; i < pages; i += step) check_page(p + i * kPage, i, seed);
}

TEST_SLOW(a_process_larger_than_memory) {
  size_t bytes = bytes_of_ram(scale(400)), pages = bytes / kPage;
  long out = pages_out(), in = pages_in();
  char* p = map_bytes(bytes);
  write_pages(p, 0, pages, 1, 1);
  check_pages(p, 0, pages, 1, 1);
  write_pages(p, 0, pages, 3, 2);  // a page that came back, was changed, and has to go again
  check_pages(p, 0, pages, 3, 2);
  check_pages(p, 1, pages, 3, 1);
  check_pages(p, 2, pages, 3, 1);
  CHECK(pages_out() - out >= long((bytes - ram()) / kPage));
  CHECK(pages_in() - in >= long((bytes - ram()) / kPage));
  long before = counter("/proc/meminfo", "SwapFree");
  CHECK_OK(munmap(p, bytes));
  CHECK(counter("/proc/meminfo", "SwapFree") > before);
}

TEST_SLOW(four_processes_share_half_of_it_copy_on_write) {
  size_t half = bytes_of_ram(scale(400)) / 2 & ~size_t(4 * kPage - 1), pages = half / kPage;
  char* shared = map_bytes(half);
  write_pages(shared, 0, pages, 1, 7);
  pid_t children[4];
  for (unsigned child = 0; child < 4; child++)
    children[child] = in_child([&] {
      size_t own_pages = pages / 4;
      char* own = map_bytes(own_pages * kPage);
      write_pages(own, 0, own_pages, 1, 100 + child);
      write_pages(shared, child, pages, 16, 200 + child);  // an eighth... of the quarter: each its own copies
      check_pages(own, 0, own_pages, 1, 100 + child);
      for (size_t i = 0; i < pages; i++) check_page(shared + i * kPage, i, i % 16 == child ? 200 + child : 7);
    });
  for (pid_t child : children) CHECK_EXIT(child, 0);
  check_pages(shared, 0, pages, 1, 7);
}

TEST_SLOW(four_processes_over_one_shared_file) {
  size_t pages = bytes_of_ram(scale(150)) / kPage;
  int fd = make_file("file");
  CHECK_OK(ftruncate(fd, off_t(pages * kPage)));
  Gate written;
  pid_t children[4];
  for (unsigned child = 0; child < 4; child++)
    children[child] = in_child([&] {
      char* p = map_bytes(pages * kPage, MAP_SHARED, fd);
      write_pages(p, child, pages, 4, 30 + child);
      check_pages(p, child, pages, 4, 30 + child);
    });
  for (pid_t child : children) CHECK_EXIT(child, 0);
  char* p = map_bytes(pages * kPage, MAP_SHARED, fd);
  for (unsigned child = 0; child < 4; child++) check_pages(p, child, pages, 4, 30 + child);
}

TEST_SLOW(shared_memory_and_tmpfs_go_to_swap_too) {
  size_t bytes = bytes_of_ram(150), pages = bytes / kPage;
  char* p = map_bytes(bytes, MAP_SHARED | MAP_ANONYMOUS);
  pid_t child = in_child([&] { write_pages(p, 0, pages, 2, 3); });
  write_pages(p, 1, pages, 2, 4);
  CHECK_EXIT(child, 0);
  check_pages(p, 0, pages, 2, 3);
  check_pages(p, 1, pages, 2, 4);
  CHECK_OK(munmap(p, bytes));

  static char page[kPage];
  int fd = memfd_create("swapped", 0);
  CHECK_OK(fd);
  for (size_t i = 0; i < pages; i++) {
    write_page(page, i, 5);
    CHECK_EQ(write(fd, page, kPage), kPage);
  }
  for (size_t i = 0; i < pages; i++) {
    CHECK_EQ(pread(fd, page, kPage, off_t(i * kPage)), kPage);
    check_page(page, i, 5);
  }
  CHECK_OK(ftruncate(fd, kPage + 100));  // what is in swap goes with the rest
  CHECK_OK(ftruncate(fd, off_t(3 * kPage)));
  CHECK_EQ(pread(fd, page, kPage, kPage), kPage);
  for (int i = 100; i < kPage; i++) CHECK_EQ(page[i], 0);
}

// Eight processes see the same pages: they go out once, not eight times.
TEST_SLOW(a_page_shared_by_forks_goes_out_once) {
  size_t bytes = bytes_of_ram(60), pages = bytes / kPage;
  char* shared = map_bytes(bytes);
  write_pages(shared, 0, pages, 1, 9);
  Gate pressed;
  pid_t children[8];
  for (pid_t& child : children)
    child = in_child([&] {
      pressed.wait();
      check_pages(shared, 0, pages, 1, 9);
    });
  long out = pages_out();
  size_t pressure = bytes_of_ram(120);
  char* p = map_bytes(pressure);
  write_pages(p, 0, pressure / kPage, 1, 10);
  long gone = pages_out() - out;
  CHECK(gone < long((bytes + pressure) / kPage + 2000));
  CHECK_OK(munmap(p, pressure));
  for (pid_t child : children) {
    (void)child;
    pressed.open();
  }
  for (pid_t child : children) CHECK_EXIT(child, 0);
}

TEST_SLOW(locked_pages_stay) {
  size_t bytes = ram() / 8 & ~size_t(kPage - 1), pressure = bytes_of_ram(150);
  char* locked = map_bytes(bytes);
  write_pages(locked, 0, bytes / kPage, 1, 11);
  CHECK_OK(mlock(locked, bytes));
  char* p = map_bytes(pressure);
  write_pages(p, 0, pressure / kPage, 1, 12);
  static unsigned char there[1 << 16];
  CHECK_OK(mincore(locked, bytes, there));
  for (size_t i = 0; i < bytes / kPage; i++) CHECK_EQ(there[i] & 1, 1);
  CHECK_OK(mincore(p, pressure, there));
  size_t absent = 0;
  for (size_t i = 0; i < pressure / kPage; i++) absent += !(there[i] & 1);
  CHECK(absent > 0);
  check_pages(locked, 0, bytes / kPage, 1, 11);
}

static void press() {
  size_t pressure = bytes_of_ram(150);
  char* p = map_bytes(pressure);
  for (int i = 0; i < 2; i++) write_pages(p, 0, pressure / kPage, 1, 12);
  CHECK_OK(munmap(p, pressure));
}
static size_t pages_in_memory(const char* p, size_t bytes) {
  static unsigned char there[1 << 16];
  size_t resident = 0;
  CHECK_OK(mincore((void*)p, bytes, there));
  for (size_t i = 0; i < bytes / kPage; i++) resident += there[i] & 1;
  return resident;
}

struct Segment {
  char* bytes;
  Segment(size_t size, bool is_locked) {
    int id = CHECK_OK(shmget(IPC_PRIVATE, size, IPC_CREAT | 0600));
    bytes = (char*)shmat(id, nullptr, 0);
    CHECK(bytes != (char*)-1);
    CHECK_OK(shmctl(id, IPC_RMID, nullptr));
    if (is_locked) CHECK_OK(shmctl(id, SHM_LOCK, nullptr));
  }
  ~Segment() { shmdt(bytes); }
};
TEST_SLOW(locked_shared_memory_stays) {
  size_t bytes = ram() / 16 & ~size_t(kPage - 1), pages = bytes / kPage;
  Segment locked(bytes, true), other(bytes, false);
  write_pages(locked.bytes, 0, pages, 1, 15);
  write_pages(other.bytes, 0, pages, 1, 19);
  press();
  CHECK_EQ(pages_in_memory(locked.bytes, bytes), pages);
  CHECK(pages_in_memory(other.bytes, bytes) < pages);
  check_pages(locked.bytes, 0, pages, 1, 15);
  check_pages(other.bytes, 0, pages, 1, 19);
}

// What is in swap is in the file system all the same.
TEST_SLOW(a_tmpfs_counts_what_it_has_in_swap) {
  size_t bytes = ram() / 4 & ~size_t(kPage - 1);
  char options[40];
  static char page[kPage];
  snprintf(options, sizeof options, "size=%zu", bytes);
  CHECK_OK(mkdir("place", 0700));
  CHECK_OK(mount("none", "place", "tmpfs", 0, options));
  int fd = CHECK_OK(open("place/file", O_RDWR | O_CREAT, 0600));
  size_t pages = 0;
  for (write_page(page, 0, 16); write(fd, page, kPage) == kPage; write_page(page, pages, 16)) pages++;
  CHECK_EQ(errno, ENOSPC);
  struct stat before, after;
  CHECK_OK(fstat(fd, &before));
  long out = pages_out();
  press();
  CHECK(pages_out() - out > long(pages / 2));
  CHECK_OK(fstat(fd, &after));
  CHECK_EQ(after.st_blocks, before.st_blocks);
  CHECK_ERR(write(fd, page, kPage), ENOSPC);
  CHECK_EQ(pwrite(fd, page, kPage, 0), kPage);
  for (size_t i = 1; i < pages; i++) {
    CHECK_EQ(pread(fd, page, kPage, off_t(i * kPage)), kPage);
    check_page(page, i, 16);
  }
  CHECK_OK(close(fd));
  CHECK_OK(umount("place"));
}

TEST_SLOW(a_file_cut_within_a_page_in_swap_shows_zeroes) {
  int fd = CHECK_OK(memfd_create("cut", 0));
  CHECK_OK(ftruncate(fd, kPage));
  char* p = map_bytes(kPage, MAP_SHARED, fd);
  memset(p, 0x5a, kPage);
  press();
  CHECK_OK(ftruncate(fd, 100));
  CHECK(p[99] == 0x5a && p[100] == 0 && p[kPage - 1] == 0);
  CHECK_OK(munmap(p, kPage));
  CHECK_OK(close(fd));
}

// Pages in swap are locked when they come.
TEST_SLOW(pages_locked_on_fault_stay_once_they_have_come) {
  size_t bytes = ram() / 16 & ~size_t(kPage - 1), pages = bytes / kPage;
  char* p = map_bytes(bytes);
  write_pages(p, 0, pages, 1, 17);
  press();
  CHECK_OK(mlock2(p, bytes, MLOCK_ONFAULT));
  check_pages(p, 0, pages, 1, 17);
  press();
  CHECK_EQ(pages_in_memory(p, bytes), pages);
  CHECK_OK(munmap(p, bytes));
}

static char device[100];
static void need_device() {
  char line[200];
  FILE* swaps = fopen("/proc/swaps", "r");
  CHECK(swaps && fgets(line, sizeof line, swaps));
  if (fgets(line, sizeof line, swaps)) sscanf(line, "%99s", device);
  fclose(swaps);
  if (!device[0]) SKIP("there is no swap area");
}
TEST_SLOW(swapoff_ends_at_a_signal) {
  need_device();
  size_t bytes = bytes_of_ram(120), pages = bytes / kPage, kept = pages / 3;
  char* p = map_bytes(bytes);
  write_pages(p, 0, pages, 1, 18);
  CHECK_OK(munmap(p + kept * kPage, bytes - kept * kPage));  // the rest would fit
  struct sigaction ignored = {};
  ignored.sa_handler = [](int) {};
  CHECK_OK(sigaction(SIGALRM, &ignored, nullptr));
  itimerval soon = {{0, 1000}, {0, 1000}}, never = {};
  CHECK_OK(setitimer(ITIMER_REAL, &soon, nullptr));
  CHECK_ERR(swapoff(device), EINTR);
  CHECK_OK(setitimer(ITIMER_REAL, &never, nullptr));
  check_pages(p, 0, kept, 1, 18);
}

// In the middle of everything: too much for memory, and it says so and loses nothing; then it fits.
TEST_SLOW(swapoff_brings_everything_back_or_refuses) {
  need_device();
  size_t bytes = bytes_of_ram(150), pages = bytes / kPage, kept = pages / 4;
  char* p = map_bytes(bytes);
  char* shared = map_bytes(kept * kPage, MAP_SHARED | MAP_ANONYMOUS);
  write_pages(shared, 0, kept / 2, 1, 14);
  write_pages(p, 0, pages, 1, 13);
  CHECK_ERR(swapoff(device), ENOMEM);
  check_pages(p, 0, pages, 1, 13);
  CHECK_OK(munmap(p + kept * kPage, bytes - kept * kPage));
  CHECK_OK(swapoff(device));
  long in = pages_in();
  check_pages(p, 0, kept, 1, 13);
  check_pages(shared, 0, kept / 2, 1, 14);
  CHECK_EQ(pages_in(), in);
  CHECK_OK(swapon(device, 0));
}

#include "user/tests/harness_main.h"
