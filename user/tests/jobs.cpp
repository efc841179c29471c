// Process groups, sessions, stopping and continuing, SIGCHLD's variants: what a shell's job control stands on.
#include "user/tests/harness.h"

static volatile int g_children, g_continued;
static void on(int number, void (*handler)(int), int flags = 0) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = flags;
  CHECK_OK(sigaction(number, &action, nullptr));
}
static pid_t sleeper() {
  return in_child([] {
    for (;;) pause();
  });
}
static void end(pid_t pid) {
  CHECK_OK(kill(pid, SIGKILL));
  CHECK_SIGNAL(pid, SIGKILL);
}

// ---- groups and sessions
TEST(groups_are_inherited_and_changed) {
  CHECK_EQ(getpgrp(), getpid());  // the harness made this test a leader
  pid_t leader = getpid();
  CHECK_EXIT(in_child([=] {
               CHECK_EQ(getpgrp(), leader);
               CHECK_EQ(getpgid(0), leader);
               CHECK_OK(setpgid(0, 0));
               CHECK_EQ(getpgrp(), getpid());
               CHECK_OK(setpgid(0, leader));
               CHECK_EQ(getpgrp(), leader);
               CHECK_ERR(setpgid(0, 0x3ffffff), EPERM);  // no such group
               CHECK_ERR(setpgid(0, -1), EINVAL);
               CHECK_ERR(setpgid(0x3ffffff, 0), ESRCH);
               CHECK_ERR(setpgid(leader, 0), ESRCH);  // not oneself, not a child
             }),
             0);
  CHECK_ERR(getpgid(0x3ffffff), ESRCH);
  CHECK_ERR(getsid(0x3ffffff), ESRCH);
}
HELPER(sleeps) {
  CHECK_EQ(write(1, "x", 1), 1);
  for (;;) pause();
}
TEST(a_parent_places_its_child_until_exec) {
  pid_t child = sleeper();
  CHECK_OK(setpgid(child, child));
  CHECK_EQ(getpgid(child), child);
  end(child);
  Gate ready;
  child = in_child([&] {
    dup2(ready.fd[1], 1);
    execl(g_program, g_program, "@sleeps", nullptr);
    _exit(99);
  });
  ready.wait();
  CHECK_ERR(setpgid(child, child), EACCES);
  end(child);
}
TEST(setsid_makes_a_session) {
  CHECK_ERR(setsid(), EPERM);  // a group leader cannot
  pid_t old = getsid(0);
  Gate made, go;
  pid_t child = in_child([&] {
    CHECK_EQ(setsid(), getpid());
    CHECK(getsid(0) == getpid() && getpgrp() == getpid() && getsid(0) != old);
    CHECK_ERR(setpgid(0, 0), EPERM);  // a session leader stays where it is
    CHECK_ERR(open("/dev/tty", O_RDWR), ENXIO);
    made.open();
    go.wait();
  });
  made.wait();
  CHECK_EQ(getsid(child), child);
  CHECK_ERR(setpgid(child, getpgrp()), EPERM);
  CHECK_EXIT(in_child([=] { CHECK_ERR(setpgid(0, child), EPERM); }), 0);  // not into another session
  go.open();
  CHECK_EXIT(child, 0);
}
TEST(a_signal_to_a_group_reaches_its_members_only) {
  pid_t outside = sleeper(), leader = sleeper();
  CHECK_OK(setpgid(outside, outside));
  CHECK_OK(setpgid(leader, leader));
  pid_t member = sleeper();
  CHECK_OK(setpgid(member, leader));
  CHECK_OK(kill(-leader, SIGTERM));
  CHECK_SIGNAL(leader, SIGTERM);
  CHECK_SIGNAL(member, SIGTERM);
  CHECK_ERR(kill(-leader, SIGTERM), ESRCH);
  CHECK_EQ(waitpid(outside, nullptr, WNOHANG), 0);
  end(outside);
  CHECK_EXIT(in_child([] {
               CHECK_OK(setpgid(0, 0));
               on(SIGTERM, [](int) { _exit(21); });
               kill(0, SIGTERM);
             }),
             21);
}
TEST(kill_minus_one_reaches_all_one_may_signal) {
  if (getuid()) SKIP("needs root");
  pid_t bystander = sleeper();
  Gate ready;
  CHECK_EXIT(in_child([&] {
               CHECK_OK(setuid(54322));  // a user with no other processes
               pid_t a = in_child([&] {
                 ready.open();
                 for (;;) pause();
               }),
                     b = in_child([&] {
                       ready.open();
                       for (;;) pause();
                     });
               ready.wait();
               ready.wait();
               CHECK_OK(kill(-1, SIGTERM));  // not the caller itself
               CHECK_SIGNAL(a, SIGTERM);
               CHECK_SIGNAL(b, SIGTERM);
             }),
             0);
  CHECK_EQ(waitpid(bystander, nullptr, WNOHANG), 0);
  end(bystander);
}

// ---- stop and continue
TEST(stop_and_continue_are_reported_once) {
  pid_t child = sleeper();
  int status;
  CHECK_OK(kill(child, SIGSTOP));
  CHECK_EQ(waitpid(child, &status, WUNTRACED), child);
  CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
  CHECK_EQ(state_of(child), 'T');
  CHECK_EQ(waitpid(child, &status, WUNTRACED | WNOHANG), 0);
  CHECK_OK(kill(child, SIGCONT));
  CHECK_EQ(waitpid(child, &status, WCONTINUED), child);
  CHECK(WIFCONTINUED(status));
  CHECK_EQ(waitpid(child, &status, WCONTINUED | WNOHANG), 0);
  end(child);
}
TEST(waitid_tells_stops_apart) {
  pid_t child = sleeper();
  siginfo_t info = {};
  CHECK_OK(kill(child, SIGTSTP));
  CHECK_OK(waitid(P_PID, child, &info, WSTOPPED));
  CHECK(info.si_code == CLD_STOPPED && info.si_status == SIGTSTP && info.si_pid == child);
  CHECK_OK(kill(child, SIGCONT));
  CHECK_OK(waitid(P_PID, child, &info, WCONTINUED));
  CHECK(info.si_code == CLD_CONTINUED && info.si_status == SIGCONT);
  end(child);
}
TEST(a_stopped_process_does_nothing_until_continued) {
  char* shared = map_pages(1, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
  volatile int* counter = (int*)shared;
  pid_t child = in_child([=] {
    for (;;) {
      *counter = *counter + 1;
      sched_yield();
    }
  });
  while (*counter < 10) sched_yield();
  int status;
  CHECK_OK(kill(child, SIGSTOP));
  CHECK_EQ(waitpid(child, &status, WUNTRACED), child);
  int seen = *counter;
  for (int i = 0; i < 10; i++) pause_a_little();
  CHECK_EQ(*counter, seen);
  CHECK_OK(kill(child, SIGTERM));  // waits until it is continued
  pause_a_little();
  CHECK_EQ(waitpid(child, &status, WNOHANG), 0);
  CHECK_OK(kill(child, SIGCONT));
  CHECK_SIGNAL(child, SIGTERM);
}
TEST(a_stopped_process_can_be_killed) {
  pid_t child = sleeper();
  int status;
  CHECK_OK(kill(child, SIGSTOP));
  CHECK_EQ(waitpid(child, &status, WUNTRACED), child);
  end(child);
}
TEST(continue_runs_a_handler_and_drops_pending_stops) {
  on(SIGCONT, [](int) { g_continued = g_continued + 1; });
  sigset_t set, pending;
  sigemptyset(&set);
  sigaddset(&set, SIGTSTP);
  CHECK_OK(sigprocmask(SIG_BLOCK, &set, nullptr));
  CHECK_OK(raise(SIGTSTP));
  CHECK_OK(raise(SIGCONT));
  CHECK_EQ(g_continued, 1);
  sigpending(&pending);
  CHECK(!sigismember(&pending, SIGTSTP));
  CHECK_OK(sigprocmask(SIG_UNBLOCK, &set, nullptr));
}
TEST(an_orphaned_group_ignores_terminal_stops) {
  CHECK_EXIT(in_child([] {
               CHECK_OK(setsid());  // its group has no parent outside the session's group
               CHECK_OK(raise(SIGTSTP));
               CHECK_OK(raise(SIGTTIN));
             }),
             0);
}
// When the last outside parent ends, a stopped member of the group gets SIGHUP and SIGCONT.
TEST(a_group_that_becomes_an_orphan_while_stopped_is_hung_up) {
  Gate stopped, told;
  pid_t middle = in_child([&] {
    CHECK_OK(setsid());
    pid_t child = in_child([&] {
      CHECK_OK(setpgid(0, 0));
      static int fd;
      fd = told.fd[1];
      on(SIGHUP, [](int) {
        if (write(fd, "h", 1) != 1) _exit(1);
      });
      raise(SIGSTOP);
      for (;;) pause();
    });
    int status;
    CHECK_EQ(waitpid(child, &status, WUNTRACED), child);
    stopped.open();
    CHECK_EQ(write(stopped.fd[1], &child, sizeof child), sizeof child);
  });
  stopped.wait();
  pid_t child;
  CHECK_EQ(read(stopped.fd[0], &child, sizeof child), sizeof child);
  CHECK_EXIT(middle, 0);
  told.wait();
  CHECK_OK(kill(child, SIGKILL));
}

// A group that was an orphan before is not hung up when just another member ends.
TEST(an_end_in_an_orphaned_group_hangs_nobody_up) {
  CHECK_EXIT(in_child([] {
               CHECK_OK(setsid());
               int status;
               pid_t stopped = in_child([] { raise(SIGSTOP); });
               CHECK_EQ(waitpid(stopped, &status, WUNTRACED), stopped);
               CHECK(WIFSTOPPED(status));
               CHECK_EXIT(in_child([] {}), 0);
               CHECK_EQ(waitpid(stopped, &status, WNOHANG | WUNTRACED | WCONTINUED), 0);
               CHECK_OK(kill(stopped, SIGCONT));
               CHECK_EXIT(stopped, 0);
             }),
             0);
}

// ---- SIGCHLD
static void children(int expected) {  // the signal may come a moment after the status
  while (g_children < expected) pause_a_little();
  CHECK_EQ(g_children, expected);
}
TEST(sigchld_comes_for_exits_and_stops) {
  on(SIGCHLD, [](int) { g_children = g_children + 1; });
  pid_t child = sleeper();
  int status;
  CHECK_OK(kill(child, SIGSTOP));
  while (waitpid(child, &status, WUNTRACED) != child) {
  }
  children(1);
  CHECK_OK(kill(child, SIGCONT));
  while (waitpid(child, &status, WCONTINUED) != child) {
  }
  children(2);
  CHECK_OK(kill(child, SIGKILL));
  CHECK_SIGNAL(child, SIGKILL);
  children(3);
}
TEST(sa_nocldstop_means_exits_only) {
  on(
      SIGCHLD, [](int) { g_children = g_children + 1; }, SA_NOCLDSTOP);
  pid_t child = sleeper();
  int status;
  CHECK_OK(kill(child, SIGSTOP));
  while (waitpid(child, &status, WUNTRACED) != child) {
  }
  CHECK_EQ(g_children, 0);
  CHECK_OK(kill(child, SIGKILL));
  CHECK_SIGNAL(child, SIGKILL);
  children(1);
}
TEST(ignored_children_leave_no_zombies) {
  for (bool flag : {false, true}) {
    if (flag)
      on(SIGCHLD, SIG_DFL, SA_NOCLDWAIT);
    else
      signal(SIGCHLD, SIG_IGN);
    pid_t pids[5];
    for (pid_t& pid : pids) pid = in_child([] {});
    CHECK_ERR(wait(nullptr), ECHILD);  // waits until all are gone
    for (pid_t pid : pids) CHECK_ERR(kill(pid, 0), ESRCH);
  }
  signal(SIGCHLD, SIG_DFL);
  CHECK_EXIT(in_child([] { _exit(3); }), 3);
}
TEST(a_death_signal_when_the_parent_goes) {
  Gate told;
  CHECK_EXIT(in_child([&] {
               Gate ready;
               in_child([&] {
                 static int fd;
                 fd = told.fd[1];
                 on(SIGUSR1, [](int) { _exit(write(fd, "d", 1) == 1 ? 0 : 1); });
                 CHECK_OK(syscall(SYS_prctl, 1, SIGUSR1));  // PR_SET_PDEATHSIG
                 ready.open();
                 for (;;) pause();
               });
               ready.wait();
             }),
             0);
  told.wait();
}
