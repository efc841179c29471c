// An inode between the disk and memory: reading, checking and writing it, its attributes, truncation, the end of its life.
#include "fs/ext2/inode.h"

#include <algorithm>

#include "lib/log.h"
#include "mm/slab.h"

namespace faultline {

namespace {

constexpr uint32_t kSecondsPerDay = 86400;

// The extra word of a time: two more bits of seconds and 30 bits of nanoseconds.
Timestamp decode_time(uint32_t seconds, uint32_t extra) {
  return {static_cast<int32_t>(seconds) + (static_cast<int64_t>(extra & 3) << 32), std::min(extra >> 2, 999999999u)};
}
uint32_t extra_of(Timestamp time) {
  uint32_t epoch = static_cast<uint32_t>((time.seconds - static_cast<int32_t>(time.seconds)) >> 32) & 3;
  return epoch | time.nanoseconds << 2;
}
bool is_before(Timestamp a, Timestamp b) { return a.seconds != b.seconds ? a.seconds < b.seconds : a.nanoseconds < b.nanoseconds; }

bool is_known_type(uint32_t mode) {
  switch (static_cast<FileType>(mode & kTypeMask)) {
    case FileType::kFifo:
    case FileType::kCharacterDevice:
    case FileType::kDirectory:
    case FileType::kBlockDevice:
    case FileType::kRegular:
    case FileType::kSymlink:
    case FileType::kSocket: return true;
  }
  return false;
}

bool is_device(FileType type) { return type == FileType::kCharacterDevice || type == FileType::kBlockDevice; }

}  // namespace

Result<Ext2Inode*> Ext2Inode::load(Ext2FileSystem& file_system, uint32_t number) {
  const Ext2Superblock& super = file_system.superblock();
  if (number == 0 || number > super.inodes_count || (number < file_system.first_ordinary_inode() && number != kExt2RootInode))
    return file_system.damaged("a directory names the impossible inode", number);
  Ext2RawInode raw{};
  {
    Ext2FileSystem::InodePlace place = TRY(file_system.locate_inode(number));
    memcpy(&raw, place.raw(), std::min<size_t>(file_system.inode_size(), sizeof raw));
  }
  if (raw.links == 0 || !is_known_type(raw.mode)) return file_system.damaged("a directory names the unused inode", number);
  Ext2Inode* inode = TRY(slab_new<Ext2Inode>(file_system, number, static_cast<FileType>(raw.mode & kTypeMask)));
  Result<void> decoded = inode->decode(raw);
  if (decoded.ok() && inode->is_directory()) decoded = inode->check_directory();
  if (!decoded.ok()) {
    free_memory(inode);
    return decoded.error();
  }
  return inode;
}

// The memory comes first: to give a number back may need some.
Result<Ext2Inode*> Ext2Inode::create_new(Ext2FileSystem& file_system, uint32_t parent, uint32_t mode, uint32_t uid, uint32_t gid,
                                         DeviceNumber special) {
  const FileType type = static_cast<FileType>(mode & kTypeMask);
  void* memory = slab_allocate(sizeof(Ext2Inode));
  if (!memory) return Errno::kNOMEM;
  Result<uint32_t> number = file_system.allocate_inode(parent, type == FileType::kDirectory);
  if (!number.ok()) {
    slab_free(memory, sizeof(Ext2Inode));
    return number.error();
  }
  Ext2Inode* inode = new (memory) Ext2Inode(file_system, number.value(), type);
  LockGuard map(inode->map_lock_);
  Timestamp now = wall_time();
  inode->is_new_ = true;
  inode->generation_ = now.nanoseconds ^ static_cast<uint32_t>(now.seconds) * 2654435761u ^ number.value();
  if (is_device(type)) {
    if (special.major < 256 && special.minor < 256)
      inode->block_[0] = special.major << 8 | special.minor;
    else
      inode->block_[1] = static_cast<uint32_t>(special.encode());
  }
  LockGuard guard(inode->attribute_lock_);
  inode->mode_ = mode;
  inode->uid_ = uid;
  inode->gid_ = gid;
  inode->accessed_ = inode->modified_ = inode->status_changed_ = now;
  inode->mark_changed();
  return inode;
}

void Ext2Inode::free_memory(Ext2Inode* inode) {
  inode->data_.drop_all();
  slab_delete(inode);
}

Result<void> Ext2Inode::decode(const Ext2RawInode& raw) {
  const bool has_extra = fs_.inode_size() > kExt2BaseInodeSize;
  auto has = [&](size_t offset) { return has_extra && kExt2BaseInodeSize + raw.extra_size >= offset + 4; };
  {
    LockGuard guard(attribute_lock_);
    mode_ = raw.mode;
    uid_ = raw.uid | static_cast<uint32_t>(raw.uid_high) << 16;
    gid_ = raw.gid | static_cast<uint32_t>(raw.gid_high) << 16;
    accessed_ = decode_time(raw.accessed, has(offsetof(Ext2RawInode, accessed_extra)) ? raw.accessed_extra : 0);
    modified_ = decode_time(raw.modified, has(offsetof(Ext2RawInode, modified_extra)) ? raw.modified_extra : 0);
    status_changed_ = decode_time(raw.changed, has(offsetof(Ext2RawInode, changed_extra)) ? raw.changed_extra : 0);
  }
  links_.store(raw.links, memory_order_relaxed);
  generation_ = raw.generation;
  flags_.store(raw.flags, memory_order_relaxed);
  sectors_.store(raw.sectors, memory_order_relaxed);
  {
    LockGuard guard(map_lock_);
    memcpy(block_, raw.block, sizeof block_);
    attribute_block_ = raw.attribute_block;
  }
  const uint32_t own_sectors = raw.attribute_block != 0 ? fs_.sectors_per_block() : 0;
  uint64_t size = raw.size;
  if (type() == FileType::kRegular && fs_.superblock().revision != 0) size |= static_cast<uint64_t>(raw.size_high) << 32;
  size_in_inode_ = type() == FileType::kSymlink && raw.sectors <= own_sectors;
  TRY(check_size(size));
  return data_.resize(size);
}

Result<void> Ext2Inode::check_size(uint64_t size) {
  const uint64_t block = fs_.block_size(), whole_disk = fs_.superblock().blocks_count * block;
  switch (type()) {
    case FileType::kRegular:
      if (size > fs_.max_file_size()) break;
      return {};
    case FileType::kDirectory:  // without holes, so that looking for a name ends
      if (size == 0 || size % block != 0 || size > whole_disk || size > sectors_.load(memory_order_relaxed) * uint64_t{kSectorSize}) break;
      return {};
    case FileType::kSymlink:
      if (size == 0 || size >= (size_in_inode_ ? kExt2FastSymlinkBytes : block)) break;
      return {};
    default: return {};
  }
  return fs_.damaged("senseless size of inode", ino());
}

// A directory starts with itself and its parent. Knowing the parent, lookup can tell a directory that hangs at two places, so
// that a damaged disk cannot make endless paths.
Result<void> Ext2Inode::check_directory() {
  PinnedFrame page = TRY(data_.page(PageIndex(0)));
  auto* self = reinterpret_cast<Ext2DirectoryEntry*>(page.data());
  TRY(check_entry(*self, 0));
  bool good = self->inode == ino() && name_length(*self) == 1 && self->name[0] == '.' && self->length < fs_.block_size();
  if (good) {
    auto* up = reinterpret_cast<Ext2DirectoryEntry*>(page.data() + self->length);
    TRY(check_entry(*up, self->length));
    good = up->inode != 0 && name_length(*up) == 2 && up->name[0] == '.' && up->name[1] == '.';
    parent_.store(up->inode, memory_order_relaxed);
  }
  return good ? Result<void>() : fs_.damaged("no . and .. in directory", ino());
}

void Ext2Inode::encode(Ext2RawInode& raw) {
  const bool has_extra = fs_.inode_size() > kExt2BaseInodeSize;
  if (is_new_) {
    memset(static_cast<void*>(&raw), 0, fs_.inode_size());
    if (has_extra) raw.extra_size = static_cast<uint16_t>(std::min<uint32_t>(fs_.inode_size() - kExt2BaseInodeSize, 32));
  }
  auto has = [&](size_t offset) { return has_extra && kExt2BaseInodeSize + raw.extra_size >= offset + 4; };
  const uint64_t size = data_.size();  // may sleep
  LockGuard map(map_lock_);
  LockGuard guard(attribute_lock_);
  raw.mode = static_cast<uint16_t>(mode_);
  raw.uid = static_cast<uint16_t>(uid_);
  raw.uid_high = static_cast<uint16_t>(uid_ >> 16);
  raw.gid = static_cast<uint16_t>(gid_);
  raw.gid_high = static_cast<uint16_t>(gid_ >> 16);
  raw.accessed = static_cast<uint32_t>(accessed_.seconds);
  raw.modified = static_cast<uint32_t>(modified_.seconds);
  raw.changed = static_cast<uint32_t>(status_changed_.seconds);
  if (has(offsetof(Ext2RawInode, accessed_extra))) raw.accessed_extra = extra_of(accessed_);
  if (has(offsetof(Ext2RawInode, modified_extra))) raw.modified_extra = extra_of(modified_);
  if (has(offsetof(Ext2RawInode, changed_extra))) raw.changed_extra = extra_of(status_changed_);
  if (is_new_ && has(offsetof(Ext2RawInode, created_extra))) {
    raw.created = raw.changed;
    raw.created_extra = raw.changed_extra;
  }
  raw.deleted = deleted_at_;
  raw.links = static_cast<uint16_t>(links_.load(memory_order_relaxed));
  raw.sectors = sectors_.load(memory_order_relaxed);
  raw.flags = flags_.load(memory_order_relaxed);
  raw.generation = generation_;
  raw.attribute_block = attribute_block_;
  memcpy(raw.block, block_, sizeof block_);
  raw.size = static_cast<uint32_t>(size);
  if (type() == FileType::kRegular && fs_.superblock().revision != 0) raw.size_high = static_cast<uint32_t>(size >> 32);
  is_new_ = false;
}

// Into the metadata cache.
Result<void> Ext2Inode::store() {
  changed_.store(false, memory_order_seq_cst);
  Result<Ext2FileSystem::InodePlace> place = fs_.locate_inode(ino());
  if (!place.ok()) {
    mark_changed();
    return place.error();
  }
  encode(*place.value().raw());
  fs_.metadata_changed(place.value().block);
  return {};
}

bool Ext2Inode::needs_write() const {
  return changed_.load(memory_order_acquire) || excess_end_.load(memory_order_relaxed) != 0 || data_.is_dirty();
}

Result<void> Ext2Inode::write_back(WriteBack mode) {
  Result<void> result = data_.write_back_all(mode);
  Result<void> trimmed = trim_if_idle();
  if (!trimmed.ok() && result.ok()) result = trimmed;
  if (changed_.load(memory_order_acquire)) {
    Result<void> stored = store();
    if (!stored.ok() && result.ok()) result = stored;
  }
  return result;
}

Result<void> Ext2Inode::synchronize(bool) {
  if (fs_.is_read_only()) return {};
  TRY(write_back(WriteBack::kWait));
  return fs_.synchronize_metadata();
}

Attributes Ext2Inode::attributes() {
  Attributes result;
  result.inode = number();
  result.links = links_.load(memory_order_relaxed);
  result.size = data_.size();
  result.block_size = fs_.block_size();
  result.blocks = sectors_.load(memory_order_relaxed);
  if (is_device(type())) {
    LockGuard map(map_lock_);
    result.special = block_[0] != 0 ? DeviceNumber{block_[0] >> 8 & 0xff, block_[0] & 0xff} : DeviceNumber::decode(block_[1]);
  }
  LockGuard guard(attribute_lock_);
  result.mode = mode_;
  result.uid = uid_;
  result.gid = gid_;
  result.accessed = accessed_;
  result.modified = modified_;
  result.changed = status_changed_;
  return result;
}

AccessAttributes Ext2Inode::access_attributes() {
  LockGuard guard(attribute_lock_);
  return {mode_, uid_, gid_};
}

Result<void> Ext2Inode::set_attributes(const AttributeChange& change) {
  if (fs_.is_read_only()) return Errno::kROFS;
  if (change.which & AttributeChange::kSize) {
    LockGuard content(content_lock());
    TRY(truncate(change.size));
  }
  Timestamp now = wall_time();
  LockGuard guard(attribute_lock_);
  if (change.which & AttributeChange::kMode) mode_ = (mode_ & kTypeMask) | (change.mode & kModeMask);
  if (change.which & AttributeChange::kUid) uid_ = change.uid;
  if (change.which & AttributeChange::kGid) gid_ = change.gid;
  if (change.which & AttributeChange::kAccessed) accessed_ = change.accessed;
  if (change.which & AttributeChange::kModified) modified_ = change.modified;
  status_changed_ = now;
  mark_changed();
  return {};
}

Result<void> Ext2Inode::truncate(uint64_t bytes) {
  if (type() != FileType::kRegular) return is_directory() ? Errno::kISDIR : Errno::kINVAL;
  const uint64_t before = data_.size();
  if (bytes <= before) TRY(check_not_swapped_to());
  if (bytes > fs_.max_file_size()) return Errno::kFBIG;
  if (bytes > 0x7fffffff) TRY(fs_.allow_large_file());
  if (bytes > before) TRY(trim());
  if (bytes < before && bytes % kPageSize != 0) {
    // The last block's rest must be zero on the disk too, or it would show when the file grows again.
    PinnedFrame last = TRY(data_.page(PageIndex::of_byte(bytes)));
    const bool is_hole = TRY(map_run(static_cast<uint32_t>(bytes >> fs_.block_shift()), 1)).first == 0;
    TRY(data_.resize(bytes));
    memset(last.data() + (bytes & kPageMask), 0, kPageSize - (bytes & kPageMask));
    if (!is_hole) data_.mark_dirty(PageIndex::of_byte(bytes));
  } else {
    TRY(data_.resize(bytes));
  }
  touch_modified();
  if (bytes >= before) return {};
  note_excess(blocks_for(before));
  Result<void> trimmed = trim();
  if (!trimmed.ok() && trimmed.error() == Errno::kNOMEM) return {};  // the file has its new size; the rest goes when the inode is written
  return trimmed;
}

void Ext2Inode::touch(bool modified) {
  Timestamp now = wall_time();
  LockGuard guard(attribute_lock_);
  status_changed_ = now;
  if (modified) modified_ = now;
  mark_changed();
}

// As Linux's relatime: a later reader learns whether the file was read since it changed, without a write for each read.
void Ext2Inode::touch_accessed() {
  if (fs_.is_read_only()) return;
  Timestamp now = wall_time();
  LockGuard guard(attribute_lock_);
  bool stale =
      is_before(accessed_, modified_) || is_before(accessed_, status_changed_) || now.seconds - accessed_.seconds >= kSecondsPerDay;
  if (!stale) return;
  accessed_ = now;
  mark_changed();
}

void Ext2Inode::touch_modified() {
  Timestamp now = wall_time();
  LockGuard guard(attribute_lock_);
  modified_ = status_changed_ = now;
  if (type() == FileType::kRegular) {
    mode_ &= ~04000u;
    if (mode_ & 0010) mode_ &= ~02000u;  // without group execution it means mandatory locking, not set-group-id
  }
  mark_changed();
}

Result<void> Ext2Inode::delete_for_good() {
  data_.drop_all();
  Result<void> result = data_.resize(0);
  // Each step can be done twice, up to the last.
  auto lacks_memory = [&result](Result<void> step) {
    if (!step.ok() && result.ok()) result = step;
    return !step.ok() && step.error() == Errno::kNOMEM;
  };
  const bool has_blocks = !size_in_inode_ && (is_directory() || type() == FileType::kRegular || type() == FileType::kSymlink);
  if (has_blocks && lacks_memory(free_from(0))) return Errno::kNOMEM;
  if (lacks_memory(release_attribute_block())) return Errno::kNOMEM;
  deleted_at_ = static_cast<uint32_t>(wall_time().seconds);
  if (lacks_memory(store()) || lacks_memory(fs_.free_inode(ino(), is_directory()))) return Errno::kNOMEM;
  if (!result.ok()) fs_.unfinished("was not deleted whole", ino(), result.error());
  fs_.orphan_gone();
  return {};
}

// Extended attributes may share their block with other inodes.
Result<void> Ext2Inode::release_attribute_block() {
  LockGuard map(map_lock_);
  if (attribute_block_ == 0) return {};
  Ext2Block block = TRY(fs_.metadata(attribute_block_));
  auto* header = reinterpret_cast<Ext2AttributeHeader*>(block.data());
  if (header->magic != kExt2AttributeMagic || header->references == 0)
    return fs_.damaged("no attributes in block", std::exchange(attribute_block_, 0));
  Ext2FileSystem::PinnedGroup group = TRY(fs_.pin_group(fs_.group_of(attribute_block_)));
  const uint32_t number = std::exchange(attribute_block_, 0), sectors = sectors_.load(memory_order_relaxed);
  sectors_.store(sectors - std::min(sectors, fs_.sectors_per_block()), memory_order_relaxed);
  if (--header->references != 0) {
    fs_.metadata_changed(block);
    return {};
  }
  block = Ext2Block();  // unpinned before it is forgotten
  fs_.metadata_forget(number);
  return fs_.free_blocks(group, number, 1);
}

}  // namespace faultline
