// Terminals, by way of a pseudo-terminal: line editing, raw mode, signals from keys, job control, hanging up.
#include "user/tests/harness.h"
#include <sys/ioctl.h>
#include <termios.h>
#include <utility>

// A pair of a master and a slave; the slave is raw-free: the kernel's default settings.
struct Pair {
  int master, slave;
  Pair() {
    master = open("/dev/ptmx", O_RDWR | O_NOCTTY);
    if (master < 0 && (errno == ENOENT || errno == ENODEV || errno == ENXIO)) SKIP("no pseudo-terminals");
    CHECK(master >= 0);
    int zero = 0, number;
    CHECK_OK(ioctl(master, TIOCSPTLCK, &zero));
    CHECK_OK(ioctl(master, TIOCGPTN, &number));
    char name[32];
    snprintf(name, sizeof name, "/dev/pts/%d", number);
    slave = CHECK_OK(open(name, O_RDWR | O_NOCTTY));
  }
  void type(const char* text) { CHECK_EQ(write(master, text, strlen(text)), strlen(text)); }
  void shown(const char* expected, const char* file, int line) {  // exactly this comes out of the master next
    char text[600] = {};
    size_t want = strlen(expected), n = 0;
    while (n < want) {
      ssize_t r = read(master, text + n, want - n);
      if (r <= 0) break;
      n += r;
    }
    check_str(text, expected, "the terminal's output", file, line);
  }
  void gives(const char* expected, const char* file, int line) {
    char text[600] = {};
    ssize_t n = read(slave, text, sizeof text - 1);
    if (n < 0) fail(file, line, "read: %s", strerrorname_np(errno));
    check_str(text, expected, "the line that was read", file, line);
  }
  void set(int local_off, int local_on = 0, int input_off = 0, int output_off = 0) {
    termios t;
    CHECK_OK(tcgetattr(slave, &t));
    t.c_lflag = (t.c_lflag & ~local_off) | local_on;
    t.c_iflag &= ~input_off;
    t.c_oflag &= ~output_off;
    CHECK_OK(tcsetattr(slave, TCSANOW, &t));
  }
};
#define SHOWN(text) shown(text, __FILE__, __LINE__)
#define GIVES(text) gives(text, __FILE__, __LINE__)
static bool readable(int fd) {
  pollfd p = {fd, POLLIN, 0};
  return poll(&p, 1, 0) == 1;
}

TEST(it_is_a_terminal) {
  Pair t;
  CHECK(isatty(t.slave));
  int file = make_file("f");
  CHECK(!isatty(file) && errno == ENOTTY);
  struct stat st;
  CHECK_OK(fstat(t.slave, &st));
  CHECK(S_ISCHR(st.st_mode));
  CHECK_ERR(lseek(t.slave, 0, SEEK_SET), ESPIPE);
}
TEST(lines_are_echoed_and_edited) {
  Pair t;
  t.type("hello\r");
  t.SHOWN("hello\r\n");
  t.GIVES("hello\n");
  t.type("ab\177c\n");  // erase
  t.SHOWN("ab\b \bc\r\n");
  t.GIVES("ac\n");
  t.type("wrong\025right\n");  // kill: how it is shown may differ
  t.GIVES("right\n");
  t.type("one two\027three\n");  // word erase
  t.GIVES("one three\n");
  t.type("\177\177x\n");  // nothing to erase
  t.GIVES("x\n");
  t.type("a\026\003b\n");  // the next character is literal
  t.GIVES("a\003b\n");
}
TEST(a_line_is_not_given_before_it_ends) {
  Pair t;
  t.type("abc");
  CHECK(!readable(t.slave));
  t.type("\nrest");
  CHECK(readable(t.slave));
  char c[3] = {};
  CHECK_EQ(read(t.slave, c, 2), 2);
  CHECK_STR(c, "ab");
  CHECK_EQ(read(t.slave, c, 2), 2);
  CHECK(c[0] == 'c' && c[1] == '\n');
  CHECK(!readable(t.slave));
}
TEST(end_of_file_key) {
  Pair t;
  char c[10];
  t.type("\004");
  CHECK_EQ(read(t.slave, c, 10), 0);
  t.type("abc\004");
  CHECK_EQ(read(t.slave, c, 10), 3);  // what was typed so far, without a newline
  t.type("d\n");
  CHECK_EQ(read(t.slave, c, 10), 2);
}
TEST(output_processing) {
  Pair t;
  CHECK_EQ(write(t.slave, "a\nb", 3), 3);
  t.SHOWN("a\r\nb");
  t.set(0, 0, 0, OPOST);
  CHECK_EQ(write(t.slave, "c\nd", 3), 3);
  t.SHOWN("c\nd");
  t.set(ECHO, 0, ICRNL);
  t.type("x\n");
  CHECK_EQ(write(t.slave, "!", 1), 1);
  t.SHOWN("!");  // nothing was echoed before it
  t.GIVES("x\n");
}
TEST(raw_mode) {
  Pair t;
  t.set(ICANON | ECHO | ISIG | IEXTEN, 0, ICRNL | IXON, OPOST);
  t.type("\003\r\004x");
  t.GIVES("\003\r\004x");
  termios m;
  CHECK_OK(tcgetattr(t.slave, &m));
  m.c_cc[VMIN] = 0;
  m.c_cc[VTIME] = 0;
  CHECK_OK(tcsetattr(t.slave, TCSANOW, &m));
  char c[10];
  CHECK_EQ(read(t.slave, c, 10), 0);
  m.c_cc[VTIME] = 1;
  CHECK_OK(tcsetattr(t.slave, TCSANOW, &m));
  CHECK_EQ(read(t.slave, c, 10), 0);  // after a tenth of a second
  m.c_cc[VMIN] = 3;
  m.c_cc[VTIME] = 0;
  CHECK_OK(tcsetattr(t.slave, TCSANOW, &m));
  pid_t me = getpid();
  pid_t child = in_child([&] {
    for (const char* k : {"a", "b", "c"}) {
      wait_state(me, "S");
      t.type(k);
    }
  });
  CHECK_EQ(read(t.slave, c, 10), 3);
  CHECK_EXIT(child, 0);
}
TEST(settings_are_kept_and_flushed) {
  Pair t;
  termios m, n;
  CHECK_OK(tcgetattr(t.slave, &m));
  CHECK((m.c_lflag & (ICANON | ECHO | ISIG)) == (ICANON | ECHO | ISIG) && (m.c_oflag & OPOST) && (m.c_iflag & ICRNL));
  CHECK(m.c_cc[VINTR] == 3 && m.c_cc[VEOF] == 4 && m.c_cc[VERASE] == 127 && m.c_cc[VSUSP] == 26);
  m.c_cc[VERASE] = 8;
  t.type("old\n");
  CHECK_OK(tcsetattr(t.slave, TCSAFLUSH, &m));
  CHECK(!readable(t.slave));
  CHECK_OK(tcgetattr(t.slave, &n));
  CHECK_EQ(n.c_cc[VERASE], 8);
  t.type("again\n");
  CHECK_OK(tcflush(t.slave, TCIFLUSH));
  CHECK(!readable(t.slave));
  t.type("ab\bc\n");
  t.GIVES("ac\n");
}
TEST(the_window_size) {
  Pair t;
  winsize w = {50, 132, 0, 0}, got = {};
  CHECK_OK(ioctl(t.master, TIOCSWINSZ, &w));
  CHECK_OK(ioctl(t.slave, TIOCGWINSZ, &got));
  CHECK(got.ws_row == 50 && got.ws_col == 132);
}

// ---- as the controlling terminal of a session
static volatile int g_signal;
static void note(int number) { g_signal = number; }
template <typename F>
static void in_session(Pair& t, F body) {
  pid_t child = in_child([&] {
    CHECK_OK(setsid());
    CHECK_OK(ioctl(t.slave, TIOCSCTTY, 0));
    close(CHECK_OK(open("/dev/tty", O_RDWR)));
    CHECK_EQ(tcgetsid(t.slave), getpid());
    body();
  });
  CHECK_EXIT(child, 0);
}
TEST(keys_send_signals_to_the_foreground) {
  Pair t;
  in_session(t, [&] {
    for (auto [key, number] : {std::pair("\003", SIGINT), std::pair("\034", SIGQUIT)}) {
      Gate ready;
      pid_t job = in_child([&] {
        CHECK_OK(setpgid(0, 0));
        signal(SIGTTOU, SIG_IGN);
        CHECK_OK(tcsetpgrp(t.slave, getpid()));
        signal(number, SIG_DFL);
        ready.open();
        for (;;) pause();
      });
      ready.wait();
      CHECK_EQ(tcgetpgrp(t.slave), job);
      t.type(key);
      CHECK_SIGNAL(job, number);
    }
    Gate ready;
    pid_t job = in_child([&] {
      CHECK_OK(setpgid(0, 0));
      signal(SIGTTOU, SIG_IGN);
      CHECK_OK(tcsetpgrp(t.slave, getpid()));
      ready.open();
      for (;;) pause();
    });
    ready.wait();
    t.type("\032");
    int status;
    CHECK_EQ(waitpid(job, &status, WUNTRACED), job);
    CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTSTP);
    CHECK_OK(kill(job, SIGKILL));
    CHECK_SIGNAL(job, SIGKILL);
  });
}
TEST(typed_text_is_flushed_by_an_interrupt) {
  Pair t;
  in_session(t, [&] {
    signal(SIGINT, note);
    t.type("half a li\003");
    t.type("whole\n");
    t.GIVES("whole\n");
    CHECK_EQ(g_signal, SIGINT);
  });
}
TEST(the_background_is_stopped) {
  Pair t;
  in_session(t, [&] {
    int status;
    pid_t job = in_child([&] {
      CHECK_OK(setpgid(0, 0));
      char c;
      CHECK_EQ(read(t.slave, &c, 1), 1);
    });
    CHECK_EQ(waitpid(job, &status, WUNTRACED), job);
    CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTTIN);
    signal(SIGTTOU, SIG_IGN);
    CHECK_OK(tcsetpgrp(t.slave, job));
    CHECK_OK(kill(job, SIGCONT));
    t.type("x\n");  // in the foreground it may read
    CHECK_EXIT(job, 0);
    CHECK_OK(tcsetpgrp(t.slave, getpid()));
    CHECK_OK(tcflush(t.slave, TCIFLUSH));
    job = in_child([&] {
      signal(SIGTTIN, SIG_IGN);
      CHECK_OK(setpgid(0, 0));
      char c;
      CHECK_ERR(read(t.slave, &c, 1), EIO);
    });
    CHECK_EXIT(job, 0);
    job = in_child([&] {
      signal(SIGTTOU, SIG_DFL);
      CHECK_OK(setpgid(0, 0));
      CHECK_EQ(write(t.slave, "o", 1), 1);
      CHECK_OK(tcsetpgrp(t.slave, getpid()));
    });
    CHECK_EQ(waitpid(job, &status, WUNTRACED), job);  // writing is allowed without TOSTOP, taking the terminal not
    CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTTOU);
    kill(job, SIGKILL);
    CHECK_SIGNAL(job, SIGKILL);
    t.set(0, TOSTOP);
    job = in_child([&] {
      signal(SIGTTOU, SIG_DFL);
      CHECK_OK(setpgid(0, 0));
      CHECK_EQ(write(t.slave, "o", 1), 1);
    });
    CHECK_EQ(waitpid(job, &status, WUNTRACED), job);
    CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTTOU);
    kill(job, SIGKILL);
    CHECK_SIGNAL(job, SIGKILL);
    CHECK_ERR(tcsetpgrp(t.slave, 0x3ffffff), ESRCH);
  });
}
TEST(hanging_up) {
  Pair t;
  Gate ready;
  pid_t leader = in_child([&] {
    close(t.master);
    CHECK_OK(setsid());
    CHECK_OK(ioctl(t.slave, TIOCSCTTY, 0));
    ready.open();
    for (;;) pause();
  });
  ready.wait();
  close(t.master);
  CHECK_SIGNAL(leader, SIGHUP);
  char c;
  CHECK_EQ(read(t.slave, &c, 1), 0);
  CHECK_ERR(write(t.slave, "x", 1), EIO);
  Pair u;
  close(u.slave);
  CHECK_ERR(read(u.master, &c, 1), EIO);  // no slave is open any more
}
TEST(the_size_of_the_window_is_announced) {
  Pair t;
  in_session(t, [&] {
    signal(SIGWINCH, note);
    winsize w = {10, 20, 0, 0};
    CHECK_OK(ioctl(t.master, TIOCSWINSZ, &w));
    while (g_signal != SIGWINCH) pause_a_little();
  });
}
TEST(leaving_the_terminal) {
  Pair t;
  in_session(t, [&] {
    pid_t child = in_child([&] {
      CHECK_OK(setsid());
      CHECK_ERR(open("/dev/tty", O_RDWR), ENXIO);
      CHECK_ERR(tcgetpgrp(t.slave), ENOTTY);
    });
    CHECK_EXIT(child, 0);
    signal(SIGHUP, SIG_IGN);
    CHECK_OK(ioctl(t.slave, TIOCNOTTY));
    CHECK_ERR(open("/dev/tty", O_RDWR), ENXIO);
  });
}
