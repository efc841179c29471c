// fcntl, ioctl, locks, write-back, access hints.
#include "fs/file_locks.h"
#include "fs/pipe.h"
#include "kernel/files/calls.h"
#include "kernel/files/support.h"
#include "lib/abi/fcntl_structures.h"

namespace faultline {

namespace {

using abi::RecordLock64;

// The bytes that a struct flock means.
Result<LockRange> range_of(File& file, const RecordLock64& lock) {
  int64_t base = 0;
  if (lock.whence == static_cast<int16_t>(kSeekCurrent)) {
    base = static_cast<int64_t>(TRY(file.seek(0, kSeekCurrent)));
  } else if (lock.whence == static_cast<int16_t>(kSeekEnd)) {
    base = static_cast<int64_t>(file.inode()->attributes().size);
  } else if (lock.whence != static_cast<int16_t>(kSeekSet)) {
    return Errno::kINVAL;
  }
  int64_t first, last;
  if (__builtin_add_overflow(base, lock.start, &first)) return Errno::kOVERFLOW;
  if (lock.length > 0) {
    if (__builtin_add_overflow(first, lock.length - 1, &last)) return Errno::kOVERFLOW;
  } else if (lock.length < 0) {
    last = first - 1;
    if (__builtin_add_overflow(first, lock.length, &first)) return Errno::kINVAL;
  } else {
    last = INT64_MAX;
  }
  if (first < 0) return Errno::kINVAL;
  return LockRange{static_cast<uint64_t>(first), static_cast<uint64_t>(last)};
}

struct LockOwner {
  const void* owner;
  int32_t process;
};

LockOwner owner_of(File& file, bool is_of_file) {
  if (is_of_file) return {&file, -1};
  return {&current_process().descriptors(), static_cast<int32_t>(current_process().pid())};
}

Result<void> get_lock(File& file, RecordLock64& lock, bool is_of_file) {
  if (lock.type != abi::kReadLock && lock.type != abi::kWriteLock) return Errno::kINVAL;
  LockRange range = TRY(range_of(file, lock));
  FileLock found;
  FileLocks* locks = file.inode()->locks();
  FileLockKind kind = lock.type == abi::kReadLock ? FileLockKind::kRead : FileLockKind::kWrite;
  if (!locks || !locks->find_conflict(LockFamily::kRecord, kind, range, owner_of(file, is_of_file).owner, found)) {
    lock.type = abi::kUnlock;
    return {};
  }
  lock.type = found.kind == FileLockKind::kRead ? abi::kReadLock : abi::kWriteLock;
  lock.whence = static_cast<int16_t>(kSeekSet);
  lock.start = static_cast<int64_t>(found.range.first);
  lock.length = found.range.last >= static_cast<uint64_t>(INT64_MAX) ? 0 : static_cast<int64_t>(found.range.last - found.range.first + 1);
  lock.process = found.process;
  return {};
}

Result<void> set_lock(File& file, const RecordLock64& lock, bool is_of_file, bool waits) {
  LockRange range = TRY(range_of(file, lock));
  LockOwner owner = owner_of(file, is_of_file);
  switch (lock.type) {
    case abi::kUnlock: {
      FileLocks* locks = file.inode()->locks();
      return locks ? locks->clear(LockFamily::kRecord, range, owner.owner) : Result<void>();
    }
    case abi::kReadLock:
      if (!file.is_readable()) return Errno::kBADF;
      break;
    case abi::kWriteLock:
      if (!file.is_writable()) return Errno::kBADF;
      break;
    default: return Errno::kINVAL;
  }
  FileLockKind kind = lock.type == abi::kReadLock ? FileLockKind::kRead : FileLockKind::kWrite;
  FileLocks* locks = TRY(file.inode()->locks_or_new());
  return locks->set(LockFamily::kRecord, kind, range, owner.owner, owner.process, waits);
}

enum class LockLayout : uint8_t { k32, k64 };

Result<RecordLock64> read_lock(uint32_t address, LockLayout layout) {
  if (layout == LockLayout::k64) return user_read(UserPtr<RecordLock64>(address));
  auto narrow = TRY(user_read(UserPtr<abi::RecordLock32>(address)));
  return RecordLock64{narrow.type, narrow.whence, narrow.start, narrow.length, narrow.process};
}

Result<void> write_lock(uint32_t address, LockLayout layout, const RecordLock64& lock) {
  if (layout == LockLayout::k64) return user_write(UserPtr<RecordLock64>(address), lock);
  if (lock.type != abi::kUnlock && (lock.start > INT32_MAX || lock.length > INT32_MAX)) return Errno::kOVERFLOW;
  abi::RecordLock32 narrow{lock.type, lock.whence, static_cast<int32_t>(lock.start), static_cast<int32_t>(lock.length), lock.process};
  return user_write(UserPtr<abi::RecordLock32>(address), narrow);
}

Result<uint32_t> lock_command(File& file, uint32_t command, uint32_t address) {
  bool is_of_file = command >= abi::kGetFileLock && command <= abi::kSetFileLockWait;
  LockLayout layout =
      command == abi::kGetLock || command == abi::kSetLock || command == abi::kSetLockWait ? LockLayout::k32 : LockLayout::k64;
  RecordLock64 lock = TRY(read_lock(address, layout));
  if (!file.inode()) return Errno::kINVAL;
  if (is_of_file && lock.process != 0) return Errno::kINVAL;
  if (command == abi::kGetLock || command == abi::kGetLock64 || command == abi::kGetFileLock) {
    TRY(get_lock(file, lock, is_of_file));
    TRY(write_lock(address, layout, lock));
    return 0u;
  }
  bool waits = command == abi::kSetLockWait || command == abi::kSetLockWait64 || command == abi::kSetFileLockWait;
  TRY(set_lock(file, lock, is_of_file, waits));
  return 0u;
}

Result<uint32_t> duplicate_from(FileHandle& file, uint32_t minimum, CloseOnExec close_on_exec) {
  if (minimum >= descriptor_limit()) return Errno::kINVAL;
  return current_process().descriptors().add(file.share(), close_on_exec, descriptor_limit(), minimum);
}

Result<uint32_t> pipe_size(File& file, uint32_t command, uint32_t argument) {
  Pipe* pipe = pipe_of(file);
  if (!pipe) return Errno::kBADF;
  return command == abi::kGetPipeSize ? Result<uint32_t>(pipe->capacity()) : pipe->set_capacity(argument);
}

}  // namespace

Result<uint32_t> sys_fcntl64(uint32_t descriptor, uint32_t command, uint32_t argument) {
  DescriptorTable& table = current_process().descriptors();
  FileHandle file = TRY(table.get(descriptor));
  constexpr uint32_t kCloseOnExecFlag = 1;
  switch (command) {
    case abi::kDuplicate: return duplicate_from(file, argument, CloseOnExec::kNo);
    case abi::kDuplicateCloseOnExec: return duplicate_from(file, argument, CloseOnExec::kYes);
    case abi::kGetDescriptorFlags: return TRY(table.close_on_exec(descriptor)) == CloseOnExec::kYes ? kCloseOnExecFlag : 0u;
    case abi::kSetDescriptorFlags:
      TRY(table.set_close_on_exec(descriptor, argument & kCloseOnExecFlag ? CloseOnExec::kYes : CloseOnExec::kNo));
      return 0u;
    case abi::kGetStatusFlags:
      return file->flags() & ~(kOpenCreate | kOpenExclusive | kOpenNoControllingTty | kOpenTruncate | kOpenCloseOnExec);
    default: break;
  }
  if (file->is_path_only()) return Errno::kBADF;
  switch (command) {
    case abi::kSetStatusFlags: file->set_status_flags(argument); return 0u;
    case abi::kGetLock:
    case abi::kSetLock:
    case abi::kSetLockWait:
    case abi::kGetLock64:
    case abi::kSetLock64:
    case abi::kSetLockWait64:
    case abi::kGetFileLock:
    case abi::kSetFileLock:
    case abi::kSetFileLockWait: return lock_command(*file, command, argument);
    case abi::kGetPipeSize:
    case abi::kSetPipeSize: return pipe_size(*file, command, argument);
    case abi::kGetOwner: return 0u;  // nobody is signalled
    default: return Errno::kINVAL;
  }
}

Result<uint32_t> sys_flock(int32_t descriptor, uint32_t operation) {
  constexpr uint32_t kShared = 1, kExclusive = 2, kNonBlocking = 4, kUnlockWhole = 8;
  FileHandle file = TRY(descriptor_file(descriptor));
  if (!file->inode()) return Errno::kINVAL;
  bool waits = !(operation & kNonBlocking);
  switch (operation & ~kNonBlocking) {
    case kUnlockWhole:
      if (FileLocks* locks = file->inode()->locks()) TRY(locks->clear(LockFamily::kWholeFile, {}, file.get()));
      return 0u;
    case kShared:
    case kExclusive: {
      FileLocks* locks = TRY(file->inode()->locks_or_new());
      FileLockKind kind = operation & kShared ? FileLockKind::kRead : FileLockKind::kWrite;
      TRY(locks->set(LockFamily::kWholeFile, kind, {}, file.get(), static_cast<int32_t>(current_process().pid()), waits));
      return 0u;
    }
    default: return Errno::kINVAL;
  }
}

Result<uint32_t> sys_ioctl(uint32_t descriptor, uint32_t request, uint32_t argument) {
  constexpr uint32_t kSetCloseOnExec = 0x5451, kClearCloseOnExec = 0x5450, kNonBlockingMode = 0x5421, kBytesToRead = 0x541b;
  DescriptorTable& table = current_process().descriptors();
  FileHandle file = TRY(table.get(descriptor));
  if (file->is_path_only()) return Errno::kBADF;
  switch (request) {
    case kSetCloseOnExec: TRY(table.set_close_on_exec(descriptor, CloseOnExec::kYes)); return 0u;
    case kClearCloseOnExec: TRY(table.set_close_on_exec(descriptor, CloseOnExec::kNo)); return 0u;
    case kNonBlockingMode: {
      uint32_t on = TRY(user_read(UserPtr<uint32_t>(argument)));
      file->set_status_flags(on ? file->flags() | kOpenNonBlocking : file->flags() & ~kOpenNonBlocking);
      return 0u;
    }
    case kBytesToRead:
      if (file->inode() && file->inode()->type() == FileType::kRegular) {
        uint64_t position = TRY(file->seek(0, kSeekCurrent)), size = file->inode()->attributes().size;
        TRY(user_write(UserPtr<uint32_t>(argument), position < size ? static_cast<uint32_t>(size - position) : 0u));
        return 0u;
      }
      break;
    default: break;
  }
  return file->ioctl(request, argument);
}

Result<uint32_t> sys_fsync(int32_t descriptor) {
  FileHandle file = TRY(descriptor_file(descriptor));
  TRY(file->synchronize(false));
  return 0u;
}
Result<uint32_t> sys_fdatasync(int32_t descriptor) {
  FileHandle file = TRY(descriptor_file(descriptor));
  TRY(file->synchronize(true));
  return 0u;
}
Result<uint32_t> sys_sync() {
  ignore_result(mounts_synchronize(WriteBack::kWait));  // sync(2) cannot fail
  ignore_result(objects_write_back_all(WriteBack::kWait));
  return 0u;
}
Result<uint32_t> sys_syncfs(int32_t descriptor) {
  FileHandle file = TRY(descriptor_file(descriptor));
  if (file->inode()) TRY(file->inode()->file_system().synchronize(WriteBack::kWait));
  return 0u;
}

Result<uint32_t> sys_sync_file_range(int32_t descriptor, uint32_t offset_low, uint32_t offset_high, uint32_t bytes_low, uint32_t bytes_high,
                                     uint32_t flags) {
  constexpr uint32_t kWaitBefore = 1, kWrite = 2, kWaitAfter = 4;
  FileHandle file = TRY(descriptor_file(descriptor));
  int64_t offset = join_words(offset_low, offset_high), bytes = join_words(bytes_low, bytes_high), end;
  if ((flags & ~(kWaitBefore | kWrite | kWaitAfter)) || offset < 0 || bytes < 0) return Errno::kINVAL;
  if (__builtin_add_overflow(offset, bytes, &end)) return Errno::kINVAL;
  if (!file->is_seekable()) return Errno::kSPIPE;
  Object* object = file->inode() ? file->inode()->object() : nullptr;
  if (!object || flags == 0) return 0u;
  PageIndex first = PageIndex::of_byte(static_cast<uint64_t>(offset));
  uint32_t pages = bytes == 0 ? ~0u : pages_for(static_cast<uint64_t>(end)) - first.value();
  TRY(object->write_back(first, pages, flags & (kWaitBefore | kWaitAfter) ? WriteBack::kWait : WriteBack::kStart));
  return 0u;
}

constexpr int64_t kMaximumOffset = (1ll << 43) - 1;  // page indices have 32 bits

// Only what concerns the page cache does anything: how much a miss brings is seen from the misses themselves.
Result<uint32_t> sys_fadvise64_64(int32_t descriptor, uint32_t offset_low, uint32_t offset_high, uint32_t bytes_low, uint32_t bytes_high,
                                  uint32_t advice) {
  constexpr uint32_t kWillNeed = 3, kDontNeed = 4, kLast = 5;
  FileHandle file = TRY(descriptor_file(descriptor));
  if (!file->is_seekable()) return Errno::kSPIPE;
  int64_t offset = join_words(offset_low, offset_high), bytes = join_words(bytes_low, bytes_high);
  if (advice > kLast || bytes < 0 || offset < 0) return Errno::kINVAL;
  Object* object = file->inode() ? file->inode()->object() : nullptr;
  if (!object) return 0u;
  uint64_t end = bytes == 0 || bytes > kMaximumOffset - offset ? kMaximumOffset : static_cast<uint64_t>(offset + bytes);
  if (end > object->size()) end = align_up(object->size(), uint64_t{kPageSize});
  PageIndex first = PageIndex::of_byte(static_cast<uint64_t>(offset)), whole(pages_for(static_cast<uint64_t>(offset)));
  if (advice == kWillNeed && first.byte() < end) object->read_ahead(first, pages_for(end) - first.value());
  PageIndex last = PageIndex::of_byte(end);  // pages that are named in part stay
  if (advice == kDontNeed && whole < last) {
    ignore_result(object->write_back(whole, last - whole, WriteBack::kStart));
    object->drop_clean(whole, last - whole);
  }
  return 0u;
}
Result<uint32_t> sys_fadvise64(int32_t descriptor, uint32_t low, uint32_t high, uint32_t bytes, uint32_t advice) {
  return sys_fadvise64_64(descriptor, low, high, bytes, 0, advice);
}
Result<uint32_t> sys_readahead(int32_t descriptor, uint32_t offset_low, uint32_t offset_high, uint32_t bytes) {
  constexpr uint32_t kWillNeed = 3;
  FileHandle file = TRY(readable_file(descriptor));
  if (!file->inode() || file->inode()->type() != FileType::kRegular) return Errno::kINVAL;
  return bytes == 0 ? Result<uint32_t>(0u) : sys_fadvise64_64(descriptor, offset_low, offset_high, bytes, 0, kWillNeed);
}

}  // namespace faultline
