// Resource limits, priorities and processor affinity; the ends of the descriptor and process tables.
#include "user/tests/harness.h"

static void limit(int resource, rlim_t soft, rlim_t hard) {
  rlimit l = {soft, hard};
  CHECK_OK(setrlimit((__rlimit_resource)resource, &l));
}

TEST(limits_are_kept_inherited_and_checked) {
  rlimit l, old;
  for (int r = 0; r < 16; r++) CHECK_OK(getrlimit((__rlimit_resource)r, &l));
  CHECK_ERR(getrlimit((__rlimit_resource)99, &l), EINVAL);
  l = {20, 10};
  CHECK_ERR(setrlimit(RLIMIT_NOFILE, &l), EINVAL);
  limit(RLIMIT_NOFILE, 100, 200);
  CHECK_EXIT(in_child([] {
               rlimit m;
               CHECK_OK(getrlimit(RLIMIT_NOFILE, &m));
               CHECK(m.rlim_cur == 100 && m.rlim_max == 200);
               CHECK_EXIT(run_self("has_100"), 0);
             }),
             0);
  CHECK_OK(prlimit(0, RLIMIT_NOFILE, nullptr, &old));
  CHECK_EQ(old.rlim_cur, 100);
  pid_t child = in_child([] {
    for (;;) pause();
  });
  l = {50, 60};
  CHECK_OK(prlimit(child, RLIMIT_NOFILE, &l, &old));
  CHECK_EQ(old.rlim_max, 200);
  CHECK_OK(prlimit(child, RLIMIT_NOFILE, nullptr, &old));
  CHECK_EQ(old.rlim_cur, 50);
  kill(child, SIGKILL);
  CHECK_SIGNAL(child, SIGKILL);
  CHECK_ERR(prlimit(0x3ffffff, RLIMIT_NOFILE, nullptr, &old), ESRCH);
}
HELPER(has_100) {
  rlimit m;
  CHECK_OK(getrlimit(RLIMIT_NOFILE, &m));
  CHECK_EQ(m.rlim_cur, 100);
}
TEST(only_root_raises_hard_limits) {
  if (getuid()) SKIP("needs root");
  CHECK_EXIT(in_child([] {
               limit(RLIMIT_NOFILE, 100, 100);
               rlimit l = {100, 200};
               if (setrlimit(RLIMIT_NOFILE, &l) && !on_faultline()) _exit(0);  // this root has not got every capability
               CHECK_OK(setrlimit(RLIMIT_NOFILE, &l));
               CHECK_OK(setuid(1000));
               l = {100, 300};
               CHECK_ERR(setrlimit(RLIMIT_NOFILE, &l), EPERM);
               limit(RLIMIT_NOFILE, 200, 200);
               limit(RLIMIT_NOFILE, 10, 100);
             }),
             0);
}
// xv6: every way to take a descriptor stops at the limit, and all of them can be used again.
TEST(descriptors_run_out) {
  limit(RLIMIT_NOFILE, 40, 40);
  for (int i = 3; i < 40; i++) close(i);
  int fd[2], file = make_file("f"), count = 0;
  for (int round = 0; round < 3; round++) {
    count = 0;
    while (open("f", O_RDONLY) >= 0) count++;
    CHECK_EQ(errno, EMFILE);
    CHECK_ERR(dup(file), EMFILE);
    CHECK_ERR(pipe(fd), EMFILE);
    CHECK_ERR(open("new", O_RDWR | O_CREAT, 0600), EMFILE);
    CHECK_ERR(dup2(file, 40), EBADF);
    CHECK_ERR(fcntl(file, F_DUPFD, 40), EINVAL);
    close(39);
    CHECK_ERR(pipe(fd), EMFILE);  // one is not enough for two ends
    CHECK_EQ(dup(file), 39);
    for (int i = file + 1; i < 40; i++) CHECK_OK(close(i));
    CHECK_EQ(count, 40 - file - 1);
  }
}
TEST(the_file_size_limit) {
  limit(RLIMIT_FSIZE, 10000, 10000);
  int fd = make_file("f");
  static char block[8000];
  CHECK_EQ(write(fd, block, 8000), 8000);
  CHECK_EQ(write(fd, block, 8000), 2000);  // as far as it goes
  CHECK_SIGNAL(in_child([=] { (void)!write(fd, block, 1); }), SIGXFSZ);
  signal(SIGXFSZ, SIG_IGN);
  CHECK_ERR(write(fd, block, 1), EFBIG);
  CHECK_ERR(ftruncate(fd, 10001), EFBIG);
  CHECK_OK(ftruncate(fd, 10000));
  CHECK_EQ(pwrite(fd, block, 100, 9950), 50);
}
TEST(the_processor_time_limit) {
  pid_t child = in_child([] {
    limit(RLIMIT_CPU, 1, 3);
    for (;;) spin(1000);
  });
  CHECK_SIGNAL(child, SIGXCPU);
  child = in_child([] {
    limit(RLIMIT_CPU, 1, 2);
    signal(SIGXCPU, SIG_IGN);
    for (;;) spin(1000);
  });
  CHECK_SIGNAL(child, SIGKILL);
}

// xv6: forktest, as many processes as a limit allows, and exactly as many to wait for.
static int children_until_failure() {
  int n = 0;
  for (;; n++) {
    pid_t pid = fork();
    if (pid == 0) _exit(0);
    if (pid < 0) {
      CHECK_EQ(errno, EAGAIN);
      return n;
    }
  }
}
TEST(processes_run_out) {
  if (getuid()) SKIP("needs root");
  CHECK_EXIT(in_child([] {
               limit(RLIMIT_NPROC, 30, 30);
               CHECK_OK(setuid(54323));
               for (int round = 0; round < 3; round++) {
                 CHECK_EQ(children_until_failure(), 29);  // zombies count
                 for (int i = 0; i < 29; i++) CHECK_OK(wait(nullptr));
                 CHECK_ERR(wait(nullptr), ECHILD);
               }
             }),
             0);
}
TEST(a_fork_bomb_is_contained) {
  if (getuid()) SKIP("needs root");
  char* shared = map_pages(1, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
  int* count = (int*)shared;
  pid_t bomb = in_child([=] {
    limit(RLIMIT_NPROC, scale(60), scale(60));
    CHECK_OK(setuid(54324));
    for (int i = 0; i < 200; i++) {
      pid_t pid = fork();
      if (pid == 0)
        __atomic_fetch_add(count, 1, __ATOMIC_RELAXED);
      else if (pid < 0) {
        if (errno != EAGAIN) _exit(9);
        pause_a_little();
      }
      if (__atomic_load_n(count, __ATOMIC_RELAXED) > 1000) break;
    }
    while (wait(nullptr) > 0) {
    }
  });
  CHECK_EXIT(bomb, 0);
  CHECK(*count >= scale(60) - 1);
  CHECK_EXIT(in_child([] {}), 0);
}

TEST(priorities) {
  int before = getpriority(PRIO_PROCESS, 0);
  CHECK_OK(setpriority(PRIO_PROCESS, 0, before + 5));
  CHECK_EQ(getpriority(PRIO_PROCESS, 0), before + 5);
  CHECK_EXIT(in_child([=] { CHECK_EQ(getpriority(PRIO_PROCESS, 0), before + 5); }), 0);
  CHECK_OK(setpriority(PRIO_PROCESS, 0, 100));
  CHECK_EQ(getpriority(PRIO_PROCESS, 0), 19);
  CHECK_ERR(setpriority(99, 0, 0), EINVAL);
  CHECK_ERR(setpriority(PRIO_PROCESS, 0x3ffffff, 0), ESRCH);
  if (getuid() == 0)
    CHECK_EXIT(in_child([] {
                 CHECK_OK(setuid(1000));
                 CHECK_ERR(setpriority(PRIO_PROCESS, 0, 0), EACCES);
               }),
               0);
}
TEST(affinity) {
  cpu_set_t all, one;
  CHECK_OK(sched_getaffinity(0, sizeof all, &all));
  CHECK(CPU_COUNT(&all) >= 1);
  for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
    if (!CPU_ISSET(cpu, &all)) continue;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    CHECK_OK(sched_setaffinity(0, sizeof one, &one));
    CHECK_EQ(sched_getcpu(), cpu);
    CHECK_EXIT(in_child([=] {
                 for (int i = 0; i < 20; i++) {
                   sched_yield();
                   CHECK_EQ(sched_getcpu(), cpu);
                 }
               }),
               0);
  }
  CPU_ZERO(&one);
  CHECK_ERR(sched_setaffinity(0, sizeof one, &one), EINVAL);
  CHECK_OK(sched_setaffinity(0, sizeof all, &all));
}
