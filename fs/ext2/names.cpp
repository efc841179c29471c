// What can be done with names: lookup, create, link, unlink, rename. The callers hold the content locks of the directories. Each operation
// checks first, then makes the change that may fail (the new name), and then those that cannot.
#include <algorithm>

#include "fs/ext2/inode.h"

namespace faultline {

namespace {
Ext2Inode& ext2(Inode& inode) { return static_cast<Ext2Inode&>(inode); }
constexpr uint32_t kSetGroupId = 02000;
}  // namespace

Result<void> Ext2Inode::may_change() const {
  if (fs_.is_read_only()) return Errno::kROFS;
  if (!is_directory()) return Errno::kNOTDIR;
  if (is_unlinked()) return Errno::kNOENT;  // a directory that was removed while open
  return {};
}

Result<Ref<Inode>> Ext2Inode::lookup(StringView name) {
  if (!is_directory()) return Errno::kNOTDIR;
  uint32_t child_number = parent_.load(memory_order_relaxed);
  const bool is_parent = name == "..";
  if (!is_parent) {
    EntryPlace place = TRY(find_entry(name));
    if (!place) return Errno::kNOENT;
    child_number = place.entry->inode;
    if (child_number == kExt2RootInode) return fs_.damaged("the root directory has a second name in directory", ino());
  }
  Ref<Ext2Inode> child = TRY(fs_.inodes().get(child_number));
  if (is_parent ? !child->is_directory() : child->is_directory() && child->parent_.load(memory_order_relaxed) != ino())
    return fs_.damaged("directory whose .. is wrong", child_number);
  return Ref<Inode>(std::move(child));
}

// An inode without a name or link: if it is let go before it has one, it is deleted.
Result<Ref<Ext2Inode>> Ext2Inode::new_inode(uint32_t mode, DeviceNumber special, const Credentials& who) {
  AccessAttributes own = access_attributes();
  const bool directory = (mode & kTypeMask) == static_cast<uint32_t>(FileType::kDirectory);
  uint32_t gid = who.fsgid;
  if (own.mode & kSetGroupId) {  // a directory whose files have its group
    gid = own.gid;
    if (directory) mode |= kSetGroupId;
  }
  Ext2Inode* made = TRY(create_new(fs_, ino(), mode, who.fsuid, gid, special));
  fs_.orphan_made();
  fs_.inodes().insert(*made);
  return Ref<Ext2Inode>::adopt(made);
}

Result<void> Ext2Inode::publish(StringView name, Ext2Inode& child) {
  TRY(add_entry(name, child.ino(), child.type()));
  child.add_links(child.is_directory() ? 2 : 1);
  if (child.is_directory()) add_links(1);
  fs_.orphan_gone();
  return {};
}

Result<Ref<Inode>> Ext2Inode::create(StringView name, uint32_t mode, DeviceNumber special, const Credentials& who) {
  TRY(may_change());
  Ref<Ext2Inode> child = TRY(new_inode(mode, special, who));
  TRY(publish(name, *child));
  return Ref<Inode>(std::move(child));
}

Result<Ref<Inode>> Ext2Inode::make_directory(StringView name, uint32_t mode, const Credentials& who) {
  TRY(may_change());
  if (links_.load(memory_order_relaxed) >= kExt2MaxLinks) return Errno::kMLINK;
  Ref<Ext2Inode> child = TRY(new_inode((mode & kModeMask) | static_cast<uint32_t>(FileType::kDirectory), {}, who));
  TRY(child->write_first_entries(ino()));
  TRY(publish(name, *child));
  return Ref<Inode>(std::move(child));
}

Result<Ref<Inode>> Ext2Inode::make_symlink(StringView name, StringView target, const Credentials& who) {
  TRY(may_change());
  if (target.empty()) return Errno::kNOENT;
  if (target.size() >= fs_.block_size()) return Errno::kNAMETOOLONG;
  Ref<Ext2Inode> child = TRY(new_inode(static_cast<uint32_t>(FileType::kSymlink) | 0777, {}, who));
  TRY(child->data_.resize(target.size()));
  if (target.size() < kExt2FastSymlinkBytes) {
    LockGuard map(child->map_lock_);
    child->size_in_inode_ = true;
    memcpy(child->block_, target.data(), target.size());
  } else {
    PinnedFrame page = TRY(child->data_.page(PageIndex(0)));
    TRY(child->allocate_run(0, 1, fs_.callers_reserve()));
    memcpy(page.data(), target.data(), target.size());
    child->data_.mark_dirty(PageIndex(0));
  }
  TRY(publish(name, *child));
  return Ref<Inode>(std::move(child));
}

Result<size_t> Ext2Inode::read_link(std::span<char> buffer) {
  if (type() != FileType::kSymlink) return Errno::kINVAL;
  const size_t length = static_cast<size_t>(data_.size()), copied = std::min(length, buffer.size());
  if (size_in_inode_) {
    LockGuard map(map_lock_);
    memcpy(buffer.data(), block_, copied);
  } else {
    PinnedFrame page = TRY(data_.page(PageIndex(0)));
    memcpy(buffer.data(), page.data(), copied);
  }
  if (StringView(buffer.data(), copied).find('\0') != StringView::kNotFound) return fs_.damaged("NUL in the target of symlink", ino());
  return length;
}

Result<void> Ext2Inode::link(StringView name, Inode& target) {
  TRY(may_change());
  Ext2Inode& inode = ext2(target);
  if (inode.is_directory()) return Errno::kPERM;
  TRY(inode.add_name());
  Result<void> added = add_entry(name, inode.ino(), inode.type());
  if (!added.ok()) {
    inode.drop_links(1);
    return added;
  }
  inode.touch(false);
  return {};
}

// One name more. Others may add and remove names of this inode in other directories meanwhile: who has lost the last one gets no new one.
Result<void> Ext2Inode::add_name() {
  uint32_t before = links_.load(memory_order_relaxed);
  do {
    if (before == 0) return Errno::kNOENT;
    if (before >= kExt2MaxLinks) return Errno::kMLINK;
  } while (!links_.compare_exchange_weak(before, before + 1, memory_order_relaxed));
  mark_changed();
  return {};
}

// The entry `name`, which must stand for `child`.
Result<Ext2Inode::EntryPlace> Ext2Inode::find_child(StringView name, const Inode& child) {
  EntryPlace place = TRY(find_entry(name));
  if (!place || place.entry->inode != child.number()) return Errno::kNOENT;
  return place;
}

// This inode has so many names less (a damaged disk may count fewer than there are); without any it lives as long as it is open.
void Ext2Inode::drop_links(uint32_t count) {
  uint32_t before = links_.load(memory_order_relaxed), after;
  do {
    if (before == 0) return;
    after = before - std::min(before, count);
  } while (!links_.compare_exchange_weak(before, after, memory_order_relaxed));
  if (after == 0) fs_.orphan_made();
  touch(false);
}

// A ".." less leads here. A directory that has a name never counts as unlinked, whatever a damaged disk says.
void Ext2Inode::lose_child_directory() {
  if (links_.load(memory_order_relaxed) <= 2) return;
  links_.fetch_sub(1, memory_order_relaxed);  // the content lock guards a directory's count
  mark_changed();
}

Result<void> Ext2Inode::unlink(StringView name, Inode& target) {
  TRY(may_change());
  if (target.is_directory()) return Errno::kISDIR;
  EntryPlace place = TRY(find_child(name, target));
  remove_entry(place);
  ext2(target).drop_links(1);
  return {};
}

Result<void> Ext2Inode::remove_directory(StringView name, Inode& target) {
  TRY(may_change());
  if (!target.is_directory()) return Errno::kNOTDIR;
  EntryPlace place = TRY(find_child(name, target));
  if (!TRY(ext2(target).is_empty_directory())) return Errno::kNOTEMPTY;
  remove_entry(place);
  ext2(target).drop_links(~0u >> 1);  // whatever a damaged disk counted
  lose_child_directory();
  return {};
}

Result<void> Ext2Inode::rename(StringView old_name, Inode& moved_inode, Inode& new_directory_inode, StringView new_name, Inode* replaced) {
  Ext2Inode& moved = ext2(moved_inode);
  Ext2Inode& target = ext2(new_directory_inode);
  TRY(may_change());
  TRY(target.may_change());
  if (replaced == &moved_inode) return {};  // two names of one file: rename(2) does nothing
  const bool directory = moved.is_directory(), other_parent = &target != this;
  EntryPlace old_place = TRY(find_child(old_name, moved)), up;
  if (directory && other_parent) up = TRY(moved.parent_entry());
  if (replaced) {
    EntryPlace place = TRY(target.find_child(new_name, *replaced));
    if (replaced->is_directory() && !TRY(ext2(*replaced).is_empty_directory())) return Errno::kNOTEMPTY;
    target.retarget_entry(place, moved.ino(), moved.type());
    ext2(*replaced).drop_links(replaced->is_directory() ? ~0u >> 1 : 1);
    if (replaced->is_directory()) target.lose_child_directory();
  } else {
    if (directory && other_parent && target.links_.load(memory_order_relaxed) >= kExt2MaxLinks) return Errno::kMLINK;
    TRY(target.add_entry(new_name, moved.ino(), moved.type()));
  }
  find_previous(old_place);  // again: adding a name to the same directory may have split the one it was
  remove_entry(old_place);
  moved.touch(false);
  if (!directory || !other_parent) return {};
  lose_child_directory();
  target.add_links(1);
  moved.set_parent(up, target.ino());
  return {};
}

Result<void> Ext2Inode::exchange(StringView name, Inode& other_directory, StringView other_name) {
  Ext2Inode& other = ext2(other_directory);
  TRY(may_change());
  TRY(other.may_change());
  EntryPlace here = TRY(find_entry(name));
  EntryPlace there = TRY(other.find_entry(other_name));
  if (!here || !there) return Errno::kNOENT;
  Ref<Ext2Inode> mine = TRY(fs_.inodes().get(here.entry->inode));
  Ref<Ext2Inode> theirs = TRY(fs_.inodes().get(there.entry->inode));
  const bool other_parent = &other != this;
  if (other_parent) {
    int moves = static_cast<int>(mine->is_directory()) - static_cast<int>(theirs->is_directory());
    if ((moves > 0 ? other : *this).links_.load(memory_order_relaxed) >= kExt2MaxLinks && moves != 0) return Errno::kMLINK;
    EntryPlace my_up, their_up;
    if (mine->is_directory()) my_up = TRY(mine->parent_entry());
    if (theirs->is_directory()) their_up = TRY(theirs->parent_entry());
    if (my_up) mine->set_parent(my_up, other.ino());
    if (their_up) theirs->set_parent(their_up, ino());
    if (moves != 0) (moves > 0 ? *this : other).lose_child_directory();
    if (moves != 0) (moves > 0 ? other : *this).add_links(1);
  }
  retarget_entry(here, theirs->ino(), theirs->type());
  other.retarget_entry(there, mine->ino(), mine->type());
  mine->touch(false);
  theirs->touch(false);
  return {};
}

}  // namespace faultline
