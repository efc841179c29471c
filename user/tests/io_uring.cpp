// io_uring(7): each operation, what waits and what ends it, links, full queues; who may end while who waits; programs that write nonsense into the
// shared memory. Disks are in io_uring_disk.cpp.
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <algorithm>
#include <atomic>

#include "user/tests/ring_support.h"
#include "user/tests/socket_support.h"

namespace {

const __kernel_timespec kLong = {1000, 0}, kShort = {0, 1'000'000};

}  // namespace

TEST(is_set_up_as_asked_for) {
  io_uring_params p = {};
  CHECK_ERR(ring_setup(0, &p), EINVAL);
  CHECK_ERR(ring_setup(32769, &p), EINVAL);
  CHECK_ERR(ring_setup(8, nullptr), EFAULT);
  for (unsigned flag = 0; flag < 32; flag++) {
    if ((1u << flag) == IORING_SETUP_CQSIZE || (1u << flag) == IORING_SETUP_CLAMP) continue;
    if (!on_faultline() && flag < 24) continue;  // Linux has others
    p = {};
    p.flags = 1u << flag;
    CHECK_ERR(ring_setup(8, &p), EINVAL);
  }
  p = {};
  p.resv[2] = 1;
  CHECK_ERR(ring_setup(8, &p), EINVAL);
  p = {};
  p.flags = IORING_SETUP_CQSIZE;
  p.cq_entries = 4;
  CHECK_ERR(ring_setup(8, &p), EINVAL);
  Ring odd(5);
  CHECK_EQ(odd.params.sq_entries, 8);
  CHECK_EQ(odd.params.cq_entries, 16);
  CHECK_EQ(odd.word(odd.params.sq_off.ring_mask), 7);
  CHECK_EQ(odd.word(odd.params.cq_off.ring_entries), 16);
  CHECK(odd.params.features & IORING_FEAT_SINGLE_MMAP && odd.params.features & IORING_FEAT_NODROP &&
        odd.params.features & IORING_FEAT_EXT_ARG);
  CHECK_EQ(fcntl(odd.fd, F_GETFD), FD_CLOEXEC);
  Ring sized(8, IORING_SETUP_CQSIZE, 100);
  CHECK_EQ(sized.params.cq_entries, 128);
  Ring clamped(100000, IORING_SETUP_CLAMP);
  CHECK_EQ(clamped.params.sq_entries, 32768);
  CHECK_EQ(clamped.params.cq_entries, 65536);
  char byte;
  CHECK_ERR(read(odd.fd, &byte, 1), EINVAL);
  CHECK_ERR(ftruncate(odd.fd, 0), EINVAL);
  CHECK_EQ((long)mmap(nullptr, kPage, PROT_READ, MAP_SHARED, odd.fd, 0x18000000), -1);
  CHECK_EQ(errno, on_faultline() ? EINVAL : errno);  // newer Linux: ENOMEM
  // The queues again, at the place of old.
  char* again = map_pages(1, PROT_READ, MAP_SHARED, odd.fd, IORING_OFF_CQ_RING);
  CHECK_EQ(*(unsigned*)(again + odd.params.cq_off.ring_entries), 16);
}

TEST(calls_refuse_what_they_do_not_know) {
  Ring ring;
  int file = make_file("file");
  CHECK_ERR(ring_enter(-1, 0, 0, 0), EBADF);
  CHECK_ERR(ring_enter(file, 0, 0, 0), EOPNOTSUPP);
  // What concerns a kernel's thread for submissions means nothing to a ring without one.
  for (unsigned flag : {IORING_ENTER_SQ_WAKEUP, IORING_ENTER_SQ_WAIT}) CHECK_EQ(ring_enter(ring.fd, 0, 0, flag), 0);
  for (unsigned flag = on_faultline() ? 4 : 16; flag < 32; flag++) CHECK_ERR(ring_enter(ring.fd, 0, 0, 1u << flag), EINVAL);
  io_uring_getevents_arg argument = {};
  const unsigned kBoth = IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG;
  CHECK_ERR(ring_enter(ring.fd, 0, 1, kBoth, &argument, 8), EINVAL);
  CHECK_ERR(ring_enter(ring.fd, 0, 1, kBoth, (void*)8, sizeof argument), EFAULT);
  argument.pad = 1;  // newer Linux: the shortest time to wait
  if (on_faultline()) CHECK_ERR(ring_enter(ring.fd, 0, 1, kBoth, &argument, sizeof argument), EINVAL);
  CHECK_ERR(ring_register(999, IORING_REGISTER_PROBE, nullptr, 0), EBADF);
  CHECK_ERR(ring_register(file, IORING_REGISTER_PROBE, nullptr, 0), EOPNOTSUPP);
  for (int what = on_faultline() ? 0 : 1000; what < 1040; what++)
    if (what != IORING_REGISTER_EVENTFD && what != IORING_UNREGISTER_EVENTFD && what != IORING_REGISTER_PROBE)
      CHECK_ERR(ring_register(ring.fd, what, nullptr, 0), EINVAL);
  CHECK_EQ(ring_enter(ring.fd, 5, 0, 0), 0);  // there are none
}

TEST(says_which_operations_there_are) {
  Ring ring;
  char memory[sizeof(io_uring_probe) + 256 * sizeof(io_uring_probe_op)] = {};
  auto* probe = (io_uring_probe*)memory;
  CHECK_EQ(ring_register(ring.fd, IORING_REGISTER_PROBE, probe, 256), 0);
  CHECK_ERR(ring_register(ring.fd, IORING_REGISTER_PROBE, probe, 257), EINVAL);
  const int known[] = {IORING_OP_NOP,     IORING_OP_READV,  IORING_OP_WRITEV,  IORING_OP_FSYNC,        IORING_OP_POLL_ADD,
                       IORING_OP_TIMEOUT, IORING_OP_ACCEPT, IORING_OP_CONNECT, IORING_OP_ASYNC_CANCEL, IORING_OP_CLOSE,
                       IORING_OP_READ,    IORING_OP_WRITE,  IORING_OP_SEND,    IORING_OP_RECV};
  for (int operation = 0; operation < 256; operation++) {
    bool is_known = false;
    for (int each : known) is_known |= each == operation;
    bool is_announced = operation < probe->ops_len && probe->ops[operation].flags & IO_URING_OP_SUPPORTED;
    CHECK(is_announced || !is_known);
    if (on_faultline()) CHECK_EQ(is_announced, is_known);
    if (!is_announced) CHECK_EQ(ring.run(operation), -EINVAL);
  }
}

TEST(nothing_is_done_in_order) {
  Ring ring(4);
  for (uint64_t i = 0; i < 1000; i++) {
    ring.add(IORING_OP_NOP, -1, nullptr, 0, 0, i << 40);
    CHECK_EQ(ring.submit(), 1);
    CHECK_EQ(ring.result(i << 40), 0);
  }
  for (uint64_t i = 0; i < 4; i++) ring.add(IORING_OP_NOP, -1, nullptr, 0, 0, i);
  CHECK_EQ(ring.submit(4), 4);
  CHECK_EQ(ring.ready(), 4);
  for (uint64_t i = 0; i < 4; i++) CHECK_EQ(ring.result(i), 0);
}

TEST(a_refused_entry_stops_the_rest_for_now) {
  Ring ring;
  ring.add(IORING_OP_NOP, -1, nullptr, 0, 0, 0);
  ring.add(200, -1, nullptr, 0, 0, 1);
  ring.add(IORING_OP_NOP, -1, nullptr, 0, 0, 2);
  CHECK_EQ(ring.submit(), 2);
  CHECK_EQ(ring.ready(), 2);
  CHECK_EQ(ring.result(0), 0);
  CHECK_EQ(ring.result(1), -EINVAL);
  CHECK_EQ(ring.submit(), 1);
  CHECK_EQ(ring.result(2), 0);
  // Nor is anything waited for then.
  ring.add(200, -1, nullptr, 0, 0, 1);
  ring.add(IORING_OP_NOP, -1, nullptr, 0, 0, 2);
  CHECK_EQ(ring.submit(2), 1);
  CHECK_EQ(ring.result(1), -EINVAL);
  CHECK_EQ(ring.submit(1), 1);
  CHECK_EQ(ring.result(2), 0);
  auto flagged = [&](int operation, uint8_t flag) {
    ring.add(operation).flags = flag;
    CHECK_EQ(ring.submit(), 1);
    return ring.result(0);
  };
  CHECK_EQ(flagged(IORING_OP_NOP, IOSQE_FIXED_FILE), 0);  // it has none
  for (int operation : {IORING_OP_READ, IORING_OP_ACCEPT, IORING_OP_CLOSE}) CHECK_EQ(flagged(operation, IOSQE_FIXED_FILE), -EBADF);
  if (on_faultline())
    for (uint8_t flag : {IOSQE_IO_DRAIN, IOSQE_BUFFER_SELECT, IOSQE_CQE_SKIP_SUCCESS}) CHECK_EQ(flagged(IORING_OP_NOP, flag), -EINVAL);
  CHECK_EQ(flagged(IORING_OP_NOP, 1 << 7), -EINVAL);
  // An index that is none is dropped and counted.
  ring.word(ring.params.sq_off.array + (ring.tail & 7) * 4) = 8;
  ring.add(IORING_OP_NOP);
  CHECK_EQ(ring.submit(), 0);
  CHECK_EQ(ring.word(ring.params.sq_off.dropped), 1);
}

TEST(files_are_read_and_written) {
  Ring ring;
  char text[] = "the quick brown fox", back[64] = {}, other[8] = {};
  int file = make_file("file");
  CHECK_EQ(ring.run(IORING_OP_WRITE, file, text, 19, 0), 19);
  CHECK_EQ(ring.run(IORING_OP_FSYNC, file), 0);
  CHECK_EQ(ring.run(IORING_OP_FSYNC, file, nullptr, 0, 0, IORING_FSYNC_DATASYNC), 0);
  CHECK_EQ(ring.run(IORING_OP_FSYNC, file, nullptr, 0, 0, 2), -EINVAL);
  CHECK_EQ(ring.run(IORING_OP_READ, file, back, 64, 4), 15);  // to the end
  CHECK_EQ(memcmp(back, text + 4, 15), 0);
  CHECK_EQ(ring.run(IORING_OP_READ, file, back, 64, 19), 0);
  // Its own position.
  CHECK_EQ(ring.run(IORING_OP_READ, file, back, 3, ~0ull), 3);
  CHECK_EQ(ring.run(IORING_OP_READ, file, back, 3, ~0ull), 3);
  CHECK_EQ(memcmp(back, " qu", 3), 0);
  CHECK_EQ(lseek(file, 0, SEEK_CUR), 6);
  iovec pieces[] = {{back, 4}, {other, 5}};
  CHECK_EQ(ring.run(IORING_OP_READV, file, pieces, 2, 4), 9);
  CHECK(!memcmp(back, "quic", 4) && !memcmp(other, "k bro", 5));
  CHECK_EQ(ring.run(IORING_OP_WRITEV, file, pieces, 2, 10), 9);
  CHECK_EQ(pread(file, back, 64, 0), 19);
  CHECK_EQ(memcmp(back, "the quick quick bro", 19), 0);
  // What is wrong is a result.
  int only = CHECK_OK(open("file", O_RDONLY)), place = CHECK_OK(open("file", O_PATH)), directory = CHECK_OK(open(".", O_RDONLY));
  CHECK_EQ(ring.run(IORING_OP_READ, -1, back, 1), -EBADF);
  CHECK_EQ(ring.run(IORING_OP_READ, place, back, 1), -EBADF);
  CHECK_EQ(ring.run(IORING_OP_WRITE, only, back, 1), -EBADF);
  CHECK_EQ(ring.run(IORING_OP_READ, directory, back, 1), -EISDIR);
  CHECK_EQ(ring.run(IORING_OP_READ, file, (void*)16, 8), -EFAULT);
  CHECK_EQ(ring.run(IORING_OP_WRITE, file, (void*)16, 8), -EFAULT);
  CHECK_EQ(ring.run(IORING_OP_READV, file, (void*)16, 1), -EFAULT);
  CHECK_EQ(ring.run(IORING_OP_READV, file, pieces, 1025), -EINVAL);
  CHECK_EQ(ring.run(IORING_OP_READ, file, back, 1, 0, 1 << 20), -EOPNOTSUPP);
  CHECK_EQ(ring.run(IORING_OP_READ, file, back, 1, 1ull << 63), -EINVAL);
  if (on_faultline()) CHECK_EQ(ring.run(IORING_OP_READ, ring.fd, back, 1), -EINVAL);  // Linux first waits until it is ready
  int null = CHECK_OK(open("/dev/null", O_RDWR)), zero = CHECK_OK(open("/dev/zero", O_RDONLY));
  CHECK_EQ(ring.run(IORING_OP_WRITE, null, back, 64), 64);
  CHECK_EQ(ring.run(IORING_OP_READ, null, back, 64), 0);
  CHECK_EQ(ring.run(IORING_OP_READ, zero, back, 64), 64);
}

TEST(what_is_not_ready_waits) {
  Ring ring;
  Pipe pipe, polled;
  char text[8] = {};
  ring.add(IORING_OP_READ, pipe.in, text, 8, 0, 1);
  ring.add(IORING_OP_POLL_ADD, polled.in, nullptr, 0, 0, 2).poll32_events = POLLIN;
  CHECK_EQ(ring.submit(), 2);
  CHECK_EQ(ring.ready(), 0);
  // Nobody waits for completions: a worker does it.
  CHECK_EQ(write(pipe.out, "abc", 3), 3);
  CHECK_EQ(write(polled.out, "abc", 3), 3);
  while (ring.ready() != 2) pause_a_little();
  int result[3];
  ring.results(result, 2);
  CHECK_EQ(result[1], 3);
  CHECK(!memcmp(text, "abc", 3));
  CHECK_EQ(result[2], POLLIN);
  // We do.
  ring.add(IORING_OP_READ, pipe.in, text, 8, 0, 3);
  CHECK_EQ(ring.submit(), 1);
  pid_t child = in_child([&] { CHECK_EQ(write(pipe.out, "defg", 4), 4); });
  CHECK_EQ(ring.result(3), 4);
  CHECK_EXIT(child, 0);
  // Room, and the end of the other side.
  CHECK_OK(fcntl(pipe.out, F_SETPIPE_SZ, kPage));
  static char full[kPage];
  CHECK_EQ(ring.run(IORING_OP_WRITE, pipe.out, full, kPage), kPage);
  ring.add(IORING_OP_WRITE, pipe.out, full, 100, 0, 4);
  CHECK_EQ(ring.submit(), 1);
  CHECK_EQ(ring.ready(), 0);
  CHECK_EQ(read(pipe.in, full, kPage), kPage);
  CHECK_EQ(ring.result(4), 100);
  CHECK_EQ(read(pipe.in, full, kPage), 100);
  ring.add(IORING_OP_READ, pipe.in, text, 8, 0, 5);
  CHECK_EQ(ring.submit(), 1);
  close(pipe.out);
  CHECK_EQ(ring.result(5), 0);
  // What is not to block waits as well: nobody is blocked.
  Pipe other;
  CHECK_OK(fcntl(other.in, F_SETFL, O_NONBLOCK));
  ring.add(IORING_OP_READ, other.in, text, 8, 0, 6);
  CHECK_EQ(ring.submit(), 1);
  CHECK_EQ(ring.ready(), 0);
  CHECK_EQ(write(other.out, "xy", 2), 2);
  CHECK_EQ(ring.result(6), 2);
  CHECK_EQ(ring.run(IORING_OP_POLL_ADD, other.out, nullptr, 0, 0, POLLOUT), POLLOUT);
  if (on_faultline()) CHECK_EQ(ring.run(IORING_OP_POLL_ADD, other.out, nullptr, 1, 0, POLLOUT), -EINVAL);  // again and again
  int counter = CHECK_OK(eventfd(0, 0));
  uint64_t times = 0, more = 3;
  ring.add(IORING_OP_READ, counter, &times, 8, 0, 6);
  CHECK_EQ(ring.submit(), 1);
  CHECK_EQ(write(counter, &more, 8), 8);
  CHECK_EQ(ring.result(6), 8);
  CHECK_EQ(times, 3);
}

TEST(sockets) {
  Ring ring;
  Address at = abstract_address("ring");
  int server = listener(at), client = CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0));
  sockaddr_un from;
  socklen_t bytes = sizeof from;
  ring.add(IORING_OP_ACCEPT, server, &from, 0, uintptr_t(&bytes), 1).accept_flags = SOCK_CLOEXEC | SOCK_NONBLOCK;
  CHECK_EQ(ring.submit(), 1);
  CHECK_EQ(ring.ready(), 0);
  CHECK_EQ(ring.run(IORING_OP_CONNECT, server, at.get(), 0, at.bytes), -EINVAL);
  ring.add(IORING_OP_CONNECT, client, at.get(), 0, at.bytes, 2);
  CHECK_EQ(ring.submit(), 1);
  int result[3];
  ring.results(result, 2);
  CHECK_EQ(result[2], 0);
  int accepted = result[1];
  CHECK(accepted > 2);
  CHECK_EQ(fcntl(accepted, F_GETFD), FD_CLOEXEC);
  CHECK(fcntl(accepted, F_GETFL) & O_NONBLOCK);
  CHECK_EQ(bytes, sizeof(sa_family_t));
  char text[64] = {};
  ring.add(IORING_OP_RECV, accepted, text, 10, 0, 1);
  CHECK_EQ(ring.submit(), 1);
  ring.add(IORING_OP_SEND, client, "hello", 5, 0, 2);
  CHECK_EQ(ring.submit(), 1);
  ring.results(result, 2);
  CHECK(result[1] == 5 && result[2] == 5);
  CHECK_EQ(ring.run(IORING_OP_RECV, accepted, text, 10, 0, MSG_DONTWAIT), -EAGAIN);
  // All of it.
  ring.add(IORING_OP_RECV, accepted, text, 10, 0, 4).msg_flags = MSG_WAITALL;
  CHECK_EQ(ring.submit(), 1);
  CHECK_EQ(send(client, "0123", 4, 0), 4);
  CHECK_EQ(ring.run(IORING_OP_SEND, client, "456", 3), 3);
  CHECK_EQ(send(client, "789abc", 6, 0), 6);
  CHECK_EQ(ring.result(4), 10);
  CHECK(!memcmp(text, "0123456789", 10));
  CHECK_EQ(ring.run(IORING_OP_RECV, accepted, text, 10), 3);
  ring.add(IORING_OP_RECV, accepted, text, 10, 0, 5).msg_flags = MSG_WAITALL;
  CHECK_EQ(ring.submit(), 1);
  CHECK_EQ(send(client, "zy", 2, 0), 2);
  int same = dup(client);
  CHECK_EQ(ring.run(IORING_OP_CLOSE, same), 0);
  CHECK_EQ(ring.run(IORING_OP_CLOSE, same), -EBADF);
  close(client);
  CHECK_EQ(ring.result(5), 2);
  CHECK_EQ(ring.run(IORING_OP_RECV, accepted, text, 10), 0);
  CHECK_EQ(ring.run(IORING_OP_SEND, accepted, text, 10), -EPIPE);  // and no signal
  CHECK_EQ(ring.run(IORING_OP_CLOSE, ring.fd), -EBADF);
  CHECK_EQ(ring.run(IORING_OP_ACCEPT, accepted, nullptr), -EINVAL);
  CHECK_EQ(ring.run(IORING_OP_ACCEPT, server, nullptr, 0, 0, 1 << 20), -EINVAL);
  Pipe pipe;
  for (int operation : {IORING_OP_RECV, IORING_OP_SEND, IORING_OP_ACCEPT, IORING_OP_CONNECT})
    CHECK_EQ(ring.run(operation, pipe.in), -ENOTSOCK);
  int nobody = CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0));
  Address nowhere = abstract_address("nowhere");
  CHECK_EQ(ring.run(IORING_OP_CONNECT, nobody, nowhere.get(), 0, nowhere.bytes), -ECONNREFUSED);
  CHECK_EQ(ring.run(IORING_OP_CONNECT, nobody, (void*)16, 0, 20), -EFAULT);
}

// One piece of news for both.
TEST(the_end_comes_right_behind_the_last_bytes) {
  Ring ring;
  for (int i = 0; i < 50; i++) {
    Pair pair;
    char text[10];
    ring.add(IORING_OP_RECV, pair.fd[0], text, 10, 0, 1).msg_flags = MSG_WAITALL;
    CHECK_EQ(ring.submit(), 1);
    CHECK_EQ(send(pair.fd[1], "zy", 2, 0), 2);
    pair.close_one(1);
    CHECK_EQ(ring.result(1), 2);
  }
}

TEST(time_passes) {
  Ring ring;
  CHECK_EQ(ring.run(IORING_OP_TIMEOUT, -1, &kShort, 1), -ETIME);
  CHECK_EQ(ring.run(IORING_OP_TIMEOUT, -1, &kShort, 0), -EINVAL);
  CHECK_EQ(ring.run(IORING_OP_TIMEOUT, -1, &kShort, 1, 0, 1 << 10), -EINVAL);
  CHECK_EQ(ring.run(IORING_OP_TIMEOUT, -1, (void*)16, 1), -EFAULT);
  const __kernel_timespec nonsense = {0, -1};
  CHECK_EQ(ring.run(IORING_OP_TIMEOUT, -1, &nonsense, 1), -EINVAL);
  for (unsigned clock : {0u, unsigned(IORING_TIMEOUT_REALTIME), unsigned(IORING_TIMEOUT_BOOTTIME)}) {
    timespec now;
    clock_gettime(clock == IORING_TIMEOUT_REALTIME ? CLOCK_REALTIME : CLOCK_MONOTONIC, &now);
    const __kernel_timespec soon = {now.tv_sec, now.tv_nsec};  // it is past
    CHECK_EQ(ring.run(IORING_OP_TIMEOUT, -1, &soon, 1, 0, IORING_TIMEOUT_ABS | clock), -ETIME);
  }
  // After so many completions.
  ring.add(IORING_OP_TIMEOUT, -1, &kLong, 1, 2, 1);
  ring.add(IORING_OP_NOP, -1, nullptr, 0, 0, 2);
  CHECK_EQ(ring.submit(), 2);
  CHECK_EQ(ring.result(2), 0);
  CHECK_EQ(ring.ready(), 0);
  ring.add(IORING_OP_NOP, -1, nullptr, 0, 0, 3);
  CHECK_EQ(ring.submit(), 1);
  CHECK_EQ(ring.result(3), 0);
  CHECK_EQ(ring.result(1), 0);
  // A time-out ends a wait for more than there is; so does the time that the wait itself is given, and a signal.
  ring.add(IORING_OP_TIMEOUT, -1, &kShort, 1, 0, 4);
  CHECK_EQ(ring.submit(5), 1);
  CHECK_EQ(ring.result(4), -ETIME);
  io_uring_getevents_arg argument = {};
  argument.ts = uintptr_t(&kShort);
  const unsigned kBoth = IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG;
  CHECK_ERR(ring_enter(ring.fd, 0, 1, kBoth, &argument, sizeof argument), ETIME);
  ring.add(IORING_OP_NOP);
  CHECK_EQ(ring.submit(), 1);
  CHECK_EQ(ring_enter(ring.fd, 0, 2, kBoth, &argument, sizeof argument), 0);  // one has come
  CHECK_EQ(ring.result(0), 0);
  signal(SIGALRM, [](int) {});
  sigset_t none = {}, alarms;
  sigemptyset(&alarms);
  sigaddset(&alarms, SIGALRM);
  CHECK_OK(sigprocmask(SIG_BLOCK, &alarms, nullptr));
  argument = {};
  argument.sigmask = uintptr_t(&none);
  argument.sigmask_sz = 8;
  CHECK_OK(kill(getpid(), SIGALRM));
  CHECK_ERR(ring_enter(ring.fd, 0, 1, kBoth, &argument, sizeof argument), EINTR);
  CHECK_OK(kill(getpid(), SIGALRM));
  CHECK_ERR(ring_enter(ring.fd, 0, 1, IORING_ENTER_GETEVENTS, &none, 8), EINTR);
  CHECK_ERR(ring_enter(ring.fd, 0, 1, IORING_ENTER_GETEVENTS, &none, 7), EINVAL);
}

TEST(what_waits_is_cancelled) {
  Ring ring(16);
  Pipe pipe;
  int server = listener(abstract_address("cancel"));
  char byte;
  ring.add(IORING_OP_READ, pipe.in, &byte, 1, 0, 0);
  ring.add(IORING_OP_POLL_ADD, pipe.in, nullptr, 0, 0, 1).poll32_events = POLLIN;
  ring.add(IORING_OP_ACCEPT, server, nullptr, 0, 0, 2);
  ring.add(IORING_OP_TIMEOUT, -1, &kLong, 1, 0, 3);
  ring.add(IORING_OP_READ, pipe.in, &byte, 1, 0, 4).flags = IOSQE_IO_LINK;
  ring.add(IORING_OP_NOP, -1, nullptr, 0, 0, 5);
  CHECK_EQ(ring.submit(), 6);
  CHECK_EQ(ring.ready(), 0);
  for (uint64_t i = 0; i < 5; i++) {
    ring.add(IORING_OP_ASYNC_CANCEL, -1, (void*)uintptr_t(i), 0, 0, 10 + i);
    CHECK_EQ(ring.submit(), 1);
    int result[16];
    for (int& each : result) each = 1;
    ring.results(result, i == 4 ? 3 : 2);
    CHECK_EQ(result[i], -ECANCELED);
    CHECK_EQ(result[10 + i], 0);
    if (i == 4) CHECK_EQ(result[5], -ECANCELED);
    CHECK_EQ(ring.run(IORING_OP_ASYNC_CANCEL, -1, (void*)uintptr_t(i)), -ENOENT);
  }
  CHECK_EQ(ring.run(IORING_OP_ASYNC_CANCEL, -1, nullptr, 0, 0, 1 << 20), -EINVAL);
  CHECK_EQ(write(pipe.out, "x", 1), 1);
  CHECK_EQ(read(pipe.in, &byte, 1), 1);  // nobody took it
}

TEST(links_follow_each_other) {
  Ring ring;
  Pipe pipe;
  char text[8];
  int file = make_file("file", "0123456789", 10), result[4];
  auto link = [&](int operation, int fd, void* address, unsigned length, uint64_t data, int flag = IOSQE_IO_LINK) {
    ring.add(operation, fd, address, length, 0, data).flags = uint8_t(flag);
  };
  // From the pipe to the file, when something comes.
  link(IORING_OP_READ, pipe.in, text, 4, 0);
  link(IORING_OP_WRITE, file, text, 4, 1);
  link(IORING_OP_FSYNC, file, nullptr, 0, 2, 0);
  CHECK_EQ(ring.submit(), 3);
  CHECK_EQ(ring.ready(), 0);
  CHECK_EQ(write(pipe.out, "wxyz", 4), 4);
  CHECK_EQ(ring.result(0), 4);
  CHECK_EQ(ring.result(1), 4);
  CHECK_EQ(ring.result(2), 0);
  CHECK_EQ(pread(file, text, 4, 0), 4);
  CHECK(!memcmp(text, "wxyz", 4));
  // What fails, or moves less, takes the rest along, unless the link is a hard one.
  link(IORING_OP_READ, file, text, 8, 0);
  link(IORING_OP_READ, file, text, 4, 1);
  ring.entries_[(ring.tail - 1) & (ring.params.sq_entries - 1)].ioprio = 77;
  link(IORING_OP_NOP, -1, nullptr, 0, 2, 0);
  CHECK_EQ(ring.submit(), 3);
  ring.results(result, 3);  // refused: nothing was begun
  CHECK(result[0] == -ECANCELED && result[1] == -EINVAL && result[2] == -ECANCELED);
  // A file that is not there refuses the chain as well, unless it is looked for when its turn comes.
  link(IORING_OP_READ, file, text, 8, 0);
  link(IORING_OP_READ, -1, text, 4, 1);
  link(IORING_OP_NOP, -1, nullptr, 0, 2, 0);
  CHECK_EQ(ring.submit(), 3);
  ring.results(result, 3);
  CHECK_EQ(result[0], ring.params.features & IORING_FEAT_LINKED_FILE ? 8 : -ECANCELED);
  CHECK(result[1] == -EBADF && result[2] == -ECANCELED);
  for (int flag : {IOSQE_IO_LINK, IOSQE_IO_HARDLINK}) {
    ring.add(IORING_OP_READ, file, text, 8, 6, 0).flags = uint8_t(flag);
    link(IORING_OP_NOP, -1, nullptr, 0, 1, 0);
    CHECK_EQ(ring.submit(), 2);
    ring.results(result, 2);
    CHECK_EQ(result[0], 4);
    CHECK_EQ(result[1], flag == IOSQE_IO_LINK ? -ECANCELED : 0);
  }
  // The last of a batch ends the chain; what comes later is on its own.
  link(IORING_OP_TIMEOUT, -1, (void*)&kShort, 1, 0);
  CHECK_EQ(ring.submit(), 1);
  link(IORING_OP_NOP, -1, nullptr, 0, 1, 0);
  CHECK_EQ(ring.submit(), 1);
  ring.results(result, 2);
  CHECK(result[0] == -ETIME && result[1] == 0);
}

TEST(completions_without_room_wait_in_order) {
  Ring ring(4, IORING_SETUP_CQSIZE, 4);
  for (uint64_t i = 0; i < 40; i++) {
    ring.add(IORING_OP_NOP, -1, nullptr, 0, 0, i);
    CHECK_EQ(ring.submit(), 1);
  }
  CHECK_EQ(ring.ready(), 4);
  CHECK(ring.word(ring.params.sq_off.flags) & IORING_SQ_CQ_OVERFLOW);
  for (uint64_t i = 0; i < 40; i++) CHECK_EQ(ring.result(i), 0);
  CHECK_EQ(ring_enter(ring.fd, 0, 0, IORING_ENTER_GETEVENTS), 0);
  CHECK_EQ(ring.word(ring.params.sq_off.flags), 0);
  CHECK_EQ(ring.word(ring.params.cq_off.overflow), 0);
  for (int i = 0; i < 40; i++) {
    ring.add(IORING_OP_NOP);
    CHECK_EQ(ring.submit(), 1);
  }
  // Some of them end with the ring.
}

TEST(who_watches_a_ring_is_told) {
  Ring ring, other;
  pollfd p = {ring.fd, POLLIN | POLLOUT, 0};
  CHECK_EQ(poll(&p, 1, 0), 1);
  CHECK_EQ(p.revents, POLLOUT);
  int epoll = CHECK_OK(epoll_create1(0)), counter = CHECK_OK(eventfd(0, EFD_NONBLOCK));
  epoll_event event = {EPOLLIN, {}};
  CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, ring.fd, &event));
  CHECK_EQ(epoll_wait(epoll, &event, 1, 0), 0);
  CHECK_ERR(ring_register(ring.fd, IORING_UNREGISTER_EVENTFD, nullptr, 0), ENXIO);
  CHECK_ERR(ring_register(ring.fd, IORING_REGISTER_EVENTFD, &ring.fd, 1), EINVAL);
  CHECK_EQ(ring_register(ring.fd, IORING_REGISTER_EVENTFD, &counter, 1), 0);
  CHECK_ERR(ring_register(ring.fd, IORING_REGISTER_EVENTFD, &counter, 1), EBUSY);
  other.add(IORING_OP_POLL_ADD, ring.fd, nullptr, 0, 0, 1).poll32_events = POLLIN;
  CHECK_EQ(other.submit(), 1);
  ring.add(IORING_OP_TIMEOUT, -1, &kShort, 1);
  CHECK_EQ(ring.submit(), 1);
  int ready;
  while ((ready = epoll_wait(epoll, &event, 1, -1)) < 0) CHECK_EQ(errno, EINTR);  // Linux, by its own work for the ring
  CHECK_EQ(ready, 1);
  CHECK_EQ(other.result(1), POLLIN);
  uint64_t times;
  CHECK_EQ(read(counter, &times, 8), 8);
  CHECK_EQ(times, 1);
  CHECK_EQ(ring_register(ring.fd, IORING_UNREGISTER_EVENTFD, nullptr, 0), 0);
  CHECK_EQ(ring.result(0), -ETIME);
  CHECK_EQ(ring.run(IORING_OP_NOP), 0);
  CHECK_ERR(read(counter, &times, 8), EAGAIN);
  // Each other, and themselves: until the process ends.
  ring.add(IORING_OP_POLL_ADD, other.fd, nullptr, 0, 0, 2).poll32_events = POLLIN;
  ring.add(IORING_OP_POLL_ADD, epoll, nullptr, 0, 0, 3).poll32_events = POLLIN;
  ring.add(IORING_OP_POLL_ADD, ring.fd, nullptr, 0, 0, 4).poll32_events = POLLIN;
  CHECK_EQ(ring.submit(), 3);
  other.add(IORING_OP_POLL_ADD, ring.fd, nullptr, 0, 0, 1).poll32_events = POLLIN;
  CHECK_EQ(other.submit(), 1);
  CHECK_EQ(ring.ready(), 0);
}

TEST(a_ring_is_not_sent) {
  Ring ring;
  Pair pair;
  char control[CMSG_SPACE(sizeof(int))] = {}, byte = 0;
  iovec piece = {&byte, 1};
  msghdr message = {};
  message.msg_iov = &piece, message.msg_iovlen = 1, message.msg_control = control, message.msg_controllen = sizeof control;
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET, header->cmsg_type = SCM_RIGHTS, header->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(header), &ring.fd, sizeof(int));
  CHECK_ERR(sendmsg(pair.fd[0], &message, 0), EINVAL);
}

namespace {

// A ring in which something waits for each kind of news.
void leave_waiting(Ring& ring, Pipe& pipe) {
  static char byte;
  static int server = listener(abstract_address("waiting"));
  ring.add(IORING_OP_READ, pipe.in, &byte, 1);
  ring.add(IORING_OP_POLL_ADD, pipe.in).poll32_events = POLLIN;
  ring.add(IORING_OP_ACCEPT, server);
  ring.add(IORING_OP_TIMEOUT, -1, &kLong, 1, 5);
  ring.add(IORING_OP_READ, pipe.in, &byte, 1).flags = IOSQE_IO_LINK;
  ring.add(IORING_OP_NOP);
  CHECK_EQ(ring.submit(), 6);
  CHECK_EQ(ring.ready(), 0);
}

}  // namespace

HELPER(nothing) { _exit(g_argc); }

TEST(whoever_ends_takes_along_what_waits) {
  {  // its file: what waited lets its own files go
    Ring ring;
    Pipe pipe;
    leave_waiting(ring, pipe);
    ring.end();
    close(pipe.in);
    signal(SIGPIPE, SIG_IGN);
    while (write(pipe.out, "x", 1) == 1) pause_a_little();
    CHECK_EQ(errno, EPIPE);
  }
  {  // the file that it waits for is only closed: the request holds it
    Ring ring;
    int fd[2];
    char byte;
    CHECK_OK(pipe(fd));
    ring.add(IORING_OP_READ, fd[0], &byte, 1, 0, 1);
    CHECK_EQ(ring.submit(), 1);
    close(fd[0]);
    CHECK_EQ(write(fd[1], "x", 1), 1);
    CHECK_EQ(ring.result(1), 1);
    close(fd[1]);
  }
  // The process: by itself, by a signal, by another program.
  for (int how = 0; how < 3; how++) {
    pid_t child = in_child([how] {
      Ring ring;
      Pipe pipe;
      leave_waiting(ring, pipe);
      if (how == 1) raise(SIGKILL);
      if (how == 2) {
        CHECK_OK(fcntl(ring.fd, F_SETFD, 0));
        execl(g_program, g_program, "@nothing", (char*)nullptr);
      }
      _exit(0);
    });
    if (how == 1)
      CHECK_SIGNAL(child, SIGKILL);
    else
      wait_for(child);
  }
}

// The child has the ring as well: its requests are its own, in its memory, and end with it.
TEST(forked_processes_share_a_ring) {
  Ring ring;
  Pipe pipe;
  static char text[8];
  ring.add(IORING_OP_READ, pipe.in, text, 8, 0, 1);
  CHECK_EQ(ring.submit(), 1);
  pid_t child = in_child([&] {
    Pipe& own = *new Pipe;  // open to the end: a closed pipe would be an answer
    ring.add(IORING_OP_READ, own.in, text, 8, 0, 2);
    CHECK_EQ(ring.submit(), 1);
    CHECK_EQ(write(own.out, "chil", 4), 4);
    CHECK_EQ(ring.result(2), 4);
    ring.add(IORING_OP_READ, own.in, text + 4, 4, 0, 3);
    CHECK_EQ(ring.submit(), 1);
    CHECK(!memcmp(text, "chil", 4));
    CHECK_EQ(write(pipe.out, "parent", 6), 6);  // whose request a worker does, in the parent's memory
    while (ring.ready() == 0) pause_a_little();
    CHECK(!memcmp(text, "chil\0", 5));
  });
  CHECK_EXIT(child, 0);
  int result[4];
  ring.results(result, 2);
  CHECK_EQ(result[1], 6);
  CHECK_EQ(result[3], -ECANCELED);
  CHECK(!memcmp(text, "parent", 6));
}

namespace {

std::atomic<bool> g_stop;

void* write_nonsense(void* argument) {
  Ring& ring = *(Ring*)argument;
  unsigned state = 1;
  const unsigned queue_words = (ring.params.sq_off.array + ring.params.sq_entries * 4) / 4;
  const unsigned entry_words = ring.params.sq_entries * sizeof(io_uring_sqe) / 4;
  while (!g_stop) {
    state = state * 1664525 + 1013904223;
    unsigned value = state >> 4, place = state >> 8;
    if (state >> 31)
      ((volatile unsigned*)ring.queues)[place % queue_words] = state & 64 ? value : value % 16;
    else
      ((volatile unsigned*)ring.entries_)[place % entry_words] = state & 64 ? value : value % 30;
  }
  return nullptr;
}

}  // namespace

// Whatever is in the memory of the ring: calls return, and all comes back. In a child whose descriptors are worth little, since anything may be closed.
TEST(nonsense_in_the_shared_memory) {
  pid_t child = in_child([] {
    Ring ring(16);
    Pipe pipe;
    int file = make_file("file", "abc", 3);
    for (int i = 10; i < 30; i++) CHECK_OK(dup2(i % 3 == 0 ? pipe.in : i % 3 == 1 ? file : pipe.out, i));
    Pair pair;
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, nullptr, write_nonsense, &ring), 0);
    io_uring_getevents_arg argument = {};
    argument.ts = uintptr_t(&kShort);
    const unsigned kBoth = IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG;
    for (int i = 0, turns = scale(2000); i < turns; i++) {
      const int fd = dup(ring.fd);
      if (fd < 0 && ring_enter(ring.fd, 0, 0, 0) < 0) break;
      ring_enter(ring.fd, 16, i % 4, kBoth, &argument, sizeof argument);
      close(fd);
    }
    g_stop = true;
    pthread_join(thread, nullptr);
    _exit(0);
  });
  wait_for(child);
  Ring ring;
  CHECK_EQ(ring.run(IORING_OP_NOP), 0);
}

// The first such socket starts the network, which stays: not a test's memory.
static const int kWarm = close(socket(AF_INET, SOCK_STREAM, 0));

// What a send took and found no room for, it sends when it goes on.
TEST(a_connection_that_is_full_loses_nothing) {
  constexpr int kBytes = 1 << 20, kPart = 100'000;
  Ring ring;
  sockaddr_in at = {};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof at;
  int server = CHECK_OK(socket(AF_INET, SOCK_STREAM, 0)), from = CHECK_OK(socket(AF_INET, SOCK_STREAM, 0));
  CHECK_OK(bind(server, (sockaddr*)&at, sizeof at));
  CHECK_OK(listen(server, 1));
  CHECK_OK(getsockname(server, (sockaddr*)&at, &length));
  CHECK_OK(connect(from, (sockaddr*)&at, sizeof at));
  int to = CHECK_OK(accept(server, nullptr, nullptr));
  char* sent = map_pages(2 * kBytes / 4096, PROT_READ | PROT_WRITE);
  char* received = sent + kBytes;
  for (int i = 0; i < kBytes; i++) sent[i] = char(i % 251);
  for (int sent_bytes = 0, received_bytes = 0, waits = 0; received_bytes < kBytes;) {
    if (!waits && sent_bytes < kBytes) {
      ring.add(IORING_OP_SEND, from, sent + sent_bytes, std::min(kPart, kBytes - sent_bytes), 0, 1);
      CHECK_EQ(ring.submit(), waits = 1);
    }
    if (ring.ready()) {
      sent_bytes += CHECK_OK(ring.result(1));
      waits = 0;
    } else {
      received_bytes += CHECK_OK(read(to, received + received_bytes, std::min(5000, kBytes - received_bytes)));
    }
  }
  CHECK(!memcmp(sent, received, kBytes));
  CHECK_OK(munmap(sent, 2 * kBytes));
  for (int fd : {server, from, to}) close(fd);
}

// The same with packets: one that waited for room comes whole. (Linux 6.18 sends an empty one when SEND goes on.)
TEST(a_packet_that_waits_for_room_comes_whole) {
  for (uint8_t operation : {IORING_OP_SEND, IORING_OP_WRITE}) {
    if (operation == IORING_OP_SEND && !on_faultline()) continue;
    Ring ring;
    Address at = abstract_address("box");
    int to = bound(at), from = connected(at, SOCK_DGRAM);
    char text[16];
    int sent = 0;
    do {
      snprintf(text, sizeof text, "packet %4d", sent);
      ring.add(operation, from, text, 11, operation == IORING_OP_WRITE ? uint64_t(-1) : 0, 1);
      CHECK_EQ(ring.submit(), 1);
      sent++;
    } while (ring.ready() && ring.result(1) == 11);
    for (int i = 0; i < sent; i++) {
      char wanted[16], got[16] = {};
      snprintf(wanted, sizeof wanted, "packet %4d", i);
      CHECK_EQ(recv(to, got, sizeof got, i == sent - 1 ? 0 : MSG_DONTWAIT), 11);
      CHECK(!strcmp(got, wanted));
      if (i == 0) CHECK_EQ(ring.result(1), 11);
    }
    close(from), close(to);
  }
}

// Two threads that submit, two that wait: each completion is seen once.
TEST(threads_share_a_ring) {
  static Ring ring(64);
  static Pipe pipe;
  const int turns = scale(500);
  auto reader = [](void*) -> void* {
    while (!g_stop) {
      io_uring_getevents_arg argument = {};
      argument.ts = uintptr_t(&kShort);
      ring_enter(ring.fd, 0, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &argument, sizeof argument);
    }
    return nullptr;
  };
  pthread_t threads[2];
  for (pthread_t& thread : threads) CHECK_EQ(pthread_create(&thread, nullptr, reader, nullptr), 0);
  static char bytes[32];
  for (int i = 0; i < turns; i++) {
    for (int each = 0; each < 8; each++) ring.add(IORING_OP_READ, pipe.in, bytes + each, 1, 0, each);
    CHECK_EQ(ring.submit(), 8);
    CHECK_EQ(write(pipe.out, "12345678", 8), 8);
    bool seen[8] = {};
    for (int each = 0; each < 8; each++) {
      io_uring_cqe entry = ring.next();
      CHECK_EQ(entry.res, 1);
      CHECK(!seen[entry.user_data]);
      seen[entry.user_data] = true;
    }
  }
  g_stop = true;
  for (pthread_t thread : threads) pthread_join(thread, nullptr);
}
