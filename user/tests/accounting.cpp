// What the kernel says of memory and faults adds up: smaps, pagemap, statm, vmstat, getrusage (lectures C4, D2, D3, E2, E5).
#include <sys/vfs.h>
#include "user/tests/harness.h"

constexpr uint64_t kPresent = 1ull << 63, kFileOrShared = 1ull << 61, kExclusive = 1ull << 56, kFrame = (1ull << 55) - 1;

static uint64_t page_entry(const void* place) {
  uint64_t entry = 0;
  int fd = CHECK_OK(open("/proc/self/pagemap", O_RDONLY));
  CHECK_EQ(pread(fd, &entry, sizeof entry, off_t(uintptr_t(place) / kPage * sizeof entry)), sizeof entry);
  close(fd);
  return entry;
}
static void need_frames() {
  if (geteuid() != 0) SKIP("frames are told to root only");
}

// A number behind `name` in a file of /proc; behind the line that begins with `after`, if it is given. -1: there is none.
static long long number_of(const char* file, const char* name, const char* after = nullptr) {
  FILE* stream = fopen(file, "r");
  CHECK(stream != nullptr);
  char line[512];
  long long value = -1;
  bool found = !after;
  while (value < 0 && fgets(line, sizeof line, stream)) {
    if (!found)
      found = !strncmp(line, after, strlen(after));
    else if (!strncmp(line, name, strlen(name)) && strchr(": \t", line[strlen(name)]))
      value = atoll(line + strlen(name) + 1);
  }
  fclose(stream);
  return value;
}
// A field of the region that begins at `start`, in kB.
static long long region_field(const void* start, const char* name) {
  char region[16];
  snprintf(region, sizeof region, "%08lx-", (unsigned long)uintptr_t(start));
  return number_of("/proc/self/smaps", name, region);
}
// Pages between two that stay inaccessible, so that the region is a line of its own.
static char* lone_pages(int pages) {
  char* p = map_pages(pages + 2, PROT_NONE);
  CHECK_OK(mprotect(p + kPage, size_t(pages) * kPage, PROT_READ | PROT_WRITE));
  return p + kPage;
}
static rusage usage_of(int who) {
  rusage usage;
  CHECK_OK(getrusage(who, &usage));
  return usage;
}

TEST(a_region_is_counted_page_by_page) {
  char* p = lone_pages(8);
  for (int i = 0; i < 3; i++) poke(uintptr_t(p) + i * kPage, 1);
  CHECK_EQ(region_field(p, "Size"), 32);
  for (const char* name : {"Rss", "Pss", "Private_Dirty", "Anonymous"}) CHECK_EQ(region_field(p, name), 12);
  for (const char* name : {"Shared_Dirty", "Shared_Clean", "Private_Clean", "Swap", "Locked"}) CHECK_EQ(region_field(p, name), 0);
  peek(uintptr_t(p) + 5 * kPage);
  CHECK_EQ(region_field(p, "Rss"), 12);  // the page of zeroes is nobody's
  CHECK_EXIT(in_child([&] {
               CHECK_EQ(region_field(p, "Rss"), 12);  // shared since the fork, each counted half
               CHECK_EQ(region_field(p, "Shared_Dirty"), 12);
               CHECK_EQ(region_field(p, "Pss"), 6);
               poke(uintptr_t(p), 2);
               CHECK_EQ(region_field(p, "Shared_Dirty"), 8);
               CHECK_EQ(region_field(p, "Private_Dirty"), 4);
               CHECK_EQ(region_field(p, "Pss"), 8);
             }),
             0);
  CHECK_EQ(region_field(p, "Private_Dirty"), 12);
}

TEST(the_rollup_is_the_sum) {
  char* p = lone_pages(4);
  poke(uintptr_t(p), 1);
  FILE* stream = fopen("/proc/self/smaps", "r");
  char line[512];
  long long sum = 0, pages;
  while (fgets(line, sizeof line, stream))
    if (sscanf(line, "Rss: %lld", &pages) == 1) sum += pages;
  fclose(stream);
  long long all = number_of("/proc/self/smaps_rollup", "Rss");
  CHECK(all > 0 && all >= sum - 64 && all <= sum + 64);  // reading one file may touch a few pages
}

TEST(the_page_map_has_linuxs_bits) {
  char* p = lone_pages(2);
  CHECK_EQ(page_entry(p), 0);
  poke(uintptr_t(p), 1);
  CHECK_EQ(page_entry(p) & (kPresent | kFileOrShared | kExclusive), kPresent | kExclusive);
  CHECK_EXIT(in_child([&] {
               CHECK_EQ(page_entry(p) & (kPresent | kExclusive), kPresent);
               poke(uintptr_t(p), 2);
               CHECK_EQ(page_entry(p) & (kPresent | kExclusive), kPresent | kExclusive);
             }),
             0);
  int file = make_file("page", "x", 1);
  char* mapped = map_pages(1, PROT_READ, MAP_SHARED, file);
  peek(uintptr_t(mapped));
  CHECK_EQ(page_entry(mapped) & (kPresent | kFileOrShared), kPresent | kFileOrShared);
  int fd = CHECK_OK(open("/proc/self/pagemap", O_RDONLY));
  uint64_t entry;
  CHECK_ERR(pread(fd, &entry, sizeof entry, 4), EINVAL);
  CHECK_ERR(pread(fd, &entry, 4, 0), EINVAL);
}

// D2 and D3, by physical frames: a write to a shared page gets another, the last user's write keeps its own.
TEST(frames_tell_copy_on_write) {
  need_frames();
  char* p = lone_pages(1);
  poke(uintptr_t(p), 1);
  uint64_t frame = page_entry(p) & kFrame;
  CHECK(frame != 0);
  CHECK_EXIT(in_child([&] {
               CHECK_EQ(page_entry(p) & kFrame, frame);
               poke(uintptr_t(p), 2);
               CHECK((page_entry(p) & kFrame) != frame);
             }),
             0);
  poke(uintptr_t(p), 3);
  CHECK_EQ(page_entry(p) & kFrame, frame);
}

// E2: every mapping of a file is the same physical page.
TEST(frames_tell_shared_mappings) {
  need_frames();
  int file = make_file("page", "x", 1);
  char* one = map_pages(1, PROT_READ | PROT_WRITE, MAP_SHARED, file);
  char* other = map_pages(1, PROT_READ, MAP_PRIVATE, file);
  poke(uintptr_t(one), 'y');
  CHECK_EQ(peek(uintptr_t(other)), 'y');
  CHECK_EQ(page_entry(one) & kFrame, page_entry(other) & kFrame);
}

TEST(every_touched_page_is_one_minor_fault) {
  constexpr int kPages = 64;
  char* p = lone_pages(kPages + 1);
  long long machine = number_of("/proc/vmstat", "pgfault");
  poke(uintptr_t(p + kPages * kPage), 1);  // the code has been run once
  rusage before = usage_of(RUSAGE_SELF), after;
  for (int i = 0; i < kPages; i++) poke(uintptr_t(p) + i * kPage, 1);
  after = usage_of(RUSAGE_SELF);
  CHECK_EQ(after.ru_minflt - before.ru_minflt, kPages);
  CHECK_EQ(after.ru_majflt - before.ru_majflt, 0);
  CHECK(number_of("/proc/vmstat", "pgfault") >= machine + kPages);
}

TEST(the_peak_is_what_was_resident_at_once) {
  constexpr int kPages = 2048;
  pid_t child = in_child([] {
    char* p = map_pages(kPages);
    for (int i = 0; i < kPages; i++) poke(uintptr_t(p) + i * kPage, 1);
    CHECK_OK(munmap(p, kPages * kPage));
  });
  rusage usage;
  int status;
  CHECK_EQ(wait4(child, &status, 0, &usage), child);
  CHECK_EQ(status, 0);
  CHECK(usage.ru_maxrss >= kPages * 4);
  CHECK(usage.ru_maxrss < kPages * 4 + 4096);
  CHECK(usage.ru_minflt >= kPages);
}

// E5: the first run reads the program from the disk, the second finds it in the page cache.
static rusage run_copy() {
  pid_t child = fork();
  if (child == 0) {
    execl("./copy", "copy", "--list", (char*)nullptr);
    _exit(127);
  }
  rusage usage;
  int status;
  CHECK_EQ(wait4(child, &status, 0, &usage), child);
  CHECK_EQ(status, 0);
  return usage;
}
TEST(only_the_first_run_of_a_program_has_major_faults) {
  struct statfs fs;
  CHECK_OK(statfs(".", &fs));
  if (fs.f_type == 0x01021994) SKIP("a memory file system has no disk");
  if (geteuid() != 0) SKIP("only root drops caches");
  int from = CHECK_OK(open(g_program, O_RDONLY)), to = CHECK_OK(open("copy", O_WRONLY | O_CREAT, 0755));
  static char buffer[65536];
  for (ssize_t n; (n = read(from, buffer, sizeof buffer)) > 0;) CHECK_EQ(write(to, buffer, n), n);
  close(from), close(to);
  sync();
  int null = CHECK_OK(open("/dev/null", O_WRONLY));
  CHECK_OK(dup2(null, 1) < 0 ? -1 : 0);
  int drop = CHECK_OK(open("/proc/sys/vm/drop_caches", O_WRONLY));
  CHECK_EQ(write(drop, "3", 1), 1);
  rusage first = run_copy(), second = run_copy();
  CHECK(first.ru_majflt > 0);
  CHECK_EQ(second.ru_majflt, 0);
  CHECK(second.ru_minflt > 0);
}

TEST(the_machines_counters_count) {
  for (const char* name : {"nr_free_pages", "nr_anon_pages", "nr_file_pages", "nr_mapped", "nr_dirty", "nr_page_table_pages", "pgpgin",
                           "pgpgout", "pgfree", "pgfault", "pgmajfault"})
    if (number_of("/proc/vmstat", name) < 0) FAIL("vmstat has no %s", name);
  long long made = number_of("/proc/stat", "processes"), freed = number_of("/proc/vmstat", "pgfree");
  CHECK_EXIT(in_child([] {
               char* p = map_pages(64);
               for (int i = 0; i < 64; i++) poke(uintptr_t(p) + i * kPage, 1);
             }),
             0);
  CHECK(made > 0 && number_of("/proc/stat", "processes") > made);
  for (int i = 0; i < 100 && number_of("/proc/vmstat", "pgfree") < freed + 64; i++) pause_a_little();
  CHECK(number_of("/proc/vmstat", "pgfree") >= freed + 64);
}

// A dirty page is counted, and is not any more when it has been written.
TEST(dirty_pages_are_counted) {
  struct statfs fs;
  CHECK_OK(statfs(".", &fs));
  if (fs.f_type == 0x01021994) SKIP("a memory file system has no disk");
  if (!on_faultline()) SKIP("other programs write, too");
  sync();
  long long before = number_of("/proc/vmstat", "nr_dirty"), out = number_of("/proc/vmstat", "pgpgout");
  static char content[64 * kPage];
  int file = make_file("dirty", content, sizeof content);
  CHECK(number_of("/proc/vmstat", "nr_dirty") >= before + 64);
  CHECK_OK(fsync(file));
  CHECK(number_of("/proc/vmstat", "nr_dirty") < before + 64);
  CHECK(number_of("/proc/vmstat", "pgpgout") >= out + 64 * 4);
}
