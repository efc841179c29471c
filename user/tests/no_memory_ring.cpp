// io_uring when the kernel's N-th allocation fails, for every N until the call gets through without: what is not taken is taken the next time, what
// is taken ends with ENOMEM or as it should, and nothing is lost. Only what the submitting thread allocates can fail (docs/fault-injection.md).
#include <netinet/in.h>
#include <poll.h>
#include <sys/uio.h>
#include <algorithm>

#include "user/tests/injection.h"
#include "user/tests/ring_support.h"
#include "user/tests/socket_support.h"

namespace {

constexpr int kMost = 8, kNone = 1 << 30, kAnyDescriptor = kNone + 1;
const __kernel_timespec kShort = {0, 1'000'000};

// Nothing of its connection stays behind.
int tcp_socket() {
  const linger reset = {1, 0};
  int fd = CHECK_OK(socket(AF_INET, SOCK_STREAM, 0));
  CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset));
  return fd;
}
const int kWarm = close(tcp_socket());  // the first one starts the network

// What one attempt has to do with.
struct World {
  Ring ring{16};
  int ready_pipe[2], empty_pipe[2], file;
  char text[64] = {}, more[64] = {};
  iovec pieces[2] = {{text, 3}, {more, 5}};
  Pair pair;
  Address unix_address;
  sockaddr_in tcp_address = {};
  int server, client, tcp_server, tcp_client;

  World() : unix_address(abstract_address("no memory")) {
    CHECK_OK(pipe(ready_pipe));
    CHECK_OK(pipe(empty_pipe));
    CHECK_EQ(write(ready_pipe[1], "abc", 3), 3);
    file = make_file("file", "0123456789", 10);
    server = listener(unix_address);
    client = CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0));
    tcp_server = CHECK_OK(socket(AF_INET, SOCK_STREAM, 0));
    CHECK_OK(listen(tcp_server, 4));
    tcp_client = tcp_socket();
    socklen_t bytes = sizeof tcp_address;
    CHECK_OK(getsockname(tcp_server, (sockaddr*)&tcp_address, &bytes));
  }
};

// The entries by number: what each ends with, and whose success it needs.
struct Plan {
  int count = 0, expected[kMost], needs[kMost];
  int next(int result, int needed = -1) {
    expected[count] = result, needs[count] = needed;
    return count++;
  }
};

struct Case {
  const char* name;
  void (*add)(World&, Plan&);
  void (*news)(World&) = nullptr;  // what ends those that wait
};

const Case kCases[] = {
    {"nop",
     [](World& w, Plan& plan) {
       for (int i = 0; i < 4; i++) w.ring.add(IORING_OP_NOP, -1, nullptr, 0, 0, plan.next(0));
     }},
    {"what is ready",
     [](World& w, Plan& plan) {
       w.ring.add(IORING_OP_READ, w.ready_pipe[0], w.text, 8, 0, plan.next(3));
       w.ring.add(IORING_OP_POLL_ADD, w.ready_pipe[1], nullptr, 0, 0, plan.next(POLLOUT)).poll32_events = POLLOUT;
       w.ring.add(IORING_OP_CLOSE, dup(w.file), nullptr, 0, 0, plan.next(0));
       w.ring.add(IORING_OP_WRITE, w.empty_pipe[1], w.text, 3, 0, plan.next(3));
     }},
    {"a file",
     [](World& w, Plan& plan) {
       w.ring.add(IORING_OP_READV, w.file, w.pieces, 2, 2, plan.next(8));
       w.ring.add(IORING_OP_WRITEV, w.file, w.pieces, 2, 10, plan.next(8));
       w.ring.add(IORING_OP_FSYNC, w.file, nullptr, 0, 0, plan.next(0));
     }},
    {"what waits",
     [](World& w, Plan& plan) {
       w.ring.add(IORING_OP_READ, w.empty_pipe[0], w.text, 3, 0, plan.next(3));
       w.ring.add(IORING_OP_POLL_ADD, w.empty_pipe[0], nullptr, 0, 0, plan.next(POLLIN)).poll32_events = POLLIN;
       w.ring.add(IORING_OP_RECV, w.pair.fd[0], w.more, 4, 0, plan.next(4)).msg_flags = MSG_WAITALL;
       w.ring.add(IORING_OP_TIMEOUT, -1, &kShort, 1, 0, plan.next(-ETIME));
     },
     [](World& w) {
       CHECK_EQ(write(w.empty_pipe[1], "abcdef", 6), 6);
       CHECK_EQ(send(w.pair.fd[1], "wxyz", 4, 0), 4);
     }},
    {"a chain",
     [](World& w, Plan& plan) {
       w.ring.add(IORING_OP_READ, w.empty_pipe[0], w.text, 3, 0, plan.next(3)).flags = IOSQE_IO_LINK;
       w.ring.add(IORING_OP_WRITE, w.file, w.text, 3, 0, plan.next(3)).flags = IOSQE_IO_LINK;
       w.ring.add(IORING_OP_NOP, -1, nullptr, 0, 0, plan.next(0));
     },
     [](World& w) { CHECK_EQ(write(w.empty_pipe[1], "abc", 3), 3); }},
    {"send and receive",
     [](World& w, Plan& plan) {
       int send = plan.next(5);
       w.ring.add(IORING_OP_SEND, w.pair.fd[0], "hello", 5, 0, send);
       w.ring.add(IORING_OP_RECV, w.pair.fd[1], w.text, 8, 0, plan.next(5, send));
     }},
    {"accept and connect",
     [](World& w, Plan& plan) {
       int connect = plan.next(0);
       w.ring.add(IORING_OP_CONNECT, w.client, w.unix_address.get(), 0, w.unix_address.bytes, connect);
       w.ring.add(IORING_OP_ACCEPT, w.server, nullptr, 0, 0, plan.next(kAnyDescriptor, connect));
     }},
    {"accept and connect over TCP",
     [](World& w, Plan& plan) {
       int connect = plan.next(0);
       w.ring.add(IORING_OP_CONNECT, w.tcp_client, &w.tcp_address, 0, sizeof w.tcp_address, connect);
       w.ring.add(IORING_OP_ACCEPT, w.tcp_server, nullptr, 0, 0, plan.next(kAnyDescriptor, connect));
     },
     // With all memory gone the listener cannot even say that it lets the first one go.
     [](World& w) { CHECK_OK(connect(tcp_socket(), (sockaddr*)&w.tcp_address, sizeof w.tcp_address)); }},
    {"cancelling",
     [](World& w, Plan& plan) {
       int read = plan.next(-ECANCELED);
       w.ring.add(IORING_OP_READ, w.empty_pipe[0], w.text, 3, 0, read);
       w.ring.add(IORING_OP_ASYNC_CANCEL, -1, (void*)uintptr_t(read), 0, 0, plan.next(0, read));
     }},
};

bool is_as_planned(int result, int expected) { return expected == kAnyDescriptor ? result >= 0 : result == expected; }

// Or to what it did to another entry, or to the listener that is connected to: it resets a connection that it has no memory for.
bool is_due_to_memory(int result) {
  return result == -ENOMEM || result == -ENOBUFS || result == -ECANCELED || result == -ENOENT || result == -ECONNRESET;
}

void attempt(const Case& each, int nth, int times) {
  {
    Injection injection;
    World world;
    Plan plan;
    each.add(world, plan);
    CHECK_OK(mlockall(MCL_CURRENT));
    CHECK_OK(munlockall());
    injection.arm(nth, times);
    int taken = world.ring.submit();
    const int error = errno;
    const bool has_failed = injection.left() == 0;
    injection.disarm();
    if (taken < 0) CHECK(has_failed && error == EAGAIN);
    CHECK(has_failed || taken == plan.count);
    // What was left, as a program does that was told so. A chain that was cut is two.
    while (world.ring.added != 0) CHECK(world.ring.submit() > 0);
    if (each.news) each.news(world);
    int results[kMost], failures = taken < plan.count;
    std::fill(results, results + kMost, kNone);
    auto is_to_come = [&](int i) {
      const int needed = plan.needs[i];
      return results[i] == kNone && (needed < 0 || results[needed] == kNone || is_as_planned(results[needed], plan.expected[needed]));
    };
    for (int i = 0; i < plan.count; i++)
      while (is_to_come(i)) {
        io_uring_cqe entry = world.ring.next();
        CHECK(entry.user_data < unsigned(plan.count) && results[entry.user_data] == kNone);
        results[entry.user_data] = entry.res;
        if (is_as_planned(entry.res, plan.expected[entry.user_data])) continue;
        failures++;
        if (!has_failed || !is_due_to_memory(entry.res))
          FAIL("%s, allocation %d fails: entry %d ended with %d", each.name, nth, int(entry.user_data), entry.res);
      }
    if (failures || has_failed) _exit(failures ? kError : kMadeGood);
  }
  _exit(kNotReached);
}

void sweep_cases(int times) {
  Tally all;
  for (const Case& each : kCases) {
    Tally tally = sweep(each.name, Caches::kWarm, [&](int nth) { attempt(each, nth, times); });
    say("  %s: failed at %d places, made good at %d\n", each.name, tally.failed, tally.made_good);
    all.failed += tally.failed, all.made_good += tally.made_good;
  }
  CHECK(all.failed >= 20);
}

}  // namespace

TEST(a_ring_that_is_not_made_leaves_nothing) {
  for (int times : {1, kForEver}) {
    Tally tally = sweep("io_uring_setup", Caches::kWarm, [times](int nth) {
      Injection injection;
      io_uring_params p = {};
      CHECK_OK(mlockall(MCL_CURRENT));
      CHECK_OK(munlockall());
      injection.arm(nth, times);
      int ring = ring_setup(16, &p);
      const int error = errno;
      const bool has_failed = injection.left() == 0;
      injection.disarm();
      if (ring < 0) CHECK(has_failed && error == ENOMEM);
      _exit(ring < 0 ? kError : has_failed ? kMadeGood : kNotReached);
    });
    say("  io_uring_setup: failed at %d places, made good at %d\n", tally.failed, tally.made_good);
    CHECK(tally.failed >= 5);
  }
}
TEST_SLOW(one_allocation_fails) { sweep_cases(1); }
TEST_SLOW(all_allocations_from_one_on_fail) { sweep_cases(kForEver); }
