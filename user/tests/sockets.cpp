// The socket calls themselves: what is refused and in which order, options, sockets closed while others use them, memory that runs out. Each
// address family has tests of its own.
#include <pthread.h>

#include "user/tests/injection.h"
#include "user/tests/socket_support.h"

TEST(what_socket_refuses) {
  CHECK_ERR(socket(AF_UNIX, 0, 0), ESOCKTNOSUPPORT);
  CHECK_ERR(socket(AF_UNIX, SOCK_RDM, 0), ESOCKTNOSUPPORT);
  CHECK_ERR(socket(AF_UNIX, 11, 0), EINVAL);
  CHECK_ERR(socket(AF_UNIX, SOCK_STREAM | 0x40000000, 0), EINVAL);
  CHECK_ERR(socket(AF_UNIX, SOCK_STREAM, 7), EPROTONOSUPPORT);
  CHECK_ERR(socket(46, SOCK_STREAM, 0), EAFNOSUPPORT);
  CHECK_ERR(socket(-1, SOCK_STREAM, 0), EAFNOSUPPORT);
  int raw = CHECK_OK(socket(AF_UNIX, SOCK_RAW, 1));
  CHECK_EQ(option(raw, SO_TYPE), SOCK_DGRAM);
  close(raw);
  int fd = CHECK_OK(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
  CHECK_EQ(fcntl(fd, F_GETFL), O_RDWR | O_NONBLOCK);
  close(fd);
  CHECK_ERR(socketpair(AF_UNIX, SOCK_STREAM, 0, (int*)16), EFAULT);
  Pair p;  // the lowest numbers: the failure has given them back
  CHECK_EQ(p.fd[0], fd);
}

TEST(other_descriptors_are_no_sockets) {
  int file = make_file("file");
  Address a = path_address("a");
  char c;
  for (int fd : {file, 1000}) {
    int error = fd == file ? ENOTSOCK : EBADF;
    socklen_t bytes = sizeof a.un;
    CHECK_ERR(bind(fd, a.get(), a.bytes), error);
    CHECK_ERR(connect(fd, a.get(), a.bytes), error);
    CHECK_ERR(listen(fd, 1), error);
    CHECK_ERR(accept(fd, nullptr, nullptr), error);
    CHECK_ERR(getsockname(fd, a.get(), &bytes), error);
    CHECK_ERR(getpeername(fd, a.get(), &bytes), error);
    CHECK_ERR(send(fd, "x", 1, 0), error);
    CHECK_ERR(recv(fd, &c, 1, 0), error);
    CHECK_ERR(shutdown(fd, 0), error);
    CHECK_ERR(getsockopt(fd, SOL_SOCKET, SO_TYPE, &c, &bytes), error);
    CHECK_ERR(setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &c, 4), error);
  }
  CHECK_ERR(accept4(1000, nullptr, nullptr, 1), EBADF);
  CHECK_ERR(setsockopt(1000, SOL_SOCKET, SO_PASSCRED, &c, -1), EINVAL);
  close(file);
}

#ifdef __i386__
TEST(socketcall_is_the_same_by_another_door) {
  int pair[2];
  long make[4] = {AF_UNIX, SOCK_STREAM, 0, (long)pair};
  CHECK_OK(syscall(SYS_socketcall, 8, make));
  long send_arguments[4] = {pair[0], (long)"text", 4, 0};
  CHECK_EQ(syscall(SYS_socketcall, 9, send_arguments), 4);
  char text[8];
  long receive_arguments[6] = {pair[1], (long)text, 8, 0, 0, 0};
  CHECK_EQ(syscall(SYS_socketcall, 12, receive_arguments), 4);
  CHECK(!memcmp(text, "text", 4));
  long shut[2] = {pair[0], SHUT_WR};
  CHECK_OK(syscall(SYS_socketcall, 13, shut));
  CHECK_EQ(syscall(SYS_recvfrom, pair[1], text, 8, 0, 0, 0), 0);
  CHECK_ERR(syscall(SYS_socketcall, 0, make), EINVAL);
  CHECK_ERR(syscall(SYS_socketcall, 21, make), EINVAL);
  CHECK_ERR(syscall(SYS_socketcall, 8, 16), EFAULT);
  close(pair[0]), close(pair[1]);
}
#endif

TEST(options_keep_their_values) {
  Pair p;
  for (int name : {SO_DEBUG, SO_REUSEADDR, SO_DONTROUTE, SO_BROADCAST, SO_KEEPALIVE, SO_OOBINLINE, SO_PASSCRED}) {
    if (name == SO_DEBUG || name == SO_KEEPALIVE || name == SO_OOBINLINE) continue;  // not all kernels keep them for this family
    CHECK_EQ(option(p.fd[0], name), 0);
    set_option(p.fd[0], name, 7);
    CHECK_EQ(option(p.fd[0], name), 1);
  }
  int least = 4;
  set_option(p.fd[0], SO_SNDBUF, 50000);
  CHECK_EQ(option(p.fd[0], SO_SNDBUF), 100000);
  set_option(p.fd[0], SO_RCVBUF, 30000);
  CHECK_EQ(option(p.fd[0], SO_RCVBUF), 60000);
  linger l = {1, 5}, back = {};
  socklen_t bytes = sizeof back;
  CHECK_OK(setsockopt(p.fd[0], SOL_SOCKET, SO_LINGER, &l, sizeof l));
  CHECK_OK(getsockopt(p.fd[0], SOL_SOCKET, SO_LINGER, &back, &bytes));
  CHECK_EQ(back.l_linger, 5);
  CHECK_ERR(setsockopt(p.fd[0], SOL_SOCKET, SO_TYPE, &least, 4), ENOPROTOOPT);
  CHECK_ERR(setsockopt(p.fd[0], SOL_SOCKET, 5000, &least, 4), ENOPROTOOPT);
  CHECK_ERR(setsockopt(p.fd[0], SOL_SOCKET, SO_PASSCRED, &least, 3), EINVAL);
  CHECK_ERR(setsockopt(p.fd[0], SOL_SOCKET, SO_PASSCRED, (void*)16, 4), EFAULT);
  CHECK_ERR(setsockopt(p.fd[0], 6, 1, &least, 4), EOPNOTSUPP);
  timeval t = {0, 1000000};
  CHECK_ERR(setsockopt(p.fd[0], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t), EDOM);
  char part[2];
  bytes = 2;
  CHECK_OK(getsockopt(p.fd[0], SOL_SOCKET, SO_TYPE, part, &bytes));  // as much as there is room for
  CHECK_EQ(bytes, 2);
  bytes = -1;
  CHECK_ERR(getsockopt(p.fd[0], SOL_SOCKET, SO_TYPE, part, &bytes), EINVAL);
  CHECK_ERR(getsockopt(p.fd[0], SOL_SOCKET, SO_TYPE, part, (socklen_t*)16), EFAULT);
}

static void* volatile g_nowhere = (void*)16;
TEST(bad_memory_loses_nothing_of_a_stream) {
  Pair p;
  char* pages = map_pages(2);
  CHECK_OK(munmap(pages + kPage, kPage));
  memset(pages, 'v', kPage);
  CHECK_ERR(write(p.fd[0], g_nowhere, 10), EFAULT);
  CHECK_EQ(write(p.fd[0], "abcdef", 6), 6);
  CHECK_ERR(read(p.fd[1], g_nowhere, 6), EFAULT);
  char text[8];
  CHECK_EQ(read(p.fd[1], text, 8), 6);
  CHECK(!memcmp(text, "abcdef", 6));
  Pair q(SOCK_SEQPACKET);
  CHECK_ERR(write(q.fd[0], pages + kPage - 4, 8), EFAULT);  // a packet is whole or not at all
  CHECK_ERR(recv(q.fd[1], text, 8, MSG_DONTWAIT), EAGAIN);
}

TEST(descriptors_run_out) {
  Address a = abstract_address("full");
  int server = listener(a), client = connected(a);
  rlimit before, limit;
  CHECK_OK(getrlimit(RLIMIT_NOFILE, &before));
  limit = {rlim_t(client + 1), before.rlim_max};
  CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
  CHECK_ERR(socket(AF_UNIX, SOCK_STREAM, 0), EMFILE);
  CHECK_ERR(accept(server, nullptr, nullptr), EMFILE);
  int pair[2];
  CHECK_ERR(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), EMFILE);
  limit.rlim_cur++;
  CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
  CHECK_ERR(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), EMFILE);
  int fd = CHECK_OK(accept(server, nullptr, nullptr));  // it was not lost
  CHECK_OK(setrlimit(RLIMIT_NOFILE, &before));
  close(fd), close(server), close(client);
}

// ---- races: nobody may hang, and nothing may be left
TEST(connect_accept_and_close_at_the_same_time) {
  Address a = abstract_address("race");
  for (int round = 0; round < scale(40); round++) {
    int server = listener(a, 3);
    pid_t clients[4];
    for (pid_t& pid : clients)
      pid = in_child([&] {
        close(server);
        for (int i = 0; i < 50; i++) {
          int fd = CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0));
          if (connect(fd, a.get(), a.bytes)) _exit(errno == ECONNREFUSED ? 0 : 1);
          send_file(fd, fd, MSG_NOSIGNAL);
          if (i & 1) shutdown(fd, SHUT_RDWR);
          close(fd);
        }
      });
    for (int i = 0; i < 100; i++) {
      int fd = CHECK_OK(accept(server, nullptr, nullptr));
      char c;
      if (i & 1) (void)!read(fd, &c, 1);
      close(fd);
    }
    close(server);
    for (pid_t pid : clients) CHECK_EXIT(pid, 0);
  }
}

static int g_shared[2];
TEST(threads_use_what_another_closes) {
  for (int type : {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET})
    for (int round = 0; round < scale(60); round++) {
      CHECK_OK(socketpair(AF_UNIX, type, 0, g_shared));
      pthread_t threads[3];
      void* (*work[3])(void*) = {[](void*) -> void* {
                                   char block[3000];
                                   while (recv(g_shared[0], block, sizeof block, 0) > 0) continue;
                                   return nullptr;
                                 },
                                 [](void*) -> void* {
                                   char block[3000] = "";
                                   while (send(g_shared[1], block, sizeof block, MSG_NOSIGNAL) > 0) continue;
                                   return nullptr;
                                 },
                                 [](void*) -> void* {
                                   while (send_file(g_shared[1], g_shared[0], MSG_NOSIGNAL | MSG_DONTWAIT) > 0 || errno == EAGAIN) continue;
                                   return nullptr;
                                 }};
      for (int i = 0; i < 3; i++) CHECK_EQ(pthread_create(&threads[i], nullptr, work[i], nullptr), 0);
      spin(round * 1000);
      shutdown(g_shared[0], SHUT_RDWR), shutdown(g_shared[1], SHUT_RDWR);
      close(g_shared[round & 1]);
      for (pthread_t& t : threads) CHECK_EQ(pthread_join(t, nullptr), 0);
      close(g_shared[!(round & 1)]);
    }
}

// ---- every allocation fails once
template <typename Use>
static void without_memory(Use use) {
  if (!on_faultline()) SKIP("no /proc/self/fail-nth");
  use();
  Injection injection;
  Stock before, after;
  before.take();
  for (int nth = 1, failed = 1; failed; nth++) {
    CHECK(nth < kForEver);
    injection.arm(nth, 1);
    use();
    failed = injection.left() == 0;
    injection.disarm();
  }
  after.take_settled(before);
  CHECK(!after.has_lost(before));
}
static bool is_well(long result) {
  if (result >= 0) return true;
  CHECK(errno == ENOMEM || errno == ENOBUFS);
  return false;
}

TEST(pairs_and_messages_without_memory) {
  for (int type : {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET})
    without_memory([type] {
      int pair[2];
      if (!is_well(socketpair(AF_UNIX, type, 0, pair))) return;
      static char block[9000];
      char text[16];
      if (is_well(send(pair[0], block, type == SOCK_STREAM ? 10 : 9000, 0))) CHECK(recv(pair[1], block, sizeof block, 0) > 0);
      if (is_well(send_file(pair[0], pair[1]))) CHECK_EQ(recv(pair[1], text, sizeof text, 0), 1);
      close(pair[0]), close(pair[1]);
    });
}

TEST(connections_without_memory) {
  Address names[] = {path_address("socket"), abstract_address("memory")};
  for (Address& a : names)
    without_memory([&a] {
      int server = socket(AF_UNIX, SOCK_STREAM, 0), client = -1, fd = -1;
      if (!is_well(server)) return;
      if (is_well(bind(server, a.get(), a.bytes)) && is_well(listen(server, 1)) && is_well(client = socket(AF_UNIX, SOCK_STREAM, 0)) &&
          is_well(connect(client, a.get(), a.bytes)) && is_well(fd = accept(server, nullptr, nullptr)))
        CHECK_EQ(write(fd, "x", 0), 0);
      close(fd), close(client), close(server);
      unlink("socket");
    });
}
