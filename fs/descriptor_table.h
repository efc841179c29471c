// A process's open files by number. Small tables live in the object; up to 2^20 descriptors grow in chunks as they are used.
// Reading a slot takes no lock when the table has one user (its own thread), so a system call on a descriptor costs a few instructions.
#pragma once

#include "fs/file.h"

namespace faultline {

// A file borrowed from a table for one system call.
class FileHandle {
 public:
  FileHandle() = default;
  FileHandle(File* file, bool counted) : file_(file), counted_(counted) {}
  FileHandle(FileHandle&& other) noexcept : file_(std::exchange(other.file_, nullptr)), counted_(other.counted_) {}
  FileHandle& operator=(FileHandle&& other) noexcept {
    std::swap(file_, other.file_);
    std::swap(counted_, other.counted_);
    return *this;
  }
  ~FileHandle() {
    if (file_ && counted_) file_->release();
  }
  File* get() const { return file_; }
  File* operator->() const { return file_; }
  File& operator*() const { return *file_; }
  explicit operator bool() const { return file_ != nullptr; }
  // A reference that outlives the call.
  Ref<File> share() const { return Ref<File>(*file_); }

 private:
  File* file_ = nullptr;
  bool counted_ = false;
};

enum class CloseOnExec : uint8_t { kNo, kYes };

class DescriptorTable final : public RefCounted<DescriptorTable> {
 public:
  static constexpr uint32_t kLimit = 1u << 20;

  static Result<Ref<DescriptorTable>> create();
  // fork: the same files, without the descriptors from `below` on. kNOMEM.
  Result<Ref<DescriptorTable>> copy(uint32_t below = kLimit);
  static void destroy(DescriptorTable* table);

  // The file, or kBADF.
  Result<FileHandle> get(uint32_t descriptor) {
    File* file = file_of(load(descriptor));
    if (!file) [[unlikely]]
      return Errno::kBADF;
    if (reference_count() == 1) [[likely]]
      return FileHandle(file, false);
    return get_shared(descriptor);
  }
  class Scan;
  // For other processes (/proc/PID/fd): null if there is none.
  Ref<File> find(uint32_t descriptor);
  // The lowest open descriptor at or above `from`, or kLimit.
  uint32_t next_open(uint32_t from);

  // The lowest free number at or above `minimum` and below `limit` (RLIMIT_NOFILE), set aside: install() or cancel() it. kMFILE, kNOMEM.
  Result<uint32_t> reserve(uint64_t limit, uint32_t minimum = 0);
  void cancel(uint32_t descriptor);
  void install(uint32_t descriptor, Ref<File> file, CloseOnExec close_on_exec);
  // reserve and install.
  Result<uint32_t> add(Ref<File> file, CloseOnExec close_on_exec, uint64_t limit, uint32_t minimum = 0);
  // dup2: closes what is there. kBADF past the limit; kBUSY if it is reserved by an open in progress.
  Result<void> replace(uint32_t descriptor, Ref<File> file, CloseOnExec close_on_exec, uint64_t limit);

  Result<void> close(uint32_t descriptor);  // kBADF
  void close_range(uint32_t first, uint32_t last);
  void close_for_exec();
  void close_all() { close_range(0, kLimit - 1); }

  Result<CloseOnExec> close_on_exec(uint32_t descriptor);
  Result<void> set_close_on_exec(uint32_t descriptor, CloseOnExec value);
  void set_close_on_exec_range(uint32_t first, uint32_t last);

 private:
  template <typename T, typename... Arguments>
  friend Result<T*> slab_new(Arguments&&...);
  template <typename T>
  friend void slab_delete(T*);
  DescriptorTable() = default;
  ~DescriptorTable() = default;

  // A slot: the file's address, with the close-on-exec flag in bit 0; kReserved while an open is in progress; 0 free.
  using Slot = Atomic<uintptr_t>;
  static constexpr uintptr_t kCloseOnExecBit = 1, kReserved = 2, kFlagBits = 3;
  static constexpr uint32_t kInline = 32, kChunkShift = 10, kPerChunk = 1u << kChunkShift, kChunks = kLimit >> kChunkShift;
  struct Chunk {
    Slot slots[kPerChunk]{};
  };
  struct Directory {
    Atomic<Chunk*> chunks[kChunks]{};
    uint16_t used[kChunks]{};  // slots in use, to skip full chunks; zero-initialised
  };

  static File* file_of(uintptr_t slot) { return reinterpret_cast<File*>(slot & ~kFlagBits); }
  uintptr_t load(uint32_t descriptor) const {
    if (descriptor < kInline) [[likely]]
      return inline_[descriptor].load(memory_order_acquire);
    return load_far(descriptor);
  }
  uintptr_t load_far(uint32_t descriptor) const;
  Result<FileHandle> get_shared(uint32_t descriptor);
  Slot* slot(uint32_t descriptor) const;
  Result<Slot*> slot_or_new(uint32_t descriptor);
  uint32_t next_free_locked(uint32_t from, uint32_t limit) const REQUIRES(lock_);
  void count_locked(uint32_t descriptor, int change) REQUIRES(lock_);
  // Empties the slot and returns the reference it held.
  Ref<File> take_locked(uint32_t descriptor) REQUIRES(lock_);
  void file_closed(Ref<File> file);

  Slot inline_[kInline]{};
  Atomic<Directory*> directory_{nullptr};
  SpinLock<LockRank::kDescriptors> lock_;      // all changes
  uint32_t first_free_ GUARDED_BY(lock_) = 0;  // nothing below is free
  uint32_t end_ GUARDED_BY(lock_) = 0;         // nothing at or above is open
};

// For one who looks up many descriptors and keeps none of their files: remembers where the slots beside the last one are.
class DescriptorTable::Scan {
 public:
  enum class Peeking : uint8_t { kAllowed, kForbidden };
  // Of the running process' table, for the time of a call.
  Scan(DescriptorTable& table, Peeking peeking) : table_(table), peeking_(peeking) {}
  // The file; or null, if there is none or it must be borrowed, because others use the table as well and may close it meanwhile, or the caller has
  // said so: get() knows.
  [[gnu::always_inline]] File* peek(uint32_t descriptor) {
    uint32_t index = descriptor - first_;
    File* file = index < count_ ? file_of(slots_[index].load(memory_order_acquire)) : nullptr;
    return file ? file : peek_elsewhere(descriptor);
  }
  Result<FileHandle> get(uint32_t descriptor) { return table_.get(descriptor); }

 private:
  File* peek_elsewhere(uint32_t descriptor);

  DescriptorTable& table_;
  const Peeking peeking_;
  const Slot* slots_ = nullptr;  // of `first_` and those after it
  uint32_t first_ = 0, count_ = 0;
};

}  // namespace faultline
