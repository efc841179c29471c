// AF_UNIX: names, and the connections that are made through them.
#include "user/tests/socket_support.h"
#include "user/tests/two_sleepers.h"

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

TEST(two_connections_are_for_two_who_wait) {
  for (int type : {SOCK_STREAM, SOCK_SEQPACKET}) {
    Address a = abstract_address("sleepers");
    int server = listener(a, 8, type);
    check_two_sleepers([&] { CHECK_OK(accept(server, nullptr, nullptr)); }, [&] { connected(a, type); });
    close(server);
  }
}
