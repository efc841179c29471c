// /proc while the system moves: processes that end during a read, pages that come and go, settings, what others may not see.
#include "user/tests/harness.h"
#include <utility>

static ssize_t read_all(const char* path, char* text, size_t size) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -errno;
  ssize_t total = 0, n;
  while ((n = read(fd, text + total, size - total)) > 0) total += n;
  int error = errno;
  close(fd);
  return n < 0 ? -error : total;
}

// Reads every file below a directory; whatever has gone meanwhile may be missing, nothing else may fail.
static void read_tree(const char* path, int depth) {
  DIR* dir = opendir(path);
  if (!dir) {
    CHECK(errno == ENOENT || errno == ESRCH || errno == EACCES);
    return;
  }
  while (dirent* e = readdir(dir)) {
    char name[300], text[20000];
    snprintf(name, sizeof name, "%s/%s", path, e->d_name);
    bool waits = !strcmp(e->d_name, "faults") || !strcmp(e->d_name, "references");  // for the next one
    if (e->d_name[0] == '.' || e->d_type == DT_LNK || waits) continue;
    if (e->d_type == DT_DIR && depth > 0) read_tree(name, depth - 1);
    if (e->d_type != DT_REG) continue;
    ssize_t n = read_all(name, text, sizeof text);
    if (n < 0 && n != -ENOENT && n != -ESRCH && n != -EACCES && n != -EPERM && n != -EINVAL && n != -EIO)
      FAIL("%s: %s", name, strerrorname_np(-n));
  }
  closedir(dir);
}
TEST(processes_may_end_while_they_are_looked_at) {
  Gate stop;
  fcntl(stop.fd[0], F_SETFL, O_NONBLOCK);
  pid_t makers[2];
  for (pid_t& maker : makers)
    maker = in_child([&] {
      char c;
      while (read(stop.fd[0], &c, 1) < 0) {
        pid_t child = in_child([] { spin(20000); });
        CHECK_EXIT(child, 0);
        pause_a_little();
      }
    });
  for (int i = scale(8); i > 0; i--) {
    DIR* dir = opendir("/proc");
    while (dirent* e = readdir(dir)) {
      char path[300];
      snprintf(path, sizeof path, "/proc/%s", e->d_name);
      if (atoi(e->d_name) > 1) read_tree(path, 2);
    }
    closedir(dir);
  }
  for (pid_t maker : makers) {
    stop.open();
    (void)maker;
  }
  for (pid_t maker : makers) CHECK_EXIT(maker, 0);
}
TEST(a_file_that_is_open_outlives_its_process_but_says_so) {
  Gate go;
  pid_t child = in_child([&] { go.wait(); });
  char path[40], text[500];
  snprintf(path, sizeof path, "/proc/%d/stat", child);
  int fd = CHECK_OK(open(path, O_RDONLY));
  CHECK(read(fd, text, sizeof text) > 0);
  go.open();
  CHECK_EXIT(child, 0);
  CHECK_ERR(pread(fd, text, sizeof text, 0), ESRCH);
  CHECK_ERR(open(path, O_RDONLY), ENOENT);
  close(fd);
}
TEST(the_page_map_tells_what_is_present) {
  char* p = map_pages(3);
  p[kPage] = 1;
  uint64_t entries[3];
  int fd = CHECK_OK(open("/proc/self/pagemap", O_RDONLY));
  CHECK_EQ(pread(fd, entries, sizeof entries, (off_t)((uintptr_t)p / kPage) * 8), sizeof entries);
  CHECK(!(entries[0] >> 63) && (entries[1] >> 63) && !(entries[2] >> 63));
  CHECK_ERR(pread(fd, entries, 5, 0), EINVAL);
  CHECK_ERR(pread(fd, entries, 8, 4), EINVAL);
  close(fd);
}
TEST(descriptor_links_tell_how_a_file_is_open) {
  close(make_file("f"));
  for (auto [flags, mode] : {std::pair(O_RDONLY, 0500), std::pair(O_WRONLY, 0300), std::pair(O_RDWR, 0700)}) {
    int fd = CHECK_OK(open("f", flags));
    char path[40];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    struct stat st;
    CHECK_OK(lstat(path, &st));
    CHECK_EQ(st.st_mode, S_IFLNK | mode);
    close(fd);
  }
}
TEST(others_see_little_of_a_process) {
  if (geteuid() != 0) SKIP("not root");
  Gate go;
  pid_t root = in_child([&] { go.wait(); });
  char path[60], text[500];
  CHECK_EXIT(in_child([&] {
               CHECK_OK(setresuid(1000, 1000, 1000));
               for (const char* file : {"environ", "maps", "fd", "fdinfo", "pagemap"}) {
                 snprintf(path, sizeof path, "/proc/%d/%s", root, file);
                 int fd = open(path, O_RDONLY);
                 if (fd >= 0) CHECK_EQ(read(fd, text, sizeof text), -1);
                 CHECK_EQ(errno, EACCES);
               }
               snprintf(path, sizeof path, "/proc/%d/exe", root);
               CHECK_ERR(readlink(path, text, sizeof text), EACCES);
               snprintf(path, sizeof path, "/proc/%d/stat", root);
               CHECK(read_all(path, text, sizeof text) > 0);
             }),
             0);
  go.open();
  CHECK_EXIT(root, 0);
}
TEST(dropping_caches_loses_nothing) {
  if (geteuid() != 0) SKIP("not root");
  char data[50000], back[50000];
  for (size_t i = 0; i < sizeof data; i++) data[i] = i * 7;
  close(make_file("data", data, sizeof data));
  int fd = CHECK_OK(open("/proc/sys/vm/drop_caches", O_WRONLY));
  for (const char* what : {"1", "2\n", "3\n"}) CHECK_EQ(write(fd, what, strlen(what)), strlen(what));
  CHECK_ERR(write(fd, "x", 1), EINVAL);
  close(fd);
  CHECK_EQ(read_all("data", back, sizeof back), sizeof back);
  CHECK(!memcmp(data, back, sizeof data));
}
TEST(random_numbers_for_names) {
  char one[64] = "", two[64] = "", boot[64] = "", again[64] = "";
  CHECK_EQ(read_all("/proc/sys/kernel/random/uuid", one, sizeof one), 37);
  CHECK_EQ(read_all("/proc/sys/kernel/random/uuid", two, sizeof two), 37);
  CHECK(strcmp(one, two) != 0 && one[8] == '-' && one[14] == '4' && strchr("89ab", one[19]));
  CHECK_EQ(read_all("/proc/sys/kernel/random/boot_id", boot, sizeof boot), 37);
  CHECK_EQ(read_all("/proc/sys/kernel/random/boot_id", again, sizeof again), 37);
  CHECK_STR(boot, again);
}
