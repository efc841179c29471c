// Pipes and fifos: a ring of bytes, and who has its ends open. See pipe(7), fifo(7).
#pragma once

#include "fs/anonymous.h"
#include "fs/byte_ring.h"
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

  const Readiness& for_readers() const { return for_readers_; }
  const Readiness& for_writers() const { return for_writers_; }
  uint32_t bytes() const { return ring_.bytes(); }
  uint32_t capacity() const { return ring_.capacity(); }
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
  Pipe() { ends_changed_locked(); }
  ~Pipe() = default;
  // The ring holds less than before, or more.
  void bytes_went_locked() REQUIRES(lock_) {
    if (ring_.bytes() == 0) for_readers_.become(kPollIn | kPollReadNormal, false);
    if (ring_.space() >= kAtomic) for_writers_.become(kPollOut | kPollWriteNormal, true);
  }
  void bytes_came_locked() REQUIRES(lock_) {
    if (ring_.bytes() != 0) for_readers_.become(kPollIn | kPollReadNormal, true);
    if (ring_.space() < kAtomic) for_writers_.become(kPollOut | kPollWriteNormal, false);
  }
  void ends_changed_locked() REQUIRES(ends_lock_);
  Result<bool> wait_for_bytes(bool non_blocking);
  Result<size_t> take(IoBuffer& buffer);

  static Atomic<uint32_t> most_bytes_;

  Mutex<LockRank::kPipe> lock_;  // held while bytes move, across user copies
  ByteRing ring_;                // changed under lock_
  SpinLock<LockRank::kDescriptors> ends_lock_;
  Atomic<uint32_t> readers_{0}, writers_{0};  // written under ends_lock_, as all of this line and the next
  Atomic<uint32_t> reader_opens_{0}, writer_opens_{0};
  Readiness for_readers_, for_writers_;  // what is so because of the bytes changes under lock_, because of the ends under ends_lock_
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
