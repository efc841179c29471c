// Who may do what: modes, owners, groups, the sticky and set-id bits, credentials, and the timestamps that tell.
#include "user/tests/harness.h"
#include <grp.h>
#include <sys/time.h>

static struct stat info(const char* name) {
  struct stat st;
  CHECK_OK(lstat(name, &st));
  return st;
}
static int mode_of(const char* name) { return info(name).st_mode & 07777; }
static void need_root() {
  if (getuid()) SKIP("needs root");
  CHECK_OK(chmod(".", 0777));
}
// Runs `body` as an ordinary user, in a child.
template <typename F>
static void as_user(int uid, int gid, F body) {
  CHECK_EXIT(in_child([&] {
               CHECK_OK(setgroups(0, nullptr));
               CHECK_OK(setgid(gid));
               CHECK_OK(setuid(uid));
               body();
             }),
             0);
}
static void owned(const char* name, int mode, int uid, int gid, bool directory = false) {
  if (directory)
    CHECK_OK(mkdir(name, 0700));
  else
    close(make_file(name, "text", 4));
  CHECK_OK(chown(name, uid, gid));
  CHECK_OK(chmod(name, mode));
}

TEST(umask_and_modes) {
  umask(027);
  close(CHECK_OK(open("a", O_CREAT | O_RDWR, 0777)));
  CHECK_EQ(mode_of("a"), 0750);
  CHECK_OK(mkdir("d", 0777));
  CHECK_EQ(mode_of("d"), 0750);
  CHECK_EQ(umask(0), 027);
  close(CHECK_OK(open("b", O_CREAT | O_RDWR, 04777)));
  CHECK_EQ(mode_of("b"), 04777);
  for (int mode : {0, 0111, 0222, 0444, 0644, 0777, 01777}) {
    CHECK_OK(chmod("a", mode));
    CHECK_EQ(mode_of("a"), mode);
  }
  CHECK_OK(symlink("a", "l"));
  CHECK_OK(chmod("l", 0600));
  CHECK_EQ(mode_of("a"), 0600);
}
TEST(a_file_of_mode_0_can_be_used_by_its_creator) {
  need_root();
  as_user(1000, 1000, [] {
    int fd = CHECK_OK(open("f", O_CREAT | O_RDWR, 0));
    CHECK_EQ(write(fd, "x", 1), 1);
    CHECK_ERR(open("f", O_RDONLY), EACCES);
    CHECK_ERR(open("f", O_WRONLY | O_CREAT, 0600), EACCES);
  });
}
TEST(owner_group_and_others) {
  need_root();
  owned("f", 0640, 1000, 2000);
  as_user(1000, 1, [] {
    close(CHECK_OK(open("f", O_RDWR)));
    CHECK_ERR(access("f", X_OK), EACCES);
  });
  as_user(1001, 2000, [] {
    close(CHECK_OK(open("f", O_RDONLY)));
    CHECK_ERR(open("f", O_WRONLY), EACCES);
  });
  as_user(1001, 1, [] {
    CHECK_ERR(open("f", O_RDONLY), EACCES);
    CHECK_ERR(truncate("f", 0), EACCES);
  });
  CHECK_OK(chmod("f", 0077));  // the owner has the owner's bits, not the others'
  as_user(1000, 2000, [] {
    CHECK_ERR(open("f", O_RDONLY), EACCES);
    CHECK_ERR(access("f", R_OK), EACCES);
  });
  as_user(1001, 1, [] { close(CHECK_OK(open("f", O_RDWR))); });
  close(CHECK_OK(open("f", O_RDWR)));  // root may always read and write
  CHECK_OK(access("f", R_OK | W_OK));
  CHECK_OK(chmod("f", 0600));
  CHECK_ERR(access("f", X_OK), EACCES);
}
TEST(supplementary_groups_count) {
  need_root();
  owned("f", 0060, 1000, 3000);
  CHECK_EXIT(in_child([] {
               gid_t groups[] = {7, 3000}, got[8];
               CHECK_OK(setgroups(2, groups));
               CHECK_EQ(getgroups(8, got), 2);
               CHECK(got[0] == 7 && got[1] == 3000);
               CHECK_ERR(getgroups(1, got), EINVAL);
               CHECK_OK(setuid(1001));
               close(CHECK_OK(open("f", O_RDWR)));
               CHECK_ERR(setgroups(0, nullptr), EPERM);
             }),
             0);
}
TEST(directories_need_search_and_write) {
  need_root();
  owned("d", 0700, 1000, 1000, true);
  close(make_file("d/f", "x", 1));
  CHECK_OK(chmod("d/f", 0666));
  auto other = [](auto body) { as_user(1001, 1001, body); };
  other([] {
    CHECK_ERR(open("d/f", O_RDONLY), EACCES);
    CHECK_ERR(chdir("d"), EACCES);
    CHECK_ERR(open("d", O_RDONLY), EACCES);
  });
  CHECK_OK(chmod("d", 0711));
  other([] {
    close(CHECK_OK(open("d/f", O_RDWR)));
    CHECK_OK(chdir("d"));
    CHECK_ERR(open(".", O_RDONLY), EACCES);
    CHECK_ERR(unlink("f"), EACCES);
    CHECK_ERR(open("g", O_RDWR | O_CREAT, 0600), EACCES);
  });
  CHECK_OK(chmod("d", 0744));
  other([] {
    int fd = CHECK_OK(open("d", O_RDONLY));
    CHECK_ERR(openat(fd, "f", O_RDONLY), EACCES);
    struct stat st;
    CHECK_ERR(stat("d/f", &st), EACCES);
  });
  CHECK_OK(chmod("d", 0722));
  other([] {
    CHECK_ERR(unlink("d/f"), EACCES);
    CHECK_ERR(mkdir("d/g", 0700), EACCES);
  });
  CHECK_OK(chmod("d", 0733));
  other([] {
    CHECK_OK(rename("d/f", "d/g"));
    CHECK_OK(unlink("d/g"));
    CHECK_OK(mkdir("d/sub", 0700));
  });
  CHECK_EQ(info("d/sub").st_uid, 1001);
}
TEST(the_sticky_bit_protects_names) {
  need_root();
  owned("d", 01777, 1000, 1000, true);
  owned("d/mine", 0666, 1001, 1001);
  owned("d/theirs", 0666, 1002, 1002);
  as_user(1001, 1001, [] {
    CHECK_ERR(unlink("d/theirs"), EPERM);
    CHECK_ERR(rename("d/theirs", "d/x"), EPERM);
    CHECK_ERR(rename("d/mine", "d/theirs"), EPERM);
    CHECK_OK(rename("d/mine", "d/mine2"));
    CHECK_OK(unlink("d/mine2"));
  });
  as_user(1000, 1000, [] { CHECK_OK(unlink("d/theirs")); });  // the directory's owner may
}
TEST(chmod_and_chown_belong_to_the_owner) {
  need_root();
  owned("f", 0666, 1000, 1000);
  as_user(1001, 1000, [] {
    CHECK_ERR(chmod("f", 0600), EPERM);
    CHECK_ERR(chown("f", 1001, -1), EPERM);
    CHECK_ERR(chown("f", -1, 1000), EPERM);
  });
  as_user(1000, 1000, [] {
    CHECK_OK(chmod("f", 0640));
    CHECK_OK(chown("f", -1, 1000));
    CHECK_ERR(chown("f", 1001, -1), EPERM);
    CHECK_ERR(chown("f", -1, 55), EPERM);
  });
  CHECK_OK(chmod("f", 06755));
  CHECK_OK(chown("f", 5, 6));
  CHECK(info("f").st_uid == 5 && info("f").st_gid == 6);
  CHECK_EQ(mode_of("f"), 0755);  // a change of owner clears the set-id bits
  CHECK_OK(lchown("f", -1, 9));
  CHECK(info("f").st_uid == 5 && info("f").st_gid == 9);
}
TEST(writing_clears_the_set_id_bits) {
  need_root();
  owned("f", 06777, 1000, 1000);
  as_user(1001, 1001, [] {
    int fd = CHECK_OK(open("f", O_WRONLY));
    CHECK_EQ(write(fd, "x", 1), 1);
  });
  CHECK_EQ(mode_of("f"), 0777);
}
TEST(new_files_take_the_group_of_a_set_gid_directory) {
  need_root();
  owned("d", 02777, 1000, 4000, true);
  as_user(1001, 1001, [] {
    close(make_file("d/f"));
    CHECK_OK(mkdir("d/e", 0755));
  });
  CHECK(info("d/f").st_gid == 4000 && info("d/f").st_uid == 1001);
  CHECK(info("d/e").st_gid == 4000 && (mode_of("d/e") & 02000));
}

// ---- credentials
TEST(changing_users) {
  need_root();
  CHECK_EXIT(in_child([] {
               uid_t r, e, s;
               CHECK_OK(setresuid(1, 2, 3));
               CHECK_OK(getresuid(&r, &e, &s));
               CHECK(r == 1 && e == 2 && s == 3);
               CHECK_OK(seteuid(3));
               CHECK_OK(seteuid(1));
               CHECK_ERR(seteuid(0), EPERM);
               CHECK_ERR(setresuid(4, -1, -1), EPERM);
               CHECK_ERR(setreuid(3, -1), EPERM);
               CHECK_OK(setreuid(-1, 3));
               CHECK(getuid() == 1 && geteuid() == 3);
               CHECK_ERR(setgid(99), EPERM);
             }),
             0);
  CHECK_EXIT(in_child([] {
               CHECK_OK(setresgid(10, 20, 30));
               CHECK(getgid() == 10 && getegid() == 20);
               CHECK_OK(seteuid(1000));  // for a while
               CHECK_ERR(open("/proc/1/environ", O_RDONLY), EACCES);
               CHECK_OK(seteuid(0));
               CHECK_OK(setuid(1000));  // for good
               CHECK_ERR(setuid(0), EPERM);
               CHECK(getuid() == 1000 && geteuid() == 1000);
               CHECK_ERR(sethostname("x", 1), EPERM);
               CHECK_ERR(syscall(SYS_reboot, 0xfee1dead, 672274793, 0, 0), EPERM);
               CHECK_ERR(syscall(SYS_mount, "none", ".", "tmpfs", 0, 0), EPERM);
             }),
             0);
}
TEST(access_asks_for_the_real_user) {
  need_root();
  owned("f", 0600, 0, 0);
  CHECK_EXIT(in_child([] {
               CHECK_OK(setresuid(1000, 0, 0));
               close(CHECK_OK(open("f", O_RDONLY)));
               CHECK_ERR(access("f", R_OK), EACCES);
               CHECK_OK(faccessat(AT_FDCWD, "f", R_OK, AT_EACCESS));
             }),
             0);
  CHECK_ERR(access("f", 077), EINVAL);
  CHECK_ERR(access("absent", F_OK), ENOENT);
}

// ---- timestamps
static bool before(timespec a, timespec b) { return a.tv_sec < b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec < b.tv_nsec); }
static bool same(timespec a, timespec b) { return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec; }
static void later() {
  timespec t = {1, 100000000};
  nanosleep(&t, nullptr);
}  // ext2 keeps whole seconds
TEST(what_changes_which_time) {
  int fd = make_file("f", "x", 1);
  CHECK_OK(mkdir("d", 0755));
  struct stat file = info("f"), dir = info("d");
  later();
  CHECK_EQ(write(fd, "y", 1), 1);
  CHECK_OK(fchmod(fd, 0600));
  close(make_file("d/new"));
  struct stat now = info("f");
  CHECK(before(file.st_mtim, now.st_mtim) && before(file.st_ctim, now.st_ctim) && same(file.st_atim, now.st_atim));
  CHECK(before(dir.st_mtim, info("d").st_mtim));
  file = now;
  later();
  CHECK_OK(chmod("f", 0640));
  CHECK_OK(link("f", "g"));
  now = info("f");
  CHECK(same(file.st_mtim, now.st_mtim) && before(file.st_ctim, now.st_ctim));
  file = now;
  dir = info("d");
  later();
  CHECK_OK(ftruncate(fd, 0));
  CHECK_OK(unlink("d/new"));
  CHECK(before(file.st_mtim, info("f").st_mtim));
  CHECK(before(dir.st_mtim, info("d").st_mtim));
}
TEST(setting_times) {
  need_root();
  close(make_file("f"));
  CHECK_OK(chmod("f", 0666));
  timespec times[2] = {{1000000, 0}, {2000000, 0}};
  CHECK_OK(utimensat(AT_FDCWD, "f", times, 0));
  CHECK(info("f").st_atime == 1000000 && info("f").st_mtime == 2000000);
  times[0].tv_nsec = UTIME_OMIT, times[1].tv_sec = 5;
  CHECK_OK(utimensat(AT_FDCWD, "f", times, 0));
  CHECK(info("f").st_atime == 1000000 && info("f").st_mtime == 5);
  times[0].tv_nsec = 2000000000;
  CHECK_ERR(utimensat(AT_FDCWD, "f", times, 0), EINVAL);
  timeval old[2] = {{3, 0}, {4, 0}};
  CHECK_OK(utimes("f", old));
  CHECK(info("f").st_atime == 3 && info("f").st_mtime == 4);
  as_user(1001, 1001, [&] {
    CHECK_ERR(utimes("f", old), EPERM);
    CHECK_OK(utimes("f", nullptr));
  });  // "now" only needs write permission
  CHECK(info("f").st_mtime > 1000000);
  CHECK_OK(symlink("f", "l"));
  timespec t[2] = {{77, 0}, {78, 0}};
  CHECK_OK(utimensat(AT_FDCWD, "l", t, AT_SYMLINK_NOFOLLOW));
  CHECK(info("l").st_mtime == 78 && info("f").st_mtime > 1000000);
}
