// Pipes and FIFOs: order, end of file, blocking, atomic writes, broken pipes.
#include "user/tests/harness.h"
#include <sys/ioctl.h>

static void make_pipe(int fd[2], int flags = 0) { CHECK_OK(pipe2(fd, flags)); }
static char pattern(long i) { return char(i * 7 + (i >> 8)); }

// xv6: pipe1; sizes that have nothing to do with each other
TEST(a_stream_arrives_in_order_whatever_the_sizes) {
  int fd[2];
  make_pipe(fd);
  constexpr long kTotal = 200000;
  pid_t writer = in_child([&] {
    close(fd[0]);
    char buffer[1033];
    for (long done = 0; done < kTotal;) {
      long n = kTotal - done < 1033 ? kTotal - done : 1033;
      for (long i = 0; i < n; i++) buffer[i] = pattern(done + i);
      CHECK_EQ(write(fd[1], buffer, n), n);
      done += n;
    }
  });
  close(fd[1]);
  char buffer[8192];
  long done = 0;
  for (long want = 1, n; (n = CHECK_OK(read(fd[0], buffer, want))) > 0; want = want * 2 > 8192 ? 1 : want * 2)
    for (long i = 0; i < n; i++, done++) CHECK_EQ(buffer[i], pattern(done));
  CHECK_EQ(done, kTotal);
  CHECK_EXIT(writer, 0);
}
TEST(end_of_file_comes_with_the_last_writer) {
  int fd[2];
  make_pipe(fd);
  int second = CHECK_OK(dup(fd[1]));
  close(fd[1]);
  CHECK_EQ(write(second, "ab", 2), 2);
  pid_t child = in_child([&] { pause_a_little(); });  // holds the writing end too, for a while
  close(second);
  char c[4];
  CHECK_EQ(read(fd[0], c, 4), 2);
  CHECK_EQ(read(fd[0], c, 4), 0);
  CHECK_EQ(read(fd[0], c, 4), 0);
  CHECK_EXIT(child, 0);
}
TEST(writing_without_readers) {
  int fd[2];
  make_pipe(fd);
  close(fd[0]);
  CHECK_SIGNAL(in_child([&] { (void)!write(fd[1], "x", 1); }), SIGPIPE);
  signal(SIGPIPE, SIG_IGN);
  CHECK_ERR(write(fd[1], "x", 1), EPIPE);
  make_pipe(fd);
  pid_t reader = in_child([&] {
    char c;
    close(fd[1]);
    CHECK_EQ(read(fd[0], &c, 1), 1);
  });  // reads one byte and goes
  close(fd[0]);
  static char big[300000];
  ssize_t n = write(fd[1], big, sizeof big);
  CHECK(n == -1 ? errno == EPIPE : n < (ssize_t)sizeof big);
  CHECK_EXIT(reader, 0);
}
TEST(the_wrong_end_and_odd_requests) {
  int fd[2];
  char c;
  make_pipe(fd);
  CHECK_ERR(write(fd[0], "x", 1), EBADF);
  CHECK_ERR(read(fd[1], &c, 1), EBADF);
  CHECK_ERR(lseek(fd[0], 0, SEEK_SET), ESPIPE);
  CHECK_ERR(pread(fd[0], &c, 1, 0), ESPIPE);
  CHECK_ERR(pwrite(fd[1], &c, 1, 0), ESPIPE);
  CHECK_ERR(ftruncate(fd[1], 0), EINVAL);
  CHECK_EQ(write(fd[1], &c, 0), 0);
  CHECK_EQ(read(fd[0], &c, 0), 0);
  CHECK_ERR(fsync(fd[0]), EINVAL);
  CHECK_ERR(pipe2(fd, 0x40), EINVAL);
  struct stat st;
  CHECK_OK(fstat(fd[0], &st));
  CHECK(S_ISFIFO(st.st_mode));
}
TEST(capacity_and_nonblocking) {
  int fd[2];
  char c, block[4096] = {};
  make_pipe(fd, O_NONBLOCK);
  CHECK_ERR(read(fd[0], &c, 1), EAGAIN);
  long total = 0;
  for (ssize_t n; (n = write(fd[1], block, sizeof block)) > 0;) total += n;
  CHECK_EQ(errno, EAGAIN);
  CHECK_EQ(total, 65536);
  int waiting;
  CHECK_OK(ioctl(fd[0], FIONREAD, &waiting));
  CHECK_EQ(waiting, 65536);
  CHECK_ERR(write(fd[1], "x", 1), EAGAIN);
  CHECK_EQ(read(fd[0], block, 4096), 4096);
  CHECK_EQ(write(fd[1], block, 4096), 4096);
  CHECK_OK(fcntl(fd[0], F_SETFL, 0));
  CHECK_EQ(fcntl(fd[1], F_GETFL) & O_NONBLOCK, O_NONBLOCK);  // each end has flags of its own
  static char large[70000];
  for (long left = 65536; left > 0;) left -= CHECK_OK(read(fd[0], large, sizeof large));
  CHECK_EQ(write(fd[1], large, sizeof large), 65536);  // as much as fits
}
TEST(a_pipe_can_be_resized) {
  int fd[2];
  static char block[16384];
  make_pipe(fd, O_NONBLOCK);
  CHECK_EQ(fcntl(fd[0], F_GETPIPE_SZ), 65536);
  CHECK_EQ(fcntl(fd[1], F_SETPIPE_SZ, 5000), 8192);
  CHECK_EQ(fcntl(fd[0], F_GETPIPE_SZ), 8192);
  CHECK_EQ(fcntl(fd[0], F_SETPIPE_SZ, 0), 4096);
  CHECK_EQ(fcntl(fd[0], F_SETPIPE_SZ, 16384), 16384);
  CHECK_ERR(fcntl(fd[0], F_SETPIPE_SZ, -1), EINVAL);
  CHECK_ERR(fcntl(make_file("f"), F_GETPIPE_SZ), EBADF);
  for (size_t i = 0; i < sizeof block; i++) block[i] = char(i * 7);
  CHECK_EQ(write(fd[1], block, sizeof block), sizeof block);
  CHECK_ERR(write(fd[1], "x", 1), EAGAIN);
  CHECK_ERR(fcntl(fd[0], F_SETPIPE_SZ, 8192), EBUSY);
  CHECK_EQ(fcntl(fd[0], F_SETPIPE_SZ, 32768), 32768);
  // Room for who waits for it.
  CHECK_EQ(write(fd[1], block, sizeof block), sizeof block);
  fcntl(fd[1], F_SETFL, 0);
  pid_t child = in_child([&] { CHECK_EQ(write(fd[1], "more", 4), 4); });
  wait_state(child, "S");
  CHECK_EQ(fcntl(fd[0], F_SETPIPE_SZ, 65536), 65536);
  CHECK_EXIT(child, 0);
  static char got[2 * sizeof block + 4];
  CHECK_EQ(read(fd[0], got, sizeof got), sizeof got);
  CHECK(!memcmp(got, block, sizeof block) && !memcmp(got + sizeof block, block, sizeof block));
  // More than the limit is for the superuser.
  char text[20] = "";
  int limit = int(CHECK_OK(open("/proc/sys/fs/pipe-max-size", O_RDONLY)));
  CHECK(read(limit, text, sizeof text - 1) > 0);
  child = in_child([&] {
    if (getuid() == 0) CHECK_OK(setuid(1000));
    CHECK_EQ(fcntl(fd[0], F_SETPIPE_SZ, atoi(text)), atoi(text));
    CHECK_ERR(fcntl(fd[0], F_SETPIPE_SZ, 2 * atoi(text)), EPERM);
  });
  CHECK_EXIT(child, 0);
  if (!on_faultline()) return;
  limit = int(CHECK_OK(open("/proc/sys/fs/pipe-max-size", O_WRONLY)));
  CHECK_EQ(write(limit, "100000", 6), 6);
  CHECK_TEXT("/proc/sys/fs/pipe-max-size", "131072\n");
  CHECK_EQ(pwrite(limit, text, strlen(text), 0), ssize_t(strlen(text)));
  CHECK_EQ(fcntl(fd[0], F_SETPIPE_SZ, 2 * atoi(text)), 2 * atoi(text));
}
TEST(a_blocked_writer_goes_on_when_there_is_room) {
  int fd[2];
  make_pipe(fd);
  static char large[200000];
  for (size_t i = 0; i < sizeof large; i++) large[i] = pattern(i);
  pid_t writer = in_child([&] {
    close(fd[0]);
    CHECK_EQ(write(fd[1], large, sizeof large), sizeof large);
  });
  close(fd[1]);
  wait_state(writer, "S");
  char buffer[777];
  long done = 0;
  for (long n; (n = CHECK_OK(read(fd[0], buffer, sizeof buffer))) > 0;)
    for (long i = 0; i < n; i++, done++) CHECK_EQ(buffer[i], pattern(done));
  CHECK_EQ(done, sizeof large);
  CHECK_EXIT(writer, 0);
}
// Writes of up to PIPE_BUF bytes are never mixed.
TEST(small_writes_of_many_writers_stay_whole) {
  int fd[2];
  make_pipe(fd);
  constexpr int kWriters = 5, kEach = 60, kSize = 1000;
  for (int w = 0; w < kWriters; w++)
    in_child([&] {
      char buffer[kSize];
      memset(buffer, 'A' + w, kSize);
      for (int i = 0; i < kEach; i++) CHECK_EQ(write(fd[1], buffer, kSize), kSize);
    });
  close(fd[1]);
  int seen[kWriters] = {};
  char buffer[kSize];
  for (int i = 0; i < kWriters * kEach; i++) {
    for (long got = 0; got < kSize;) {
      long n = CHECK_OK(read(fd[0], buffer + got, kSize - got));
      CHECK(n > 0);
      got += n;
    }
    for (char c : buffer) CHECK_EQ(c, buffer[0]);
    seen[buffer[0] - 'A']++;
  }
  CHECK_EQ(read(fd[0], buffer, 1), 0);
  for (int n : seen) CHECK_EQ(n, kEach);
}
TEST(many_readers_share_what_comes) {
  int fd[2], sums[2];
  make_pipe(fd);
  make_pipe(sums);
  for (int r = 0; r < 4; r++)
    in_child([&] {
      close(fd[1]);
      int sum = 0;
      unsigned char c;
      while (read(fd[0], &c, 1) == 1) sum += c;
      CHECK_EQ(write(sums[1], &sum, sizeof sum), sizeof sum);
    });
  close(fd[0]);
  int expected = 0, total = 0;
  for (int i = 0; i < 2000; i++) {
    unsigned char c = i;
    expected += c;
    CHECK_EQ(write(fd[1], &c, 1), 1);
  }
  close(fd[1]);
  for (int r = 0; r < 4; r++) {
    int sum;
    CHECK_EQ(read(sums[0], &sum, sizeof sum), sizeof sum);
    total += sum;
  }
  CHECK_EQ(total, expected);
}
TEST(a_signal_in_the_middle_of_a_write) {
  int fd[2];
  make_pipe(fd);
  struct sigaction action = {};
  action.sa_handler = [](int) {};
  sigaction(SIGUSR1, &action, nullptr);
  pid_t me = getpid();
  in_child([=] {
    wait_state(me, "S");
    kill(me, SIGUSR1);
  });
  static char large[100000];
  CHECK_EQ(write(fd[1], large, sizeof large), 65536);  // what was written before it came
}
// MIT: primes; a chain of processes, one for each prime.
static void sieve(int in, int out) {
  int prime, n;
  if (read(in, &prime, sizeof prime) != sizeof prime) return;
  CHECK_EQ(write(out, &prime, sizeof prime), sizeof prime);
  int fd[2];
  make_pipe(fd);
  pid_t next = in_child([&] {
    close(fd[1]);
    close(in);
    sieve(fd[0], out);
  });
  close(fd[0]);
  while (read(in, &n, sizeof n) == sizeof n)
    if (n % prime) CHECK_EQ(write(fd[1], &n, sizeof n), sizeof n);
  close(fd[1]);
  CHECK_EXIT(next, 0);
}
TEST(a_sieve_of_processes) {
  int fd[2], result[2], count = 0, last = 0;
  make_pipe(fd);
  make_pipe(result);
  pid_t first = in_child([&] {
    close(fd[1]);
    sieve(fd[0], result[1]);
  });
  close(fd[0]);
  close(result[1]);
  for (int i = 2; i < 150; i++) CHECK_EQ(write(fd[1], &i, sizeof i), sizeof i);
  close(fd[1]);
  for (int p; read(result[0], &p, sizeof p) == sizeof p; last = p) count++;
  CHECK_EXIT(first, 0);
  CHECK(count == 35 && last == 149);
}
TEST(ping_pong) {
  int a[2], b[2];
  make_pipe(a);
  make_pipe(b);
  pid_t child = in_child([&] {
    close(a[1]);
    for (int n; read(a[0], &n, sizeof n) == sizeof n;) {
      n++;
      CHECK_EQ(write(b[1], &n, sizeof n), sizeof n);
    }
  });
  for (int i = 0, n; i < 1000; i++) {
    CHECK_EQ(write(a[1], &i, sizeof i), sizeof i);
    CHECK_EQ(read(b[0], &n, sizeof n), sizeof n);
    CHECK_EQ(n, i + 1);
  }
  close(a[1]);
  CHECK_EXIT(child, 0);
}

// ---- FIFOs
TEST(opening_a_fifo_waits_for_the_other_side) {
  CHECK_OK(mkfifo("fifo", 0600));
  CHECK_ERR(mkfifo("fifo", 0600), EEXIST);
  CHECK_ERR(open("fifo", O_WRONLY | O_NONBLOCK), ENXIO);
  pid_t child = in_child([] {
    int fd = CHECK_OK(open("fifo", O_WRONLY));
    CHECK_EQ(write(fd, "hello", 5), 5);
  });
  wait_state(child, "S");
  int fd = CHECK_OK(open("fifo", O_RDONLY));
  char c[8];
  CHECK_EQ(read(fd, c, 8), 5);
  CHECK_EQ(read(fd, c, 8), 0);
  CHECK_EXIT(child, 0);
  close(fd);
  child = in_child([] {
    char d;
    int f = CHECK_OK(open("fifo", O_RDONLY));
    CHECK_EQ(read(f, &d, 1), 1);
  });
  wait_state(child, "S");
  fd = CHECK_OK(open("fifo", O_WRONLY));
  CHECK_EQ(write(fd, "y", 1), 1);
  CHECK_EXIT(child, 0);
}
TEST(a_fifo_without_waiting) {
  CHECK_OK(mkfifo("fifo", 0600));
  int r = CHECK_OK(open("fifo", O_RDONLY | O_NONBLOCK));
  char c;
  CHECK_EQ(read(r, &c, 1), 0);  // no writer: end of file
  int w = CHECK_OK(open("fifo", O_WRONLY | O_NONBLOCK));
  CHECK_ERR(read(r, &c, 1), EAGAIN);
  CHECK_EQ(write(w, "z", 1), 1);
  CHECK(read(r, &c, 1) == 1 && c == 'z');
  int both = CHECK_OK(open("fifo", O_RDWR));
  CHECK_EQ(write(both, "q", 1), 1);
  CHECK(read(both, &c, 1) == 1 && c == 'q');
  CHECK_OK(unlink("fifo"));
  CHECK_EQ(write(w, "u", 1), 1);  // lives on without its name
  CHECK(read(r, &c, 1) == 1 && c == 'u');
}
TEST(an_interrupted_open_of_a_fifo) {
  CHECK_OK(mkfifo("fifo", 0600));
  struct sigaction action = {};
  action.sa_handler = [](int) {};
  sigaction(SIGUSR1, &action, nullptr);
  pid_t me = getpid();
  in_child([=] {
    wait_state(me, "S");
    kill(me, SIGUSR1);
  });
  CHECK_ERR(open("fifo", O_RDONLY), EINTR);
}
// Of whoever passes on what this prints, too: the harness counts every frame of the machine around it.
TEST(a_long_piece_of_output_costs_no_memory) {
  static char piece[16384];
  memset(piece, '.', sizeof piece);
  piece[0] = '#';
  piece[sizeof piece - 1] = '\n';
  for (int i = 0; i < 4; i++) CHECK_EQ(write(STDOUT_FILENO, piece, sizeof piece), static_cast<ssize_t>(sizeof piece));
}
