// AF_UNIX: datagrams and sequential packets, how many of them a box holds, many in one call.
#include <sys/epoll.h>

#include "user/tests/socket_support.h"

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

TEST(a_box_that_others_fill_tells_epoll_of_its_room) {
  Address a = abstract_address("stalled");
  int box = bound(a), other = CHECK_OK(socket(AF_UNIX, SOCK_DGRAM, 0)), sender = CHECK_OK(socket(AF_UNIX, SOCK_DGRAM, 0));
  CHECK_OK(connect(other, a.get(), a.bytes));
  CHECK_OK(connect(sender, a.get(), a.bytes));
  int epoll = CHECK_OK(epoll_create1(0));
  epoll_event event = {EPOLLOUT, {}};
  CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, sender, &event));
  char c;
  for (int i = 0; i < 3; i++) {
    CHECK_EQ(epoll_wait(epoll, &event, 1, 10000), 1);
    while (send(other, "x", 1, MSG_DONTWAIT) == 1) continue;
    CHECK_ERR(send(sender, "x", 1, MSG_DONTWAIT), EAGAIN);
    CHECK_EQ(epoll_wait(epoll, &event, 1, 0), 0);
    while (recv(box, &c, 1, MSG_DONTWAIT) == 1) continue;
  }
  CHECK_EQ(epoll_wait(epoll, &event, 1, 10000), 1);
  for (int fd : {box, other, sender, epoll}) close(fd);
}
