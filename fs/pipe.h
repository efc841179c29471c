// The buffer of a pipe or fifo: a ring of bytes over pages that are allocated as bytes arrive. See pipe(7), fifo(7).
#pragma once

#include "fs/anonymous.h"
#include "fs/file.h"
#include "mm/slab.h"

namespace faultline {

class Pipe final : public RefCounted<Pipe> {
 public:
  static constexpr uint32_t kAtomic = 4096;  // PIPE_BUF: writes up to this are whole
  static constexpr uint32_t kDefaultBytes = 65536;
  // /proc/sys/fs/pipe-max-size: what users may make of a pipe. The superuser is bounded by memory only.
  static uint32_t most_bytes() { return most_bytes_.load(memory_order_relaxed); }
  static Result<void> set_most_bytes(uint32_t bytes);  // kINVAL

  static Result<Ref<Pipe>> create();
  static void destroy(Pipe* pipe);

  // Sleep, but for `non_blocking` ones (kAGAIN); kRESTARTSYS, kPIPE (after SIGPIPE), kFAULT, kNOMEM.
  Result<size_t> read(IoBuffer& buffer, bool non_blocking);
  Result<size_t> write(IoBuffer& buffer, bool non_blocking);

  uint32_t bytes() const { return used_.load(memory_order_relaxed); }
  uint32_t capacity() const { return capacity_.load(memory_order_relaxed); }
  Result<uint32_t> set_capacity(uint32_t bytes);  // F_SETPIPE_SZ: kBUSY, kNOMEM, kPERM, kINVAL; returns the capacity

  // Ends come and go with open files.
  void add_end(bool reads, bool writes);
  void remove_end(bool reads, bool writes);
  // fifo(7): waits until the other side is open too.
  Result<void> wait_for_reader(uint32_t opens_seen);
  Result<void> wait_for_writer(uint32_t opens_seen);
  uint32_t readers() const { return readers_.load(memory_order_acquire); }
  uint32_t writers() const { return writers_.load(memory_order_acquire); }
  uint32_t reader_opens() const { return reader_opens_.load(memory_order_acquire); }
  uint32_t writer_opens() const { return writer_opens_.load(memory_order_acquire); }

  WaitQueue& readable() { return readable_; }
  WaitQueue& writable() { return writable_; }

 private:
  template <typename T, typename... Arguments>
  friend Result<T*> slab_new(Arguments&&...);
  template <typename T>
  friend void slab_delete(T*);
  Pipe() = default;
  ~Pipe() = default;

  static Atomic<uint32_t> most_bytes_;

  uint32_t space() const { return capacity() - bytes(); }
  FrameNumber& page_of(uint32_t position) REQUIRES(lock_) { return pages_[position >> kPageShift]; }
  Result<size_t> take_locked(IoBuffer& buffer) REQUIRES(lock_);
  Result<size_t> put_locked(IoBuffer& buffer, uint32_t limit) REQUIRES(lock_);
  void consumed_locked(uint32_t bytes) REQUIRES(lock_);
  void free_pages_locked(uint32_t from_page) REQUIRES(lock_);

  Mutex<LockRank::kPipe> lock_;                  // held across user copies
  Buffer<FrameNumber> pages_ GUARDED_BY(lock_);  // none() where no byte is
  uint32_t start_ GUARDED_BY(lock_) = 0;         // ring position of the oldest byte; 0 whenever the pipe is empty
  Atomic<uint32_t> used_{0};                     // written under lock_
  Atomic<uint32_t> capacity_{kDefaultBytes};     // written under lock_
  Atomic<uint32_t> readers_{0}, writers_{0};
  Atomic<uint32_t> reader_opens_{0}, writer_opens_{0};
  WaitQueue readable_, writable_, opened_;
};

// pipe2(2): `flags` may hold kOpenNonBlocking (and kOpenDirect: kINVAL). kNOMEM.
struct PipeEnds {
  Ref<File> reader, writer;
};
Result<PipeEnds> pipe_create(uint32_t flags, const Credentials& who);

// The pipe behind an open file, for F_GETPIPE_SZ; null if it is none.
Pipe* pipe_of(File& file);

}  // namespace faultline
