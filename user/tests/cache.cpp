// The page cache takes what memory is free, and gives it back to whoever wants it (lecture E).
#include "user/tests/harness.h"

constexpr size_t kMiB = 1 << 20;

// A number of /proc/meminfo, in bytes.
static size_t memory(const char* name) {
  FILE* stream = fopen("/proc/meminfo", "r");
  CHECK(stream != nullptr);
  char line[128];
  size_t value = 0, length = strlen(name);
  bool found = false;
  while (!found && fgets(line, sizeof line, stream))
    if (!strncmp(line, name, length) && line[length] == ':') found = true, value = strtoul(line + length + 1, nullptr, 10) * 1024;
  fclose(stream);
  CHECK(found);
  return value;
}

// A file mostly of holes, which cache as any page does and need no disk of their size; a page with its number in each MiB.
static int large_file(const char* name, size_t bytes) {
  int fd = make_file(name);
  CHECK_OK(ftruncate(fd, off_t(bytes)));
  for (size_t at = 0; at < bytes; at += kMiB) {
    size_t page[kPage / sizeof(size_t)] = {at + 1};
    CHECK_EQ(pwrite(fd, page, sizeof page, off_t(at)), ssize_t(sizeof page));
  }
  return fd;
}
static void read_all(int fd, size_t bytes) {
  static char buffer[kMiB];
  for (size_t at = 0; at < bytes; at += kMiB) {
    CHECK_EQ(pread(fd, buffer, kMiB, off_t(at)), ssize_t(kMiB));
    size_t number;
    memcpy(&number, buffer, sizeof number);
    CHECK_EQ(number, at + 1);
    for (size_t i = sizeof number; i < kMiB; i += 997) CHECK_EQ(buffer[i], 0);
  }
}

TEST_SLOW(files_larger_than_memory_fill_it_and_make_way) {
  const size_t total = memory("MemTotal"), half = (total / 2) & ~(kMiB - 1), bytes = 3 * half;
  if (total > 256 * kMiB) SKIP("wants a machine with little memory");
  int files[2] = {large_file("a", bytes), large_file("b", bytes)};
  for (int round = 0; round < 3; round++) {
    for (int fd : files) read_all(fd, bytes);
    CHECK(memory("MemFree") < total / 8);
    CHECK(memory("Cached") > half);
    // Half of memory, while all of it is cache: nobody is killed, nothing is lost.
    char* p = map_pages(int(half / kPage));
    for (size_t at = 0; at < half; at += kPage) memcpy(p + at, &at, sizeof at);
    CHECK(memory("Cached") < total - half);
    for (size_t at = 0; at < half; at += kPage) CHECK(!memcmp(p + at, &at, sizeof at));
    read_all(files[0], bytes);  // with the half that is left
    for (size_t at = 0; at < half; at += kPage) CHECK(!memcmp(p + at, &at, sizeof at));
    CHECK_OK(munmap(p, half));
  }
  // The same through a mapping.
  char* mapped = map_pages(int(bytes / kPage), PROT_READ, MAP_SHARED, files[0]);
  size_t number;
  for (size_t at = 0; at < bytes; at += kPage) {
    memcpy(&number, mapped + at, sizeof number);
    CHECK_EQ(number, at % kMiB == 0 ? at + 1 : 0);
  }
}
