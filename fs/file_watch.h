// Watching an open file without keeping it open (epoll): whoever watches is told when the file ends.
#pragma once

#include "lib/list.h"
#include "lib/lock.h"
#include "lib/ref.h"

namespace faultline {

class File;

// The links between files and their watches. A leaf but for what a list touches.
extern SpinLock<LockRank::kFileWatches> file_watches_lock;

class FileWatcher : public RefCounted<FileWatcher> {
 public:
  static void destroy(FileWatcher* watcher) { watcher->last_reference_gone(); }
  // `file` has no users any more: it cannot be acquired, but is whole until its last watch is gone. Removes all that this watcher has on it.
  // May sleep; nothing is held.
  virtual void file_ends(File& file) = 0;

 protected:
  virtual ~FileWatcher() = default;
  virtual void last_reference_gone() = 0;
};

// One link from a file to a watcher, which lives at least as long as the link.
class FileWatch : public ListNode<> {
 public:
  explicit FileWatch(FileWatcher& watcher) : watcher_(watcher) {}
  FileWatcher& watcher() const { return watcher_; }

 private:
  FileWatcher& watcher_;
};

}  // namespace faultline
