// tmpfs directories. All of this runs under the directory's content lock; what may fail is done before anything changes.
#include "fs/tmpfs/tmpfs.h"

namespace faultline {

namespace {

uint32_t hash_of(StringView name) {
  uint32_t hash = 0x811c9dc5u;
  for (char c : name) hash = (hash ^ static_cast<uint8_t>(c)) * 0x01000193u;
  return hash ^ hash >> 15;
}

StringView name_of(const TmpfsEntry& entry) { return {entry.name, entry.length}; }

TmpfsInode& of(Inode& inode) { return static_cast<TmpfsInode&>(inode); }

}  // namespace

TmpfsEntry* TmpfsInode::find(StringView name) {
  if (buckets_.size() == 0) return nullptr;
  uint32_t hash = hash_of(name);
  for (TmpfsEntry* entry = buckets_[hash & (buckets_.size() - 1)]; entry; entry = entry->next_in_bucket)
    if (entry->hash == hash && name_of(*entry) == name) return entry;
  return nullptr;
}

Result<TmpfsEntry*> TmpfsInode::make_entry(StringView name, Ref<TmpfsInode> inode) {
  if (buckets_.size() == 0) {
    buckets_ = TRY(Buffer<TmpfsEntry*>::create(kBucketsAtFirst));
    for (uint32_t i = 0; i < kBucketsAtFirst; i++) buckets_[i] = nullptr;
  }
  void* memory = slab_allocate(sizeof(TmpfsEntry) + name.size());
  if (!memory) return Errno::kNOMEM;
  TmpfsEntry* entry = new (memory) TmpfsEntry;
  entry->hash = hash_of(name);
  entry->inode = std::move(inode);
  entry->length = static_cast<uint8_t>(name.size());
  memcpy(entry->name, name.data(), name.size());
  return entry;
}

void TmpfsInode::free_entry(TmpfsEntry& entry) {
  size_t bytes = sizeof(TmpfsEntry) + entry.length;
  entry.~TmpfsEntry();
  slab_free(&entry, bytes);
}

// Keeps chains short; a table that cannot grow only makes them longer.
void TmpfsInode::grow_buckets() {
  Result<Buffer<TmpfsEntry*>> bigger = Buffer<TmpfsEntry*>::create(buckets_.size() * 4);
  if (!bigger.ok()) return;
  buckets_ = bigger.release_value();
  for (size_t i = 0; i < buckets_.size(); i++) buckets_[i] = nullptr;
  for (TmpfsEntry& entry : entries_) {
    TmpfsEntry*& bucket = buckets_[entry.hash & (buckets_.size() - 1)];
    entry.next_in_bucket = std::exchange(bucket, &entry);
  }
}

void TmpfsInode::add_entry(TmpfsEntry& entry) {
  TmpfsEntry*& bucket = buckets_[entry.hash & (buckets_.size() - 1)];
  entry.next_in_bucket = std::exchange(bucket, &entry);
  entry.cursor = next_cursor_++;
  entries_.push_back(entry);
  if (++entry_count_ > buckets_.size() * 2) grow_buckets();
  changed_names();
}

void TmpfsInode::remove_entry(TmpfsEntry& entry) {
  TmpfsEntry** link = &buckets_[entry.hash & (buckets_.size() - 1)];
  while (*link != &entry) link = &(*link)->next_in_bucket;
  *link = entry.next_in_bucket;
  entries_.remove(entry);
  free_entry(entry);
  if (--entry_count_ == 0) buckets_ = {};
  changed_names();
}

void TmpfsInode::changed_names() { modified_ = changed_ = wall_time(); }

void TmpfsInode::lost_name() {
  links_.fetch_sub(is_directory() ? 2 : 1, memory_order_relaxed);
  changed_ = wall_time();
  if (is_directory()) parent_ = this;
}

Result<Ref<Inode>> TmpfsInode::lookup(StringView name) {
  if (!is_directory()) return Errno::kNOTDIR;
  if (name == "..") return Ref<Inode>(*parent_);
  TmpfsEntry* entry = find(name);
  if (!entry) return Errno::kNOENT;
  return Ref<Inode>(*entry->inode);
}

// A new inode under a new name. In a set-group-id directory it gets the directory's group.
Result<Ref<TmpfsInode>> TmpfsInode::add_new(StringView name, uint32_t mode, DeviceNumber special, const Credentials& who) {
  Ref<TmpfsInode> inode = TRY(tmpfs().make_inode(mode, special, who));
  if (mode_ & 02000) {
    inode->gid_.store(gid_, memory_order_relaxed);
    if (inode->is_directory()) inode->mode_.fetch_or(02000, memory_order_relaxed);
  }
  add_entry(*TRY(make_entry(name, inode)));
  return inode;
}

Result<Ref<Inode>> TmpfsInode::create(StringView name, uint32_t mode, DeviceNumber special, const Credentials& who) {
  return Ref<Inode>(TRY(add_new(name, mode, special, who)));
}

Result<Ref<Inode>> TmpfsInode::make_directory(StringView name, uint32_t mode, const Credentials& who) {
  uint32_t with_type = (mode & kModeMask) | static_cast<uint32_t>(FileType::kDirectory);
  Ref<TmpfsInode> inode = TRY(add_new(name, with_type, {}, who));
  inode->links_.store(2, memory_order_relaxed);
  inode->parent_ = this;
  links_.fetch_add(1, memory_order_relaxed);
  return Ref<Inode>(std::move(inode));
}

Result<Ref<Inode>> TmpfsInode::make_symlink(StringView name, StringView target, const Credentials& who) {
  Buffer<char> text = TRY(Buffer<char>::create(target.size()));
  memcpy(text.data(), target.data(), target.size());
  Ref<TmpfsInode> inode = TRY(add_new(name, 0777 | static_cast<uint32_t>(FileType::kSymlink), {}, who));
  inode->target_ = std::move(text);
  return Ref<Inode>(std::move(inode));
}

Result<void> TmpfsInode::link(StringView name, Inode& target) {
  TmpfsEntry* entry = TRY(make_entry(name, Ref<TmpfsInode>(of(target))));
  uint32_t links = of(target).links_.load(memory_order_relaxed);
  while (links != 0 && !of(target).links_.compare_exchange_weak(links, links + 1, memory_order_relaxed)) {
  }
  if (links == 0) {  // another directory had its last name, until now
    free_entry(*entry);
    return Errno::kNOENT;
  }
  add_entry(*entry);
  of(target).changed_ = wall_time();
  return {};
}

Result<void> TmpfsInode::unlink(StringView name, Inode& target) {
  TmpfsEntry* entry = find(name);
  if (!entry || entry->inode.get() != &target) return Errno::kNOENT;
  of(target).lost_name();
  remove_entry(*entry);
  return {};
}

Result<void> TmpfsInode::remove_directory(StringView name, Inode& target) {
  if (of(target).entry_count_ != 0) return Errno::kNOTEMPTY;
  TRY(unlink(name, target));
  links_.fetch_sub(1, memory_order_relaxed);
  return {};
}

Result<void> TmpfsInode::rename(StringView old_name, Inode& moved, Inode& new_directory, StringView new_name, Inode* replaced) {
  TmpfsInode& to = of(new_directory);
  TmpfsEntry* old_entry = find(old_name);
  if (!old_entry) return Errno::kNOENT;
  if (replaced && replaced->is_directory() && of(*replaced).entry_count_ != 0) return Errno::kNOTEMPTY;
  TmpfsEntry* new_entry = TRY(to.make_entry(new_name, Ref<TmpfsInode>(of(moved))));
  if (replaced) {
    of(*replaced).lost_name();
    if (replaced->is_directory()) to.links_.fetch_sub(1, memory_order_relaxed);
  }
  TmpfsEntry* old_target = replaced ? to.find(new_name) : nullptr;
  to.add_entry(*new_entry);  // before any is removed: the last one takes the table with it
  if (old_target) to.remove_entry(*old_target);
  remove_entry(*old_entry);
  of(moved).changed_ = wall_time();
  if (moved.is_directory() && &to != this) {
    of(moved).parent_ = &to;
    links_.fetch_sub(1, memory_order_relaxed);
    to.links_.fetch_add(1, memory_order_relaxed);
  }
  return {};
}

Result<void> TmpfsInode::exchange(StringView name, Inode& other_directory, StringView other_name) {
  TmpfsInode& other = of(other_directory);
  TmpfsEntry* one = find(name);
  TmpfsEntry* two = other.find(other_name);
  if (!one || !two) return Errno::kNOENT;
  std::swap(one->inode, two->inode);
  if (&other != this) {
    int change = (one->inode->is_directory() ? 1 : 0) - (two->inode->is_directory() ? 1 : 0);
    links_.fetch_add(static_cast<uint32_t>(change), memory_order_relaxed);
    other.links_.fetch_sub(static_cast<uint32_t>(change), memory_order_relaxed);
    if (one->inode->is_directory()) one->inode->parent_ = this;
    if (two->inode->is_directory()) two->inode->parent_ = &other;
  }
  changed_names();
  other.changed_names();
  return {};
}

Result<void> TmpfsInode::read_directory(uint64_t cursor, DirectorySink& sink) {
  if (cursor == 0 && !sink.put(".", number(), FileType::kDirectory, 1)) return {};
  if (cursor <= 1 && !sink.put("..", parent_->number(), FileType::kDirectory, 2)) return {};
  for (TmpfsEntry& entry : entries_) {
    if (entry.cursor < cursor) continue;
    if (!sink.put(name_of(entry), entry.inode->number(), entry.inode->type(), uint64_t{entry.cursor} + 1)) return {};
  }
  return {};
}

}  // namespace faultline
