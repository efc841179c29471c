// AF_INET over loopback: connections, what ends them and what poll tells of it, options, datagrams. The same on Linux. Who waits for what is in
// tcp_waits.cpp.
#include <net/if.h>

#include "user/tests/internet_support.h"

TEST(a_connection_carries_bytes_both_ways) {
  Connection c;
  char text[16] = "";
  CHECK_EQ(send(c.client, "ping", 4, 0), 4);
  CHECK_EQ(recv(c.other, text, sizeof text, 0), 4);
  CHECK(!memcmp(text, "ping", 4));
  CHECK_EQ(write(c.other, "pong!", 5), 5);
  CHECK_EQ(read(c.client, text, 3), 3);
  CHECK_EQ(read(c.client, text + 3, 9), 2);
  CHECK(!memcmp(text, "pong!", 5));
  sockaddr_in peer;
  socklen_t bytes = sizeof peer;
  CHECK_OK(getpeername(c.client, (sockaddr*)&peer, &bytes));
  CHECK_EQ(peer.sin_port, own(c.server).sin_port);
  CHECK_EQ(peer.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
  CHECK_OK(getpeername(c.other, (sockaddr*)&peer, &bytes));
  CHECK_EQ(peer.sin_port, own(c.client).sin_port);
  CHECK_EQ(option(c.client, SOL_SOCKET, SO_TYPE), SOCK_STREAM);
  CHECK_EQ(option(c.client, SOL_SOCKET, SO_DOMAIN), AF_INET);
  CHECK_EQ(option(c.client, SOL_SOCKET, SO_PROTOCOL), IPPROTO_TCP);
  CHECK_EQ(option(c.server, SOL_SOCKET, SO_ACCEPTCONN), 1);
  CHECK_EQ(option(c.client, SOL_SOCKET, SO_ACCEPTCONN), 0);
}

TEST(peek_waiting_for_all_and_how_much_there_is) {
  Connection c;
  char text[16];
  CHECK_ERR(recv(c.other, text, 1, MSG_DONTWAIT), EAGAIN);
  CHECK_EQ(send(c.client, "abcdef", 6, 0), 6);
  wait_for(c.other, POLLIN);
  CHECK_EQ(recv(c.other, text, 3, MSG_PEEK), 3);
  CHECK_EQ(recv(c.other, text, sizeof text, MSG_PEEK), 6);
  int there = 0;
  CHECK_OK(ioctl(c.other, FIONREAD, &there));
  CHECK_EQ(there, 6);
  pid_t child = in_child([&] {
    char all[9];
    CHECK_EQ(recv(c.other, all, 9, MSG_WAITALL), 9);
    CHECK(!memcmp(all, "abcdefghi", 9));
  });
  usleep(20000);
  CHECK_EQ(send(c.client, "gh", 2, 0), 2);
  usleep(20000);
  CHECK_EQ(send(c.client, "i", 1, 0), 1);
  CHECK_EXIT(child, 0);
}

TEST(the_end_of_one_direction_leaves_the_other) {
  Connection c;
  char text[8];
  CHECK_EQ(poll_of(c.other), POLLOUT);
  CHECK_OK(shutdown(c.client, SHUT_WR));
  wait_for(c.other, POLLIN | POLLOUT | POLLRDHUP);
  CHECK_EQ(poll_of(c.other), POLLIN | POLLOUT | POLLRDHUP);
  CHECK_EQ(recv(c.other, text, sizeof text, 0), 0);
  CHECK_EQ(recv(c.other, text, sizeof text, 0), 0);
  CHECK_ERR(send(c.client, "x", 1, MSG_NOSIGNAL), EPIPE);
  CHECK_OK(shutdown(c.client, SHUT_WR));  // once more is no error
  CHECK_EQ(send(c.other, "still", 5, 0), 5);
  CHECK_EQ(recv(c.client, text, sizeof text, 0), 5);
  CHECK_EQ(poll_of(c.client), POLLOUT);
  CHECK_OK(shutdown(c.other, SHUT_WR));
  wait_for(c.client, POLLHUP);
  CHECK_EQ(poll_of(c.client), kAll | POLLHUP);
  CHECK_EQ(poll_of(c.other), kAll | POLLHUP);
  CHECK_EQ(recv(c.client, text, sizeof text, 0), 0);
}

TEST(shut_for_reading_it_reads_what_there_is_and_then_the_end) {
  Connection c;
  char text[8];
  CHECK_EQ(send(c.client, "abc", 3, 0), 3);
  wait_for(c.other, POLLIN);
  CHECK_OK(shutdown(c.other, SHUT_RD));
  CHECK_EQ(poll_of(c.other), POLLIN | POLLOUT | POLLRDHUP);
  CHECK_EQ(recv(c.other, text, sizeof text, 0), 3);
  CHECK_EQ(recv(c.other, text, sizeof text, 0), 0);
}

TEST(a_reset_is_told_once) {
  Connection c;
  char text[8];
  reset_on_close(c.other);
  close(c.other);
  c.other = -1;
  wait_for(c.client, POLLERR);
  CHECK_EQ(poll_of(c.client), kAll | POLLERR | POLLHUP);
  CHECK_ERR(recv(c.client, text, sizeof text, 0), ECONNRESET);
  CHECK_EQ(recv(c.client, text, sizeof text, 0), 0);
  CHECK_ERR(send(c.client, "x", 1, MSG_NOSIGNAL), EPIPE);
  CHECK_EQ(poll_of(c.client), kAll | POLLHUP);
}

TEST(closing_with_unread_bytes_resets) {
  Connection c;
  CHECK_EQ(send(c.client, "abc", 3, 0), 3);
  wait_for(c.other, POLLIN);
  Connection::close_fd(c.other);
  wait_for(c.client, POLLERR);
  CHECK_EQ(option(c.client, SOL_SOCKET, SO_ERROR), ECONNRESET);
  CHECK_EQ(option(c.client, SOL_SOCKET, SO_ERROR), 0);
}

TEST(writing_to_who_has_closed_resets) {
  Connection c;
  char text[8];
  Connection::close_fd(c.other);
  wait_for(c.client, POLLRDHUP);
  CHECK_EQ(send(c.client, "x", 1, 0), 1);
  wait_for(c.client, POLLERR);
  CHECK_ERR(send(c.client, "x", 1, MSG_NOSIGNAL), EPIPE);
  CHECK_EQ(recv(c.client, text, sizeof text, 0), 0);
}

TEST(nobody_listens) {
  int closed = bound(SOCK_STREAM), fd = socket_of(SOCK_STREAM);
  sockaddr_in a = own(closed);
  CHECK_ERR(connect(fd, generic(a), sizeof a), ECONNREFUSED);
  close(fd);
  fd = socket_of(SOCK_STREAM, SOCK_NONBLOCK);
  CHECK_ERR(connect(fd, generic(a), sizeof a), EINPROGRESS);
  wait_for(fd, POLLERR);
  CHECK_EQ(poll_of(fd), kAll | POLLERR | POLLHUP);
  CHECK_EQ(option(fd, SOL_SOCKET, SO_ERROR), ECONNREFUSED);
  close(fd), close(closed);
}

TEST(connecting_without_waiting) {
  int server = listener(), fd = socket_of(SOCK_STREAM, SOCK_NONBLOCK);
  sockaddr_in a = own(server);
  CHECK_ERR(connect(fd, generic(a), sizeof a), EINPROGRESS);
  wait_for(fd, POLLOUT);
  CHECK_EQ(option(fd, SOL_SOCKET, SO_ERROR), 0);
  CHECK_OK(connect(fd, generic(a), sizeof a));  // it has: this tells so, once
  CHECK_ERR(connect(fd, generic(a), sizeof a), EISCONN);
  wait_for(server, POLLIN);
  int other = CHECK_OK(accept4(server, nullptr, nullptr, SOCK_NONBLOCK));
  char text[4];
  CHECK_ERR(recv(other, text, 1, 0), EAGAIN);
  close(fd), close(other), close(server);
}

TEST(a_connection_that_is_reset_before_its_begin_was_told) {
  for (bool looks : {false, true}) {
    int server = listener(), fd = socket_of(SOCK_STREAM, SOCK_NONBLOCK);
    sockaddr_in a = own(server);
    CHECK_ERR(connect(fd, generic(a), sizeof a), EINPROGRESS);
    wait_for(server, POLLIN);
    int other = CHECK_OK(accept(server, nullptr, nullptr));
    reset_on_close(other);
    close(other);
    wait_for(fd, POLLERR);
    if (looks) CHECK_EQ(option(fd, SOL_SOCKET, SO_ERROR), ECONNRESET);
    CHECK_ERR(connect(fd, generic(a), sizeof a), looks ? ECONNABORTED : ECONNRESET);
    close(fd), close(server);
  }
}

TEST(what_is_not_connected) {
  int fd = socket_of(SOCK_STREAM);
  char text[4];
  sockaddr_in a;
  socklen_t bytes = sizeof a;
  CHECK_EQ(poll_of(fd), POLLOUT | POLLHUP);
  CHECK_ERR(recv(fd, text, 1, 0), ENOTCONN);
  CHECK_ERR(send(fd, text, 1, MSG_NOSIGNAL), EPIPE);
  CHECK_ERR(getpeername(fd, (sockaddr*)&a, &bytes), ENOTCONN);
  CHECK_ERR(shutdown(fd, SHUT_WR), ENOTCONN);
  CHECK_ERR(accept(fd, nullptr, nullptr), EINVAL);
  sockaddr_in foreign = at_port(0, 0x08080808);
  CHECK_ERR(bind(fd, generic(foreign), sizeof foreign), EADDRNOTAVAIL);
  CHECK_ERR(bind(fd, generic(foreign), 4), EINVAL);
  close(fd);
}

TEST(a_port_in_use) {
  int first = listener(), second = socket_of(SOCK_STREAM);
  sockaddr_in a = own(first);
  CHECK_ERR(bind(second, generic(a), sizeof a), EADDRINUSE);
  close(first);
  set_option(second, SOL_SOCKET, SO_REUSEADDR, 1);
  CHECK_EQ(option(second, SOL_SOCKET, SO_REUSEADDR), 1);
  CHECK_OK(bind(second, generic(a), sizeof a));
  CHECK_OK(listen(second, 1));
  close(second);
}

// Its end of the connection is in TIME_WAIT for a minute: but not for itself, on one machine, after a second.
TEST(who_left_first_may_come_again_soon) {
  int server = listener();
  sockaddr_in to = own(server), from = at_port(0, INADDR_ANY);
  auto connects = [&] {
    int client = socket_of(SOCK_STREAM);
    set_option(client, SOL_SOCKET, SO_REUSEADDR, 1);
    CHECK_OK(bind(client, generic(from), sizeof from));
    from.sin_port = own(client).sin_port;
    bool is_connected = connect(client, generic(to), sizeof to) == 0;
    if (!is_connected) CHECK_EQ(errno, EADDRNOTAVAIL);
    if (is_connected) {
      int other = CHECK_OK(accept(server, nullptr, nullptr));
      CHECK_OK(shutdown(client, SHUT_WR));
      char byte;
      CHECK_EQ(read(other, &byte, 1), 0);
      close(other);
    }
    close(client);
    return is_connected;
  };
  CHECK(connects());
  int attempts = 0;
  while (attempts < 100 && !connects()) attempts++, usleep(100000);
  CHECK(attempts < 100);
  close(server);
}

TEST(a_listener_tells_of_connections_and_resets_those_it_leaves) {
  int server = listener();
  CHECK_EQ(poll_of(server), 0);
  int client = connected(server);
  wait_for(server, POLLIN);
  CHECK_EQ(poll_of(server), POLLIN);
  close(server);
  wait_for(client, POLLERR);
  CHECK_EQ(option(client, SOL_SOCKET, SO_ERROR), ECONNRESET);
  close(client);
}

TEST(a_full_queue_makes_the_next_one_wait) {
  constexpr int kBacklog = 2, kMost = kBacklog + 1;
  int server = listener(kBacklog);
  sockaddr_in a = own(server);
  int in_time[kMost], late = socket_of(SOCK_STREAM, SOCK_NONBLOCK);
  for (int& fd : in_time) fd = connected(server);
  CHECK_ERR(connect(late, generic(a), sizeof a), EINPROGRESS);
  usleep(50000);
  CHECK_EQ(poll_of(late) & POLLOUT, 0);
  for (int i = 0; i < kMost; i++) close(CHECK_OK(accept(server, nullptr, nullptr)));
  CHECK_EQ(poll_of(late, POLLOUT, 10000) & POLLOUT, POLLOUT);  // it asks again, some seconds later at most
  close(CHECK_OK(accept(server, nullptr, nullptr)));
  for (int fd : in_time) close(fd);
  close(late), close(server);
}

TEST(many_bytes_arrive_in_order_and_a_full_window_stops_the_writer) {
  Connection c;
  constexpr int kBytes = 4 << 20, kPiece = 30011;
  CHECK_OK(fcntl(c.client, F_SETFL, O_NONBLOCK));
  static unsigned char out[kPiece], in[kPiece];
  long stuffed = 0;
  for (;;) {
    for (int i = 0; i < kPiece; i++) out[i] = (stuffed + i) % 251;
    ssize_t n = send(c.client, out, kPiece, 0);
    if (n < 0) break;
    stuffed += n;
    CHECK(stuffed < 64 << 20);
  }
  CHECK_EQ(errno, EAGAIN);
  CHECK_EQ(poll_of(c.client) & POLLOUT, 0);
  CHECK_OK(fcntl(c.client, F_SETFL, 0));
  pid_t child = in_child([&] {
    for (long at = stuffed; at < kBytes;) {
      for (int i = 0; i < kPiece; i++) out[i] = (at + i) % 251;
      ssize_t n = CHECK_OK(send(c.client, out, at + kPiece < kBytes ? kPiece : kBytes - at, 0));
      at += n;
    }
    CHECK_OK(shutdown(c.client, SHUT_WR));
  });
  long got = 0;
  for (ssize_t n; (n = CHECK_OK(recv(c.other, in, kPiece, 0))) != 0; got += n)
    for (int i = 0; i < n; i++)
      if (in[i] != (got + i) % 251) CHECK_EQ(got + i, -1);
  CHECK_EQ(got, stuffed > kBytes ? stuffed : kBytes);
  CHECK_EXIT(child, 0);
}

TEST(options_are_kept) {
  int fd = socket_of(SOCK_STREAM);
  CHECK_EQ(option(fd, IPPROTO_TCP, TCP_NODELAY), 0);
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  CHECK_EQ(option(fd, IPPROTO_TCP, TCP_NODELAY), 1);
  set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  CHECK_EQ(option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
  set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 30);
  CHECK_EQ(option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 30);
  CHECK_EQ(option(fd, IPPROTO_IP, IP_TTL), 64);
  int wrong = 0;
  CHECK_ERR(setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &wrong, sizeof wrong), EINVAL);
  CHECK_ERR(setsockopt(fd, IPPROTO_TCP, 9999, &wrong, sizeof wrong), ENOPROTOOPT);
  close(fd);
}

TEST(a_bad_address_sends_and_receives_nothing) {
  Connection c;
  CHECK_ERR(send(c.client, (void*)16, 100, 0), EFAULT);
  CHECK_EQ(send(c.client, "abc", 3, 0), 3);
  wait_for(c.other, POLLIN);
  CHECK_ERR(recv(c.other, (void*)16, 3, 0), EFAULT);
  char text[8];
  CHECK_EQ(recv(c.other, text, sizeof text, 0), 3);
}

TEST(datagrams_keep_their_borders_and_tell_who_sent_them) {
  int a = bound(SOCK_DGRAM), b = bound(SOCK_DGRAM);
  sockaddr_in to = own(b), from = {};
  socklen_t bytes = sizeof from;
  char text[16];
  CHECK_EQ(poll_of(b), POLLOUT);
  CHECK_ERR(send(a, "x", 1, 0), EDESTADDRREQ);
  CHECK_EQ(sendto(a, "one", 3, 0, generic(to), sizeof to), 3);
  CHECK_EQ(sendto(a, "", 0, 0, generic(to), sizeof to), 0);
  CHECK_EQ(sendto(a, "three", 5, 0, generic(to), sizeof to), 5);
  wait_for(b, POLLIN);
  CHECK_EQ(recv(b, text, 2, MSG_PEEK | MSG_TRUNC), 3);
  CHECK_EQ(recvfrom(b, text, sizeof text, 0, (sockaddr*)&from, &bytes), 3);
  CHECK_EQ(from.sin_port, own(a).sin_port);
  CHECK_EQ(from.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
  CHECK_EQ(recv(b, text, sizeof text, 0), 0);
  CHECK_EQ(recv(b, text, 2, 0), 2);
  CHECK_ERR(recv(b, text, 2, MSG_DONTWAIT), EAGAIN);
  CHECK_OK(connect(a, generic(to), sizeof to));
  CHECK_EQ(send(a, "x", 1, 0), 1);
  CHECK_EQ(recv(b, text, sizeof text, 0), 1);
  int third = bound(SOCK_DGRAM);
  sockaddr_in first = own(a);
  CHECK_EQ(sendto(third, "not for you", 11, 0, generic(first), sizeof first), 11);
  CHECK_ERR(recv(a, text, sizeof text, MSG_DONTWAIT), EAGAIN);  // it is connected with b
  static char large[66000];
  CHECK_ERR(sendto(third, large, sizeof large, 0, generic(to), sizeof to), EMSGSIZE);
  CHECK_EQ(sendto(third, large, 60000, 0, generic(to), sizeof to), 60000);
  CHECK_EQ(recv(b, large, sizeof large, 0), 60000);
  close(a), close(b), close(third);
}

// The address of a network card, which may still be on its way; 0: there is no card.
static uint32_t address_of_card() {
  int fd = socket_of(SOCK_DGRAM);
  uint32_t found = 0;
  for (int i = 0; i < 1000 && !found; i++) {
    ifreq records[16], card = {};
    ifconf list = {sizeof records, {(char*)records}};
    CHECK_OK(ioctl(fd, SIOCGIFCONF, &list));
    for (unsigned k = 0; k < list.ifc_len / sizeof(ifreq); k++) {
      uint32_t address = ntohl(((sockaddr_in*)&records[k].ifr_addr)->sin_addr.s_addr);
      if (address >> 24 != 127) found = address;
    }
    strcpy(card.ifr_name, "eth0");
    if (!found && ioctl(fd, SIOCGIFFLAGS, &card)) break;
    if (!found) usleep(20000);
  }
  close(fd);
  return found;
}
TEST(datagrams_to_the_cards_own_address_are_answered) {
  const uint32_t address = address_of_card();
  if (!address) SKIP("no network card");
  for (uint32_t bound_to : {INADDR_ANY, address}) {
    int server = socket_of(SOCK_DGRAM), client = socket_of(SOCK_DGRAM);
    sockaddr_in a = at_port(0, bound_to), from = {};
    CHECK_OK(bind(server, generic(a), sizeof a));
    a = at_port(ntohs(own(server).sin_port), address);
    CHECK_OK(connect(client, generic(a), sizeof a));
    CHECK_EQ(send(client, "ask", 3, 0), 3);
    char text[8];
    socklen_t bytes = sizeof from;
    wait_for(server, POLLIN);
    CHECK_EQ(recvfrom(server, text, sizeof text, 0, (sockaddr*)&from, &bytes), 3);
    CHECK_EQ(ntohl(from.sin_addr.s_addr), address);
    CHECK_EQ(sendto(server, "answer", 6, 0, generic(from), sizeof from), 6);
    wait_for(client, POLLIN);
    CHECK_EQ(recv(client, text, sizeof text, 0), 6);
    close(client), close(server);
  }
}

TEST(types_and_protocols_that_do_not_exist) {
  CHECK_ERR(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP), EPROTONOSUPPORT);
  CHECK_ERR(socket(AF_INET, SOCK_SEQPACKET, 0), ESOCKTNOSUPPORT);
  int pair[2];
  CHECK_ERR(socketpair(AF_INET, SOCK_STREAM, 0, pair), EOPNOTSUPP);
}
