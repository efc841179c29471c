// One walk along a path, shared by everything that takes a name. A walk stops before the last component, for what happens to that
// depends on the call; it is restarted when the last component turns out to be a symbolic link to follow.
#pragma once

#include "fs/namespace.h"
#include "mm/slab.h"

namespace faultline {

class PathWalk {
 public:
  explicit PathWalk(const NameCaller& caller) : caller_(caller) {}
  PathWalk(const PathWalk&) = delete;
  PathWalk& operator=(const PathWalk&) = delete;

  // `name` must outlive the walk. kNOENT if it is empty.
  Result<void> start(StringView name);
  // Goes on to the directory of the last component, which may be searched.
  Result<void> to_parent();

  // Then:
  Path& place() { return at_; }  // the directory
  Inode& directory() { return *at_.inode(); }
  StringView last() const { return last_; }  // "" if the path was "/" or a magic link has ended the walk
  bool has_trailing_slash() const { return trailing_slash_; }
  bool last_is_special() const { return last_.empty() || last_ == "." || last_ == ".."; }

  // The last component as a name of the directory; may be negative.
  Result<Ref<Dentry>> look_up_last();
  // The same while the caller holds the directory's content lock; kNOENT if the directory has been removed.
  Result<Ref<Dentry>> look_up_last_locked() { return look_up_locked(last_); }
  // The last component was this symlink: its target takes its place; call to_parent() again.
  Result<void> follow(Dentry& link);
  // Makes `child` of the directory the place, or what is mounted on it.
  void enter(Ref<Dentry> child) {
    at_.dentry = std::move(child);
    if (at_.dentry->is_mount_point()) [[unlikely]]
      cross_mounts();
  }
  // Ends the walk at what a special last component means.
  void enter_special();

 private:
  Result<Ref<Dentry>> look_up(StringView name);
  Result<Ref<Dentry>> look_up_slowly(StringView name);
  Result<Ref<Dentry>> look_up_locked(StringView name);
  Result<void> check_search();
  void cross_mounts();
  void go_up();
  const Path& root();

  const NameCaller& caller_;
  Path root_;  // fetched when first needed
  Path at_;
  StringView rest_;  // what has not been walked
  StringView last_;
  bool trailing_slash_ = false;
  uint32_t links_ = 0;
  Buffer<char> text_;  // holds rest_ once a link was followed
};

}  // namespace faultline
