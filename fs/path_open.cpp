// open(2): finding or creating the file, and every reason to refuse.
#include "fs/path_operations.h"

namespace faultline {

namespace {

uint32_t wanted_access(uint32_t flags) {
  uint32_t mode = flags & kOpenAccessMode;
  uint32_t wanted = mode == kOpenReadOnly ? kMayRead : mode == kOpenWriteOnly ? kMayWrite : kMayRead | kMayWrite;
  return flags & kOpenTruncate ? wanted | kMayWrite : wanted;
}

// What O_PATH gives: a place, and nothing to read or write.
class PathFile final : public File {
 public:
  using File::File;
  ~PathFile() override = default;
  uint32_t poll(PollTable*) override { return kPollInvalid; }

 private:
  void last_reference_gone() override { slab_delete(this); }
};

Result<Ref<File>> open_path_only(Path path, uint32_t flags) {
  if ((flags & kOpenDirectory) && !path.inode()->is_directory()) return Errno::kNOTDIR;
  Ref<File> file = Ref<File>::adopt(TRY(slab_new<PathFile>(Ref<Inode>(*path.inode()), kOpenPath)));
  file->set_path(std::move(path));
  return file;
}

Result<void> check_open(const Path& path, const Credentials& who, uint32_t flags) {
  Inode& inode = *path.inode();
  uint32_t wanted = wanted_access(flags);
  switch (inode.type()) {
    case FileType::kSymlink: return Errno::kLOOP;
    case FileType::kDirectory:
      if ((wanted & kMayWrite) || (flags & kOpenCreate)) return Errno::kISDIR;
      break;
    case FileType::kSocket: return Errno::kNXIO;
    case FileType::kCharacterDevice:
    case FileType::kBlockDevice:
      if (path.mount->flags() & kMountNoDevices) return Errno::kACCES;
      break;
    default: break;
  }
  if ((flags & kOpenDirectory) && !inode.is_directory()) return Errno::kNOTDIR;
  TRY(path_permission(path, who, wanted));
  if (flags & kOpenNoAccessTime && who.fsuid != 0 && who.fsuid != inode.access_attributes().uid) return Errno::kPERM;
  return {};
}

Result<Ref<File>> open_checked(const Path& path, uint32_t flags) {
  Inode& inode = *path.inode();
  bool is_regular = inode.type() == FileType::kRegular;
  bool counts = is_regular && (wanted_access(flags) & kMayWrite);
  if (counts && !path.mount->writer_begins()) return Errno::kROFS;
  if (counts && !inode.begin_writing()) {
    path.mount->writer_ends();
    return Errno::kTXTBSY;
  }
  Result<Ref<File>> file = inode.open(flags);
  if (file.ok() && is_regular && (flags & kOpenTruncate)) {
    AttributeChange change;
    change.which = AttributeChange::kSize;
    if (Result<void> cut = inode.set_attributes(change); !cut.ok()) file = cut.error();
  }
  bool keeps = file.ok() && file.value()->is_writable();
  if (counts && !keeps) {
    path.mount->writer_ends();
    inode.end_writing();
  }
  if (!file.ok()) return file;
  file.value()->set_path(path);
  if (counts && keeps) file.value()->set_counted_as_writer();
  return file;
}

enum class Created : uint8_t { kNo, kYes, kLookAgain };

// Creates the last component if it still does not exist.
Result<Created> create_last(PathWalk& walk, const NameCaller& caller, uint32_t mode, Ref<Dentry>& child) {
  Inode& directory = walk.directory();
  LockGuard guard(directory.content_lock());
  child = TRY(walk.look_up_last_locked());
  if (!child->is_negative()) return Created::kLookAgain;
  if (walk.place().dentry->is_deleted()) return Errno::kNOENT;
  TRY(check_directory_change(walk, caller.who));
  uint32_t bits = (mode & kModeMask & ~caller.names.umask()) | static_cast<uint32_t>(FileType::kRegular);
  DentryCache::instantiate(*child, TRY(directory.create(walk.last(), bits, {}, caller.who)));
  return Created::kYes;
}

// One try at the last component. False: it was a symlink, the walk goes on.
Result<bool> open_or_create_last(PathWalk& walk, const NameCaller& caller, uint32_t flags, uint32_t mode, Ref<File>& file) {
  if (walk.last_is_special()) return flags & kOpenExclusive ? Errno::kEXIST : Errno::kISDIR;
  Ref<Dentry> child = TRY(walk.look_up_last());
  Created created = Created::kNo;
  if (child->is_negative()) {
    if (walk.has_trailing_slash()) return Errno::kISDIR;
    created = TRY(create_last(walk, caller, mode, child));
  }
  if (created != Created::kYes) {
    if (flags & kOpenExclusive) return Errno::kEXIST;
    if (child->inode()->type() == FileType::kSymlink) {
      if (flags & kOpenNoFollow) return Errno::kLOOP;
      TRY(walk.follow(*child));
      return false;
    }
    if (walk.has_trailing_slash()) return child->inode()->is_directory() ? Errno::kISDIR : Errno::kNOTDIR;
  }
  walk.enter(std::move(child));
  // Who created the file may write it whatever its mode says.
  if (created != Created::kYes) TRY(check_open(walk.place(), caller.who, flags));
  file = TRY(open_checked(walk.place(), created == Created::kYes ? flags & ~kOpenTruncate : flags));
  return true;
}

}  // namespace

Result<Ref<File>> path_open_at(const Path& path, const Credentials& who, uint32_t flags) {
  TRY(check_open(path, who, flags));
  return open_checked(path, flags);
}

Result<Ref<File>> path_open(const NameCaller& caller, StringView name, uint32_t flags, uint32_t mode) {
  FollowLast follow = flags & kOpenNoFollow ? FollowLast::kNo : FollowLast::kYes;
  if (flags & kOpenPath) {
    // Only these mean something with O_PATH.
    return open_path_only(TRY(path_resolve(caller, name, follow)), flags & (kOpenPath | kOpenDirectory));
  }
  if ((flags & kOpenTemporary) == kOpenTemporary) return Errno::kOPNOTSUPP;
  if (!(flags & kOpenCreate)) return path_open_at(TRY(path_resolve(caller, name, follow)), caller.who, flags);
  if (flags & kOpenDirectory) return Errno::kINVAL;
  PathWalk walk(caller);
  TRY(walk.start(name));
  Ref<File> file;
  do {
    TRY(walk.to_parent());
    if (walk.last().empty() && walk.place().inode() && !walk.place().inode()->is_directory())  // a magic link's end
      return path_open_at(walk.place(), caller.who, flags);
  } while (!TRY(open_or_create_last(walk, caller, flags, mode, file)));
  return file;
}

}  // namespace faultline
