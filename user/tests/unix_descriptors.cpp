// AF_UNIX: descriptors and credentials in messages. Sockets that only lie in each other's queues must go; the harness counts what is left.
#include <pthread.h>

#include "user/tests/socket_support.h"

static int text_file(const char* text) {
  int fd = make_file("carried", text, strlen(text));
  CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
  return fd;
}

TEST(descriptors_travel_on_all_types) {
  for (int type : {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET}) {
    Pair p(type);
    int file = text_file("carried over");
    CHECK_EQ(send_file(p.fd[0], file), 1);
    close(file);  // it lives on in the message
    int got = receive_file(p.fd[1]);
    char text[20] = "";
    CHECK_EQ(read(got, text, sizeof text), 12);
    CHECK_STR(text, "carried over");
    CHECK_EQ(fcntl(got, F_GETFD), 0);
    close(got);
    file = text_file("x");
    CHECK_EQ(send_file(p.fd[0], file), 1);
    CHECK_EQ(receive_files(p.fd[1], &got, 1, MSG_CMSG_CLOEXEC), 1);
    CHECK_EQ(fcntl(got, F_GETFD), FD_CLOEXEC);
    CHECK_OK(lseek(got, 1, SEEK_SET));
    CHECK_EQ(lseek(file, 0, SEEK_CUR), 1);  // the same open file
    close(got), close(file);
  }
}

TEST(descriptors_end_a_read_of_a_stream) {
  Pair p;
  char text[10];
  int fd;
  CHECK_EQ(write(p.fd[0], "before", 6), 6);
  CHECK_EQ(send_file(p.fd[0], 1), 1);
  CHECK_EQ(write(p.fd[0], "after", 5), 5);
  Message m;
  m.room(64);
  CHECK_EQ(recvmsg(p.fd[1], &m.header, 0), 7);  // up to the end of what they came with
  CHECK(m.found(SCM_RIGHTS));
  memcpy(&fd, CMSG_DATA(m.found(SCM_RIGHTS)), sizeof fd);
  close(fd);
  CHECK_EQ(read(p.fd[1], text, sizeof text), 5);
}

TEST(descriptors_without_room_are_closed) {
  Pair p(SOCK_SEQPACKET);
  int ends[2], five[5], got[5], told;
  CHECK_OK(pipe(ends));
  for (int& fd : five) fd = ends[1];
  char c;
  CHECK_EQ(send_files(p.fd[0], five, 5), 1);
  CHECK_EQ(read(p.fd[1], &c, 1), 1);
  CHECK_EQ(send_files(p.fd[0], five, 5), 1);
  Message none;
  none.room(0);
  none.header.msg_control = nullptr;
  CHECK_EQ(recvmsg(p.fd[1], &none.header, 0), 1);
  CHECK(none.header.msg_flags & MSG_CTRUNC);
  CHECK_EQ(send_files(p.fd[0], five, 5), 1);
  int few = receive_files(p.fd[1], got, 2, 0, &told);  // CMSG_SPACE has room for one more where it is rounded up
  CHECK(few == 2 || few == 3);
  CHECK(told & MSG_CTRUNC);
  for (int i = 0; i < few; i++) close(got[i]);
  rlimit limit, before;
  CHECK_OK(getrlimit(RLIMIT_NOFILE, &before));
  CHECK_EQ(send_files(p.fd[0], five, 5), 1);
  limit = {rlim_t(ends[1] + 3), before.rlim_max};
  CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
  few = receive_files(p.fd[1], got, 5, 0, &told);
  CHECK_EQ(few, 2);
  CHECK(told & MSG_CTRUNC);
  CHECK_OK(setrlimit(RLIMIT_NOFILE, &before));
  for (int i = 0; i < few; i++) close(got[i]);
  CHECK_EQ(send_files(p.fd[0], five, 5), 1);
  p.close_both();  // never received
  close(ends[1]);
  CHECK_EQ(read(ends[0], &c, 1), 0);  // so nobody can write to the pipe
  close(ends[0]);
}

TEST(peeking_opens_them_too) {
  for (int type : {SOCK_STREAM, SOCK_SEQPACKET}) {
    Pair p(type);
    CHECK_EQ(send_file(p.fd[0], 1), 1);
    int first, second;
    CHECK_EQ(receive_files(p.fd[1], &first, 1, MSG_PEEK), 1);
    CHECK_EQ(receive_files(p.fd[1], &second, 1), 1);
    CHECK(first != second);
    close(first), close(second);
  }
}

// Each message is taken once, while others look at it.
static int g_peeked[2];
TEST(peeking_at_descriptors_that_another_takes) {
  for (int type : {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET}) {
    Pair p(type);
    memcpy(g_peeked, p.fd, sizeof g_peeked);
    pthread_t peekers[2];
    for (pthread_t& t : peekers)
      CHECK_EQ(pthread_create(
                   &t, nullptr,
                   [](void*) -> void* {
                     Message m;
                     for (ssize_t n = 1; n == 1;) {
                       int fd = -1;
                       m.room(CMSG_SPACE(sizeof fd));
                       n = recvmsg(g_peeked[1], &m.header, MSG_PEEK);
                       if (cmsghdr* c = m.found(SCM_RIGHTS)) memcpy(&fd, CMSG_DATA(c), sizeof fd);
                       if (fd >= 0) close(fd);
                     }
                     return nullptr;
                   },
                   nullptr),
               0);
    for (int i = 0; i < scale(500); i++) {
      CHECK_EQ(send_file(p.fd[0], 1), 1);
      close(receive_file(p.fd[1]));
    }
    CHECK_OK(shutdown(p.fd[1], SHUT_RD));
    for (pthread_t t : peekers) CHECK_EQ(pthread_join(t, nullptr), 0);
  }
}

TEST(ancillary_data_is_not_believed) {
  Pair p(SOCK_SEQPACKET);
  auto sent = [&](auto change) {
    Message m;
    int fd = 1;
    cmsghdr* c = m.add(SCM_RIGHTS, &fd, sizeof fd);
    change(m, c);
    return sendmsg(p.fd[0], &m.header, 0);
  };
  CHECK_ERR(sent([](Message&, cmsghdr* c) { c->cmsg_len = 0; }), EINVAL);
  CHECK_ERR(sent([](Message&, cmsghdr* c) { c->cmsg_len = sizeof(cmsghdr) - 1; }), EINVAL);
  CHECK_ERR(sent([](Message&, cmsghdr* c) { c->cmsg_len = 1000; }), EINVAL);
  CHECK_ERR(sent([](Message&, cmsghdr* c) { c->cmsg_len = ~0u; }), EINVAL);
  CHECK_ERR(sent([](Message&, cmsghdr* c) { c->cmsg_type = 77; }), EINVAL);
  CHECK_ERR(sent([](Message&, cmsghdr* c) { *(int*)CMSG_DATA(c) = -1; }), EBADF);
  CHECK_ERR(sent([](Message&, cmsghdr* c) { *(int*)CMSG_DATA(c) = 1 << 28; }), EBADF);
  CHECK_ERR(sent([](Message& m, cmsghdr*) { m.header.msg_control = (void*)16; }), EFAULT);
  CHECK_ERR(sent([](Message& m, cmsghdr*) { m.header.msg_controllen = 1 << 20; }), ENOBUFS);
  CHECK_ERR(sent([](Message& m, cmsghdr*) { m.header.msg_controllen = -1; }), ENOBUFS);
  CHECK_ERR(sent([](Message& m, cmsghdr*) { m.header.msg_iovlen = 1025; }), EMSGSIZE);
  CHECK_ERR(sent([](Message& m, cmsghdr*) { m.header.msg_iovlen = -1; }), EMSGSIZE);
  CHECK_ERR(sent([](Message& m, cmsghdr*) { m.piece.iov_len = -1; }), EINVAL);
  CHECK_ERR(sent([](Message& m, cmsghdr*) { m.header.msg_name = &m, m.header.msg_namelen = -1; }), EINVAL);
  CHECK_ERR(sent([](Message& m, cmsghdr*) { m.piece.iov_base = (void*)16; }), EFAULT);
  CHECK_EQ(sent([](Message&, cmsghdr* c) { c->cmsg_level = 99; }), 1);  // not ours: left alone
  CHECK_EQ(sent([](Message&, cmsghdr* c) { c->cmsg_len = CMSG_LEN(0); }), 1);
  CHECK_EQ(sent([](Message& m, cmsghdr*) { m.header.msg_controllen = 3; }), 1);
  int many[254];
  for (int& fd : many) fd = 1;
  CHECK_ERR(send_files(p.fd[0], many, 254), EINVAL);
  CHECK_EQ(send_files(p.fd[0], many, 253), 1);
  ucred who = {getpid() + 100000, getuid(), getgid()};
  Message m;
  m.add(SCM_CREDENTIALS, &who, sizeof who);
  CHECK_ERR(sendmsg(p.fd[0], &m.header, 0), geteuid() == 0 ? ESRCH : EPERM);
  Message shorter;
  shorter.add(SCM_CREDENTIALS, &who, sizeof who - 1);
  CHECK_ERR(sendmsg(p.fd[0], &shorter.header, 0), EINVAL);
}

static ucred credentials_of(int fd, ssize_t expected) {
  Message m;
  m.room(256);
  CHECK_EQ(recvmsg(fd, &m.header, 0), expected);
  cmsghdr* c = m.found(SCM_CREDENTIALS);
  CHECK(c);
  ucred who;
  memcpy(&who, CMSG_DATA(c), sizeof who);
  return who;
}

TEST(credentials_are_told) {
  for (int type : {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET}) {
    Pair p(type);
    set_option(p.fd[1], SO_PASSCRED, 1);
    CHECK_EQ(option(p.fd[1], SO_PASSCRED), 1);
    CHECK_EQ(write(p.fd[0], "mine", 4), 4);
    ucred who = credentials_of(p.fd[1], 4);
    CHECK_EQ(who.pid, getpid());
    CHECK_EQ(who.uid, getuid());
    CHECK_EQ(who.gid, getgid());
    pid_t child = in_child([&] { CHECK_EQ(write(p.fd[0], "child", 5), 5); });
    CHECK_EXIT(child, 0);
    CHECK_EQ(write(p.fd[0], "mine", 4), 4);
    CHECK_EQ(credentials_of(p.fd[1], 5).pid, child);  // a stream too: what others wrote is not mixed with it
    CHECK_EQ(credentials_of(p.fd[1], 4).pid, getpid());
    socklen_t bytes = sizeof who;
    CHECK_OK(getsockopt(p.fd[0], SOL_SOCKET, SO_PEERCRED, &who, &bytes));
    CHECK_EQ(who.pid, getpid());
    CHECK_EQ(bytes, sizeof who);
  }
  Address a = abstract_address("credentials");
  int server = listener(a);
  pid_t child = in_child([&] {
    int fd = connected(a);
    ucred who;
    socklen_t bytes = sizeof who;
    CHECK_OK(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &bytes));
    CHECK_EQ(who.pid, getppid());  // who listens
    char c;
    CHECK_EQ(read(fd, &c, 1), 0);
  });
  int fd = CHECK_OK(accept(server, nullptr, nullptr));
  ucred who;
  socklen_t bytes = sizeof who;
  CHECK_OK(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &bytes));
  CHECK_EQ(who.pid, child);
  close(fd);
  CHECK_EXIT(child, 0);
  close(server);
}

// ---- garbage: each of these leaves sockets that nobody can ever receive
TEST(a_socket_in_its_own_queue_goes) {
  for (int i = 0; i < 20; i++) {
    Pair p;
    CHECK_EQ(send_file(p.fd[0], p.fd[1]), 1);
    p.close_one(i & 1);
    p.close_both();
  }
}

TEST(sockets_in_each_others_queues_go) {
  for (int type : {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET}) {
    Pair p(type);
    CHECK_EQ(send_file(p.fd[0], p.fd[0]), 1);
    CHECK_EQ(send_file(p.fd[1], p.fd[1]), 1);
    CHECK_EQ(send_file(p.fd[0], p.fd[1]), 1);
    CHECK_EQ(send_file(p.fd[1], p.fd[0]), 1);
  }
}

TEST(a_pipe_in_a_forgotten_cycle_is_closed) {
  int ends[2];
  char c;
  CHECK_OK(pipe(ends));
  {
    Pair p, q;
    int both[2] = {p.fd[0], ends[1]};
    CHECK_EQ(send_files(q.fd[0], both, 2), 1);  // q[1] holds p[0] and the pipe
    CHECK_EQ(send_file(p.fd[1], q.fd[1]), 1);   // p[0] holds q[1]
  }
  close(ends[1]);
  CHECK_EQ(read(ends[0], &c, 1), 0);
  close(ends[0]);
}

TEST(what_can_still_be_received_stays) {
  Pair outer, inner;
  CHECK_EQ(send_file(inner.fd[0], inner.fd[1]), 1);  // inner[1] holds itself
  CHECK_EQ(send_file(outer.fd[0], inner.fd[1]), 1);  // and can be had from outer[1]
  inner.close_both();
  Pair other;
  other.close_both();  // the collector has had its chance
  int fd = receive_file(outer.fd[1]);
  int again = receive_file(fd);
  struct stat a, b;
  CHECK_OK(fstat(fd, &a));
  CHECK_OK(fstat(again, &b));
  CHECK_EQ(a.st_ino, b.st_ino);
  close(fd), close(again);
}

TEST(long_chains_are_closed_without_much_stack) {
  int before = CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0));
  for (int i = 0; i < scale(3000); i++) {
    Pair p;
    CHECK_EQ(send_file(p.fd[0], before), 1);
    close(before);
    before = dup(p.fd[1]);
  }
  close(before);
}

TEST(connections_nobody_accepted_hold_descriptors) {
  Address a = abstract_address("waiting");
  int server = listener(a);
  int client = connected(a);
  CHECK_EQ(send_file(client, server), 1);  // the connection waits in the queue of a socket that lies in the connection's
  CHECK_EQ(send_file(client, client), 1);
  close(server), close(client);
}

TEST(many_in_flight_are_refused) {
  if (geteuid() != 0) SKIP("not root");
  pid_t child = in_child([&] {
    rlimit limit = {40, 40};
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
    CHECK_OK(setresuid(12345, 12345, 12345));
    Pair p;
    int ten[10], sent = 0;
    for (int& fd : ten) fd = 1;
    while (send_files(p.fd[0], ten, 10) == 1 && sent < 1000) sent += 10;
    CHECK_EQ(errno, ETOOMANYREFS);
    CHECK_EQ(sent, 50);  // one message may go past the limit
    int got[10];
    CHECK_EQ(receive_files(p.fd[1], got, 10), 10);
    for (int fd : got) close(fd);
    CHECK_EQ(send_files(p.fd[0], ten, 10), 1);
  });
  CHECK_EXIT(child, 0);
}
