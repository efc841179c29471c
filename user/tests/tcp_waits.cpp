// AF_INET over loopback: who waits, what wakes him, and what he is told when there is nothing to wait for. The same on Linux.
#include <limits.h>
#include <pthread.h>
#include <sys/epoll.h>

#include "user/tests/injection.h"
#include "user/tests/internet_support.h"
#include "user/tests/two_sleepers.h"

namespace {

// Until there is no room for more; how much it was.
long stuff(int fd) {
  static char block[65536];
  long sent = 0;
  CHECK_OK(fcntl(fd, F_SETFL, O_NONBLOCK));
  for (ssize_t n; (n = send(fd, block, sizeof block, 0)) > 0;) sent += n;
  CHECK_EQ(errno, EAGAIN);
  CHECK_OK(fcntl(fd, F_SETFL, 0));
  return sent;
}
void drain(int fd, long bytes) {
  static char block[65536];
  for (ssize_t n; bytes > 0; bytes -= n) CHECK((n = recv(fd, block, bytes < 65536 ? bytes : 65536, 0)) > 0);
}
void linger_for_ever(int fd) {
  linger l = {1, 10000};
  CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof l));
}

}  // namespace

TEST(two_connections_are_for_two_who_wait) {
  int server = listener();
  check_two_sleepers([&] { CHECK_OK(accept(server, nullptr, nullptr)); }, [&] { connected(server); });
}

TEST(two_datagrams_are_for_two_who_wait) {
  int box = bound(SOCK_DGRAM), from = socket_of(SOCK_DGRAM);
  sockaddr_in to = own(box);
  char c;
  check_two_sleepers([&] { CHECK_EQ(recv(box, &c, 1, 0), 1); }, [&] { CHECK_EQ(sendto(from, "x", 1, 0, generic(to), sizeof to), 1); });
}

TEST(an_edge_comes_when_there_is_room_again) {
  Connection c;
  int epoll = CHECK_OK(epoll_create1(0));
  epoll_event event = {EPOLLOUT | EPOLLET, {}};
  CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, c.client, &event));
  CHECK_EQ(epoll_wait(epoll, &event, 1, 0), 1);
  long sent = stuff(c.client);
  while (epoll_wait(epoll, &event, 1, 0) == 1) sent += stuff(c.client);  // room that came of itself, as what was sent moved on
  drain(c.other, sent);
  CHECK_EQ(epoll_wait(epoll, &event, 1, 10000), 1);
  CHECK_EQ(event.events, EPOLLOUT);
  close(epoll);
}

TEST(a_low_water_mark_that_the_window_cannot_reach) {
  Connection c;
  set_option(c.other, SOL_SOCKET, SO_RCVLOWAT, INT_MAX);
  stuff(c.client);
  wait_for(c.other, POLLIN);
  static char block[100000];
  CHECK(recv(c.other, block, sizeof block, 0) > 0);
}

TEST(writing_what_nobody_will_read_is_a_broken_pipe) {
  Connection c;
  CHECK_OK(shutdown(c.client, SHUT_WR));
  CHECK_SIGNAL(in_child([&] { (void)!write(c.client, "x", 1); }), SIGPIPE);
  CHECK_SIGNAL(in_child([&] { send(c.client, "x", 1, 0); }), SIGPIPE);
  CHECK_ERR(send(c.client, "x", 1, MSG_NOSIGNAL), EPIPE);
  int box = bound(SOCK_DGRAM);
  sockaddr_in to = own(box);
  CHECK_OK(connect(box, generic(to), sizeof to));
  CHECK_OK(shutdown(box, SHUT_WR));
  CHECK_ERR(send(box, "x", 1, 0), EPIPE);  // no stream, no signal
  close(box);
}

TEST(a_listener_has_nothing_to_linger_for) {
  int server = listener();
  linger_for_ever(server);
  close(server);
}

// A close sleeps until the peer, who keeps its end open, has all that was sent, and no longer.
static void check_lingering_close(bool after_the_peers_end) {
  Connection c;
  if (after_the_peers_end) CHECK_OK(shutdown(c.other, SHUT_WR));
  if (after_the_peers_end) wait_for(c.client, POLLRDHUP);
  long sent = stuff(c.client);
  linger_for_ever(c.client);
  char* is_last = map_pages(1, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
  pid_t closer = in_child([&] {
    while (!__atomic_load_n(is_last, __ATOMIC_SEQ_CST)) sched_yield();  // awake, so that it sleeps in close alone
    close(c.client);
  });
  close(c.client);
  c.client = -1;
  __atomic_store_n(is_last, 1, __ATOMIC_SEQ_CST);
  wait_state(closer, "SZ");
  CHECK_EQ(state_of(closer), 'S');
  drain(c.other, sent);
  CHECK_EXIT(closer, 0);
}
TEST(closing_lingers_until_the_peer_has_it_and_no_longer) { check_lingering_close(false); }
TEST(closing_lingers_after_the_peers_end_too) { check_lingering_close(true); }

TEST(whole_segments_do_not_wait_for_more) {
  Connection c;
  static char block[60000];
  CHECK_EQ(send(c.client, block, sizeof block, MSG_MORE), (long)sizeof block);
  CHECK_EQ(poll_of(c.other, POLLIN), POLLIN);
}

TEST(an_end_is_final) {
  Connection c;
  sockaddr_in a = own(c.server);
  CHECK_OK(shutdown(c.client, SHUT_WR));
  CHECK_EQ(send(c.other, "left", 4, 0), 4);
  Connection::close_fd(c.other);
  wait_for(c.client, POLLHUP);
  CHECK_ERR(connect(c.client, generic(a), sizeof a), EISCONN);
  char text[8];
  CHECK_EQ(recv(c.client, text, sizeof text, 0), 4);
  CHECK_EQ(recv(c.client, text, sizeof text, 0), 0);
  CHECK_ERR(connect(c.client, generic(a), sizeof a), EISCONN);
}

TEST(who_was_refused_may_try_again) {
  int closed = bound(SOCK_STREAM), server = listener(), fd = socket_of(SOCK_STREAM);
  sockaddr_in nobody = own(closed), a = own(server);
  for (int i = 0; i < 2; i++) {
    CHECK_ERR(connect(fd, generic(nobody), sizeof nobody), ECONNREFUSED);
    CHECK_ERR(send(fd, "x", 1, MSG_NOSIGNAL), EPIPE);
  }
  CHECK_OK(connect(fd, generic(a), sizeof a));
  CHECK_EQ(poll_of(fd), POLLOUT);
  int other = CHECK_OK(accept(server, nullptr, nullptr));
  CHECK_EQ(send(fd, "x", 1, 0), 1);
  char c;
  CHECK_EQ(recv(other, &c, 1, 0), 1);
  for (int each : {fd, other, server, closed}) close(each);
}

TEST(a_connection_is_not_lost_for_want_of_memory) {
  if (!on_faultline()) SKIP("no /proc/self/fail-nth");
  int server = listener(8, SOCK_NONBLOCK), client = connected(server);
  Injection injection;
  for (int nth = 1, failed = 1; failed; nth++) {
    CHECK(nth < kForEver);
    injection.arm(nth, 1);
    int fd = accept(server, nullptr, nullptr), error = errno;
    failed = injection.left() == 0;
    injection.disarm();
    if (fd < 0) {
      CHECK(failed && (error == ENOMEM || error == ENOBUFS));
      continue;
    }
    close(client), close(fd);
    if (failed) client = connected(server);
  }
  close(server);
}

// On a machine with little memory, they would leave none to the others.
TEST(single_bytes_that_nobody_reads) {
  Connection c;
  set_option(c.client, IPPROTO_TCP, TCP_NODELAY, 1);
  CHECK_OK(fcntl(c.client, F_SETFL, O_NONBLOCK));
  int sent = 0;
  for (char byte = 0; sent < 200000 && send(c.client, &byte, 1, 0) == 1; byte = char(++sent % 127)) continue;
  CHECK(sent > 1000);
  Connection other;
  char block[1024];
  CHECK_EQ(send(other.client, block, sizeof block, 0), (long)sizeof block);
  CHECK_EQ(recv(other.other, block, sizeof block, MSG_WAITALL), (long)sizeof block);
  for (int got = 0, n; got < sent; got += n) {
    CHECK((n = int(recv(c.other, block, sizeof block, 0))) > 0);
    for (int i = 0; i < n; i++) CHECK_EQ(block[i], (got + i) % 127);
  }
}

// The last of it comes together with the end, when the reader has ended its side and has more waiting than the kernel takes of small pieces.
TEST(what_comes_with_the_end_is_not_lost_behind_many_pieces) {
  constexpr int kPieces = 4096;
  for (bool reads_late : {false, true}) {
    Connection c;
    CHECK_OK(shutdown(c.other, SHUT_WR));
    set_option(c.client, IPPROTO_TCP, TCP_NODELAY, 1);
    for (int i = 0; i < kPieces; i++) CHECK_EQ(send(c.client, "p", 1, 0), 1);
    CHECK_EQ(send(c.client, "x", 1, MSG_MORE), 1);
    CHECK_OK(shutdown(c.client, SHUT_WR));
    if (reads_late) sleep(3);  // longer than the connection is remembered
    char block[kPieces + 100];
    int got = 0;
    for (ssize_t n; (n = CHECK_OK(recv(c.other, block + got, sizeof block - size_t(got), 0))) != 0;) got += int(n);
    CHECK_EQ(got, kPieces + 1);
    CHECK_EQ(block[kPieces], 'x');
  }
}

// Threads who connect the same socket at the same time.
static struct {
  int fd, ready;
  sockaddr_in to;
} g_race;
static void* racer(void*) {
  __atomic_fetch_add(&g_race.ready, 1, __ATOMIC_SEQ_CST);
  while (__atomic_load_n(&g_race.ready, __ATOMIC_SEQ_CST) < 2) sched_yield();
  connect(g_race.fd, generic(g_race.to), sizeof g_race.to);
  return nullptr;
}
TEST(of_two_who_connect_one_does) {
  int closed = bound(SOCK_STREAM), server = listener(8, SOCK_NONBLOCK);
  sockaddr_in nobody = own(closed);
  g_race.to = own(server);
  for (int round = 0; round < scale(200); round++) {
    g_race.fd = socket_of(SOCK_STREAM);
    g_race.ready = 0;
    reset_on_close(g_race.fd);
    CHECK_ERR(connect(g_race.fd, generic(nobody), sizeof nobody), ECONNREFUSED);
    pthread_t threads[2];
    for (pthread_t& t : threads) CHECK_EQ(pthread_create(&t, nullptr, racer, nullptr), 0);
    for (pthread_t& t : threads) CHECK_EQ(pthread_join(t, nullptr), 0);
    wait_for(server, POLLIN);
    close(CHECK_OK(accept(server, nullptr, nullptr)));
    CHECK_ERR(accept(server, nullptr, nullptr), EAGAIN);
    close(g_race.fd);
  }
  close(server), close(closed);
}

static void* sender(void*) {
  static char block[3000];
  while (send(g_race.fd, block, sizeof block, MSG_NOSIGNAL) > 0) continue;
  return (void*)(intptr_t)errno;
}
TEST(who_sends_while_another_ends_it_has_a_broken_pipe) {
  for (int round = 0; round < scale(100); round++) {
    Connection c;
    g_race.fd = c.client;
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, nullptr, sender, nullptr), 0);
    pid_t reader = in_child([&] {
      static char block[65536];
      close(c.client);
      while (recv(c.other, block, sizeof block, 0) > 0) continue;
    });
    spin(round * 1000);
    CHECK_OK(shutdown(c.client, SHUT_WR));
    void* error;
    CHECK_EQ(pthread_join(thread, &error), 0);
    CHECK_EQ((intptr_t)error, EPIPE);
    CHECK_EXIT(reader, 0);
  }
}
