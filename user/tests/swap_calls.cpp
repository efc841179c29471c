// swapon, swapoff, and what /proc and sysinfo say of swap: arguments, headers, files that are in use. To be run as root, on a file system with a
// disk (-d); tests of a device of one's own take /dev/vdb if it is there and nobody's.
#include "user/tests/harness.h"
#include <sys/mount.h>
#include <sys/swap.h>
#include <sys/sysinfo.h>

constexpr int kPages = 64;

struct Header {  // what mkswap writes into the first page
  char boot[1024];
  uint32_t version, last_page, bad_count;
  char uuid[16], label[16];
  uint32_t padding[117], bad[637];
  char padding2[2], signature[10];
};
static_assert(sizeof(Header) == kPage && offsetof(Header, bad) == 1536);

static Header good_header(uint32_t pages) {
  Header header = {};
  header.version = 1;
  header.last_page = pages - 1;
  memcpy(header.signature, "SWAPSPACE2", 10);
  return header;
}
static void write_header(const char* name, const Header& header) {
  int fd = CHECK_OK(open(name, O_WRONLY));
  CHECK_EQ(pwrite(fd, &header, sizeof header, 0), sizeof header);
  CHECK_OK(close(fd));
}
static void make_area(const char* name, int pages = kPages) {
  int fd = CHECK_OK(open(name, O_RDWR | O_CREAT | O_TRUNC, 0600));
  static char page[kPage];
  for (int i = 0; i < pages; i++) CHECK_EQ(write(fd, page, sizeof page), kPage);
  CHECK_OK(close(fd));
  write_header(name, good_header(pages));
}

// Swap on a file for the scope.
struct Swapped {
  const char* const name;
  explicit Swapped(const char* file, int flags = 0) : name(file) { CHECK_OK(swapon(file, flags)); }
  Swapped(const Swapped&) = delete;
  void off() {
    if (is_on) CHECK_OK(swapoff(name));
    is_on = false;
  }
  ~Swapped() { off(); }
  bool is_on = true;
};

// The line of /proc/swaps about `name` in this directory, or "".
static void swaps_line(const char* name, char (&line)[300]) {
  char path[200], wanted[260];
  CHECK(getcwd(path, sizeof path));
  snprintf(wanted, sizeof wanted, "%s/%s ", path, name);
  FILE* file = fopen("/proc/swaps", "r");
  CHECK(file && fgets(line, sizeof line, file));
  CHECK_STR(line, "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n");
  line[0] = 0;
  while (fgets(line, sizeof line, file))
    if (!strncmp(line, wanted, strlen(wanted)))
      break;
    else
      line[0] = 0;
  fclose(file);
}
static int priority_of(const char* name) {
  char line[300];
  swaps_line(name, line);
  CHECK(line[0]);
  return atoi(strrchr(line, '\t') + 1);
}
static long meminfo(const char* name) {
  char line[100];
  long value = -1;
  FILE* file = fopen("/proc/meminfo", "r");
  CHECK(file);
  while (fgets(line, sizeof line, file))
    if (!strncmp(line, name, strlen(name)) && line[strlen(name)] == ':') value = atol(line + strlen(name) + 1);
  fclose(file);
  CHECK(value >= 0);
  return value;
}

TEST(arguments_are_checked) {
  make_area("area");
  CHECK_ERR(swapon("area", 0x80000), EINVAL);
  CHECK_ERR(swapon("nothing", 0), ENOENT);
  CHECK_ERR(swapon("area/below", 0), ENOTDIR);
  CHECK_ERR(swapon(".", 0), EISDIR);
  CHECK_ERR(swapon("/dev/null", 0), EINVAL);
  CHECK_ERR(swapon("", 0), ENOENT);
  CHECK_ERR(swapon((const char*)16, 0), EFAULT);
  CHECK_ERR(swapoff((const char*)16), EFAULT);
  CHECK_ERR(swapoff("area"), EINVAL);
  CHECK_ERR(swapoff("nothing"), ENOENT);
  CHECK_ERR(swapoff("/dev/null"), EINVAL);
  CHECK_OK(mkfifo("fifo", 0600));
  CHECK_ERR(swapon("fifo", 0), EINVAL);
}
TEST(only_the_superuser_swaps) {
  make_area("area");
  CHECK_EXIT(in_child([] {
               CHECK_OK(setuid(1000));
               CHECK_ERR(swapon("area", 0), EPERM);
               CHECK_ERR(swapon("area", 0x80000), EINVAL);
               CHECK_ERR(swapon("nothing", 0), EPERM);
               CHECK_ERR(swapoff("area"), EPERM);
             }),
             0);
}
TEST(a_header_that_is_wrong_is_refused) {
  make_area("area");
  auto refused = [](auto change) {
    Header header = good_header(kPages);
    change(header);
    write_header("area", header);
    CHECK_ERR(swapon("area", 0), EINVAL);
    CHECK_ERR(swapoff("area"), EINVAL);
  };
  refused([](Header& h) { h.signature[0] = 's'; });
  refused([](Header& h) { memcpy(h.signature, "SWAP-SPACE", 10); });
  refused([](Header& h) { h.version = 0; });
  refused([](Header& h) { h.version = 2; });
  refused([](Header& h) { h.last_page = 0; });
  refused([](Header& h) { h.last_page = kPages; });
  refused([](Header& h) { h.last_page = ~0u; });
  refused([](Header& h) { h.bad_count = ~0u; });
  refused([](Header& h) { h.bad_count = 1, h.bad[0] = 5; });  // a file has no bad pages
  refused([](Header& h) { memset(&h, 0, sizeof h); });
  Header other = good_header(kPages);  // of a machine with the other order of bytes
  other.version = __builtin_bswap32(other.version);
  other.last_page = __builtin_bswap32(other.last_page);
  write_header("area", other);
  Swapped area("area");
}
TEST(a_file_too_short_or_with_holes_is_refused) {
  int fd = CHECK_OK(open("area", O_RDWR | O_CREAT, 0600));
  CHECK_ERR(swapon("area", 0), EINVAL);
  CHECK_EQ(write(fd, "short", 5), 5);
  CHECK_ERR(swapon("area", 0), EINVAL);
  CHECK_OK(ftruncate(fd, kPages * kPage));
  write_header("area", good_header(kPages));
  CHECK_ERR(swapon("area", 0), EINVAL);
  make_area("area");  // the same without them
  CHECK_OK(close(fd));
  CHECK_OK(swapon("area", 0));
  CHECK_OK(swapoff("area"));
}
TEST(an_area_counts_in_proc_and_sysinfo) {
  make_area("area");
  char line[300];
  struct sysinfo before, during, after;
  CHECK_OK(sysinfo(&before));
  const long total = meminfo("SwapTotal");
  CHECK_EQ(total, (long)(before.totalswap / 1024 * before.mem_unit));
  {
    Swapped area("area");
    CHECK_OK(sysinfo(&during));
    CHECK_EQ(during.totalswap - before.totalswap, (kPages - 1) * kPage / before.mem_unit);
    CHECK_EQ(meminfo("SwapTotal") - total, (kPages - 1) * kPage / 1024);
    CHECK(meminfo("SwapFree") <= meminfo("SwapTotal"));
    swaps_line("area", line);
    char* tab = strchr(line, '\t');
    CHECK(tab && tab - line >= 40 && tab[-1] != ' ');  // the name is padded to 40 columns, type included
    CHECK(strstr(line, " file\t\t252\t\t0\t\t-"));
  }
  CHECK_OK(sysinfo(&after));
  CHECK_EQ(after.totalswap, before.totalswap);
  swaps_line("area", line);
  CHECK_STR(line, "");
}
TEST(priorities) {
  const char* names[] = {"one", "two", "three", "four"};
  for (const char* name : names) make_area(name);
  Swapped one("one");
  const int first = priority_of("one");
  CHECK(first <= -2);
  Swapped two("two", SWAP_FLAG_PREFER | 7), three("three"), four("four", SWAP_FLAG_PREFER);
  CHECK_EQ(priority_of("two"), 7);
  CHECK_EQ(priority_of("three"), first - 1);
  CHECK_EQ(priority_of("four"), 0);
  one.off();
  CHECK_EQ(priority_of("three"), first);  // the ranks are closed
  CHECK_OK(swapon("one", SWAP_FLAG_PREFER | SWAP_FLAG_PRIO_MASK));
  CHECK_EQ(priority_of("one"), 32767);
  CHECK_OK(swapoff("one"));
  CHECK_OK(swapon("one", SWAP_FLAG_DISCARD));  // a hint; our disks do not take it
  CHECK_EQ(priority_of("one"), first - 1);
  CHECK_OK(swapoff("one"));
}
TEST(a_file_in_use_stays_as_it_is) {
  make_area("area");
  int before = CHECK_OK(open("area", O_RDWR));
  char* mapped = (char*)mmap(nullptr, kPage, PROT_READ, MAP_SHARED, before, 0);
  CHECK(mapped != MAP_FAILED && mapped[4086] == 'S');
  char page[kPage] = {};
  {
    Swapped area("area");
    CHECK_ERR(swapon("area", 0), EBUSY);
    CHECK_ERR(write(before, "x", 1), ETXTBSY);
    CHECK_ERR(pwrite(before, page, kPage, 5 * kPage), ETXTBSY);
    CHECK_ERR(pwrite(before, page, kPage, kPages * kPage), ETXTBSY);
    CHECK_ERR(ftruncate(before, 0), ETXTBSY);
    CHECK_ERR(ftruncate(before, kPages * kPage), ETXTBSY);
    CHECK_OK(ftruncate(before, (kPages + 1) * kPage));  // growing harms nobody
    CHECK_ERR(truncate("area", 0), ETXTBSY);
    CHECK_ERR(fallocate(before, 0, 0, 2 * kPages * kPage), ETXTBSY);
    CHECK_ERR(open("area", O_WRONLY | O_TRUNC), ETXTBSY);
    CHECK(mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED, before, 0) == MAP_FAILED && errno == ETXTBSY);
    CHECK_ERR(unlink("area"), EPERM);
    CHECK_ERR(rename("area", "elsewhere"), EPERM);
    CHECK_OK(close(CHECK_OK(open("other", O_WRONLY | O_CREAT, 0600))));
    CHECK_ERR(rename("other", "area"), EPERM);
    CHECK_OK(link("area", "second name"));
    CHECK_ERR(unlink("second name"), EPERM);
    CHECK_EQ(pread(before, page, kPage, 0), kPage);  // reading is allowed
    CHECK(!memcmp(page + 4086, "SWAPSPACE2", 10) && mapped[4086] == 'S');
    CHECK_OK(close(CHECK_OK(open("area", O_WRONLY))));  // and so is opening
  }
  struct stat status;
  CHECK_OK(stat("area", &status));
  CHECK_EQ(status.st_size, (kPages + 1) * kPage);
  CHECK_OK(unlink("second name"));
  CHECK_EQ(pwrite(before, "x", 1, 9), 1);
  CHECK_EQ(mapped[9], 'x');
  CHECK_OK(rename("area", "elsewhere"));
  CHECK_OK(ftruncate(before, 0));
  CHECK_OK(unlink("elsewhere"));
  CHECK_OK(munmap(mapped, kPage));
  CHECK_OK(close(before));
}
TEST(what_was_written_before_is_on_the_disk) {
  make_area("area");  // its pages are dirty now
  int fd = CHECK_OK(open("area", O_RDWR));
  char* mapped = (char*)mmap(nullptr, kPages * kPage, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  CHECK(mapped != MAP_FAILED);
  for (int i = 1; i < kPages; i++) mapped[i * kPage] = char(i);
  CHECK_OK(munmap(mapped, kPages * kPage));
  CHECK_OK(swapon("area", 0));
  CHECK_OK(swapoff("area"));
  for (int i = 1; i < kPages; i++) {  // nothing went out to it: it is as it was
    char byte = 0;
    CHECK_EQ(pread(fd, &byte, 1, i * kPage), 1);
    CHECK_EQ(byte, char(i));
  }
  CHECK_OK(close(fd));
}
TEST(areas_are_limited) {
  char name[20];
  int made = 0;
  for (; made < 40; made++) {
    snprintf(name, sizeof name, "area%d", made);
    make_area(name, 8);
    errno = 0;
    if (swapon(name, 0) < 0) break;
  }
  CHECK(made >= 5 && (made == 40 || errno == EPERM));  // Linux has room for up to 32
  while (made-- > 0) {
    snprintf(name, sizeof name, "area%d", made);
    CHECK_OK(swapoff(name));
  }
}
TEST(two_who_switch_it_off_do_not_meet) {
  make_area("area");
  for (int round = 0; round < scale(30); round++) {
    CHECK_OK(swapon("area", 0));
    Gate gate;
    pid_t child = in_child([&] {
      gate.wait();
      int r = swapoff("area");
      _exit(r == 0 ? 1 : errno == EINVAL ? 0 : 99);
    });
    gate.open();
    const int mine = swapoff("area");
    CHECK(mine == 0 || errno == EINVAL);
    CHECK_EXIT(child, mine == 0 ? 0 : 1);
  }
}

// ---- a disk of its own
static const char* const kDisk = "/dev/vdb";
static void need_disk() {
  char swaps[1000] = {};
  int fd = CHECK_OK(open("/proc/swaps", O_RDONLY));
  CHECK(read(fd, swaps, sizeof swaps - 1) > 0);
  close(fd);
  if (!on_faultline() || access(kDisk, F_OK) || strstr(swaps, kDisk)) SKIP("no disk to swap to");
}
TEST(a_disk_is_claimed) {
  need_disk();
  int fd = CHECK_OK(open(kDisk, O_RDWR));
  CHECK_EQ(pwrite(fd, "mark", 4, 0), 4);
  Header header = good_header(kPages);
  header.bad_count = 3;
  header.bad[0] = 60, header.bad[1] = 7, header.bad[2] = 60;  // in any order
  CHECK_EQ(pwrite(fd, &header, sizeof header, 0), kPage);     // in the cache only
  {
    Swapped area(kDisk);
    char line[300] = {};
    FILE* file = fopen("/proc/swaps", "r");
    while (fgets(line, sizeof line, file) && strncmp(line, kDisk, strlen(kDisk))) {
    }
    fclose(file);
    CHECK_STR(line, "/dev/vdb                                partition\t244\t\t0\t\t-2\n");
    CHECK_ERR(swapon(kDisk, 0), EBUSY);
    CHECK_OK(mkdir("place", 0700));
    CHECK_ERR(mount(kDisk, "place", "ext2", 0, nullptr), EBUSY);
  }
  header.bad[0] = kPages;
  CHECK_EQ(pwrite(fd, &header, sizeof header, 0), kPage);
  CHECK_ERR(swapon(kDisk, 0), EINVAL);
  for (int i = 0; i < kPages - 1; i++) header.bad[i] = i + 1;
  header.bad_count = kPages - 1;
  CHECK_EQ(pwrite(fd, &header, sizeof header, 0), kPage);
  CHECK_ERR(swapon(kDisk, 0), EINVAL);  // nothing is left of it
  CHECK_OK(close(fd));
}
TEST(a_mounted_disk_is_busy) {
  if (!on_faultline() || access("/dev/vda", F_OK)) SKIP("the root is not on /dev/vda");
  CHECK_ERR(swapon("/dev/vda", 0), EBUSY);
}
