// AF_UNIX: connections, names, what shutdown and close mean for the other side, packets, what poll tells. Descriptors in messages are in
// unix_descriptors.cpp.
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
  pid_t child = in_child([&] {
    char all[6];
    CHECK_EQ(recv(s.fd[1], all, 6, MSG_WAITALL), 6);
    CHECK(!memcmp(all, "abcdef", 6));
  });
  pause_a_little();
  CHECK_EQ(send(s.fd[0], "def", 3, 0), 3);
  CHECK_EXIT(child, 0);
}

TEST(connections_through_names) {
  Address names[] = {path_address("socket"), abstract_address("connections")};
  for (Address& name : names)
    for (int type : {SOCK_STREAM, SOCK_SEQPACKET}) {
      int server = listener(name, 4, type);
      CHECK_EQ(option(server, SO_ACCEPTCONN), 1);
      CHECK_EQ(poll_of(server), 0);
      int client = connected(name, type);
      CHECK_EQ(poll_of(server), POLLIN);
      CHECK_EQ(write(client, "early", 5), 5);  // before anybody accepts
      Address peer;
      peer.bytes = sizeof peer.un;
      int fd = CHECK_OK(accept4(server, peer.get(), &peer.bytes, SOCK_CLOEXEC | SOCK_NONBLOCK));
      CHECK_EQ(peer.bytes, 2);  // the client has no name
      CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
      CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
      char text[8];
      CHECK_EQ(read(fd, text, sizeof text), 5);
      CHECK_ERR(read(fd, text, sizeof text), EAGAIN);
      peer.bytes = sizeof peer.un;
      CHECK_OK(getpeername(client, peer.get(), &peer.bytes));
      CHECK_EQ(peer.bytes, name.bytes);
      CHECK(!memcmp(&peer.un, &name.un, name.bytes));
      CHECK_EQ(own_address(fd).bytes, name.bytes);
      CHECK_EQ(own_address(client).bytes, 2);
      CHECK_ERR(connect(client, name.get(), name.bytes), EISCONN);
      close(fd), close(client), close(server);
      if (name.un.sun_path[0]) {
        struct stat s;
        CHECK_OK(stat(name.un.sun_path, &s));
        CHECK(S_ISSOCK(s.st_mode));
        CHECK_ERR(open(name.un.sun_path, O_RDONLY), ENXIO);
        int late = CHECK_OK(socket(AF_UNIX, type, 0));
        CHECK_ERR(connect(late, name.get(), name.bytes), ECONNREFUSED);  // nobody is bound to it any more
        CHECK_ERR(bind(late, name.get(), name.bytes), EADDRINUSE);
        CHECK_OK(unlink(name.un.sun_path));
        CHECK_ERR(connect(late, name.get(), name.bytes), ENOENT);
        close(late);
      }
    }
}

TEST(errors_of_names) {
  int fd = CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0)), other = CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0));
  Address a = path_address("a"), hidden = abstract_address("errors");
  CHECK_ERR(bind(fd, a.get(), 2 + 109), EINVAL);
  CHECK_ERR(bind(fd, a.get(), 1), EINVAL);
  CHECK_ERR(bind(fd, a.get(), -1), EINVAL);
  CHECK_ERR(bind(fd, a.get(), 1 << 20), EINVAL);
  CHECK_ERR(connect(fd, a.get(), 2), EINVAL);
  CHECK_ERR(connect(fd, a.get(), a.bytes), ENOENT);
  CHECK_ERR(connect(fd, hidden.get(), hidden.bytes), ECONNREFUSED);
  make_text("file", "no socket");
  Address file = path_address("file"), deep = path_address("file/x"), missing = path_address("no/x");
  CHECK_ERR(connect(fd, file.get(), file.bytes), ECONNREFUSED);
  CHECK_ERR(connect(fd, deep.get(), deep.bytes), ENOTDIR);
  CHECK_ERR(bind(fd, file.get(), file.bytes), EADDRINUSE);
  CHECK_ERR(bind(fd, missing.get(), missing.bytes), ENOENT);
  a.un.sun_family = AF_INET;
  CHECK_ERR(bind(fd, a.get(), a.bytes), EINVAL);
  a.un.sun_family = AF_UNIX;
  CHECK_ERR(listen(fd, 1), EINVAL);  // it has no name
  CHECK_OK(bind(fd, a.get(), a.bytes));
  CHECK_ERR(bind(fd, hidden.get(), hidden.bytes), EINVAL);  // it has one
  CHECK_OK(bind(other, hidden.get(), hidden.bytes));
  int third = CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0));
  CHECK_ERR(bind(third, hidden.get(), hidden.bytes), EADDRINUSE);
  int packets = CHECK_OK(socket(AF_UNIX, SOCK_DGRAM, 0));
  CHECK_ERR(connect(packets, a.get(), a.bytes), EPROTOTYPE);
  CHECK_OK(bind(packets, hidden.get(), hidden.bytes));  // abstract names are apart for each type
  CHECK_ERR(listen(packets, 1), EOPNOTSUPP);
  CHECK_ERR(accept(packets, nullptr, nullptr), EOPNOTSUPP);
  CHECK_ERR(accept(fd, nullptr, nullptr), EINVAL);
  CHECK_ERR(connect(third, a.get(), a.bytes), ECONNREFUSED);  // bound, but it does not listen
  for (int s : {fd, other, third, packets}) close(s);
}

TEST(names_are_made_by_the_kernel_or_fill_the_address) {
  int fd = CHECK_OK(socket(AF_UNIX, SOCK_DGRAM, 0));
  sa_family_t family = AF_UNIX;
  CHECK_EQ(own_address(fd).bytes, 2);
  CHECK_OK(bind(fd, (sockaddr*)&family, sizeof family));
  Address made = own_address(fd);
  CHECK_EQ(made.bytes, 2 + 1 + 5);
  CHECK_EQ(made.un.sun_path[0], 0);
  close(fd);
  Address longest;
  longest.un.sun_family = AF_UNIX;
  memset(longest.un.sun_path, 'n', sizeof longest.un.sun_path);
  fd = CHECK_OK(socket(AF_UNIX, SOCK_DGRAM, 0));
  CHECK_OK(bind(fd, longest.get(), sizeof longest.un));
  char back[200];
  socklen_t bytes = sizeof back;
  CHECK_OK(getsockname(fd, (sockaddr*)back, &bytes));
  CHECK_EQ(bytes, 2 + 108 + 1);
  CHECK_EQ(back[2 + 108], 0);
  bytes = 4;
  CHECK_OK(getsockname(fd, (sockaddr*)back, &bytes));  // as much as fits, and how long it is
  CHECK_EQ(bytes, 2 + 108 + 1);
  bytes = -1;
  CHECK_ERR(getsockname(fd, (sockaddr*)back, &bytes), EINVAL);
  close(fd);
}

TEST(connecting_needs_the_right_to_write) {
  if (geteuid() != 0) SKIP("not root");
  CHECK_OK(chmod(".", 0755));
  mode_t before = umask(022);
  Address a = path_address("door");
  int server = listener(a);
  struct stat s;
  CHECK_OK(stat("door", &s));
  CHECK_EQ(s.st_mode, S_IFSOCK | 0755);
  auto as_other = [&](int expected) {
    pid_t child = in_child([&] {
      CHECK_OK(setresuid(1000, 1000, 1000));
      int fd = CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0));
      if (expected)
        CHECK_ERR(connect(fd, a.get(), a.bytes), expected);
      else
        CHECK_OK(connect(fd, a.get(), a.bytes));
    });
    CHECK_EXIT(child, 0);
  };
  as_other(EACCES);
  CHECK_OK(chmod("door", 0722));
  as_other(0);
  umask(before);
  close(server);
}

TEST(the_queue_of_connections_is_bounded) {
  Address a = abstract_address("backlog");
  int server = listener(a, 1);
  int first = connected(a), second = connected(a);
  int third = CHECK_OK(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
  CHECK_ERR(connect(third, a.get(), a.bytes), EAGAIN);
  set_timeout(third, SO_SNDTIMEO, 30);
  fcntl(third, F_SETFL, 0);
  CHECK_ERR(connect(third, a.get(), a.bytes), EAGAIN);
  set_timeout(third, SO_SNDTIMEO, 0);
  pid_t child = in_child([&] { CHECK_OK(connect(third, a.get(), a.bytes)); });
  wait_state(child, "S");
  int fd = CHECK_OK(accept(server, nullptr, nullptr));
  CHECK_EXIT(child, 0);
  CHECK_EQ(poll_of(third) & POLLHUP, 0);
  close(server);  // those who were not accepted are told
  char c;
  CHECK_ERR(read(second, &c, 1), ECONNRESET);
  CHECK_EQ(read(second, &c, 1), 0);
  CHECK_EQ(read(first, &c, 0), 0);
  for (int s : {fd, first, second, third}) close(s);
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

TEST(large_packets_stay_whole) {
  Pair p(SOCK_SEQPACKET);
  static unsigned char out[150000], in[200000];
  for (unsigned i = 0; i < sizeof out; i++) out[i] = (unsigned char)(i * 13 + i / 255);
  for (int bytes : {1, 2047, 2048, 2049, 4096, 4097, 70000, 150000}) {
    CHECK_EQ(send(p.fd[0], out, bytes, 0), bytes);
    CHECK_EQ(recv(p.fd[1], in, sizeof in, MSG_PEEK), bytes);
    memset(in, 0, sizeof in);
    CHECK_EQ(recv(p.fd[1], in, sizeof in, 0), bytes);
    CHECK(!memcmp(in, out, bytes));
  }
  set_option(p.fd[0], SO_SNDBUF, 20000);
  CHECK_ERR(send(p.fd[0], out, 40001, 0), EMSGSIZE);
}

TEST(datagrams_from_many_to_one) {
  Address a = path_address("box"), b = path_address("from");
  int box = bound(a), from = bound(b), nameless = CHECK_OK(socket(AF_UNIX, SOCK_DGRAM, 0));
  char text[8];
  CHECK_ERR(send(nameless, "x", 1, 0), ENOTCONN);
  CHECK_EQ(sendto(from, "hello", 5, 0, a.get(), a.bytes), 5);
  CHECK_EQ(sendto(nameless, "x", 1, 0, a.get(), a.bytes), 1);
  int waiting = -1;
  CHECK_OK(ioctl(box, FIONREAD, &waiting));
  CHECK_EQ(waiting, 5);
  Address sender;
  sender.bytes = sizeof sender.un;
  CHECK_EQ(recvfrom(box, text, sizeof text, 0, sender.get(), &sender.bytes), 5);
  CHECK_EQ(sender.bytes, b.bytes);
  CHECK_STR(sender.un.sun_path, "from");
  sender.bytes = sizeof sender.un;
  CHECK_EQ(recvfrom(box, text, sizeof text, 0, sender.get(), &sender.bytes), 1);
  CHECK_EQ(sender.bytes, 0);
  CHECK_OK(connect(nameless, a.get(), a.bytes));
  CHECK_EQ(send(nameless, "y", 1, 0), 1);
  CHECK_OK(connect(box, b.get(), b.bytes));  // now only that one may send to it
  CHECK_ERR(send(nameless, "y", 1, 0), EPERM);
  CHECK_ERR(sendto(nameless, "y", 1, 0, a.get(), a.bytes), EPERM);
  CHECK_EQ(sendto(from, "z", 1, 0, a.get(), a.bytes), 1);
  sockaddr nobody = {};
  CHECK_OK(connect(box, &nobody, sizeof nobody));  // AF_UNSPEC
  CHECK_EQ(send(nameless, "y", 1, 0), 1);
  close(box);
  CHECK_ERR(send(nameless, "y", 1, 0), ECONNREFUSED);
  CHECK_ERR(send(nameless, "y", 1, 0), ENOTCONN);  // it has been forgotten
  CHECK_ERR(sendto(from, "z", 1, 0, a.get(), a.bytes), ECONNREFUSED);
  close(from), close(nameless);
}

TEST(a_full_box_stops_those_who_are_not_connected_back) {
  Address a = abstract_address("box");
  int box = bound(a), sender = CHECK_OK(socket(AF_UNIX, SOCK_DGRAM, 0));
  CHECK_OK(connect(sender, a.get(), a.bytes));
  int sent = 0;
  while (send(sender, "x", 1, MSG_DONTWAIT) == 1) sent++;
  CHECK_EQ(errno, EAGAIN);
  CHECK(sent >= 1 && sent < 1000);
  CHECK_EQ(poll_of(sender, POLLOUT), 0);
  pid_t poller = in_child([&] {
    pollfd p = {sender, POLLOUT, 0};
    CHECK_EQ(poll(&p, 1, 10000), 1);
    CHECK_EQ(p.revents, POLLOUT);
  });
  pid_t writer = in_child([&] { CHECK_EQ(send(sender, "x", 1, 0), 1); });
  wait_state(poller, "S"), wait_state(writer, "S");
  char c;
  for (int i = 0; i < sent + 1; i++) CHECK_EQ(recv(box, &c, 1, 0), 1);
  CHECK_EXIT(poller, 0);
  CHECK_EXIT(writer, 0);
  close(box), close(sender);
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

TEST(vectors_and_many_messages) {
  Pair p(SOCK_SEQPACKET);
  char a[3] = {'a', 'b', 'c'}, b[4] = {'d', 'e', 'f', 'g'}, in[16];
  iovec out[2] = {{a, 3}, {b, 4}}, parts[2] = {{in, 2}, {in + 2, 14}};
  CHECK_EQ(writev(p.fd[0], out, 2), 7);
  CHECK_EQ(readv(p.fd[1], parts, 2), 7);
  CHECK(!memcmp(in, "abcdefg", 7));
  mmsghdr many[3] = {};
  for (int i = 0; i < 3; i++) many[i].msg_hdr.msg_iov = out, many[i].msg_hdr.msg_iovlen = 1 + i % 2;
  CHECK_EQ(sendmmsg(p.fd[0], many, 3, 0), 3);
  CHECK_EQ(many[0].msg_len, 3);
  CHECK_EQ(many[1].msg_len, 7);
  mmsghdr got[4] = {};
  char room[4][8];
  iovec each[4];
  for (int i = 0; i < 4; i++) each[i] = {room[i], 8}, got[i].msg_hdr.msg_iov = &each[i], got[i].msg_hdr.msg_iovlen = 1;
  CHECK_EQ(recvmmsg(p.fd[1], got, 4, MSG_WAITFORONE, nullptr), 3);
  CHECK_EQ(got[1].msg_len, 7);
  timespec no_time = {0, 0};
  CHECK_EQ(sendmmsg(p.fd[0], many, 2, 0), 2);
  CHECK_EQ(recvmmsg(p.fd[1], got, 4, 0, &no_time), 1);  // time is up after the first
  CHECK_EQ(recvmmsg(p.fd[1], got, 4, MSG_DONTWAIT, nullptr), 1);
  CHECK_ERR(recvmmsg(p.fd[1], got, 4, MSG_DONTWAIT, nullptr), EAGAIN);
}

TEST(proc_net_unix_lists_them) {
  Address a = path_address("listed"), b = abstract_address("listed");
  int server = listener(a), box = bound(b);
  FILE* file = fopen("/proc/net/unix", "r");
  CHECK(file);
  char line[300];
  int seen = 0;
  struct stat s;
  CHECK_OK(fstat(server, &s));
  while (fgets(line, sizeof line, file)) {
    unsigned flags, type, state;
    long inode;
    char name[200] = "";
    if (sscanf(line, "%*[0-9a-f]: %*x %*x %x %x %x %ld %199s", &flags, &type, &state, &inode, name) < 4) continue;
    if (!strcmp(name, "listed")) {
      CHECK_EQ(flags, 0x10000);
      CHECK_EQ(type, SOCK_STREAM);
      CHECK_EQ(state, 1);
      CHECK_EQ(inode, s.st_ino);
      seen++;
    }
    if (name[0] == '@' && !strcmp(name + 1, b.un.sun_path + 1)) seen++;
  }
  fclose(file);
  CHECK_EQ(seen, 2);
  close(server), close(box);
}
