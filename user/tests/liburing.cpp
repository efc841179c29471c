// Programs that know io_uring by Debian's liburing alone, its public functions as its manual pages describe them. The calls themselves are in io_uring.cpp.
#include <liburing.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/uio.h>

#include "user/tests/harness.h"
#include "user/tests/socket_support.h"

namespace {

// The library's timespec has 64 bits each, wherever it runs.
constexpr __kernel_timespec milliseconds(int n) { return {n / 1000, (n % 1000) * 1'000'000}; }
constexpr __kernel_timespec kLong = milliseconds(1'000'000);

struct Queue : io_uring {
  explicit Queue(unsigned entries = 8) { CHECK_EQ(io_uring_queue_init(entries, this, 0), 0); }
  Queue(const Queue&) = delete;
  ~Queue() { io_uring_queue_exit(this); }

  io_uring_sqe* entry() {
    io_uring_sqe* entry = io_uring_get_sqe(this);
    CHECK(entry);
    return entry;
  }
  // Prepares an entry with one of the library's functions and names it.
  template <typename Prepare, typename... Arguments>
  io_uring_sqe* add(uint64_t name, Prepare prepare, Arguments... arguments) {
    io_uring_sqe* next = entry();
    prepare(next, arguments...);
    io_uring_sqe_set_data64(next, name);
    return next;
  }
  void submit(int count) { CHECK_EQ(io_uring_submit(this), count); }
  // The next completion: its name, and its result.
  uint64_t next(int& result) {
    io_uring_cqe* completion;
    int error;
    while ((error = io_uring_wait_cqe(this, &completion)) == -EINTR) {
    }
    CHECK_EQ(error, 0);
    result = completion->res;
    uint64_t name = io_uring_cqe_get_data64(completion);
    io_uring_cqe_seen(this, completion);
    return name;
  }
  int result(uint64_t name) {
    int result;
    CHECK_EQ(next(result), name);
    return result;
  }
  template <int n>
  void results(int (&by_name)[n], int count) {
    for (int i = 0, result; i < count; i++) {
      uint64_t name = next(result);
      CHECK(name < n);
      by_name[name] = result;
    }
  }
  template <typename Prepare, typename... Arguments>
  int run(Prepare prepare, Arguments... arguments) {
    add(77, prepare, arguments...);
    submit(1);
    return result(77);
  }
};

void nop(io_uring_sqe* entry) { io_uring_prep_nop(entry); }

const int kOperations[] = {IORING_OP_NOP,     IORING_OP_READV,  IORING_OP_WRITEV,  IORING_OP_FSYNC,        IORING_OP_POLL_ADD,
                           IORING_OP_TIMEOUT, IORING_OP_ACCEPT, IORING_OP_CONNECT, IORING_OP_ASYNC_CANCEL, IORING_OP_CLOSE,
                           IORING_OP_READ,    IORING_OP_WRITE,  IORING_OP_SEND,    IORING_OP_RECV};

}  // namespace

TEST(queues_come_and_go) {
  for (int i = 0; i < 100; i++) {
    io_uring ring;
    CHECK_EQ(io_uring_queue_init(4, &ring, 0), 0);
    CHECK_EQ(io_uring_sq_space_left(&ring), 4);
    CHECK_EQ(io_uring_sq_ready(&ring), 0);
    CHECK_EQ(io_uring_cq_ready(&ring), 0);
    for (int each = 0; each < 4; each++) io_uring_prep_nop(io_uring_get_sqe(&ring));
    CHECK(!io_uring_get_sqe(&ring));
    CHECK_EQ(io_uring_sq_ready(&ring), 4);
    CHECK_EQ(io_uring_submit(&ring), 4);
    CHECK_EQ(io_uring_cq_ready(&ring), 4);
    io_uring_queue_exit(&ring);
  }
  io_uring ring;
  CHECK_EQ(io_uring_queue_init(0, &ring, 0), -EINVAL);
  CHECK_EQ(io_uring_queue_init(32769, &ring, 0), -EINVAL);
  io_uring_params p = {};
  p.flags = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
  p.cq_entries = 1 << 30;
  CHECK_EQ(io_uring_queue_init_params(6, &ring, &p), 0);
  CHECK_EQ(p.sq_entries, 8);
  CHECK_EQ(p.cq_entries, 65536);
  io_uring_queue_exit(&ring);
}

// As deep as Linux has them: each entry is used.
TEST(the_deepest_queue) {
  constexpr unsigned kDepth = 32768;
  Queue ring(kDepth);
  for (unsigned i = 0; i < kDepth; i++) ring.add(i, nop);
  CHECK(!io_uring_get_sqe(&ring));
  ring.submit(kDepth);
  CHECK_EQ(io_uring_cq_ready(&ring), kDepth);
  for (unsigned i = 0; i < kDepth; i++) CHECK_EQ(ring.result(i), 0);
}

// Who fills memory with rings is told so, and others go on.
TEST(rings_without_end) {
  pid_t child = in_child([] {
    CHECK_OK(setuid(1000));
    io_uring ring;
    for (int i = 0;; i++) {
      int error = io_uring_queue_init(1024, &ring, 0);
      if (error == 0 && i < 2000) continue;
      CHECK(error == -ENOMEM || error == -EMFILE);
      break;
    }
  });
  CHECK_EXIT(child, 0);
  Queue ring;
  CHECK_EQ(ring.run(nop), 0);
}

TEST(the_probe_tells_the_truth) {
  io_uring_probe* probe = io_uring_get_probe();
  CHECK(probe);
  bool is_ours[256] = {};
  for (int operation : kOperations) {
    is_ours[operation] = true;
    CHECK(io_uring_opcode_supported(probe, operation));
  }
  Queue ring;
  io_uring_probe* again = io_uring_get_probe_ring(&ring);
  CHECK(again && again->ops_len == probe->ops_len && again->last_op == probe->last_op);
  io_uring_free_probe(again);
  // What it does not announce is refused, and nothing happens.
  for (int operation = 0; operation < 256; operation++) {
    if (on_faultline()) CHECK_EQ(io_uring_opcode_supported(probe, operation), is_ours[operation]);
    if (io_uring_opcode_supported(probe, operation)) continue;
    int result = ring.run([operation](io_uring_sqe* entry) { io_uring_prep_rw(operation, entry, -1, nullptr, 0, 0); });
    CHECK_EQ(result, -EINVAL);
  }
  io_uring_free_probe(probe);
}

// What Linux has and we have not is refused by the result, or the call, that says so.
TEST(what_is_missing_is_refused) {
  if (!on_faultline()) SKIP("Linux has it");
  io_uring ring;
  for (unsigned flag : {IORING_SETUP_IOPOLL, IORING_SETUP_SQPOLL, IORING_SETUP_R_DISABLED, IORING_SETUP_SQE128, IORING_SETUP_CQE32})
    CHECK_EQ(io_uring_queue_init(8, &ring, flag), -EINVAL);
  Queue queue;
  Pipe pipe;
  char byte = 0;
  iovec piece = {&byte, 1};
  msghdr message = {};
  CHECK_EQ(io_uring_register_files(&queue, &pipe.in, 1), -EINVAL);
  CHECK_EQ(io_uring_register_buffers(&queue, &piece, 1), -EINVAL);
  CHECK_EQ(io_uring_register_personality(&queue), -EINVAL);
  CHECK_EQ(queue.run(io_uring_prep_poll_multishot, pipe.out, unsigned(POLLOUT)), -EINVAL);
  CHECK_EQ(queue.run(io_uring_prep_poll_remove, uint64_t{1}), -EINVAL);
  CHECK_EQ(queue.run(io_uring_prep_timeout_remove, uint64_t{1}, 0u), -EINVAL);
  CHECK_EQ(queue.run(io_uring_prep_sendmsg, pipe.in, &message, 0u), -EINVAL);
  CHECK_EQ(queue.run(io_uring_prep_splice, pipe.in, int64_t{-1}, pipe.out, int64_t{-1}, 1u, 0u), -EINVAL);
  CHECK_EQ(queue.run(io_uring_prep_openat, AT_FDCWD, "file", O_RDONLY, mode_t{0}), -EINVAL);
  CHECK_EQ(queue.run(io_uring_prep_cancel64, uint64_t{1}, int(IORING_ASYNC_CANCEL_ALL)), -EINVAL);
  // A limit of time for a chain: none of it is begun.
  __kernel_timespec soon = milliseconds(1);
  queue.add(1, io_uring_prep_read, pipe.in, &byte, 1u, uint64_t{0})->flags |= IOSQE_IO_LINK;
  queue.add(2, io_uring_prep_link_timeout, &soon, 0u);
  queue.submit(2);
  int results[3];
  queue.results(results, 2);
  CHECK_EQ(results[1], -ECANCELED);
  CHECK_EQ(results[2], -EINVAL);
}

TEST(files) {
  Queue ring;
  char text[] = "the quick brown fox", back[32] = {}, other[32] = {};
  int file = make_file("file");
  CHECK_EQ(ring.run(io_uring_prep_write, file, text, 19u, uint64_t{0}), 19);
  CHECK_EQ(ring.run(io_uring_prep_read, file, back, 32u, uint64_t{4}), 15);
  CHECK(!memcmp(back, text + 4, 15));
  iovec pieces[] = {{back, 5}, {other, 7}};
  CHECK_EQ(ring.run(io_uring_prep_readv, file, pieces, 2u, uint64_t{0}), 12);
  CHECK(!memcmp(back, "the q", 5) && !memcmp(other, "uick br", 7));
  CHECK_EQ(ring.run(io_uring_prep_writev, file, pieces, 2u, uint64_t{19}), 12);
  CHECK_EQ(ring.run(io_uring_prep_fsync, file, 0u), 0);
  CHECK_EQ(ring.run(io_uring_prep_fsync, file, unsigned(IORING_FSYNC_DATASYNC)), 0);
  CHECK_TEXT("file", "the quick brown foxthe quick br");
  CHECK_EQ(ring.run(io_uring_prep_read, file, back, 3u, ~uint64_t{0}), 3);  // at its own position
  CHECK_EQ(lseek(file, 0, SEEK_CUR), 3);
  CHECK_EQ(ring.run(io_uring_prep_close, file), 0);
  CHECK_EQ(ring.run(io_uring_prep_close, file), -EBADF);
  CHECK_EQ(ring.run(io_uring_prep_read, file, back, 3u, uint64_t{0}), -EBADF);
}

// As the library's own example does it: many blocks at a time, in whatever order they come.
TEST(a_file_is_copied) {
  constexpr unsigned kBlock = 16384, kBlocks = 48, kDepth = 16;
  static char data[kBlock * kBlocks], buffers[kDepth][kBlock];
  for (size_t i = 0; i < sizeof data; i++) data[i] = char(i * 31 + i / 1000);
  int from = make_file("from", data, sizeof data), to = make_file("to");
  Queue ring(kDepth);
  unsigned begun = 0, done = 0, block_of[kDepth], under_way = 0;
  while (done < kBlocks) {
    for (; begun < kBlocks && begun < kDepth; begun++, under_way++) {
      block_of[begun] = begun;
      ring.add(begun * 2, io_uring_prep_read, from, buffers[begun], kBlock, uint64_t{begun} * kBlock);
    }
    CHECK(io_uring_submit_and_wait(&ring, 1) >= 0);
    int result;
    const uint64_t name = ring.next(result);
    const unsigned buffer = unsigned(name / 2);
    CHECK_EQ(result, kBlock);
    if (name % 2 == 0) {
      ring.add(name + 1, io_uring_prep_write, to, buffers[buffer], kBlock, uint64_t{block_of[buffer]} * kBlock);
      continue;
    }
    done++, under_way--;
    if (begun == kBlocks) continue;
    block_of[buffer] = begun;
    ring.add(buffer * 2, io_uring_prep_read, from, buffers[buffer], kBlock, uint64_t{begun} * kBlock);
    begun++, under_way++;
  }
  CHECK_EQ(under_way, 0);
  CHECK_EQ(ring.run(io_uring_prep_fsync, to, 0u), 0);
  static char copy[sizeof data];
  CHECK_EQ(pread(to, copy, sizeof copy, 0), long(sizeof copy));
  CHECK(!memcmp(copy, data, sizeof data));
}

TEST(pipes_and_polls) {
  Queue ring;
  Pipe pipe;
  char text[8] = {};
  iovec piece = {text, 8};
  ring.add(1, io_uring_prep_readv, pipe.in, &piece, 1u, uint64_t{0});
  ring.submit(1);
  io_uring_cqe* completion;
  CHECK_EQ(io_uring_peek_cqe(&ring, &completion), -EAGAIN);
  ring.add(2, io_uring_prep_write, pipe.out, "abc", 3u, uint64_t{0});
  ring.submit(1);
  int results[4];
  ring.results(results, 2);
  CHECK(results[1] == 3 && results[2] == 3 && !memcmp(text, "abc", 3));
  ring.add(1, io_uring_prep_poll_add, pipe.in, unsigned(POLLIN));
  ring.submit(1);
  CHECK_EQ(io_uring_peek_cqe(&ring, &completion), -EAGAIN);
  CHECK_EQ(write(pipe.out, "x", 1), 1);
  CHECK_EQ(ring.result(1), POLLIN);
  CHECK_EQ(ring.run(io_uring_prep_poll_add, pipe.out, unsigned(POLLOUT | POLLIN)), POLLOUT);
  // Waits although the pipe is not to block: the library's programs count on it, where IORING_FEAT_FAST_POLL is announced.
  CHECK(ring.features & IORING_FEAT_FAST_POLL);
  CHECK_OK(fcntl(pipe.in, F_SETFL, O_NONBLOCK));
  CHECK_EQ(read(pipe.in, text, 8), 1);
  ring.add(1, io_uring_prep_read, pipe.in, text, 8u, uint64_t{0});
  ring.submit(1);
  CHECK_EQ(io_uring_peek_cqe(&ring, &completion), -EAGAIN);
  CHECK_EQ(write(pipe.out, "yz", 2), 2);
  CHECK_EQ(ring.result(1), 2);
}

namespace {

// Both ends by ring: accept, connect, data in both directions, the end.
void connect_and_talk(int server, const sockaddr* at, socklen_t bytes) {
  Queue ring(16);
  int client = CHECK_OK(socket(at->sa_family, SOCK_STREAM, 0)), results[8];
  sockaddr_storage from = {};
  socklen_t from_bytes = sizeof from;
  ring.add(1, io_uring_prep_accept, server, (sockaddr*)&from, &from_bytes, int(SOCK_CLOEXEC));
  ring.submit(1);
  io_uring_cqe* completion;
  CHECK_EQ(io_uring_peek_cqe(&ring, &completion), -EAGAIN);
  ring.add(2, io_uring_prep_connect, client, at, bytes);
  ring.submit(1);
  ring.results(results, 2);
  CHECK_EQ(results[2], 0);
  const int accepted = results[1];
  CHECK(accepted > 2);
  CHECK_EQ(from.ss_family, at->sa_family);
  CHECK_EQ(fcntl(accepted, F_GETFD), FD_CLOEXEC);
  char question[16] = {}, answer[16] = {};
  ring.add(1, io_uring_prep_recv, accepted, question, sizeof question, 0);
  ring.add(2, io_uring_prep_recv, client, answer, size_t{6}, int(MSG_WAITALL));
  ring.submit(2);
  CHECK_EQ(io_uring_peek_cqe(&ring, &completion), -EAGAIN);
  ring.add(3, io_uring_prep_send, client, "question", size_t{8}, 0);
  ring.submit(1);
  ring.results(results, 2);
  CHECK(results[1] == 8 && results[3] == 8 && !memcmp(question, "question", 8));
  for (const char* part : {"ans", "wer"}) {
    ring.add(3, io_uring_prep_send, accepted, part, size_t{3}, 0);
    ring.submit(1);
  }
  ring.results(results, 3);
  CHECK(results[2] == 6 && results[3] == 3 && !memcmp(answer, "answer", 6));
  ring.add(4, io_uring_prep_recv, client, answer, size_t{6}, 0);
  ring.submit(1);
  ring.add(5, io_uring_prep_close, accepted);
  ring.submit(1);
  ring.results(results, 2);
  CHECK(results[4] == 0 && results[5] == 0);
  close(client);
}

int internet_listener(sockaddr_in& at) {
  int server = CHECK_OK(socket(AF_INET, SOCK_STREAM, 0));
  at = {};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t bytes = sizeof at;
  CHECK_OK(bind(server, (sockaddr*)&at, sizeof at));
  CHECK_OK(listen(server, 64));
  CHECK_OK(getsockname(server, (sockaddr*)&at, &bytes));
  return server;
}

// The first such socket starts the network, which stays: not a test's memory.
const int kWarm = close(socket(AF_INET, SOCK_STREAM, 0));

}  // namespace

TEST(connections_in_the_machine) {
  Address at = abstract_address("liburing");
  connect_and_talk(listener(at), at.get(), at.bytes);
}

TEST(connections_by_tcp) {
  sockaddr_in at;
  int server = internet_listener(at);
  connect_and_talk(server, (sockaddr*)&at, sizeof at);
  close(server);
  Queue ring;
  int client = CHECK_OK(socket(AF_INET, SOCK_STREAM, 0));
  CHECK_EQ(ring.run(io_uring_prep_connect, client, (const sockaddr*)&at, socklen_t(sizeof at)), -ECONNREFUSED);
  close(client);
}

namespace {

// A server of one thread and one ring: answers until the other side ends, for as many connections as there will be.
void echo_by_ring(int server, int connections) {
  enum : uint64_t { kAccept = 1, kReceive = 2, kSend = 3, kClose = 4 };
  struct Connection {
    char bytes[64];
  };
  static Connection of[256];
  Queue ring(64);
  auto name = [](uint64_t what, int fd) { return what << 32 | unsigned(fd); };
  auto accept_next = [&] { ring.add(name(kAccept, 0), io_uring_prep_accept, server, nullptr, nullptr, 0); };
  accept_next();
  for (int closed = 0; closed < connections;) {
    CHECK(io_uring_submit_and_wait(&ring, 1) >= 0);
    io_uring_cqe* completions[16];
    unsigned count = io_uring_peek_batch_cqe(&ring, completions, 16);
    for (unsigned i = 0; i < count; i++) {
      const uint64_t what = io_uring_cqe_get_data64(completions[i]) >> 32;
      int fd = int(io_uring_cqe_get_data64(completions[i])), result = completions[i]->res;
      if (what == kAccept) fd = result;
      CHECK(fd >= 0 && fd < 256 && result >= 0);
      if (what == kAccept) accept_next();
      if (what == kAccept || what == kSend) ring.add(name(kReceive, fd), io_uring_prep_recv, fd, of[fd].bytes, sizeof of[fd].bytes, 0);
      if (what == kReceive && result > 0) ring.add(name(kSend, fd), io_uring_prep_send, fd, of[fd].bytes, size_t(result), 0);
      if (what == kReceive && result == 0) ring.add(name(kClose, fd), io_uring_prep_close, fd);
      if (what == kClose) closed++;
    }
    io_uring_cq_advance(&ring, count);
  }
}

}  // namespace

TEST(a_server_answers_many) {
  constexpr int kClients = 8, kEach = 10;
  sockaddr_in at;
  int server = internet_listener(at);
  pid_t serving = in_child([&] { echo_by_ring(server, kClients * kEach); }), clients[kClients];
  for (int i = 0; i < kClients; i++)
    clients[i] = in_child([&, i] {
      for (int turn = 0; turn < kEach; turn++) {
        int fd = CHECK_OK(socket(AF_INET, SOCK_STREAM, 0));
        CHECK_OK(connect(fd, (sockaddr*)&at, sizeof at));
        for (int n = 0; n < 5; n++) {
          char text[32], back[32] = {};
          int bytes = snprintf(text, sizeof text, "%d says %d, %d times", i, turn, n);
          CHECK_EQ(send(fd, text, bytes, 0), bytes);
          CHECK_EQ(recv(fd, back, bytes, MSG_WAITALL), bytes);
          CHECK_STR(back, text);
        }
        close(fd);
      }
    });
  for (pid_t client : clients) CHECK_EXIT(client, 0);
  CHECK_EXIT(serving, 0);
  close(server);
}

TEST(time_passes) {
  Queue ring;
  io_uring_cqe* completion;
  __kernel_timespec soon = milliseconds(2), late = kLong;
  CHECK_EQ(ring.run(io_uring_prep_timeout, &soon, 0u, 0u), -ETIME);
  CHECK_EQ(io_uring_wait_cqe_timeout(&ring, &completion, &soon), -ETIME);
  CHECK_EQ(io_uring_wait_cqes(&ring, &completion, 3, &soon, nullptr), -ETIME);
  ring.add(1, nop);
  CHECK_EQ(io_uring_submit_and_wait_timeout(&ring, &completion, 1, &late, nullptr), 1);
  CHECK_EQ(ring.result(1), 0);
  CHECK_EQ(io_uring_submit_and_wait_timeout(&ring, &completion, 1, &soon, nullptr), -ETIME);
  ring.add(1, io_uring_prep_timeout, &late, 1u, 0u);  // or after one completion
  ring.add(2, nop);
  ring.submit(2);
  int results[3] = {-1, -1, -1};
  ring.results(results, 2);
  CHECK(results[1] == 0 && results[2] == 0);
  // One success lets what is linked go on.
  ring.add(1, io_uring_prep_timeout, &soon, 0u, unsigned(IORING_TIMEOUT_ETIME_SUCCESS))->flags |= IOSQE_IO_LINK;
  ring.add(2, nop);
  ring.submit(2);
  CHECK_EQ(ring.result(1), -ETIME);
  CHECK_EQ(ring.result(2), 0);
}

TEST(what_waits_is_cancelled) {
  Queue ring;
  Pipe pipe;
  char byte;
  __kernel_timespec late = kLong;
  ring.add(0, io_uring_prep_read, pipe.in, &byte, 1u, uint64_t{0});
  ring.add(1, io_uring_prep_poll_add, pipe.in, unsigned(POLLIN));
  ring.add(2, io_uring_prep_timeout, &late, 0u, 0u);
  ring.submit(3);
  for (int i = 0; i < 3; i++) {
    ring.add(3, io_uring_prep_cancel64, uint64_t(i), 0);
    ring.submit(1);
    int results[4] = {1, 1, 1, 1};
    ring.results(results, 2);
    CHECK_EQ(results[i], -ECANCELED);
    CHECK_EQ(results[3], 0);
  }
  CHECK_EQ(ring.run(io_uring_prep_cancel64, uint64_t{1}, 0), -ENOENT);
  CHECK_EQ(ring.run(io_uring_prep_cancel, (void*)0x1234, 0), -ENOENT);
}

// A chain copies from one place to another; its end is known by its last completion.
TEST(links) {
  Queue ring;
  Pipe pipe;
  char text[8];
  int to = make_file("to");
  ring.add(1, io_uring_prep_read, pipe.in, text, 4u, uint64_t{0})->flags |= IOSQE_IO_LINK;
  ring.add(2, io_uring_prep_write, to, text, 4u, uint64_t{0})->flags |= IOSQE_IO_LINK;
  ring.add(3, io_uring_prep_fsync, to, 0u);
  ring.submit(3);
  CHECK_EQ(write(pipe.out, "wxyz", 4), 4);
  CHECK_EQ(ring.result(1), 4);
  CHECK_EQ(ring.result(2), 4);
  CHECK_EQ(ring.result(3), 0);
  CHECK_TEXT("to", "wxyz");
  for (unsigned flag : {IOSQE_IO_LINK, IOSQE_IO_HARDLINK}) {
    ring.add(1, io_uring_prep_read, to, text, 8u, uint64_t{0})->flags |= flag;  // comes short
    ring.add(2, nop);
    ring.submit(2);
    CHECK_EQ(ring.result(1), 4);
    CHECK_EQ(ring.result(2), flag == IOSQE_IO_LINK ? -ECANCELED : 0);
  }
}

TEST(completions_in_batches) {
  Queue ring(4);
  io_uring_cqe* completions[16];
  CHECK_EQ(io_uring_peek_batch_cqe(&ring, completions, 16), 0);
  for (uint64_t i = 0; i < 6; i++) {
    ring.add(i, nop);
    if (i % 3 == 2) ring.submit(3);
  }
  CHECK_EQ(io_uring_peek_batch_cqe(&ring, completions, 4), 4);
  for (uint64_t i = 0; i < 4; i++) CHECK_EQ(io_uring_cqe_get_data64(completions[i]), i);
  io_uring_cq_advance(&ring, 4);
  unsigned head, seen = 0;
  io_uring_cqe* completion;
  io_uring_for_each_cqe(&ring, head, completion) CHECK_EQ(io_uring_cqe_get_data64(completion), 4 + seen++);
  CHECK_EQ(seen, 2);
  io_uring_cq_advance(&ring, seen);
  // More than there is room for: none is lost, and they come in order.
  for (uint64_t i = 0; i < 40; i++) {
    ring.add(i, nop);
    ring.submit(1);
  }
  CHECK_EQ(io_uring_cq_ready(&ring), 8);
  CHECK(io_uring_cq_has_overflow(&ring));
  for (uint64_t i = 0; i < 40; i++) CHECK_EQ(ring.result(i), 0);
  CHECK(!io_uring_cq_has_overflow(&ring));
}

TEST(events_are_counted) {
  Queue ring;
  int counter = CHECK_OK(eventfd(0, EFD_NONBLOCK));
  CHECK_EQ(io_uring_register_eventfd(&ring, counter), 0);
  CHECK_EQ(io_uring_register_eventfd(&ring, counter), -EBUSY);
  ring.add(1, nop);
  ring.submit(1);
  uint64_t count = 0;
  CHECK_EQ(read(counter, &count, 8), 8);
  CHECK_EQ(count, 1);
  CHECK_EQ(ring.result(1), 0);
  CHECK(io_uring_cq_eventfd_enabled(&ring));
  CHECK_EQ(io_uring_cq_eventfd_toggle(&ring, false), 0);
  CHECK_EQ(ring.run(nop), 0);
  CHECK_ERR(read(counter, &count, 8), EAGAIN);
  CHECK_EQ(io_uring_unregister_eventfd(&ring), 0);
  CHECK_EQ(io_uring_unregister_eventfd(&ring), -ENXIO);
}
