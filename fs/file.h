// An open file description: what open(2) makes and descriptors share. Position, status flags, and the operations by type.
#pragma once

#include <cstdint>

#include "fs/file_watch.h"
#include "fs/inode.h"
#include "fs/path.h"
#include "fs/poll.h"
#include "lib/abi/fcntl.h"
#include "mm/io_buffer.h"
#include "mm/space.h"
#include "mm/user_memory.h"

namespace faultline {

class Epoll;
class Ring;
class SignalFile;
class TimerFile;
class Socket;

class File : public RefCounted<File>, public RegionBacking {
 public:
  // `flags` as open(2): access mode and status flags. The path may be empty (pipes, memfd); inode may be null.
  File(Ref<Inode> inode, uint32_t flags) : inode_(std::move(inode)), flags_(flags) {}
  static void destroy(File* file) {
    if (file->was_watched()) [[unlikely]]
      file->end_watches();
    file->last_reference_gone();
  }

  Inode* inode() const { return inode_.get(); }
  const Path& path() const { return path_; }
  void set_path(Path path) { path_ = std::move(path); }
  uint32_t flags() const { return flags_.load(memory_order_relaxed); }
  // F_SETFL's part: O_APPEND, O_NONBLOCK, O_DIRECT, O_NOATIME.
  void set_status_flags(uint32_t flags);
  // O_PATH files are neither. Access mode 3 (for ioctl only) is neither too.
  bool is_readable() const { return !(flags() & (kOpenWriteOnly | kOpenPath)); }
  bool is_writable() const { return ((flags() & kOpenAccessMode) + 1) & 2; }
  bool is_path_only() const { return flags() & kOpenPath; }
  bool is_non_blocking() const { return flags() & kOpenNonBlocking; }
  // Whether a read or write of these bytes is not to sleep.
  bool may_not_wait(const IoBuffer& buffer) const { return is_non_blocking() || buffer.is_impatient(); }

  // read(2), write(2) at the file's own position, and pread, pwrite at `offset`. Return bytes moved. The syscall layer has checked the access
  // mode. Positional calls on streams are kSPIPE.
  virtual Result<size_t> read(IoBuffer& buffer);
  virtual Result<size_t> write(IoBuffer& buffer);
  virtual Result<size_t> read_at(uint64_t offset, IoBuffer& buffer) { return (void)offset, (void)buffer, Errno::kINVAL; }
  virtual Result<size_t> write_at(uint64_t offset, IoBuffer& buffer) { return (void)offset, (void)buffer, Errno::kINVAL; }
  virtual bool is_seekable() const { return false; }
  virtual Result<uint64_t> seek(int64_t offset, uint32_t whence);

  // Returns the events that are true now; registers the caller with the queues that will wake when they change.
  virtual uint32_t poll(PollTable* table) { return (void)table, kPollIn | kPollOut | kPollReadNormal | kPollWriteNormal; }
  // The same, for who only wants to know. Inlined where many are asked.
  [[gnu::always_inline]] uint32_t events_now() { return readiness_ ? readiness_->events() : poll(nullptr); }
  virtual Result<uint32_t> ioctl(uint32_t request, uint32_t argument) { return (void)request, (void)argument, Errno::kNOTTY; }
  virtual Result<void> read_directory(DirectorySink& sink) { return (void)sink, Errno::kNOTDIR; }
  // The object that mmap of this file maps, or kNODEV. Private and shared mappings alike. Devices may return one of their own (/dev/zero: a null
  // Ref means "as anonymous").
  virtual Result<Ref<Object>> map_object() { return Errno::kNODEV; }
  // The same for a file that has several objects, each at an offset of its own: `first`, in pages, becomes that within the object.
  virtual Result<Ref<Object>> map_object_at(PageIndex& first) { return (void)first, map_object(); }
  Result<void> synchronize(bool data_only) override;
  Result<void> punch_hole(PageIndex first, uint32_t pages) override;
  // Itself, if it is one of timerfd_create's.
  virtual TimerFile* timer() { return nullptr; }
  // Itself, if it is one of signalfd's.
  virtual SignalFile* signal_file() { return nullptr; }
  // What is behind it, if it is one of epoll_create's.
  virtual Epoll* epoll() { return nullptr; }
  // Whether it is one of eventfd's.
  virtual bool counts_events() const { return false; }
  // What is behind it, if it is one of io_uring_setup's.
  virtual Ring* ring() { return nullptr; }
  // Lines of its kind for /proc/PID/fdinfo.
  virtual void describe_state(FormatSink& sink) { (void)sink; }

  // For a watcher that holds the file open, or is being told that it ends.
  void add_watch(FileWatch& watch);
  void remove_watch(FileWatch& watch);  // afterwards the file may be gone
  bool was_watched() const { return was_watched_.load(memory_order_seq_cst); }
  List<FileWatch>& watches() REQUIRES(file_watches_lock) { return watches_; }
  // Itself, if it is a socket.
  virtual Socket* socket() { return nullptr; }
  // A descriptor of this file was closed (not necessarily the last). Who has something to do once its reference is gone drops it here, and is then
  // perhaps gone itself.
  virtual void descriptor_closed(Ref<File>& reference) { (void)reference; }
  // The path's mount counted this file as a reason not to become read-only.
  void set_counted_as_writer() { counted_as_writer_ = true; }
  // A program is run from this file, as long as the file is open: kTXTBSY.
  Result<void> begin_running() {
    if (!inode_->begin_running()) return Errno::kTXTBSY;
    runs_ = true;
    return {};
  }

  // RegionBacking: a mapping holds the file open.
  void acquire() override { RefCounted<File>::acquire(); }
  void release() override { RefCounted<File>::release(); }
  void describe(FormatSink& sink) const override;
  uint32_t device() const override;
  uint64_t inode_number() const override;

 protected:
  virtual ~File();
  virtual void last_reference_gone() = 0;  // usually slab_delete(this)
  // For the file's whole life.
  void keeps_readiness(const Readiness& readiness) { readiness_ = &readiness; }
  uint64_t position_ GUARDED_BY(position_lock_) = 0;
  Mutex<LockRank::kFile> position_lock_;

 private:
  void end_watches();

  Ref<Inode> inode_;
  Path path_;
  Atomic<uint32_t> flags_;
  const Readiness* readiness_ = nullptr;  // what poll would answer; null: it has to be asked
  Atomic<bool> was_watched_{false};       // now or before
  List<FileWatch> watches_ GUARDED_BY(file_watches_lock);
  bool counted_as_writer_ = false;
  bool runs_ = false;
};

// Waits that a signal may end and that are started again after a handler with SA_RESTART: kINTR becomes kRESTARTSYS.
template <typename Condition>
Result<void> wait_restartable(WaitQueue& queue, Condition condition, bool exclusive = false) {
  Result<void> result = wait_until(queue, condition, SleepKind::kInterruptible, Deadline::never(), exclusive);
  return !result.ok() && result.error() == Errno::kINTR ? Errno::kRESTARTSYS : result;
}

}  // namespace faultline
