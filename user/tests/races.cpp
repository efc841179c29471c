// Several processes on the same names and files at once: nothing is lost, doubled or left behind. xv6's races, ours.
#include "user/tests/harness.h"

static bool exists(const char* name) {
  struct stat st;
  return lstat(name, &st) == 0;
}
template <typename F>
static void together(int n, F body) {
  pid_t pids[16];
  for (int i = 0; i < n; i++) pids[i] = in_child([&] { body(i); });
  for (int i = 0; i < n; i++) CHECK_EXIT(pids[i], 0);
}
static int entries(const char* name) {
  DIR* dir = opendir(name);
  CHECK(dir != nullptr);
  int n = 0;
  while (readdir(dir)) n++;
  closedir(dir);
  return n - 2;
}

// xv6: createdelete
TEST(create_and_delete_different_names) {
  together(4, [](int who) {
    char name[16];
    for (int i = 0; i < 40; i++) {
      snprintf(name, sizeof name, "p%d-%d", who, i);
      close(make_file(name));
      if (i > 0 && i % 2 == 0) {
        snprintf(name, sizeof name, "p%d-%d", who, i / 2);
        CHECK_OK(unlink(name));
      }
    }
  });
  for (int who = 0; who < 4; who++)
    for (int i = 0; i < 40; i++) {
      char name[16];
      snprintf(name, sizeof name, "p%d-%d", who, i);
      CHECK_EQ(exists(name), i == 0 || i >= 20);
    }
}
// xv6: two processes create and delete the same names
TEST(create_and_delete_the_same_names) {
  together(3, [](int who) {
    for (int i = 0; i < 100; i++) {
      int fd = CHECK_OK(open("same", O_RDWR | O_CREAT, 0600));
      CHECK_EQ(write(fd, "x", 1), 1);
      close(fd);
      if (unlink("same") && errno != ENOENT) FAIL("%d: unlink: %s", who, strerrorname_np(errno));
    }
  });
  unlink("same");
  CHECK_EQ(entries("."), 0);
}
TEST(exclusive_creation_has_one_winner) {
  for (int round = 0; round < scale(30); round++) {
    Gate go;
    int winners = 0;
    pid_t pids[4];
    for (pid_t& p : pids)
      p = in_child([&] {
        go.wait();
        int fd = open("x", O_CREAT | O_EXCL, 0600);
        if (fd < 0) CHECK_EQ(errno, EEXIST);
        _exit(fd >= 0);
      });
    for (int i = 0; i < 4; i++) go.open();
    for (pid_t p : pids) winners += WEXITSTATUS(wait_for(p));
    CHECK_EQ(winners, 1);
    CHECK_OK(unlink("x"));
  }
}
// xv6: linkunlink
TEST(link_unlink_and_create_at_once) {
  close(make_file("cat"));
  together(2, [](int who) {
    unsigned x = who ? 1 : 97;
    for (int i = 0; i < scale(300); i++) {
      x = x * 1103515245 + 12345;
      switch ((x >> 16) % 3) {
        case 0: close(open("x", O_RDWR | O_CREAT, 0600)); break;
        case 1: (void)!link("cat", "x"); break;
        case 2: unlink("x"); break;
      }
    }
  });
  unlink("x");
  struct stat st;
  CHECK_OK(stat("cat", &st));
  CHECK_EQ(st.st_nlink, 1);
}
// xv6: concreate
TEST(concurrent_creation_and_links_keep_the_directory_sound) {
  for (int i = 0; i < 40; i++) {
    char name[8];
    snprintf(name, sizeof name, "C%d", i);
    unlink(name);
    pid_t child = in_child([&] {
      if (i % 3 == 1)
        (void)!link("C0", name);
      else
        close(CHECK_OK(open(name, O_CREAT | O_RDWR, 0600)));
    });
    if (i % 5 == 1)
      (void)!link("C0", name);
    else
      close(CHECK_OK(open(name, O_CREAT | O_RDWR, 0600)));
    wait_for(child);
  }
  CHECK_EQ(entries("."), 40);
  together(4, [](int) {
    for (int i = 0; i < 40; i++) {
      char name[8];
      snprintf(name, sizeof name, "C%d", i);
      if (unlink(name)) CHECK_EQ(errno, ENOENT);
    }
  });
  CHECK_EQ(entries("."), 0);
}
// xv6: fourfiles
// Each process changes the count of links under another directory's lock.
TEST(names_of_one_file_in_many_directories) {
  close(make_file("one"));
  together(4, [](int who) {
    char name[16];
    snprintf(name, sizeof name, "d%d", who);
    CHECK_OK(mkdir(name, 0755));
    CHECK_OK(chdir(name));
    for (int i = 0; i < scale(8000); i++) {
      CHECK_OK(link("../one", "name"));
      CHECK_OK(unlink("name"));
    }
  });
  struct stat st;
  CHECK_OK(stat("one", &st));
  CHECK_EQ(st.st_nlink, 1);
}
TEST(a_link_against_the_last_unlink) {
  CHECK_OK(mkdir("a", 0755));
  CHECK_OK(mkdir("b", 0755));
  const int rounds = scale(2000);
  pid_t linker = in_child([=] {
    for (int i = 0; i < rounds; i++) {
      if (link("a/x", "b/x") == 0)
        CHECK_OK(unlink("b/x"));
      else
        CHECK_EQ(errno, ENOENT);
    }
  });
  for (int i = 0; i < rounds; i++) {
    close(make_file("a/x"));
    CHECK_OK(unlink("a/x"));
  }
  CHECK_EXIT(linker, 0);
  CHECK_OK(rmdir("a"));
  CHECK_OK(rmdir("b"));
}
TEST(four_writers_to_four_files) {
  together(4, [](int who) {
    char name[4] = {'f', char('0' + who), 0}, block[500];
    memset(block, '0' + who, sizeof block);
    int fd = make_file(name);
    for (int i = 0; i < 24; i++) CHECK_EQ(write(fd, block, sizeof block), sizeof block);
  });
  for (int who = 0; who < 4; who++) {
    char name[4] = {'f', char('0' + who), 0}, block[1000];
    int fd = CHECK_OK(open(name, O_RDONLY)), total = 0;
    for (int n; (n = CHECK_OK(read(fd, block, sizeof block))) > 0; total += n)
      for (int i = 0; i < n; i++) CHECK_EQ(block[i], '0' + who);
    CHECK_EQ(total, 12000);
  }
}
// xv6: sharedfd
TEST(two_writers_share_an_offset) {
  int fd = make_file("shared");
  together(2, [=](int who) {
    char line[10];
    memset(line, who ? 'p' : 'c', 10);
    for (int i = 0; i < scale(500); i++) CHECK_EQ(write(fd, line, 10), 10);
  });
  CHECK_OK(lseek(fd, 0, SEEK_SET));
  char c[10];
  int counts[2] = {};
  for (int n; (n = read(fd, c, 10)) > 0;)
    for (int i = 0; i < n; i++) counts[c[i] == 'p']++;
  CHECK(counts[0] == counts[1] && counts[0] == scale(500) * 10);
}
// xv6: bigdir; UW
TEST_SLOW(a_directory_of_500) {
  close(make_file("bd"));
  char name[16];
  for (int i = 0; i < 500; i++) {
    snprintf(name, sizeof name, "x%c%c", '0' + i / 64, '0' + i % 64);
    CHECK_OK(link("bd", name));
  }
  CHECK_EQ(entries("."), 501);
  struct stat st;
  CHECK_OK(stat("bd", &st));
  CHECK_EQ(st.st_nlink, 501);
  bool seen[500] = {};
  DIR* dir = opendir(".");
  while (dirent* e = readdir(dir))
    if (e->d_name[0] == 'x') {
      int i = (e->d_name[1] - '0') * 64 + e->d_name[2] - '0';
      CHECK(i < 500 && !seen[i]);
      seen[i] = true;
      CHECK_EQ(e->d_ino, st.st_ino);
    }
  rewinddir(dir);
  int again = 0;
  while (readdir(dir)) again++;
  CHECK_EQ(again, 503);
  closedir(dir);
  CHECK_OK(unlink("bd"));
  for (int i = 0; i < 500; i++) {
    snprintf(name, sizeof name, "x%c%c", '0' + i / 64, '0' + i % 64);
    CHECK_OK(unlink(name));
  }
  CHECK_EQ(entries("."), 0);
}
// Reading a directory while its entries go: what stays is seen exactly once.
TEST(reading_a_directory_while_names_are_removed) {
  char name[16];
  for (int i = 0; i < 300; i++) {
    snprintf(name, sizeof name, "%s%d", i % 2 ? "stay" : "go", i);
    close(make_file(name));
  }
  int fd = CHECK_OK(open(".", O_RDONLY | O_DIRECTORY)), seen[300] = {}, next = 0;
  char buffer[512];
  for (long n; (n = CHECK_OK(syscall(SYS_getdents64, fd, buffer, sizeof buffer))) > 0;) {
    for (long at = 0; at < n;) {
      dirent64* e = (dirent64*)(buffer + at);
      at += e->d_reclen;
      if (!strncmp(e->d_name, "stay", 4)) seen[atoi(e->d_name + 4)]++;
    }
    for (int i = 0; i < 10 && next < 300; i++, next += 2) {
      snprintf(name, sizeof name, "go%d", next);
      CHECK_OK(unlink(name));
    }
  }
  for (int i = 1; i < 300; i += 2) CHECK_EQ(seen[i], 1);
  CHECK_OK(lseek(fd, 0, SEEK_SET));
  CHECK_ERR(syscall(SYS_getdents64, fd, buffer, 10), EINVAL);
}
TEST(making_and_removing_directories_at_once) {
  together(3, [](int) {
    for (int i = 0; i < 60; i++) {
      if (mkdir("d", 0755) && errno != EEXIST) FAIL("mkdir: %s", strerrorname_np(errno));
      int fd = open("d/f", O_RDWR | O_CREAT, 0600);
      if (fd < 0)
        CHECK_EQ(errno, ENOENT);
      else
        close(fd);
      unlink("d/f");
      if (rmdir("d") && errno != ENOENT && errno != ENOTEMPTY) FAIL("rmdir: %s", strerrorname_np(errno));
    }
  });
  unlink("d/f");
  rmdir("d");
  CHECK_EQ(entries("."), 0);
}
// Directories renamed into each other from both sides must not make a circle or a deadlock.
TEST(renaming_directories_into_each_other) {
  CHECK_OK(mkdir("a", 0755));
  CHECK_OK(mkdir("b", 0755));
  together(2, [](int who) {
    for (int i = 0; i < 150; i++) {
      (void)!(who ? rename("a", "b/a") : rename("b", "a/b"));
      (void)!(who ? rename("b/a", "a") : rename("a/b", "b"));
    }
  });
  CHECK(exists("a") || exists("b"));
  (void)!rename("b/a", "a");
  (void)!rename("a/b", "b");
  CHECK(exists("a") && exists("b"));
  CHECK_OK(rmdir("a"));
  CHECK_OK(rmdir("b"));
}
TEST(rename_replaces_without_a_gap) {
  make_text("target", "0");
  pid_t renamer = in_child([] {
    for (int i = 0; i < 200; i++) {
      make_text("temporary", "1");
      CHECK_OK(rename("temporary", "target"));
    }
  });
  int status;
  while (waitpid(renamer, &status, WNOHANG) == 0) {
    int fd = CHECK_OK(open("target", O_RDONLY));  // there at every moment, never empty
    char c;
    CHECK_EQ(read(fd, &c, 1), 1);
    close(fd);
  }
  CHECK_EQ(status, 0);
}
// xv6: exitiput, openiput, iput; the last reference goes in exit, open or chdir
TEST(the_last_reference_is_dropped_anywhere) {
  for (int i = 0; i < 50; i++) {
    CHECK_OK(mkdir("iputdir", 0755));
    switch (i % 3) {
      case 0:
        CHECK_EXIT(in_child([] {
                     CHECK_OK(chdir("iputdir"));
                     CHECK_OK(rmdir("../iputdir"));
                   }),
                   0);
        break;
      case 1:
        CHECK_EXIT(in_child([] {
                     CHECK_OK(open("iputdir", O_RDONLY));
                     CHECK_OK(rmdir("iputdir"));
                     CHECK_ERR(open("iputdir", O_RDONLY), ENOENT);
                   }),
                   0);
        break;
      case 2:
        CHECK_EXIT(in_child([] {
                     CHECK_OK(chdir("iputdir"));
                     CHECK_OK(rmdir("../iputdir"));
                     CHECK_OK(chdir("/"));
                   }),
                   0);
        break;
    }
    CHECK(!exists("iputdir"));
  }
}
// Readers of a file that is truncated and written see bytes of it or its end, never anything else.
TEST(truncate_against_readers) {
  char full[8192];
  memset(full, 'F', sizeof full);
  close(make_file("f", full, sizeof full));
  pid_t writer = in_child([&] {
    for (int i = 0; i < 100; i++) {
      int fd = CHECK_OK(open("f", O_WRONLY | O_TRUNC));
      CHECK_EQ(write(fd, full, sizeof full), sizeof full);
      close(fd);
    }
  });
  int status, fd = CHECK_OK(open("f", O_RDONLY));
  while (waitpid(writer, &status, WNOHANG) == 0) {
    char buffer[8192];
    int n = CHECK_OK(pread(fd, buffer, sizeof buffer, 0));
    for (int i = 0; i < n; i++)
      if (buffer[i] != 'F' && buffer[i] != 0) FAIL("byte %d is %d", i, buffer[i]);
  }
  CHECK_EQ(status, 0);
}
