// Path walking: path_resolution(7), one component after the other.
#include "fs/path_walk.h"

namespace faultline {

Result<void> PathWalk::start(StringView name) {
  if (name.empty()) return Errno::kNOENT;
  rest_ = name;
  if (name[0] == '/') {
    at_ = caller_.names.root();
  } else {
    at_ = caller_.base ? *caller_.base : caller_.names.current();
  }
  return {};
}

const Path& PathWalk::root() {
  if (!root_) root_ = caller_.names.root();
  return root_;
}

[[gnu::always_inline]] inline Result<void> PathWalk::check_search() {
  Inode& inode = *at_.inode();
  if (!inode.is_directory()) return Errno::kNOTDIR;
  if (caller_.who.fsuid == 0) return {};  // root may search any directory: see permission_check()
  AccessAttributes access = inode.access_attributes();
  return permission_check(caller_.who, access.mode, access.uid, access.gid, kMayExecute);
}

[[gnu::always_inline]] inline Result<Ref<Dentry>> PathWalk::look_up(StringView name) {
  if (Ref<Dentry> found = DentryCache::find(*at_.dentry, name)) [[likely]]
    return found;
  return look_up_slowly(name);
}

Result<Ref<Dentry>> PathWalk::look_up_slowly(StringView name) {
  LockGuard guard(directory().content_lock());
  return look_up_locked(name);
}

Result<void> PathWalk::to_parent() {
  const char* p = rest_.begin();
  const char* end = rest_.end();
  for (;;) {
    while (p != end && *p == '/') p++;
    if (p == end) {
      last_ = "";
      trailing_slash_ = false;
      return {};
    }
    TRY(check_search());
    const char* begin = p;
    while (p != end && *p != '/') p++;
    StringView component(begin, static_cast<size_t>(p - begin));
    if (component.size() > kNameLimit) return Errno::kNAMETOOLONG;
    const char* after = p;
    while (p != end && *p == '/') p++;
    rest_ = {p, static_cast<size_t>(end - p)};
    if (p == end) {
      last_ = component;
      trailing_slash_ = after != end;
      return {};
    }
    if (component == ".") continue;
    if (component == "..") {
      go_up();
      continue;
    }
    Ref<Dentry> child = TRY(look_up(component));
    Inode* inode = child->inode();
    if (!inode) return Errno::kNOENT;
    if (inode->type() == FileType::kSymlink) [[unlikely]] {
      trailing_slash_ = true;  // something follows it
      TRY(follow(*child));
      p = rest_.begin();
      end = rest_.end();
      continue;
    }
    enter(std::move(child));
  }
}

Result<Ref<Dentry>> PathWalk::look_up_locked(StringView name) {
  Dentry& parent = *at_.dentry;
  if (Ref<Dentry> found = DentryCache::find(parent, name)) return found;
  if (parent.is_deleted()) return Errno::kNOENT;
  Result<Ref<Inode>> inode = parent.inode()->lookup(name);
  if (!inode.ok() && inode.error() != Errno::kNOENT) return inode.error();
  Caching caching = parent.inode()->names_are_stable() ? Caching::kCached : Caching::kUncached;
  return DentryCache::insert(parent, name, inode.ok() ? inode.release_value() : Ref<Inode>(), caching);
}

Result<void> PathWalk::follow(Dentry& link) {
  if (++links_ > kSymlinkLimit) return Errno::kLOOP;
  Inode& inode = *link.inode();
  if (inode.is_magic_link()) {
    Path target;
    TRY(inode.follow_magic_link(target));
    at_ = std::move(target);
    return {};  // rest_ goes on from there; nothing left: the walk ends with last() empty
  }
  if (at_.mount && (at_.mount->flags() & kMountNoAccessTime) == 0) inode.touch_accessed();
  Buffer<char> text = TRY(Buffer<char>::create(kPathLimit + rest_.size() + 1));
  size_t length = TRY(inode.read_link({text.data(), kPathLimit}));
  if (length == 0) return Errno::kNOENT;
  if (length >= kPathLimit || rest_.size() > 8 * kPathLimit) return Errno::kNAMETOOLONG;
  if (trailing_slash_ || !rest_.empty()) text[length++] = '/';
  memcpy(text.data() + length, rest_.data(), rest_.size());
  rest_ = {text.data(), length + rest_.size()};
  text_ = std::move(text);
  if (rest_[0] == '/') at_ = root();
  return {};
}

void PathWalk::cross_mounts() {
  do {
    Ref<Mount> mount = Mount::covering(at_);
    if (!mount) return;
    at_.dentry = mount->root();
    at_.mount = std::move(mount);
  } while (at_.dentry->is_mount_point());
}

void PathWalk::go_up() {
  if (at_ == root()) return;
  while (at_.dentry == at_.mount->root()) {
    Path below = at_.mount->attached_to();
    if (!below) return;  // the root of the tree, or of a detached mount
    at_ = std::move(below);
    if (at_ == root()) return;
  }
  at_.dentry = at_.dentry->parent();
  if (at_.dentry->is_mount_point()) cross_mounts();
}

void PathWalk::enter_special() {
  if (last_ == "..") go_up();
}

Result<Ref<Dentry>> PathWalk::look_up_last() { return look_up(last_); }

Result<Path> path_resolve(const NameCaller& caller, StringView name, FollowLast follow) {
  PathWalk walk(caller);
  TRY(walk.start(name));
  for (;;) {
    TRY(walk.to_parent());
    if (walk.last_is_special()) {
      walk.enter_special();
      return std::move(walk.place());
    }
    Ref<Dentry> child = TRY(walk.look_up_last());
    Inode* inode = child->inode();
    if (!inode) return Errno::kNOENT;
    if (inode->type() == FileType::kSymlink && (follow == FollowLast::kYes || walk.has_trailing_slash())) {
      TRY(walk.follow(*child));
      continue;
    }
    if (walk.has_trailing_slash() && !inode->is_directory()) return Errno::kNOTDIR;
    walk.enter(std::move(child));
    return std::move(walk.place());
  }
}

}  // namespace faultline
