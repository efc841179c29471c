// The inside of a directory: records in a chain that fills each block exactly, an entry without an inode being free space. Removing joins
// an entry with the one before it, adding splits one that has room to spare. Each record is checked when it is passed.
#include <algorithm>

#include "fs/ext2/inode.h"

namespace faultline {

namespace {

constexpr uint64_t kMaxDirectoryBytes = 0x7fffffff;

// The type byte of an entry, in the format's order.
constexpr FileType kTypes[] = {static_cast<FileType>(0), FileType::kRegular, FileType::kDirectory, FileType::kCharacterDevice,
                               FileType::kBlockDevice,   FileType::kFifo,    FileType::kSocket,    FileType::kSymlink};

uint8_t type_byte(FileType type) {
  for (uint8_t i = 1; i < std::size(kTypes); i++)
    if (kTypes[i] == type) return i;
  return 0;
}

bool is_possible_name(StringView name) { return name.find('/') == StringView::kNotFound && name.find('\0') == StringView::kNotFound; }

}  // namespace

Result<void> Ext2Inode::check_entry(const Ext2DirectoryEntry& entry, uint32_t offset_in_block) {
  uint32_t length = entry.length, name = name_length(entry);
  bool good = length >= ext2_entry_bytes(1) && length % 4 == 0 && length <= fs_.block_size() - offset_in_block;
  if (good && entry.inode != 0)
    good = name != 0 && name <= 255 && ext2_entry_bytes(name) <= length && entry.inode <= fs_.superblock().inodes_count;
  if (good) [[likely]]
    return {};
  return fs_.damaged("malformed entry in directory", ino());
}

// Calls visit(place, offset) for every record from the block that holds byte `from` on, until it returns true. The
// place is the visitor's to take.
template <typename Visit>
Result<void> Ext2Inode::for_each_entry(uint64_t from, Visit visit) {
  const uint64_t size = data_.size();
  const uint32_t block = fs_.block_size();
  EntryPlace place;
  for (uint64_t base = from & ~uint64_t{block - 1}; base < size; base += block) {
    if (!place.page || place.index != PageIndex::of_byte(base)) {
      place.index = PageIndex::of_byte(base);
      place.page = TRY(data_.page(place.index));
    }
    uint8_t* data = place.page.data() + (base & kPageMask);
    place.previous = nullptr;
    for (uint32_t offset = 0; offset < block; offset += place.entry->length) {
      place.previous = offset == 0 ? nullptr : place.entry;
      place.entry = reinterpret_cast<Ext2DirectoryEntry*>(data + offset);
      TRY(check_entry(*place.entry, offset));
      if (visit(place, base + offset)) return {};
    }
  }
  return {};
}

Result<Ext2Inode::EntryPlace> Ext2Inode::find_entry(StringView name) {
  EntryPlace found;
  TRY(for_each_entry(0, [&](EntryPlace& place, uint64_t) {
    const Ext2DirectoryEntry& entry = *place.entry;
    if (entry.inode == 0 || name_length(entry) != name.size() || memcmp(entry.name, name.data(), name.size()) != 0) return false;
    found = std::move(place);
    return true;
  }));
  return found;
}

Result<void> Ext2Inode::read_directory(uint64_t cursor, DirectorySink& sink) {
  Errno bad = static_cast<Errno>(0);
  // The cursor is the offset of the next entry; after changes it may point into one, hence the walk from its block's start.
  TRY(for_each_entry(cursor, [&](EntryPlace& place, uint64_t offset) {
    const Ext2DirectoryEntry& entry = *place.entry;
    if (offset < cursor || entry.inode == 0) return false;
    StringView name(entry.name, name_length(entry));
    if (!is_possible_name(name)) {
      bad = fs_.damaged("impossible name in directory", ino());
      return true;
    }
    FileType type = fs_.has_file_types() && entry.type < std::size(kTypes) ? kTypes[entry.type] : kTypes[0];
    return !sink.put(name, entry.inode, type, offset + entry.length);
  }));
  if (bad != static_cast<Errno>(0)) return bad;
  return {};
}

void Ext2Inode::fill_entry(Ext2DirectoryEntry& entry, StringView name, uint32_t inode, FileType type) {
  entry.inode = inode;
  entry.name_length = static_cast<uint8_t>(name.size());
  entry.type = fs_.has_file_types() ? type_byte(type) : 0;
  memcpy(entry.name, name.data(), name.size());
}

Result<void> Ext2Inode::add_entry(StringView name, uint32_t inode, FileType type) {
  const uint32_t needed = ext2_entry_bytes(static_cast<uint32_t>(name.size()));
  bool added = false;
  TRY(for_each_entry(free_hint_, [&](EntryPlace& place, uint64_t offset) {
    Ext2DirectoryEntry* entry = place.entry;
    uint32_t used = entry->inode != 0 ? ext2_entry_bytes(name_length(*entry)) : 0;
    if (entry->length < used + needed) return false;
    if (used != 0) {
      auto* rest = reinterpret_cast<Ext2DirectoryEntry*>(reinterpret_cast<uint8_t*>(entry) + used);
      rest->length = static_cast<uint16_t>(entry->length - used);
      fill_entry(*rest, name, inode, type);
      entry->length = static_cast<uint16_t>(used);
    } else {
      fill_entry(*entry, name, inode, type);
    }
    data_.mark_dirty(place.index);
    free_hint_ = static_cast<uint32_t>(offset) & ~(fs_.block_size() - 1);
    return added = true;
  }));
  if (!added) TRY(add_block_with_entry(name, inode, type));
  directory_changed();
  return {};
}

// The directory grows. Its page is made, as a hole, before the block is allocated: so what the block held is never read.
Result<void> Ext2Inode::add_block_with_entry(StringView name, uint32_t inode, FileType type) {
  const uint64_t size = data_.size();
  const uint32_t block = fs_.block_size();
  if (size + block > kMaxDirectoryBytes) return Errno::kNOSPC;
  TRY(data_.resize(size + block));
  Result<void> result;
  {
    Result<PinnedFrame> page = data_.page(PageIndex::of_byte(size));
    result =
        page.ok() ? allocate_run(static_cast<uint32_t>(size >> fs_.block_shift()), 1, fs_.callers_reserve()) : Result<void>(page.error());
    if (result.ok()) {
      auto* entry = reinterpret_cast<Ext2DirectoryEntry*>(page.value().data() + (size & kPageMask));
      entry->length = static_cast<uint16_t>(block);
      fill_entry(*entry, name, inode, type);
      data_.mark_dirty(PageIndex::of_byte(size));
      free_hint_ = static_cast<uint32_t>(size);
    }
  }
  if (!result.ok()) ignore_result(data_.resize(size));  // the failure to report is the first one
  return result;
}

void Ext2Inode::retarget_entry(const EntryPlace& place, uint32_t inode, FileType type) {
  place.entry->inode = inode;
  if (fs_.has_file_types()) place.entry->type = type_byte(type);
  data_.mark_dirty(place.index);
  directory_changed();
}

// The records of the block up to this one have been checked when it was found.
void Ext2Inode::find_previous(EntryPlace& place) {
  uint8_t* data = place.page.data();
  const uint32_t at = static_cast<uint32_t>(reinterpret_cast<uint8_t*>(place.entry) - data);
  place.previous = nullptr;
  for (uint32_t offset = at & ~(fs_.block_size() - 1); offset < at; offset += place.previous->length)
    place.previous = reinterpret_cast<Ext2DirectoryEntry*>(data + offset);
}

void Ext2Inode::remove_entry(const EntryPlace& place) {
  if (place.previous) place.previous->length = static_cast<uint16_t>(place.previous->length + place.entry->length);
  place.entry->inode = 0;
  data_.mark_dirty(place.index);
  uint32_t within = static_cast<uint32_t>(reinterpret_cast<uint8_t*>(place.entry) - place.page.data());
  free_hint_ = std::min(free_hint_, static_cast<uint32_t>(place.index.byte()) + (within & ~(fs_.block_size() - 1)));
  directory_changed();
}

// Times, and the hash index that others may have made is no longer true.
void Ext2Inode::directory_changed() {
  flags_.fetch_and(~kExt2FlagIndexedDirectory, memory_order_relaxed);
  touch(true);
}

Result<bool> Ext2Inode::is_empty_directory() {
  bool empty = true;
  TRY(for_each_entry(0, [&](EntryPlace& place, uint64_t) {
    StringView name(place.entry->name, name_length(*place.entry));
    if (place.entry->inode == 0 || name == "." || name == "..") return false;
    empty = false;
    return true;
  }));
  return empty;
}

// "." and ".." of a new directory.
Result<void> Ext2Inode::write_first_entries(uint32_t parent) {
  TRY(data_.resize(fs_.block_size()));
  PinnedFrame page = TRY(data_.page(PageIndex(0)));
  TRY(allocate_run(0, 1, fs_.callers_reserve()));
  auto* self = reinterpret_cast<Ext2DirectoryEntry*>(page.data());
  auto* up = reinterpret_cast<Ext2DirectoryEntry*>(page.data() + ext2_entry_bytes(1));
  self->length = static_cast<uint16_t>(ext2_entry_bytes(1));
  up->length = static_cast<uint16_t>(fs_.block_size() - self->length);
  fill_entry(*self, ".", ino(), FileType::kDirectory);
  fill_entry(*up, "..", parent, FileType::kDirectory);
  data_.mark_dirty(PageIndex(0));
  parent_.store(parent, memory_order_relaxed);
  return {};
}

// The record of "..", in its pinned page.
Result<Ext2Inode::EntryPlace> Ext2Inode::parent_entry() {
  EntryPlace place;
  place.index = PageIndex(0);
  place.page = TRY(data_.page(place.index));
  place.previous = reinterpret_cast<Ext2DirectoryEntry*>(place.page.data());
  TRY(check_entry(*place.previous, 0));
  if (place.previous->length >= fs_.block_size()) return fs_.damaged("no .. in directory", ino());
  place.entry = reinterpret_cast<Ext2DirectoryEntry*>(place.page.data() + place.previous->length);
  TRY(check_entry(*place.entry, place.previous->length));
  return place;
}

// The directory has moved: ".." leads elsewhere.
void Ext2Inode::set_parent(const EntryPlace& up, uint32_t parent) {
  retarget_entry(up, parent, FileType::kDirectory);
  parent_.store(parent, memory_order_relaxed);
}

}  // namespace faultline
