// What all open files share: position, status flags, how a mapping shows them.
#include "fs/file.h"

#include "fs/file_locks.h"
#include "fs/namespace.h"

namespace faultline {

constinit SpinLock<LockRank::kFileWatches> file_watches_lock;

File::~File() {
  if (counted_as_writer_) {
    path_.mount->writer_ends();
    inode_->end_writing();
  }
  if (runs_) inode_->end_running();
  if (inode_ && inode_->locks()) inode_->locks()->drop_owner(this);
}

void File::add_watch(FileWatch& watch) {
  LockGuard guard(file_watches_lock);
  was_watched_.store(true, memory_order_seq_cst);
  watches_.push_back(watch);
}

void File::remove_watch(FileWatch& watch) {
  LockGuard guard(file_watches_lock);
  watches_.remove(watch);
}

// Nobody adds a watch any more, but watchers may end themselves meanwhile: each is told with the lock released.
void File::end_watches() {
  for (;;) {
    Ref<FileWatcher> watcher;
    {
      LockGuard guard(file_watches_lock);
      FileWatch* watch = watches_.front();
      if (!watch) return;
      watcher = Ref<FileWatcher>(watch->watcher());
    }
    watcher->file_ends(*this);
  }
}

void File::set_status_flags(uint32_t wanted) {
  constexpr uint32_t kSettable = kOpenAppend | kOpenNonBlocking | kOpenDirect | kOpenNoAccessTime | kOpenAsync;
  uint32_t before = flags();
  while (!flags_.compare_exchange_weak(before, (before & ~kSettable) | (wanted & kSettable), memory_order_relaxed)) {
  }
}

Result<size_t> File::read(IoBuffer& buffer) {
  LockGuard guard(position_lock_);
  size_t moved = TRY(read_at(position_, buffer));
  position_ += moved;
  return moved;
}

Result<size_t> File::write(IoBuffer& buffer) {
  LockGuard guard(position_lock_);
  size_t moved = TRY(write_at(position_, buffer));
  position_ += moved;
  return moved;
}

Result<uint64_t> File::seek(int64_t offset, uint32_t whence) {
  if (!is_seekable()) return Errno::kSPIPE;
  LockGuard guard(position_lock_);
  uint64_t size = inode_ && inode_->object() ? inode_->object()->size() : 0;
  int64_t base = 0;
  switch (whence) {
    case kSeekSet: break;
    case kSeekCurrent: base = static_cast<int64_t>(position_); break;
    case kSeekEnd: base = static_cast<int64_t>(size); break;
    case kSeekData:  // a file without knowledge of its holes: all data, one hole at the end
    case kSeekHole:
      if (offset < 0 || static_cast<uint64_t>(offset) >= size) return Errno::kNXIO;
      if (whence == kSeekHole) offset = static_cast<int64_t>(size);
      break;
    default: return Errno::kINVAL;
  }
  int64_t target;
  if (__builtin_add_overflow(base, offset, &target)) return Errno::kOVERFLOW;
  if (target < 0) return Errno::kINVAL;
  position_ = static_cast<uint64_t>(target);
  return position_;
}

Result<void> File::synchronize(bool data_only) {
  if (!inode_) return Errno::kINVAL;
  return inode_->synchronize(data_only);
}

Result<void> File::punch_hole(PageIndex first, uint32_t pages) {
  if (!inode_ || inode_->type() != FileType::kRegular) return Errno::kOPNOTSUPP;
  LockGuard guard(inode_->content_lock());
  return inode_->allocate_range(Inode::kAllocateKeepSize | Inode::kAllocatePunchHole, first.byte(), uint64_t{pages} << kPageShift);
}

void File::describe(FormatSink& sink) const { path_describe(path_, sink); }

uint32_t File::device() const { return inode_ ? static_cast<uint32_t>(inode_->file_system().device().encode()) : 0; }

uint64_t File::inode_number() const { return inode_ ? inode_->number() : 0; }

}  // namespace faultline
