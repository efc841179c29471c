// Names: creating, linking, renaming, removing, directories and paths, and every way in which they are refused.
#include "user/tests/harness.h"
#include <sys/mount.h>
#include <sys/sysmacros.h>

static ino_t inode_of(const char* name) {
  struct stat st;
  CHECK_OK(lstat(name, &st));
  return st.st_ino;
}
static int links_of(const char* name) {
  struct stat st;
  CHECK_OK(lstat(name, &st));
  return st.st_nlink;
}
static bool exists(const char* name) {
  struct stat st;
  return lstat(name, &st) == 0;
}
static void touch(const char* name) { close(make_file(name)); }
static void directory(const char* name) { CHECK_OK(mkdir(name, 0755)); }

// ---- creating and removing
TEST(create_open_and_unlink) {
  touch("a");
  CHECK_ERR(open("a", O_CREAT | O_EXCL, 0600), EEXIST);
  CHECK_ERR(open("b", O_RDWR), ENOENT);
  CHECK_ERR(open("a", O_RDONLY | O_DIRECTORY), ENOTDIR);
  CHECK_OK(unlink("a"));
  CHECK_ERR(unlink("a"), ENOENT);
  CHECK_ERR(open("", O_RDONLY), ENOENT);
  CHECK_ERR(open("", O_RDWR | O_CREAT, 0600), ENOENT);  // xv6: emptyname
  CHECK_ERR(mkdir("", 0700), ENOENT);
  CHECK_ERR(unlink(""), ENOENT);
}
TEST(directories_are_not_files) {
  directory("d");
  CHECK_ERR(open("d", O_WRONLY), EISDIR);
  CHECK_ERR(open("d", O_RDWR | O_CREAT, 0600), EISDIR);
  CHECK_ERR(unlink("d"), EISDIR);
  CHECK_ERR(mkdir("d", 0700), EEXIST);
  CHECK_ERR(mkdir("d/", 0700), EEXIST);
  int fd = CHECK_OK(open("d", O_RDONLY));
  char c;
  CHECK_ERR(read(fd, &c, 1), EISDIR);
  CHECK_ERR(write(fd, &c, 1), EBADF);
  CHECK_ERR(truncate("d", 0), EISDIR);
  CHECK_ERR(link("d", "e"), EPERM);
  CHECK_OK(rmdir("d"));
  CHECK_ERR(rmdir("d"), ENOENT);
}
// xv6: dirfile
TEST(files_are_not_directories) {
  touch("f");
  CHECK_ERR(open("f/x", O_RDWR | O_CREAT, 0600), ENOTDIR);
  CHECK_ERR(open("f/", O_RDONLY), ENOTDIR);
  CHECK_ERR(open("f/.", O_RDONLY), ENOTDIR);
  CHECK_ERR(open("f/..", O_RDONLY), ENOTDIR);
  CHECK_ERR(chdir("f"), ENOTDIR);
  CHECK_ERR(mkdir("f/x", 0700), ENOTDIR);
  CHECK_ERR(unlink("f/x"), ENOTDIR);
  CHECK_ERR(unlink("f/"), ENOTDIR);
  CHECK_ERR(rmdir("f"), ENOTDIR);
  CHECK_ERR(link("f", "f/x"), ENOTDIR);
  CHECK_ERR(rename("f", "f/x"), ENOTDIR);
  struct stat st;
  CHECK_ERR(stat("f/x", &st), ENOTDIR);
}
// xv6: rmdot
TEST(dot_and_dot_dot) {
  directory("d");
  CHECK_EQ(inode_of("d/."), inode_of("d"));
  CHECK_EQ(inode_of("d/.."), inode_of("."));
  CHECK_ERR(rmdir("."), EINVAL);
  CHECK_ERR(rmdir("d/."), EINVAL);
  CHECK_ERR(rmdir("d/.."), ENOTEMPTY);
  CHECK_ERR(unlink("."), EISDIR);
  CHECK_ERR(rename("d/.", "e"), EBUSY);
  CHECK_ERR(rename("d/..", "e"), EBUSY);
  CHECK_ERR(mkdir(".", 0700), EEXIST);
  CHECK_EQ(inode_of("/.."), inode_of("/"));
  CHECK_EQ(inode_of("/../.."), inode_of("/"));
  CHECK_EQ(inode_of("d/../d/.././d//"), inode_of("d"));
}
TEST(link_counts_of_directories) {
  int before = links_of(".");
  directory("d");
  CHECK_EQ(links_of("d"), 2);
  CHECK_EQ(links_of("."), before + 1);
  directory("d/e");
  touch("d/f");
  CHECK_EQ(links_of("d"), 3);
  CHECK_ERR(rmdir("d"), ENOTEMPTY);
  CHECK_OK(unlink("d/f"));
  CHECK_OK(rename("d/e", "e"));
  CHECK_EQ(links_of("d"), 2);
  CHECK_EQ(links_of("."), before + 2);
  CHECK_EQ(inode_of("e/.."), inode_of("."));
  CHECK_OK(rmdir("d"));
  CHECK_OK(rmdir("e"));
  CHECK_EQ(links_of("."), before);
}
// xv6: linktest
TEST(hard_links) {
  make_text("a", "text");
  CHECK_OK(link("a", "b"));
  CHECK(links_of("a") == 2 && inode_of("a") == inode_of("b"));
  CHECK_ERR(link("a", "b"), EEXIST);
  CHECK_ERR(link("a", "a"), EEXIST);
  CHECK_ERR(link("absent", "c"), ENOENT);
  CHECK_OK(unlink("a"));
  CHECK_TEXT("b", "text");
  CHECK_EQ(links_of("b"), 1);
  CHECK_OK(symlink("b", "s"));
  CHECK_OK(link("s", "t"));  // the link itself
  CHECK_EQ(inode_of("t"), inode_of("s"));
  CHECK_OK(linkat(AT_FDCWD, "s", AT_FDCWD, "u", AT_SYMLINK_FOLLOW));
  CHECK_EQ(inode_of("u"), inode_of("b"));
  CHECK_ERR(link("b", "/dev/shm/another file system"), EXDEV);
}
// xv6: subdir, iref; deep paths and the current directory
TEST(a_deep_tree) {
  for (int i = 0; i < 60; i++) {
    directory("deep");
    CHECK_OK(chdir("deep"));
  }
  touch("bottom");
  for (int i = 0; i < 60; i++) CHECK_OK(chdir(".."));
  char path[600] = "";
  for (int i = 0; i < 60; i++) strcat(path, "deep/");
  strcat(path, "bottom");
  CHECK(exists(path));
  char cwd[4096], again[4096];
  CHECK(getcwd(cwd, sizeof cwd));
  path[strlen(path) - 6] = 0;
  CHECK_OK(chdir(path));
  CHECK(getcwd(again, sizeof again));
  CHECK(!strncmp(again, cwd, strlen(cwd)) && strlen(again) == strlen(cwd) + 300);
  CHECK(getcwd(again, 20) == nullptr && errno == ERANGE);
}
TEST(a_directory_removed_under_its_users) {
  directory("d");
  int fd = CHECK_OK(open("d", O_RDONLY));
  CHECK_OK(chdir("d"));
  CHECK_OK(rmdir("../d"));
  char cwd[200];
  CHECK(getcwd(cwd, sizeof cwd) == nullptr && errno == ENOENT);
  CHECK_ERR(open("x", O_RDWR | O_CREAT, 0600), ENOENT);
  CHECK_ERR(mkdir("x", 0700), ENOENT);
  CHECK_ERR(openat(fd, "x", O_RDWR | O_CREAT, 0600), ENOENT);
  struct stat st;
  CHECK_OK(fstat(fd, &st));
  CHECK_EQ(st.st_nlink, 0);
  CHECK_OK(chdir(".."));
  CHECK(!exists("d"));
}
// xv6: fourteen
TEST(long_names) {
  char name[300];
  memset(name, 'n', sizeof name);
  name[255] = 0;
  touch(name);
  CHECK(exists(name));
  name[255] = 'n', name[256] = 0;
  CHECK_ERR(open(name, O_RDWR | O_CREAT, 0600), ENAMETOOLONG);
  CHECK_ERR(mkdir(name, 0700), ENAMETOOLONG);
  struct stat st;
  CHECK_ERR(stat(name, &st), ENAMETOOLONG);
  static char path[5000];
  for (int i = 0; i < 4094; i += 2) memcpy(path + i, "./", 3);
  path[4094] = 0;
  CHECK_OK(stat(path, &st));
  strcpy(path + 4094, "./");
  CHECK_ERR(stat(path, &st), ENAMETOOLONG);
  for (const char* odd : {"with space", "new\nline", "\xff\xfe", "-", "...", "~", "a\\b"}) {
    touch(odd);
    CHECK(exists(odd));
  }
}

// ---- symbolic links
TEST(symbolic_links) {
  make_text("file", "text");
  CHECK_OK(symlink("file", "link"));
  CHECK_TEXT("link", "text");
  char target[600];
  CHECK_EQ(readlink("link", target, sizeof target), 4);
  CHECK_EQ(readlink("link", target, 2), 2);
  CHECK_ERR(readlink("link", target, 0), EINVAL);
  CHECK_ERR(readlink("file", target, 10), EINVAL);
  CHECK_ERR(symlink("x", "link"), EEXIST);
  CHECK_ERR(symlink("", "empty"), ENOENT);
  CHECK_ERR(open("link", O_RDONLY | O_NOFOLLOW), ELOOP);
  CHECK_OK(symlink("absent", "dangling"));
  CHECK_ERR(open("dangling", O_RDONLY), ENOENT);
  CHECK_ERR(open("dangling", O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST);
  close(CHECK_OK(open("dangling", O_RDWR | O_CREAT, 0600)));
  CHECK(exists("absent"));
  CHECK_OK(unlink("link"));
  CHECK_TEXT("file", "text");
  for (int length : {59, 60, 61, 500}) {  // short ones live in the inode
    char longer[600];
    memset(longer, 'l', length);
    longer[length] = 0;
    CHECK_OK(symlink(longer, "long"));
    CHECK_EQ(readlink("long", target, sizeof target), length);
    CHECK(!memcmp(target, longer, length));
    struct stat st;
    CHECK_OK(lstat("long", &st));
    CHECK(S_ISLNK(st.st_mode) && st.st_size == length);
    CHECK_OK(unlink("long"));
  }
}
TEST(chains_and_loops_of_links) {
  touch("l0");
  for (int i = 1; i <= 41; i++) {
    char a[8], b[8];
    snprintf(a, 8, "l%d", i - 1);
    snprintf(b, 8, "l%d", i);
    CHECK_OK(symlink(a, b));
  }
  close(CHECK_OK(open("l40", O_RDONLY)));
  CHECK_ERR(open("l41", O_RDONLY), ELOOP);
  CHECK_OK(symlink("b", "a"));
  CHECK_OK(symlink("a", "b"));
  CHECK_ERR(open("a", O_RDONLY), ELOOP);
  CHECK_ERR(chdir("a"), ELOOP);
  directory("d");
  touch("d/f");
  CHECK_OK(symlink("d", "to_d"));
  CHECK_OK(symlink("../d/f", "d/up"));
  close(CHECK_OK(open("to_d/up", O_RDONLY)));
  CHECK_EQ(inode_of("to_d/"), inode_of("d"));
  CHECK_ERR(rmdir("to_d"), ENOTDIR);
  CHECK_OK(symlink("/proc/self/cwd", "abs"));
  CHECK_EQ(inode_of("abs/d"), inode_of("d"));
}

// ---- rename
TEST(renaming_files) {
  make_text("a", "A");
  make_text("b", "B");
  CHECK_OK(rename("a", "a"));
  CHECK_OK(rename("a", "b"));
  CHECK(!exists("a"));
  CHECK_TEXT("b", "A");
  CHECK_OK(link("b", "c"));
  CHECK_OK(rename("b", "c"));  // the same file: nothing happens
  CHECK(exists("b") && exists("c"));
  CHECK_ERR(rename("absent", "x"), ENOENT);
  CHECK_ERR(rename("b", "absent/x"), ENOENT);
  CHECK_ERR(rename("b", "/proc/x"), EXDEV);
  int fd = CHECK_OK(open("c", O_RDONLY));
  make_text("d", "D");
  CHECK_OK(rename("d", "c"));  // an open file that is replaced lives on
  char t;
  CHECK(read(fd, &t, 1) == 1 && t == 'A');
  CHECK_TEXT("c", "D");
}
TEST(renaming_directories) {
  directory("d");
  directory("empty");
  directory("full");
  touch("full/x");
  touch("f");
  CHECK_ERR(rename("d", "full"), ENOTEMPTY);
  CHECK_ERR(rename("d", "f"), ENOTDIR);
  CHECK_ERR(rename("f", "d"), EISDIR);
  CHECK_ERR(rename("d", "d/sub"), EINVAL);
  directory("d/e");
  CHECK_ERR(rename("d", "d/e/g"), EINVAL);
  CHECK_ERR(rename("d/e", "d"), ENOTEMPTY);
  CHECK_OK(rename("d", "empty"));
  CHECK(!exists("d") && exists("empty/e"));
  CHECK_OK(rename("empty/e", "full/e/"));
  CHECK_EQ(inode_of("full/e/.."), inode_of("full"));
  CHECK_ERR(rename("f", "g/"), ENOTDIR);
}
TEST(renameat2_flags) {
  make_text("a", "A");
  make_text("b", "B");
  CHECK_ERR(renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_NOREPLACE), EEXIST);
  CHECK_OK(renameat2(AT_FDCWD, "a", AT_FDCWD, "c", RENAME_NOREPLACE));
  CHECK_TEXT("c", "A");
  CHECK_ERR(renameat2(AT_FDCWD, "b", AT_FDCWD, "c", 0x80), EINVAL);
  if (renameat2(AT_FDCWD, "b", AT_FDCWD, "c", RENAME_EXCHANGE)) {
    CHECK_EQ(errno, EINVAL);
    return;
  }  // not every file system can
  CHECK_TEXT("b", "A");
  CHECK_TEXT("c", "B");
}

// ---- the calls that start from a directory's descriptor, and other kinds of node
TEST(calls_relative_to_a_descriptor) {
  directory("d");
  int dir = CHECK_OK(open("d", O_RDONLY | O_DIRECTORY)), file = make_file("f");
  close(CHECK_OK(openat(dir, "x", O_RDWR | O_CREAT, 0600)));
  CHECK(exists("d/x"));
  CHECK_ERR(openat(file, "x", O_RDONLY), ENOTDIR);
  CHECK_ERR(openat(999, "x", O_RDONLY), EBADF);
  close(CHECK_OK(openat(999, "/", O_RDONLY)));
  CHECK_OK(mkdirat(dir, "sub", 0700));
  CHECK_OK(renameat(dir, "x", AT_FDCWD, "y"));
  CHECK_OK(linkat(AT_FDCWD, "y", dir, "z", 0));
  CHECK_OK(symlinkat("z", dir, "s"));
  CHECK_ERR(unlinkat(dir, "sub", 0), EISDIR);
  CHECK_OK(unlinkat(dir, "sub", AT_REMOVEDIR));
  CHECK_ERR(unlinkat(dir, "z", AT_REMOVEDIR), ENOTDIR);
  CHECK_ERR(unlinkat(dir, "z", 0x1), EINVAL);
  struct stat st;
  CHECK_OK(fstatat(dir, "s", &st, AT_SYMLINK_NOFOLLOW));
  CHECK(S_ISLNK(st.st_mode));
  CHECK_OK(fstatat(file, "", &st, AT_EMPTY_PATH));
  CHECK(S_ISREG(st.st_mode));
  CHECK_OK(fchdir(dir));
  CHECK(exists("z"));
  CHECK_ERR(fchdir(file), ENOTDIR);
}
TEST(device_nodes_and_fifos) {
  CHECK_OK(mkfifo("p", 0640));
  struct stat st;
  CHECK_OK(stat("p", &st));
  CHECK(S_ISFIFO(st.st_mode));
  CHECK_OK(mknod("regular", S_IFREG | 0600, 0));
  CHECK_OK(stat("regular", &st));
  CHECK(S_ISREG(st.st_mode) && st.st_size == 0);
  if (getuid()) return;
  CHECK_OK(mknod("null", S_IFCHR | 0600, makedev(1, 3)));
  CHECK_OK(stat("null", &st));
  CHECK(S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3));
  CHECK_EXIT(in_child([] {
               CHECK_OK(chmod(".", 0777));
               CHECK_OK(setuid(1000));
               CHECK_ERR(mknod("n2", S_IFCHR | 0600, makedev(1, 3)), EPERM);
             }),
             0);
}
TEST(chroot_confines) {
  if (getuid()) SKIP("needs root");
  directory("jail");
  directory("jail/in");
  touch("outside");
  CHECK_EXIT(in_child([] {
               CHECK_OK(chroot("jail"));
               CHECK_OK(chdir("/"));
               CHECK(exists("/in") && !exists("/outside") && !exists("/../outside") && !exists("../../outside"));
               char cwd[20];
               CHECK_STR(getcwd(cwd, sizeof cwd), "/");
               CHECK_OK(setuid(1000));
               CHECK_ERR(chroot("in"), EPERM);
             }),
             0);
  CHECK(exists("outside"));
}
