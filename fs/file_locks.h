// Advisory locks of one inode: POSIX record locks (fcntl), open-file-description locks and whole-file locks (flock).
// Owners are compared by address only: a process' descriptor table for POSIX locks, the open file for the other two.
#pragma once

#include "lib/list.h"
#include "lib/lock.h"
#include "lib/result.h"
#include "lib/wait_queue.h"

namespace faultline {

enum class FileLockKind : uint8_t { kRead, kWrite };
enum class LockFamily : uint8_t { kRecord, kWholeFile };  // the two do not see each other

struct LockRange {
  uint64_t first = 0;
  uint64_t last = ~0ull;  // inclusive
};

struct FileLock : ListNode<> {
  LockFamily family;
  FileLockKind kind;
  LockRange range;
  const void* owner;
  int32_t process;  // what F_GETLK tells: a pid, -1 for open-file-description locks
};

class FileLocks {
 public:
  static Result<FileLocks*> create();
  static void destroy(FileLocks* locks);

  // Sets `kind` on the range for `owner`, replacing what it had there. kAGAIN if another owner is in the way and `waits` is false;
  // kRESTARTSYS, kNOMEM.
  Result<void> set(LockFamily family, FileLockKind kind, LockRange range, const void* owner, int32_t process, bool waits);
  Result<void> clear(LockFamily family, LockRange range, const void* owner);  // kNOMEM when a lock must be split
  // A lock in the way of this one; false if there is none.
  bool find_conflict(LockFamily family, FileLockKind kind, LockRange range, const void* owner, FileLock& found);
  // The owner is gone, or (POSIX) has closed a descriptor of the file.
  void drop_owner(const void* owner);

 private:
  struct Spares;
  FileLock* conflict_locked(LockFamily family, FileLockKind kind, LockRange range, const void* owner) REQUIRES(lock_);
  void carve_locked(LockFamily family, LockRange range, const void* owner, Spares& spares) REQUIRES(lock_);

  SpinLock<LockRank::kFileLocks> lock_;
  List<FileLock> held_ GUARDED_BY(lock_);
  WaitQueue changed_;
};

}  // namespace faultline
