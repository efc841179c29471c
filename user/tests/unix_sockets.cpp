// AF_UNIX: the bytes of all types, what shutdown and close mean for the other side, full buffers, what poll tells. Names are in unix_names.cpp,
// what only packets have in unix_packets.cpp, descriptors in messages in unix_descriptors.cpp.
#include "user/tests/socket_support.h"

static const int kTypes[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};

TEST(pairs_of_all_types_carry_bytes_both_ways) {
  for (int type : kTypes) {
    Pair p(type);
    char text[8] = "";
    CHECK_EQ(write(p.fd[0], "ping", 4), 4);
    CHECK_EQ(read(p.fd[1], text, sizeof text), 4);
    CHECK(!memcmp(text, "ping", 4));
    CHECK_EQ(send(p.fd[1], "pong!", 5, 0), 5);
    CHECK_EQ(recv(p.fd[0], text, sizeof text, 0), 5);
    CHECK(!memcmp(text, "pong!", 5));
    CHECK_EQ(option(p.fd[0], SO_TYPE), type);
    CHECK_EQ(option(p.fd[0], SO_DOMAIN), AF_UNIX);
    CHECK_EQ(option(p.fd[0], SO_ACCEPTCONN), 0);
    struct stat s;
    CHECK_OK(fstat(p.fd[0], &s));
    CHECK(S_ISSOCK(s.st_mode));
    CHECK_ERR(lseek(p.fd[0], 0, SEEK_CUR), ESPIPE);
    CHECK_ERR(pread(p.fd[0], text, 1, 0), ESPIPE);
  }
}

TEST(streams_have_no_borders_and_packets_do) {
  char text[16];
  Pair stream;
  CHECK_EQ(write(stream.fd[0], "abc", 3), 3);
  CHECK_EQ(write(stream.fd[0], "def", 3), 3);
  CHECK_EQ(read(stream.fd[1], text, 4), 4);
  CHECK(!memcmp(text, "abcd", 4));
  CHECK_EQ(read(stream.fd[1], text, sizeof text), 2);
  for (int type : {SOCK_DGRAM, SOCK_SEQPACKET}) {
    Pair p(type);
    CHECK_EQ(write(p.fd[0], "abc", 3), 3);
    CHECK_EQ(write(p.fd[0], "defg", 4), 4);
    CHECK_EQ(read(p.fd[1], text, 2), 2);  // the rest is lost
    CHECK_EQ(read(p.fd[1], text, sizeof text), 4);
    CHECK(!memcmp(text, "defg", 4));
  }
}

TEST(peek_truncation_and_waiting_for_all) {
  char text[16];
  Pair p(SOCK_DGRAM);
  CHECK_EQ(send(p.fd[0], "abcdef", 6, 0), 6);
  CHECK_EQ(recv(p.fd[1], text, 3, MSG_PEEK), 3);
  CHECK_EQ(recv(p.fd[1], text, 3, MSG_PEEK | MSG_TRUNC), 6);
  iovec piece = {text, 4};
  msghdr m = {};
  m.msg_iov = &piece;
  m.msg_iovlen = 1;
  CHECK_EQ(recvmsg(p.fd[1], &m, 0), 4);
  CHECK_EQ(m.msg_flags, MSG_TRUNC);
  CHECK_ERR(recv(p.fd[1], text, 3, MSG_DONTWAIT), EAGAIN);
  CHECK_EQ(send(p.fd[0], "", 0, 0), 0);  // an empty packet is one
  CHECK_EQ(poll_of(p.fd[1]) & POLLIN, POLLIN);
  CHECK_EQ(recv(p.fd[1], text, 3, MSG_DONTWAIT), 0);
  CHECK_ERR(recv(p.fd[1], text, 3, MSG_DONTWAIT), EAGAIN);

  Pair s;
  CHECK_EQ(send(s.fd[0], "abc", 3, 0), 3);
  CHECK_EQ(recv(s.fd[1], text, sizeof text, MSG_PEEK), 3);
  CHECK_EQ(recv(s.fd[1], text, 2, MSG_PEEK), 2);
  CHECK_EQ(recv(s.fd[1], text, sizeof text, MSG_PEEK | MSG_WAITALL), 3);  // what is there: it may be gone before the rest comes
  pid_t child = in_child([&] {
    char all[6];
    CHECK_EQ(recv(s.fd[1], all, 6, MSG_WAITALL), 6);
    CHECK(!memcmp(all, "abcdef", 6));
  });
  pause_a_little();
  CHECK_EQ(send(s.fd[0], "def", 3, 0), 3);
  CHECK_EXIT(child, 0);
}

TEST(close_is_the_end_of_the_stream) {
  char c[4];
  Pair p;
  CHECK_EQ(poll_of(p.fd[0]), POLLOUT);
  CHECK_EQ(write(p.fd[1], "abc", 3), 3);
  CHECK_EQ(poll_of(p.fd[0]), POLLIN | POLLOUT);
  p.close_one(1);
  CHECK_EQ(poll_of(p.fd[0]), POLLIN | POLLOUT | POLLHUP | POLLRDHUP);
  CHECK_EQ(read(p.fd[0], c, 4), 3);
  CHECK_EQ(read(p.fd[0], c, 4), 0);
  signal(SIGPIPE, SIG_IGN);
  CHECK_ERR(write(p.fd[0], "x", 1), EPIPE);
  signal(SIGPIPE, SIG_DFL);
  CHECK_ERR(send(p.fd[0], "x", 1, MSG_NOSIGNAL), EPIPE);
  pid_t child = in_child([&] { (void)!write(p.fd[0], "x", 1); });
  CHECK_SIGNAL(child, SIGPIPE);
}

TEST(unread_bytes_reset_the_connection) {
  char c;
  Pair p;
  CHECK_EQ(write(p.fd[0], "lost", 4), 4);
  p.close_one(1);
  CHECK_EQ(poll_of(p.fd[0]), POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP);
  CHECK_EQ(option(p.fd[0], SO_ERROR), ECONNRESET);
  CHECK_EQ(option(p.fd[0], SO_ERROR), 0);
  CHECK_EQ(read(p.fd[0], &c, 1), 0);
  Pair q;
  CHECK_EQ(write(q.fd[0], "lost", 4), 4);
  CHECK_EQ(write(q.fd[1], "kept", 4), 4);
  q.close_one(1);
  char four[4];
  CHECK_EQ(read(q.fd[0], four, 4), 4);  // what came before the reset can be read
  CHECK_ERR(read(q.fd[0], &c, 1), ECONNRESET);
  CHECK_EQ(read(q.fd[0], &c, 1), 0);
}

TEST(shutdown_of_each_direction) {
  char c;
  for (int type : {SOCK_STREAM, SOCK_SEQPACKET}) {
    Pair p(type);
    CHECK_EQ(send(p.fd[0], "a", 1, 0), 1);
    CHECK_OK(shutdown(p.fd[0], SHUT_WR));
    CHECK_ERR(send(p.fd[0], "b", 1, MSG_NOSIGNAL), EPIPE);
    CHECK_EQ(poll_of(p.fd[1]), POLLIN | POLLOUT | POLLRDHUP);
    CHECK_EQ(recv(p.fd[1], &c, 1, 0), 1);
    CHECK_EQ(recv(p.fd[1], &c, 1, 0), 0);
    CHECK_EQ(recv(p.fd[1], &c, 1, MSG_DONTWAIT), 0);
    CHECK_EQ(send(p.fd[1], "c", 1, 0), 1);  // the other way is open
    CHECK_EQ(recv(p.fd[0], &c, 1, 0), 1);
    CHECK_OK(shutdown(p.fd[1], SHUT_WR));
    CHECK_EQ(poll_of(p.fd[0]), POLLIN | POLLOUT | POLLHUP | POLLRDHUP);
    CHECK_ERR(shutdown(p.fd[0], 3), EINVAL);
    CHECK_ERR(shutdown(p.fd[0], -1), EINVAL);
  }
  Pair q;
  CHECK_OK(shutdown(q.fd[0], SHUT_RD));
  CHECK_EQ(recv(q.fd[0], &c, 1, 0), 0);
  CHECK_ERR(send(q.fd[1], "x", 1, MSG_NOSIGNAL), EPIPE);
  int alone = CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0));
  CHECK_EQ(poll_of(alone), POLLOUT | POLLHUP);
  CHECK_ERR(recv(alone, &c, 1, 0), EINVAL);
  CHECK_ERR(send(alone, &c, 1, MSG_NOSIGNAL), ENOTCONN);
  Address peer;
  peer.bytes = sizeof peer.un;
  CHECK_ERR(getpeername(alone, peer.get(), &peer.bytes), ENOTCONN);
  close(alone);
}

TEST(shutdown_wakes_who_waits) {
  Pair p;
  char c;
  pid_t reader = in_child([&] { CHECK_EQ(read(p.fd[0], &c, 1), 0); });
  wait_state(reader, "S");
  CHECK_OK(shutdown(p.fd[0], SHUT_RD));
  CHECK_EXIT(reader, 0);
  Address a = abstract_address("wake");
  int server = listener(a);
  pid_t acceptor = in_child([&] { CHECK_ERR(accept(server, nullptr, nullptr), EINVAL); });
  wait_state(acceptor, "S");
  CHECK_OK(shutdown(server, SHUT_RD));
  CHECK_EXIT(acceptor, 0);
  int late = CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0));
  CHECK_ERR(connect(late, a.get(), a.bytes), ECONNREFUSED);
  close(late), close(server);
}

TEST(full_buffers_block_and_poll_tells) {
  for (int type : kTypes) {
    Pair p(type);
    char block[1000] = "";
    long sent = 0;
    for (ssize_t n; (n = send(p.fd[0], block, sizeof block, MSG_DONTWAIT)) > 0;) sent += n;
    CHECK_EQ(errno, EAGAIN);
    CHECK(sent > 4000 && sent < 1 << 20);
    CHECK_EQ(poll_of(p.fd[0]), 0);
    set_timeout(p.fd[0], SO_SNDTIMEO, 20);
    CHECK_ERR(send(p.fd[0], block, sizeof block, 0), EAGAIN);
    set_timeout(p.fd[0], SO_SNDTIMEO, 0);
    pid_t child = in_child([&] { CHECK_EQ(send(p.fd[0], block, sizeof block, 0), (long)sizeof block); });
    wait_state(child, "S");
    long received = 0;
    for (ssize_t n; received < sent + (long)sizeof block; received += n) CHECK((n = recv(p.fd[1], block, sizeof block, 0)) > 0);
    CHECK_EXIT(child, 0);
    CHECK_EQ(poll_of(p.fd[0]), POLLOUT);
  }
}

TEST(large_writes_go_through_small_buffers) {
  Pair p;
  set_option(p.fd[0], SO_SNDBUF, 1);
  CHECK(option(p.fd[0], SO_SNDBUF) >= 2048);
  constexpr int kBytes = 1 << 20;
  pid_t child = in_child([&] {
    static unsigned char all[kBytes];
    for (int i = 0; i < kBytes; i++) all[i] = (unsigned char)(i * 7 + i / 251);
    CHECK_EQ(write(p.fd[0], all, kBytes), kBytes);
  });
  p.close_one(0);
  unsigned char part[5000];
  int at = 0;
  for (ssize_t n; (n = read(p.fd[1], part, 1 + at % sizeof part)) > 0;)
    for (int i = 0; i < n; i++, at++) CHECK_EQ(part[i], (unsigned char)(at * 7 + at / 251));
  CHECK_EQ(at, kBytes);
  CHECK_EXIT(child, 0);
}

TEST(time_limits_and_signals) {
  Pair p;
  char c;
  set_timeout(p.fd[0], SO_RCVTIMEO, 20);
  CHECK_ERR(recv(p.fd[0], &c, 1, 0), EAGAIN);
  timeval t;
  socklen_t bytes = sizeof t;
  CHECK_OK(getsockopt(p.fd[0], SOL_SOCKET, SO_RCVTIMEO, &t, &bytes));
  CHECK_EQ(t.tv_sec, 0);
  CHECK_EQ(t.tv_usec, 20000);
  for (int restart : {0, SA_RESTART})
    for (int limit : {0, 5000}) {
      pid_t child = in_child([&] {
        struct sigaction action = {};
        action.sa_handler = [](int) {};
        action.sa_flags = restart;
        sigaction(SIGUSR1, &action, nullptr);
        set_timeout(p.fd[0], SO_RCVTIMEO, limit);
        if (restart && !limit)
          CHECK_EQ(recv(p.fd[0], &c, 1, 0), 1);
        else
          CHECK_ERR(recv(p.fd[0], &c, 1, 0), EINTR);
      });
      wait_state(child, "S");
      kill(child, SIGUSR1);
      if (restart && !limit) {
        wait_state(child, "S");
        CHECK_EQ(write(p.fd[1], "x", 1), 1);
      }
      CHECK_EXIT(child, 0);
    }
}
