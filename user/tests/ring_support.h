// A ring of io_uring(7) by its bare system calls, for tests: entries are filled in, handed over, and waited for.
#pragma once
#include <linux/io_uring.h>

#include "user/tests/harness.h"

inline int ring_setup(unsigned entries, io_uring_params* p) { return int(syscall(SYS_io_uring_setup, entries, p)); }
inline int ring_enter(int fd, unsigned submit, unsigned wait, unsigned flags, const void* argument = nullptr, size_t bytes = 8) {
  return int(syscall(SYS_io_uring_enter, fd, submit, wait, flags, argument, bytes));
}
inline int ring_register(int fd, unsigned what, void* argument, unsigned count) {
  return int(syscall(SYS_io_uring_register, fd, what, argument, count));
}

struct Ring {
  explicit Ring(unsigned entries = 8, unsigned flags = 0, unsigned completions = 0) {
    params.flags = flags;
    params.cq_entries = completions;
    fd = int(CHECK_OK(ring_setup(entries, &params)));
    const size_t queue_bytes = params.sq_off.array + params.sq_entries * 4;
    queues = (char*)mmap(nullptr, queue_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, IORING_OFF_SQ_RING);
    CHECK(queues != MAP_FAILED);
    entries_ =
        (io_uring_sqe*)mmap(nullptr, params.sq_entries * sizeof(io_uring_sqe), PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQES);
    CHECK(entries_ != MAP_FAILED);
    for (unsigned i = 0; i < params.sq_entries; i++) word(params.sq_off.array + i * 4) = i;
    tail = word(params.sq_off.tail);
  }
  Ring(const Ring&) = delete;
  ~Ring() {
    if (fd >= 0) end();
  }
  // The mapped memory holds the file as well.
  void end() {
    CHECK_OK(close(fd));
    CHECK_OK(munmap(queues, params.sq_off.array + params.sq_entries * 4));
    CHECK_OK(munmap(entries_, params.sq_entries * sizeof(io_uring_sqe)));
    fd = -1;
  }

  volatile unsigned& word(unsigned offset) { return *(volatile unsigned*)(queues + offset); }
  // The next entry, filled in as most operations want it.
  io_uring_sqe& add(int operation, int file = -1, const void* address = nullptr, unsigned length = 0, uint64_t offset = 0,
                    uint64_t data = 0) {
    io_uring_sqe& entry = entries_[tail & (params.sq_entries - 1)];
    memset(&entry, 0, sizeof entry);
    entry.opcode = uint8_t(operation);
    entry.fd = file;
    entry.addr = uintptr_t(address);
    entry.len = length;
    entry.off = offset;
    entry.user_data = data;
    tail++;
    added++;
    return entry;
  }
  // Hands over what was added; how many were taken.
  int submit(unsigned wait = 0) {
    __atomic_store_n(&word(params.sq_off.tail), tail, __ATOMIC_RELEASE);
    int n = ring_enter(fd, added, wait, wait ? IORING_ENTER_GETEVENTS : 0);
    if (n > 0) added -= unsigned(n);
    return n;
  }
  unsigned ready() { return __atomic_load_n(&word(params.cq_off.tail), __ATOMIC_ACQUIRE) - word(params.cq_off.head); }
  // The next completion, waited for if need be.
  io_uring_cqe next() {
    while (ready() == 0)
      if (ring_enter(fd, 0, 1, IORING_ENTER_GETEVENTS) < 0 && errno != EINTR) FAIL("io_uring_enter: %s", strerrorname_np(errno));
    unsigned head = word(params.cq_off.head);
    io_uring_cqe entry = ((io_uring_cqe*)(queues + params.cq_off.cqes))[head & (params.cq_entries - 1)];
    __atomic_store_n(&word(params.cq_off.head), head + 1, __ATOMIC_RELEASE);
    return entry;
  }
  // The only one, which has this name: its result.
  int result(uint64_t data) {
    io_uring_cqe entry = next();
    CHECK_EQ(entry.user_data, data);
    CHECK_EQ(entry.flags & ~IORING_CQE_F_SOCK_NONEMPTY, 0);  // that one is Linux's hint that the socket has more
    return entry.res;
  }
  // One request, from beginning to end.
  int run(int operation, int file = -1, const void* address = nullptr, unsigned length = 0, uint64_t offset = 0, unsigned flags = 0) {
    add(operation, file, address, length, offset, 77).rw_flags = int(flags);
    CHECK_EQ(submit(), 1);
    return result(77);
  }
  // Results by name, of as many as there are names.
  template <int n>
  void results(int (&by_name)[n], int count = n) {
    for (int i = 0; i < count; i++) {
      io_uring_cqe entry = next();
      CHECK(entry.user_data < n);
      by_name[entry.user_data] = entry.res;
    }
  }

  io_uring_params params = {};
  int fd;
  char* queues;
  io_uring_sqe* entries_;
  unsigned tail, added = 0;
};
