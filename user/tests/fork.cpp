// fork, vfork, exit, wait: who is whose child, what each inherits, and what is left when one ends.
#include "user/tests/harness.h"

TEST(child_gets_zero_and_a_new_pid) {
  pid_t parent = getpid();
  Gate gate;
  pid_t child = in_child([&] {
    CHECK_EQ(getppid(), parent);
    CHECK(getpid() != parent);
    pid_t me = getpid();
    CHECK_EQ(write(gate.fd[1], &me, sizeof me), sizeof me);
  });
  pid_t told;
  CHECK_EQ(read(gate.fd[0], &told, sizeof told), sizeof told);
  CHECK_EQ(told, child);
  CHECK_EXIT(child, 0);
}

TEST(exit_status_is_the_low_byte) {
  for (int code : {0, 1, 127, 255, 256, 257, -1}) CHECK_EXIT(in_child([=] { _exit(code); }), code & 255);
}

TEST(status_tells_the_signal) {
  for (int number : {SIGHUP, SIGINT, SIGKILL, SIGTERM, SIGUSR1, SIGALRM, SIGPIPE, SIGRTMIN, SIGRTMAX}) {
    pid_t child = in_child([=] {
      kill(getpid(), number);
      for (;;) pause();
    });
    CHECK_SIGNAL(child, number);
  }
}

TEST(wait_without_children_is_echild) {
  int status;
  CHECK_ERR(wait(&status), ECHILD);
  CHECK_ERR(waitpid(getppid(), &status, 0), ECHILD);
  CHECK_ERR(waitpid(-1, &status, WNOHANG), ECHILD);
  CHECK_ERR(waitpid(-1, &status, 0x40000000 | 0x1000), EINVAL);
}

TEST(wait_nohang_returns_zero_while_children_run) {
  Gate gate;
  pid_t child = in_child([&] {
    gate.wait();
    _exit(9);
  });
  int status = 77;
  CHECK_EQ(waitpid(child, &status, WNOHANG), 0);
  gate.open();
  CHECK_EXIT(child, 9);
  CHECK_ERR(waitpid(child, &status, WNOHANG), ECHILD);
}

TEST(a_zombie_keeps_its_pid_until_waited_for) {
  pid_t child = in_child([] {});
  wait_state(child, "Z");
  CHECK_OK(kill(child, 0));
  CHECK_EXIT(child, 0);
  CHECK_ERR(kill(child, 0), ESRCH);
}

TEST(wait_any_collects_every_child_once) {
  constexpr int kCount = 40;
  pid_t pids[kCount];
  for (int i = 0; i < kCount; i++) pids[i] = in_child([=] { _exit(i); });
  for (int n = 0; n < kCount; n++) {
    int status;
    pid_t pid = CHECK_OK(wait(&status));
    int i = 0;
    while (i < kCount && pids[i] != pid) i++;
    CHECK(i < kCount);
    pids[i] = -1;
    CHECK_EQ(WEXITSTATUS(status), i);
  }
  CHECK_ERR(wait(nullptr), ECHILD);
}

TEST(waitpid_selects_by_process_group) {
  pid_t other = in_child([] {
    setpgid(0, 0);
    _exit(3);
  });
  setpgid(other, other);
  pid_t same = in_child([] { _exit(4); });
  int status;
  CHECK_EQ(waitpid(0, &status, 0), same);
  CHECK_EQ(WEXITSTATUS(status), 4);
  CHECK_EQ(waitpid(-other, &status, 0), other);
  CHECK_ERR(waitpid(-other, &status, 0), ECHILD);
}

TEST(waitid_reports_and_can_leave_the_child) {
  pid_t child = in_child([] { _exit(42); });
  for (int round = 0; round < 3; round++) {
    siginfo_t info = {};
    CHECK_OK(waitid(P_PID, child, &info, WEXITED | (round < 2 ? WNOWAIT : 0)));
    CHECK_EQ(info.si_signo, SIGCHLD);
    CHECK_EQ(info.si_code, CLD_EXITED);
    CHECK_EQ(info.si_status, 42);
    CHECK_EQ(info.si_pid, child);
    CHECK_EQ(info.si_uid, getuid());
  }
  CHECK_ERR(waitid(P_PID, child, nullptr, WEXITED), ECHILD);
  pid_t killed = in_child([] {
    for (;;) pause();
  });
  siginfo_t info = {};
  info.si_pid = 5;
  CHECK_OK(waitid(P_ALL, 0, &info, WEXITED | WNOHANG));
  CHECK_EQ(info.si_pid, 0);
  kill(killed, SIGKILL);
  CHECK_OK(waitid(P_PGID, 0, &info, WEXITED));
  CHECK_EQ(info.si_code, CLD_KILLED);
  CHECK_EQ(info.si_status, SIGKILL);
  CHECK_ERR(waitid(P_PID, 1, &info, 0), EINVAL);
}

TEST(wait4_gives_the_childs_usage) {
  pid_t child = in_child([] {
    char* p = map_pages(64);
    for (int i = 0; i < 64; i++) p[i * kPage] = 1;
  });
  rusage usage = {};
  int status;
  CHECK_EQ(wait4(child, &status, 0, &usage), child);
  CHECK(usage.ru_minflt >= 64);
}

// xv6: exitwait
TEST(a_hundred_exits_and_waits) {
  for (int i = 0; i < scale(100); i++) CHECK_EXIT(in_child([=] { _exit(i & 127); }), i & 127);
}

// xv6-riscv: twochildren, forkfork
TEST(two_children_at_a_time_often) {
  for (int i = 0; i < scale(300); i++) {
    in_child([] {});
    in_child([] {});
    CHECK_OK(wait(nullptr));
    CHECK_OK(wait(nullptr));
  }
}
TEST(forks_of_forks) {
  pid_t pids[2];
  for (pid_t& pid : pids)
    pid = in_child([] {
      for (int j = 0; j < 100; j++) CHECK_EXIT(in_child([] {}), 0);
    });
  for (pid_t pid : pids) CHECK_EXIT(pid, 0);
}

// JOS: forktree; every leaf is counted through one pipe.
static void tree(int depth, int fd) {
  if (depth == 0) {
    CHECK_EQ(write(fd, "l", 1), 1);
    return;
  }
  pid_t left = in_child([=] { tree(depth - 1, fd); }), right = in_child([=] { tree(depth - 1, fd); });
  CHECK_EXIT(left, 0);
  CHECK_EXIT(right, 0);
}
TEST(a_tree_of_forks_has_all_its_leaves) {
  Gate leaves;
  tree(6, leaves.fd[1]);
  char c[100];
  CHECK_EQ(read(leaves.fd[0], c, sizeof c), 64);
}

// UW: a chain in which each process is the parent of the next and changes what it inherited.
TEST(a_chain_of_35_generations) {
  static int values[1024];
  pid_t first = getpid();
  for (int generation = 1; generation <= 35; generation++) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (child) {
      CHECK_EXIT(child, 0);
      for (int& v : values) CHECK_EQ(v, generation - 1);
      if (getpid() != first) _exit(0);
      return;
    }
    for (int& v : values) CHECK_EQ(v++, generation - 1);
  }
  _exit(0);
}

// xv6-riscv: reparent
TEST(orphans_get_process_1_as_their_parent) {
  Gate orphaned, told;
  pid_t middle = in_child([&] {
    pid_t me = getpid();
    in_child([&] {
      orphaned.wait();
      pid_t parent = getppid();
      CHECK(parent != me);
      CHECK_EQ(write(told.fd[1], &parent, sizeof parent), sizeof parent);
    });
  });
  CHECK_EXIT(middle, 0);
  orphaned.open();
  pid_t parent;
  CHECK_EQ(read(told.fd[0], &parent, sizeof parent), sizeof parent);
  CHECK_EQ(parent, 1);
}
TEST(orphans_that_end_at_once_are_collected) {
  for (int i = 0; i < scale(200); i++) {
    pid_t middle = in_child([] {
      for (int k = 0; k < 2; k++) in_child([] {});
    });
    CHECK_EXIT(middle, 0);
  }
  CHECK_ERR(wait(nullptr), ECHILD);
}

// xv6: preempt
TEST(spinning_processes_are_preempted_and_can_be_killed) {
  pid_t spinners[3];
  for (pid_t& pid : spinners)
    pid = in_child([] {
      for (;;) asm volatile("");
    });
  Gate gate;
  pid_t worker = in_child([&] { gate.open(); });  // gets its turn although three others never yield
  gate.wait();
  CHECK_EXIT(worker, 0);
  for (pid_t pid : spinners) {
    CHECK_OK(kill(pid, SIGKILL));
    CHECK_SIGNAL(pid, SIGKILL);
  }
}

TEST(vfork_shares_memory_and_holds_the_parent) {
  volatile int stage = 0;
  pid_t child = vfork();
  if (child == 0) {
    stage = 1;
    _exit(7);
  }
  CHECK_EQ(stage, 1);
  CHECK_EXIT(child, 7);
  child = vfork();
  if (child == 0) {
    execl(g_program, g_program, "@exits_with_12", nullptr);
    _exit(99);
  }
  CHECK_EXIT(child, 12);
}
HELPER(exits_with_12) { _exit(12); }

TEST(open_files_share_their_offset_after_fork) {
  int fd = make_file("f", "0123456789", 10);
  CHECK_OK(lseek(fd, 0, SEEK_SET));
  char c[4];
  CHECK_EXIT(in_child([&] { CHECK_EQ(read(fd, c, 3), 3); }), 0);
  CHECK_EQ(read(fd, c, 1), 1);
  CHECK_EQ(c[0], '3');
}

TEST(fork_inherits_what_it_should) {
  CHECK_OK(chdir("/"));
  umask(0137);
  signal(SIGUSR1, SIG_IGN);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR2);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  raise(SIGUSR2);
  alarm(1000);
  CHECK_EXIT(in_child([] {
               char cwd[8];
               CHECK_STR(getcwd(cwd, sizeof cwd), "/");
               CHECK_EQ(umask(0), 0137);
               struct sigaction action;
               sigaction(SIGUSR1, nullptr, &action);
               CHECK(action.sa_handler == SIG_IGN);
               sigset_t mask, pending;
               sigprocmask(SIG_BLOCK, nullptr, &mask);
               CHECK(sigismember(&mask, SIGUSR2));
               sigpending(&pending);
               CHECK(!sigismember(&pending, SIGUSR2));  // pending signals and alarms are not inherited
               CHECK_EQ(alarm(0), 0);
               rusage usage;
               getrusage(RUSAGE_CHILDREN, &usage);
               CHECK_EQ(usage.ru_minflt, 0);
             }),
             0);
  CHECK(alarm(0) > 0);
}

// What the kernel keeps of a child's time and faults reaches the parent when it waits, and only then.
TEST(childrens_usage_adds_up_after_wait) {
  rusage before, after;
  getrusage(RUSAGE_CHILDREN, &before);
  pid_t child = in_child([] {
    char* p = map_pages(100);
    for (int i = 0; i < 100; i++) p[i * kPage] = 1;
  });
  wait_state(child, "Z");
  getrusage(RUSAGE_CHILDREN, &after);
  CHECK_EQ(after.ru_minflt, before.ru_minflt);
  CHECK_EXIT(child, 0);
  getrusage(RUSAGE_CHILDREN, &after);
  CHECK(after.ru_minflt >= before.ru_minflt + 100);
}
