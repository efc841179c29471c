// Pipes and fifos. Readers and writers sleep on two queues and look at atomic counts; the mutex is held only while bytes move.
#include "fs/pipe.h"

#include <bit>

#include "fs/anonymous.h"
#include "fs/hooks.h"
#include "fs/standard_files.h"

namespace faultline {

Result<Ref<Pipe>> Pipe::create() {
  Ref<Pipe> pipe = Ref<Pipe>::adopt(TRY(slab_new<Pipe>()));
  TRY(pipe->ring_.reserve(kDefaultBytes));
  {
    LockGuard guard(pipe->lock_);
    pipe->bytes_went_locked();
  }
  return pipe;
}

void Pipe::destroy(Pipe* pipe) { slab_delete(pipe); }

// False at the end: nothing is there, and nobody will write.
[[gnu::always_inline]] inline Result<bool> Pipe::wait_for_bytes(bool non_blocking) {
  if (writers() == 0) return bytes() != 0;  // in this order: what the last one wrote is seen
  if (non_blocking) return Errno::kAGAIN;
  TRY(wait_restartable(
      readable_, [this] { return bytes() != 0 || writers() == 0; }, true));
  return true;
}

// 0: another reader was faster.
[[gnu::always_inline]] inline Result<size_t> Pipe::take(IoBuffer& buffer) {
  lock_.lock();
  Result<size_t> moved = ring_.take(buffer);
  bool leaves_some = bytes() != 0;
  bytes_went_locked();
  lock_.unlock();
  if (leaves_some) readable_.wake(kPollIn | kPollReadNormal);
  if (moved.ok() && moved.value() != 0) writable_.wake(kPollOut | kPollWriteNormal);
  return moved;
}

[[gnu::always_inline]] inline Result<size_t> Pipe::read(IoBuffer& buffer, bool non_blocking) {
  size_t moved = 0;
  while (moved == 0 && buffer.remaining() != 0) {
    if (bytes() == 0 && !TRY(wait_for_bytes(non_blocking))) break;
    moved = TRY(take(buffer));
  }
  return moved;
}

[[gnu::always_inline]] inline Result<size_t> Pipe::write(IoBuffer& buffer, bool non_blocking) {
  size_t total = 0;
  const uint32_t needed = buffer.remaining() <= kAtomic ? static_cast<uint32_t>(buffer.remaining()) : 1;
  while (buffer.remaining() != 0) {
    if (readers() == 0) {
      signal_broken_pipe();
      return total != 0 ? Result<size_t>(total) : Errno::kPIPE;
    }
    lock_.lock();
    Result<size_t> moved = size_t{0};
    if (ring_.space() >= needed) {
      moved = ring_.put(buffer, ring_.space());
      bytes_came_locked();
    }
    lock_.unlock();
    if (!moved.ok()) return total != 0 ? Result<size_t>(total) : moved;
    total += moved.value();
    if (moved.value() != 0) {
      readable_.wake(kPollIn | kPollReadNormal);
      continue;
    }
    if (non_blocking) return total != 0 ? Result<size_t>(total) : Errno::kAGAIN;
    Result<void> waited = wait_restartable(writable_, [this, needed] { return ring_.space() >= needed || readers() == 0; });
    if (!waited.ok()) return total != 0 ? Result<size_t>(total) : waited.error();
  }
  return total;
}

// A writer never hears of readers that come, nor a reader of writers.
void Pipe::ends_changed_locked() {
  for_readers_.become(kPollHangUp, writers() == 0);
  for_writers_.become(kPollError, readers() == 0);
}

void Pipe::add_end(bool reads, bool writes) {
  {
    LockGuard guard(ends_lock_);
    readers_.fetch_add(reads, memory_order_acq_rel);
    reader_opens_.fetch_add(reads, memory_order_acq_rel);
    writers_.fetch_add(writes, memory_order_acq_rel);
    writer_opens_.fetch_add(writes, memory_order_acq_rel);
    ends_changed_locked();
  }
  opened_.wake_all();
}

void Pipe::remove_end(bool reads, bool writes) {
  {
    LockGuard guard(ends_lock_);
    readers_.fetch_sub(reads, memory_order_acq_rel);
    writers_.fetch_sub(writes, memory_order_acq_rel);
    ends_changed_locked();
  }
  if (reads && readers() == 0) writable_.wake_all(kPollOut | kPollError);
  if (writes && writers() == 0) readable_.wake_all(kPollIn | kPollHangUp);
  if (readers() != 0 || writers() != 0) return;
  LockGuard guard(lock_);  // what nobody has read is lost, as fifo(7) says
  if (readers() != 0 || writers() != 0) return;
  ring_.clear();
  bytes_went_locked();
}

Result<void> Pipe::wait_for_reader(uint32_t seen) {
  return wait_restartable(opened_, [this, seen] { return readers() != 0 || reader_opens() != seen; });
}
Result<void> Pipe::wait_for_writer(uint32_t seen) {
  return wait_restartable(opened_, [this, seen] { return writers() != 0 || writer_opens() != seen; });
}

namespace {

constexpr uint32_t kRoundable = 1u << 31;
constexpr uint32_t whole_pages(uint32_t bytes) { return bytes <= kPageSize ? kPageSize : std::bit_ceil(bytes); }

}  // namespace

constinit Atomic<uint32_t> Pipe::most_bytes_{1u << 20};

Result<void> Pipe::set_most_bytes(uint32_t bytes) {
  if (bytes == 0 || bytes > kRoundable) return Errno::kINVAL;
  most_bytes_.store(whole_pages(bytes), memory_order_relaxed);
  return {};
}

Result<uint32_t> Pipe::set_capacity(uint32_t wanted) {
  if (wanted > kRoundable) return Errno::kINVAL;
  uint32_t rounded = whole_pages(wanted);
  if (rounded > capacity() && wanted > most_bytes() && !current_is_superuser()) return Errno::kPERM;
  {
    LockGuard guard(lock_);
    TRY(ring_.resize(rounded));
    bytes_went_locked();
    bytes_came_locked();
  }
  writable_.wake_all(kPollOut | kPollWriteNormal);
  return rounded;
}

namespace {

class PipeFile final : public File {
 public:
  PipeFile(Ref<Inode> inode, uint32_t flags, Ref<Pipe> pipe) : File(std::move(inode), flags), pipe_(std::move(pipe)) {
    writer_opens_at_open_ = pipe_->writer_opens();
    pipe_->add_end(is_readable(), is_writable());
  }
  ~PipeFile() override = default;

  Pipe& pipe() const { return *pipe_; }
  Result<size_t> read(IoBuffer& buffer) override { return pipe_->read(buffer, may_not_wait(buffer)); }
  Result<size_t> write(IoBuffer& buffer) override { return pipe_->write(buffer, may_not_wait(buffer)); }
  Result<size_t> read_at(uint64_t, IoBuffer&) override { return Errno::kSPIPE; }
  Result<size_t> write_at(uint64_t, IoBuffer&) override { return Errno::kSPIPE; }
  Result<void> synchronize(bool) override { return Errno::kINVAL; }

  uint32_t poll(PollTable* table) override {
    if (table) register_queues(*table);
    return (is_readable() ? reader_events() : 0) | (is_writable() ? pipe_->for_writers().events() : 0);
  }
  // An end of pipe(2)'s has one side, and what is true of that is true of the end.
  void is_sole_end() { keeps_readiness(is_readable() ? pipe_->for_readers() : pipe_->for_writers()); }

  Result<uint32_t> ioctl(uint32_t request, uint32_t argument) override {
    constexpr uint32_t kBytesToRead = 0x541b;
    if (request != kBytesToRead) return Errno::kNOTTY;
    TRY(user_write(UserPtr<uint32_t>(argument), pipe_->bytes()));
    return 0u;
  }

  void describe(FormatSink& sink) const override {
    if (path().dentry) return File::describe(sink);
    format(sink, "pipe:[{}]", inode_number());
  }

 private:
  // A fifo's reader without a writer yet has not been hung up on.
  uint32_t reader_events() const {
    bool is_before_writers = path().dentry.get() && pipe_->writer_opens() == writer_opens_at_open_;
    return pipe_->for_readers().events() & ~(is_before_writers ? kPollHangUp : 0);
  }
  void register_queues(PollTable& table) {
    if (is_readable()) table.register_queue(pipe_->readable());
    if (is_writable()) table.register_queue(pipe_->writable());
  }
  void last_reference_gone() override {
    pipe_->remove_end(is_readable(), is_writable());
    slab_delete(this);
  }
  Ref<Pipe> pipe_;
  uint32_t writer_opens_at_open_;
};

}  // namespace

Result<Ref<File>> open_fifo(Ref<Inode> inode, uint32_t flags) {
  Ref<Pipe> pipe(*TRY(inode->fifo()));
  bool has_name = !is_anonymous(*inode);  // without one (by way of /proc/PID/fd) there is no other end to wait for
  bool waits = has_name && !(flags & kOpenNonBlocking);
  uint32_t mode = flags & kOpenAccessMode;
  if (mode == kOpenWriteOnly && has_name && !waits && pipe->readers() == 0) return Errno::kNXIO;
  uint32_t reader_opens = pipe->reader_opens(), writer_opens = pipe->writer_opens();
  Ref<File> file = Ref<File>::adopt(TRY(slab_new<PipeFile>(std::move(inode), flags, pipe)));
  if (waits && mode == kOpenReadOnly) TRY(pipe->wait_for_writer(writer_opens));
  if (waits && mode == kOpenWriteOnly) TRY(pipe->wait_for_reader(reader_opens));
  return file;
}

Result<PipeEnds> pipe_create(uint32_t flags, const Credentials& who) {
  Ref<Inode> inode = TRY(anonymous_inode_create(FileType::kFifo, 0600, who));
  Ref<Pipe> pipe(*TRY(inode->fifo()));
  auto reader = Ref<PipeFile>::adopt(TRY(slab_new<PipeFile>(inode, kOpenReadOnly | flags, pipe)));
  auto writer = Ref<PipeFile>::adopt(TRY(slab_new<PipeFile>(std::move(inode), kOpenWriteOnly | flags, std::move(pipe))));
  reader->is_sole_end();
  writer->is_sole_end();
  return PipeEnds{std::move(reader), std::move(writer)};
}

Pipe* pipe_of(File& file) {
  if (!file.inode() || file.inode()->type() != FileType::kFifo || file.is_path_only()) return nullptr;
  return &static_cast<PipeFile&>(file).pipe();
}

}  // namespace faultline
