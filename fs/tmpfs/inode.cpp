// tmpfs inodes: attributes, data, symlinks.
#include "fs/tmpfs/tmpfs.h"

namespace faultline {

TmpfsInode::TmpfsInode(TmpfsFileSystem& file_system, uint64_t number, uint32_t mode, DeviceNumber special, const Credentials& who)
    : Inode(file_system, number, static_cast<FileType>(mode & kTypeMask)), mode_(mode), uid_(who.fsuid), gid_(who.fsgid),
      special_(special) {
  accessed_ = modified_ = changed_ = wall_time();
}

TmpfsInode::~TmpfsInode() {
  tmpfs().uncharge(charged_pages_);
  tmpfs().inodes_.fetch_sub(1, memory_order_relaxed);
}

Attributes TmpfsInode::attributes() {
  Attributes all{.inode = number(), .mode = mode_, .links = links_, .uid = uid_, .gid = gid_, .special = special_};
  if (object_) {
    all.size = object_->size();
    all.blocks = uint64_t{object_->pages()} * (kPageSize / 512);
  } else if (is_directory()) {
    all.size = entry_count_ * 20 + 40;
  } else {
    all.size = target_.size();
  }
  all.accessed = accessed_;
  all.modified = modified_;
  all.changed = changed_;
  return all;
}

Result<void> TmpfsInode::set_attributes(const AttributeChange& change) {
  if (change.which & AttributeChange::kSize) {
    LockGuard guard(content_lock());
    if (!object_) return Errno::kINVAL;
    TRY(object_->resize(change.size));
    settle_charge();
    touch_modified();
  }
  if (change.which & AttributeChange::kMode) mode_ = (mode_ & kTypeMask) | (change.mode & kModeMask);
  if (change.which & AttributeChange::kUid) uid_ = change.uid;
  if (change.which & AttributeChange::kGid) gid_ = change.gid;
  if (change.which & AttributeChange::kAccessed) accessed_ = change.accessed;
  if (change.which & AttributeChange::kModified) modified_ = change.modified;
  changed_ = wall_time();
  return {};
}

void TmpfsInode::touch_modified() {
  modified_ = changed_ = wall_time();
  uint32_t mode = mode_.load(memory_order_relaxed);
  if (mode & 06000) [[unlikely]]
    mode_.store(mode & ~(mode & 010 ? 06000u : 04000u), memory_order_relaxed);
}

// What the object really holds counts against the file system's size.
void TmpfsInode::settle_charge() {
  uint32_t now = object_->pages();
  if (now > charged_pages_) {
    tmpfs().charge(now - charged_pages_);
  } else if (now < charged_pages_) {
    tmpfs().uncharge(charged_pages_ - now);
  }
  charged_pages_ = now;
}

// Growth is cut to the room that is left; pages in holes are counted once they exist.
Result<size_t> TmpfsInode::write_data(uint64_t offset, IoBuffer& buffer) {
  uint64_t size = object_->size();
  uint64_t whole = align_up<uint64_t>(size, kPageSize);  // needs no new page up to here
  uint64_t limit = (offset > whole ? align_down<uint64_t>(offset, kPageSize) : whole) + (tmpfs().pages_available() << kPageShift);
  if (offset + buffer.remaining() > limit) {
    if (offset >= limit) return Errno::kNOSPC;
    buffer.shrink_to(static_cast<size_t>(limit - offset));
  }
  Result<size_t> moved = object_->write(offset, buffer);
  settle_charge();
  if (moved.ok()) touch_modified();
  return moved;
}

Result<void> TmpfsInode::allocate_range(uint32_t mode, uint64_t offset, uint64_t bytes) {
  if (!object_) return Errno::kNODEV;
  const uint64_t size = object_->size();
  uint64_t end = offset + bytes;
  touch_modified();
  if (mode == (kAllocateKeepSize | kAllocatePunchHole)) {
    const WholePages pages = TRY(zero_around_hole(offset, end < size ? end : align_up<uint64_t>(size, kPageSize)));
    if (pages.count != 0) TRY(object_->discard(pages.first, pages.count));
    settle_charge();
    return {};
  }
  if (mode & ~kAllocateKeepSize) return Errno::kOPNOTSUPP;
  if ((mode & kAllocateKeepSize) && end > size) end = size;  // pages past the end are not kept
  if (offset >= end) return {};
  TRY(check_room(offset, end));
  if (end > size) TRY(object_->resize(end));
  Result<void> result;
  for (PageIndex index = PageIndex::of_byte(offset); result.ok() && index.byte() < end; index = index + 1)
    if (Result<PinnedFrame> page = object_->page(index); !page.ok()) result = page.error();
  if (!result.ok() && end > size) ignore_result(object_->resize(size));  // the first error is the one to report
  settle_charge();
  return result;
}

// kNOSPC if the pages that the range lacks are more than there are left.
Result<void> TmpfsInode::check_room(uint64_t offset, uint64_t end) {
  uint64_t available = tmpfs().pages_available();
  if ((end - offset) >> kPageShift > available + charged_pages_) return Errno::kNOSPC;
  for (PageIndex index = PageIndex::of_byte(offset); index.byte() < end; index = index + 1) {
    if (object_->has_page(index)) continue;
    if (available-- == 0) return Errno::kNOSPC;
  }
  return {};
}

Result<size_t> TmpfsInode::read_link(std::span<char> buffer) {
  if (type() != FileType::kSymlink) return Errno::kINVAL;
  size_t length = target_.size() < buffer.size() ? target_.size() : buffer.size();
  memcpy(buffer.data(), target_.data(), length);
  return target_.size();
}

}  // namespace faultline
