// io_uring(7) as a server sees it, by its bare system calls: requests go into one queue, what became of them comes out of another, and one call hands
// over the former and waits for the latter. (liburing does the same, and more.)
#pragma once

#include <linux/io_uring.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

#include "user/servers/listener.h"

class Ring {
 public:
  struct Completion {
    void* whose;
    int result;  // as the system call's, but for errors: the negative number
  };

  explicit Ring(unsigned entries) {
    fd_ = static_cast<int>(syscall(SYS_io_uring_setup, entries, &set_up_));
    if (fd_ < 0) die("io_uring_setup");
    const size_t completions_end = set_up_.cq_off.cqes + set_up_.cq_entries * sizeof(io_uring_cqe);
    const size_t array_end = set_up_.sq_off.array + set_up_.sq_entries * sizeof(unsigned);
    queues_ = static_cast<char*>(map(completions_end > array_end ? completions_end : array_end, IORING_OFF_SQ_RING));
    entries_ = static_cast<io_uring_sqe*>(map(set_up_.sq_entries * sizeof(io_uring_sqe), IORING_OFF_SQES));
    for (unsigned i = 0; i < set_up_.sq_entries; i++) word(set_up_.sq_off.array + i * sizeof(unsigned)) = i;
  }
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  // Requests: the system calls of these names, some time from now on. What they point at must stay until they are completed.
  void accept(int fd, void* whose) { enqueue(IORING_OP_ACCEPT, fd, nullptr, 0, whose).accept_flags = SOCK_CLOEXEC; }
  void poll(int fd, void* whose) { enqueue(IORING_OP_POLL_ADD, fd, nullptr, 0, whose).poll32_events = POLLIN; }
  void recv(int fd, char* bytes, size_t size, void* whose) { enqueue(IORING_OP_RECV, fd, bytes, size, whose); }
  void send(int fd, const char* bytes, size_t size, void* whose) { enqueue(IORING_OP_SEND, fd, bytes, size, whose); }

  // Hands over all requests, and sleeps until one is completed.
  void wait() { enter(1); }
  // False: there is none for the moment.
  bool next(Completion& completion) {
    unsigned& head = word(set_up_.cq_off.head);
    if (head == __atomic_load_n(&word(set_up_.cq_off.tail), __ATOMIC_ACQUIRE)) return false;
    const auto& entry = reinterpret_cast<io_uring_cqe*>(queues_ + set_up_.cq_off.cqes)[head & (set_up_.cq_entries - 1)];
    completion = {reinterpret_cast<void*>(static_cast<uintptr_t>(entry.user_data)), entry.res};
    __atomic_store_n(&head, head + 1, __ATOMIC_RELEASE);
    return true;
  }

 private:
  void* map(size_t size, off_t what) {
    void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, what);
    if (memory == MAP_FAILED) die("mmap of a ring");
    return memory;
  }
  unsigned& word(unsigned offset) { return *reinterpret_cast<unsigned*>(queues_ + offset); }

  io_uring_sqe& enqueue(uint8_t operation, int fd, const char* bytes, size_t size, void* whose) {
    if (waiting_ == set_up_.sq_entries) enter(0);
    unsigned& tail = word(set_up_.sq_off.tail);
    io_uring_sqe& entry = entries_[tail & (set_up_.sq_entries - 1)];
    memset(&entry, 0, sizeof entry);
    entry.opcode = operation;
    entry.fd = fd;
    entry.addr = reinterpret_cast<uintptr_t>(bytes);
    entry.len = static_cast<unsigned>(size);
    entry.user_data = reinterpret_cast<uintptr_t>(whose);
    __atomic_store_n(&tail, tail + 1, __ATOMIC_RELEASE);  // read by the call only, which comes later
    waiting_++;
    return entry;
  }
  void enter(unsigned wanted) {
    const long taken = syscall(SYS_io_uring_enter, fd_, waiting_, wanted, wanted != 0 ? IORING_ENTER_GETEVENTS : 0, nullptr, 0);
    if (taken < 0 && errno != EINTR && errno != EAGAIN) die("io_uring_enter");
    if (taken > 0) waiting_ -= static_cast<unsigned>(taken);
  }

  io_uring_params set_up_ = {};
  int fd_;
  char* queues_;
  io_uring_sqe* entries_;
  unsigned waiting_ = 0;  // requests that have not been handed over
};
