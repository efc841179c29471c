// chmod, chown, times, truncate, fallocate; extended attributes, which no file system of ours has.
#include "kernel/files/calls.h"
#include "kernel/files/support.h"
#include "lib/abi/fcntl_structures.h"

namespace faultline {

namespace {

Result<uint32_t> change_at(int32_t directory, UserPtr<const char> name, uint32_t flags, const AttributeChange& change) {
  Path path = TRY(resolve_at(directory, name, flags));
  TRY(path_set_attributes(path, caller_credentials(), change));
  return 0u;
}

Result<uint32_t> change_descriptor(int32_t descriptor, const AttributeChange& change) {
  TRY(descriptor_file(descriptor));
  Path path = TRY(descriptor_path(descriptor));
  TRY(path_set_attributes(path, caller_credentials(), change));
  return 0u;
}

AttributeChange mode_change(uint32_t mode) { return {.which = AttributeChange::kMode, .mode = mode & kModeMask, .accessed{}, .modified{}}; }

// An id of -1 stays as it is.
AttributeChange owner_change(uint32_t uid, uint32_t gid) {
  AttributeChange change;
  if (uid != ~0u) change.which |= AttributeChange::kUid;
  if (gid != ~0u) change.which |= AttributeChange::kGid;
  change.uid = uid;
  change.gid = gid;
  return change;
}
uint32_t wide_id(uint32_t id) { return (id & 0xffff) == 0xffff ? ~0u : id & 0xffff; }

}  // namespace

Result<uint32_t> sys_fchmodat(int32_t directory, UserPtr<const char> name, uint32_t mode) {
  return change_at(directory, name, 0, mode_change(mode));
}
Result<uint32_t> sys_chmod(UserPtr<const char> name, uint32_t mode) { return sys_fchmodat(kAtCurrentDirectory, name, mode); }
Result<uint32_t> sys_fchmod(int32_t descriptor, uint32_t mode) { return change_descriptor(descriptor, mode_change(mode)); }

Result<uint32_t> sys_fchownat(int32_t directory, UserPtr<const char> name, uint32_t uid, uint32_t gid, uint32_t flags) {
  if (flags & ~(kAtSymlinkNoFollow | kAtEmptyPath)) return Errno::kINVAL;
  return change_at(directory, name, flags, owner_change(uid, gid));
}
Result<uint32_t> sys_chown32(UserPtr<const char> name, uint32_t uid, uint32_t gid) {
  return sys_fchownat(kAtCurrentDirectory, name, uid, gid, 0);
}
Result<uint32_t> sys_lchown32(UserPtr<const char> name, uint32_t uid, uint32_t gid) {
  return sys_fchownat(kAtCurrentDirectory, name, uid, gid, kAtSymlinkNoFollow);
}
Result<uint32_t> sys_fchown32(int32_t descriptor, uint32_t uid, uint32_t gid) {
  return change_descriptor(descriptor, owner_change(uid, gid));
}
Result<uint32_t> sys_chown(UserPtr<const char> name, uint32_t uid, uint32_t gid) { return sys_chown32(name, wide_id(uid), wide_id(gid)); }
Result<uint32_t> sys_lchown(UserPtr<const char> name, uint32_t uid, uint32_t gid) { return sys_lchown32(name, wide_id(uid), wide_id(gid)); }
Result<uint32_t> sys_fchown(int32_t descriptor, uint32_t uid, uint32_t gid) { return sys_fchown32(descriptor, wide_id(uid), wide_id(gid)); }

namespace {

constexpr int64_t kTimeNow = 0x3fffffff, kTimeOmit = 0x3ffffffe;

struct TimePair {
  abi::Time64 accessed{0, kTimeNow}, modified{0, kTimeNow};
};

Result<void> apply_time(const abi::Time64& time, uint32_t bit, AttributeChange& change, Timestamp& field) {
  if (time.nanoseconds == kTimeOmit) return {};
  change.which |= bit;
  if (time.nanoseconds == kTimeNow) {
    field = wall_time();
    return {};
  }
  if (time.nanoseconds < 0 || time.nanoseconds > 999'999'999) return Errno::kINVAL;
  field = {time.seconds, static_cast<uint32_t>(time.nanoseconds)};
  return {};
}

Result<uint32_t> set_times(int32_t directory, UserPtr<const char> name, const TimePair& times, uint32_t flags) {
  if (flags & ~(kAtSymlinkNoFollow | kAtEmptyPath)) return Errno::kINVAL;
  AttributeChange change;
  TRY(apply_time(times.accessed, AttributeChange::kAccessed, change, change.accessed));
  TRY(apply_time(times.modified, AttributeChange::kModified, change, change.modified));
  if (change.which == 0) return 0u;
  bool both_now = times.accessed.nanoseconds == kTimeNow && times.modified.nanoseconds == kTimeNow;
  Path path = name.is_null() ? TRY(descriptor_path(directory)) : TRY(resolve_at(directory, name, flags));
  TRY(path_set_attributes(path, caller_credentials(), change, both_now));
  return 0u;
}

Result<TimePair> from_microseconds(UserPtr<const abi::Time32> user) {
  TimePair pair;
  if (user.is_null()) return pair;
  auto accessed = TRY(user_read(user.as<abi::Time32>()));
  auto modified = TRY(user_read(user.at(1).as<abi::Time32>()));
  for (const abi::Time32& time : {accessed, modified})
    if (time.fraction < 0 || time.fraction >= 1'000'000) return Errno::kINVAL;
  pair.accessed = {accessed.seconds, accessed.fraction * 1000};
  pair.modified = {modified.seconds, modified.fraction * 1000};
  return pair;
}

}  // namespace

Result<uint32_t> sys_utimensat_time64(int32_t directory, UserPtr<const char> name, UserPtr<abi::Time64> user, uint32_t flags) {
  TimePair pair;
  if (!user.is_null()) {
    pair.accessed = TRY(user_read(user));
    pair.modified = TRY(user_read(user.at(1)));
  }
  return set_times(directory, name, pair, flags);
}
Result<uint32_t> sys_utimensat(int32_t directory, UserPtr<const char> name, UserPtr<abi::Time32> user, uint32_t flags) {
  TimePair pair;
  if (!user.is_null()) {
    auto accessed = TRY(user_read(user)), modified = TRY(user_read(user.at(1)));
    pair.accessed = {accessed.seconds, accessed.fraction};
    pair.modified = {modified.seconds, modified.fraction};
  }
  return set_times(directory, name, pair, flags);
}
Result<uint32_t> sys_futimesat(int32_t directory, UserPtr<const char> name, UserPtr<const abi::Time32> user) {
  return set_times(directory, name, TRY(from_microseconds(user)), 0);
}
Result<uint32_t> sys_utimes(UserPtr<const char> name, UserPtr<const abi::Time32> user) {
  return sys_futimesat(kAtCurrentDirectory, name, user);
}
Result<uint32_t> sys_utime(UserPtr<const char> name, UserPtr<int32_t> user) {
  TimePair pair;
  if (!user.is_null()) {
    pair.accessed = {TRY(user_read(user)), 0};
    pair.modified = {TRY(user_read(user.at(1))), 0};
  }
  return set_times(kAtCurrentDirectory, name, pair, 0);
}

namespace {

Result<AttributeChange> size_change(int64_t size) {
  if (size < 0) return Errno::kINVAL;
  if (static_cast<uint64_t>(size) > current_process().limit(Resource::kFileSize)) {
    ignore_result(signal_send_thread(running_thread(), signal_info_from_kernel(Signal::kFileLimit)));
    return Errno::kFBIG;
  }
  AttributeChange change;
  change.which = AttributeChange::kSize;
  change.size = static_cast<uint64_t>(size);
  return change;
}

Result<uint32_t> truncate_name(UserPtr<const char> name, int64_t size) {
  AttributeChange change = TRY(size_change(size));
  return change_at(kAtCurrentDirectory, name, 0, change);
}

// The permission was asked when the file was opened.
Result<uint32_t> truncate_descriptor(int32_t descriptor, int64_t size) {
  FileHandle file = TRY(descriptor_file(descriptor));
  AttributeChange change = TRY(size_change(size));
  if (!file->is_writable() || !file->inode() || file->inode()->type() != FileType::kRegular) return Errno::kINVAL;
  TRY(file->inode()->set_attributes(change));
  return 0u;
}

}  // namespace

Result<uint32_t> sys_truncate(UserPtr<const char> name, int32_t size) { return truncate_name(name, size); }
Result<uint32_t> sys_truncate64(UserPtr<const char> name, uint32_t low, uint32_t high) {
  return truncate_name(name, join_words(low, high));
}
Result<uint32_t> sys_ftruncate(int32_t descriptor, int32_t size) { return truncate_descriptor(descriptor, size); }
Result<uint32_t> sys_ftruncate64(int32_t descriptor, uint32_t low, uint32_t high) {
  return truncate_descriptor(descriptor, join_words(low, high));
}

Result<uint32_t> sys_fallocate(int32_t descriptor, uint32_t mode, uint32_t offset_low, uint32_t offset_high, uint32_t length_low,
                               uint32_t length_high) {
  int64_t offset = join_words(offset_low, offset_high), length = join_words(length_low, length_high), end;
  if (offset < 0 || length <= 0) return Errno::kINVAL;
  FileHandle file = TRY(writable_file(descriptor));
  Inode* inode = file->inode();
  if (!file->is_seekable()) return Errno::kSPIPE;
  if (!inode || inode->type() != FileType::kRegular) return Errno::kNODEV;
  if (__builtin_add_overflow(offset, length, &end)) return Errno::kFBIG;
  constexpr uint32_t kKeepSize = 1;
  if (!(mode & kKeepSize)) TRY(size_change(end));
  LockGuard guard(inode->content_lock());
  TRY(inode->allocate_range(mode, static_cast<uint64_t>(offset), static_cast<uint64_t>(length)));
  return 0u;
}

Result<uint32_t> sys_no_extended_attributes() { return Errno::kOPNOTSUPP; }

}  // namespace faultline
