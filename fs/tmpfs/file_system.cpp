// tmpfs instances: making, limits, statfs, the end.
#include "fs/tmpfs/tmpfs.h"
#include "mm/frames.h"

namespace faultline {

Result<TmpfsFileSystem*> TmpfsFileSystem::create(StringView type, uint64_t page_limit, uint32_t root_mode, uint64_t inode_limit) {
  if (inode_limit == 0) inode_limit = frame_statistics().total;  // an inode and its name take far less than a page
  TmpfsFileSystem* made = TRY(slab_new<TmpfsFileSystem>(type, page_limit, inode_limit));
  Credentials root;
  Result<Ref<TmpfsInode>> inode = made->make_inode(root_mode | static_cast<uint32_t>(FileType::kDirectory), {}, root);
  if (!inode.ok()) {
    slab_delete(made);
    return inode.error();
  }
  made->root_ = inode.value().leak();
  made->root_->links_.store(2, memory_order_relaxed);
  made->root_->parent_ = made->root_;
  return made;
}

Ref<Inode> TmpfsFileSystem::root() { return Ref<Inode>(*root_); }

FileSystemStatistics TmpfsFileSystem::statistics() {
  uint64_t free = pages_available();
  uint64_t files = inode_limit_ - inodes_.load(memory_order_relaxed);
  return {
      .type = 0x01021994, .blocks = page_limit_, .blocks_free = free, .blocks_available = free, .files = inode_limit_, .files_free = files};
}

uint64_t TmpfsFileSystem::pages_available() const {
  uint64_t used = pages_.load(memory_order_relaxed);
  return used < page_limit_ ? page_limit_ - used : 0;
}

void TmpfsFileSystem::charge(uint32_t pages) { pages_.fetch_add(pages, memory_order_relaxed); }
void TmpfsFileSystem::uncharge(uint32_t pages) { pages_.fetch_sub(pages, memory_order_relaxed); }

Result<Ref<TmpfsInode>> TmpfsFileSystem::make_inode(uint32_t mode, DeviceNumber special, const Credentials& who) {
  if (inodes_.fetch_add(1, memory_order_relaxed) >= inode_limit_) {
    inodes_.fetch_sub(1, memory_order_relaxed);
    return Errno::kNOSPC;
  }
  uint64_t number = next_number_.fetch_add(1, memory_order_relaxed);
  Result<TmpfsInode*> made = slab_new<TmpfsInode>(*this, number, mode, special, who);
  if (!made.ok()) {
    inodes_.fetch_sub(1, memory_order_relaxed);
    return made.error();
  }
  Ref<TmpfsInode> inode = Ref<TmpfsInode>::adopt(made.value());
  if (inode->type() == FileType::kRegular) inode->object_ = TRY(Object::create_anonymous(0, SharedPromise::kByPage));
  return inode;
}

// Directories are emptied into the root's list before they die, so that a deep tree does not recurse.
Result<void> TmpfsFileSystem::unmount() {
  while (TmpfsEntry* entry = root_->entries_.front()) {
    TmpfsInode& inode = *entry->inode;
    while (TmpfsEntry* below = inode.entries_.pop_front()) root_->entries_.push_back(*below);
    TmpfsInode::free_entry(*root_->entries_.pop_front());
  }
  root_->release();
  slab_delete(this);
  return {};
}

namespace {

// "N", "Nk", "Nm", "Ng", or "N%" of `whole`; 0 if it is none of these.
uint64_t parse_number(StringView text, uint64_t whole = 0) {
  uint64_t number = 0;
  size_t i = 0;
  for (; i < text.size() && i < 15 && text[i] >= '0' && text[i] <= '9'; i++) number = number * 10 + static_cast<uint64_t>(text[i] - '0');
  if (i == text.size()) return number;
  if (i + 1 != text.size()) return 0;
  switch (text[i] | 0x20) {
    case 'k': return number << 10;
    case 'm': return number << 20;
    case 'g': return number << 30;
    default: return text[i] == '%' ? whole * number / 100 : 0;
  }
}

Result<FileSystem*> mount_tmpfs(BlockDevice*, uint32_t, StringView options) {
  uint64_t pages = frame_statistics().total / 2;
  uint64_t inodes = 0;
  uint32_t mode = 01777;
  while (!options.empty()) {
    size_t comma = options.find(',');
    StringView option = options.substring(0, comma);
    options = comma == StringView::kNotFound ? StringView() : options.substring(comma + 1);
    if (option.starts_with("size=")) {
      pages = pages_for(parse_number(option.substring(5), uint64_t{frame_statistics().total} << kPageShift));
      if (pages == 0) return Errno::kINVAL;
    } else if (option.starts_with("mode=")) {
      mode = 0;
      for (char c : option.substring(5)) {
        if (c < '0' || c > '7') return Errno::kINVAL;
        mode = (mode * 8 + static_cast<uint32_t>(c - '0')) & kModeMask;
      }
    } else if (option.starts_with("nr_inodes=")) {
      inodes = parse_number(option.substring(10));
      if (inodes == 0) return Errno::kINVAL;
    } else if (!option.empty()) {
      return Errno::kINVAL;
    }
  }
  TmpfsFileSystem* made = TRY(TmpfsFileSystem::create("tmpfs", pages, mode, inodes));
  return static_cast<FileSystem*>(made);
}

constinit TmpfsFileSystem* memfd_file_system = nullptr;  // made by the boot; never mounted

}  // namespace

void tmpfs_initialize() {
  static constexpr FileSystemType type{"tmpfs", false, mount_tmpfs};
  ignore_result(file_system_register(type));  // boot registers each type once
  Result<TmpfsFileSystem*> made = TmpfsFileSystem::create("tmpfs", ~0u, 0700);
  if (made.ok()) memfd_file_system = made.value();
}

Result<Ref<File>> tmpfs_anonymous_file(uint32_t flags, uint32_t permissions, const Credentials& who) {
  if (!memfd_file_system) return Errno::kNOMEM;
  Ref<TmpfsInode> inode = TRY(memfd_file_system->make_inode(permissions | static_cast<uint32_t>(FileType::kRegular), {}, who));
  inode->has_no_names();
  return inode->open(flags);
}

}  // namespace faultline
