// Mounting, metadata blocks, the superblock's state, sync and unmount of ext2.
#include "fs/ext2/file_system.h"

#include <algorithm>
#include <bit>

#include "arch/mmu.h"
#include "fs/block_batch.h"
#include "fs/ext2/inode.h"
#include "fs/hooks.h"
#include "fs/mount.h"
#include "lib/log.h"
#include "mm/reclaim.h"
#include "mm/slab.h"

namespace faultline {

namespace {

constexpr uint32_t kMaxReports = 20;

// All mounted ones, for memory pressure. Who leaves the list waits until no walker is under way.
constinit SpinLock<LockRank::kInodeCache> list_lock;
constinit Ext2FileSystem* mounted = nullptr;
constinit Atomic<uint32_t> walkers{0};

}  // namespace

Ext2FileSystem::Ext2FileSystem(BlockDevice& device, const Ext2Superblock& super, bool read_only, bool must_be_read_only)
    : device_(device), super_(super), block_shift_(10 + super.log_block_size), block_size_(1u << block_shift_),
      inode_size_(super.revision == 0 ? kExt2BaseInodeSize : super.inode_size), first_inode_(super.revision == 0 ? 11 : super.first_inode),
      group_count_((super.blocks_count - super.first_data_block + super.blocks_per_group - 1) / super.blocks_per_group),
      small_blocks_(*this, static_cast<uint64_t>(super.blocks_count) * kPageSize),
      metadata_(block_size_ == kPageSize ? device.object() : small_blocks_), inodes_(*this),
      free_blocks_(std::min(super.free_blocks_count, super.blocks_count)),
      free_inodes_(std::min(super.free_inodes_count, super.inodes_count)) {
  read_only_.store(read_only, memory_order_relaxed);
  must_be_read_only_ = must_be_read_only;
  was_clean_ = (super.state & kExt2StateClean) && !(super.state & kExt2StateErrors);
  disk_says_clean_.store(super.state & kExt2StateClean, memory_order_relaxed);
  large_files_.store(super.feature_read_only & kExt2ReadOnlyLargeFile, memory_order_relaxed);
  if (super.revision == 0) super_.feature_compat = super_.feature_incompat = super_.feature_read_only = 0;
  const uint64_t pointers = pointers_per_block();
  uint64_t blocks = kExt2DirectBlocks + pointers + pointers * pointers + pointers * pointers * pointers;
  // The count of 512-byte sectors has 32 bits; indirect blocks take a part of them. Page numbers and old sizes limit it further.
  uint64_t by_sectors = 0xffffffffull / sectors_per_block() * (pointers - 2) / pointers;
  max_file_size_ = std::min(blocks, by_sectors) << block_shift_;
  if (super.revision == 0) max_file_size_ = std::min<uint64_t>(max_file_size_, 0x7fffffff);
}

Result<FileSystem*> Ext2FileSystem::mount(BlockDevice* device, uint32_t flags, StringView options) {
  if (!device) return Errno::kNOTBLK;
  if (!options.empty()) {
    log(LogLevel::kError, "ext2: {}: unknown mount option: {}", device->name(), options);
    return Errno::kINVAL;
  }
  if (device->sectors() < 2 * kExt2SuperblockOffset / kSectorSize) return Errno::kINVAL;
  DeviceClaim claim(*device);
  if (!claim.is_granted()) return Errno::kBUSY;
  // What was written to the raw device goes first, and nothing old may be read.
  TRY(device->object().write_back_all(WriteBack::kWait));
  Ext2Superblock super;
  {
    PinnedFrame page = TRY(device->object().page(PageIndex(0)));
    memcpy(&super, page.data() + kExt2SuperblockOffset, sizeof super);
  }
  if (super.magic != kExt2Magic) return Errno::kINVAL;
  bool must_be_read_only = device->is_read_only();
  TRY(check_features(super, device->name(), must_be_read_only));
  Result<void> geometry = check_geometry(super, device->sectors());
  if (!geometry.ok()) {
    log(LogLevel::kError, "ext2: {}: the superblock makes no sense", device->name());
    return geometry.error();
  }
  bool read_only = must_be_read_only || (flags & kMountReadOnly);
  Ext2FileSystem* file_system = TRY(slab_new<Ext2FileSystem>(*device, super, read_only, must_be_read_only));
  claim.keep();  // its unmount() gives it back
  Result<void> started = file_system->start();
  if (!started.ok()) {
    ignore_result(file_system->unmount());  // nothing was changed; it frees the object
    return started.error();
  }
  return file_system;
}

// What we don't know by name is refused (kINVAL) or forbids writing.
Result<void> Ext2FileSystem::check_features(const Ext2Superblock& super, StringView device, bool& read_only) {
  static constexpr const char* kIncompat[] = {
      "compression", "filetype", "needs_recovery", "journal_dev",        "meta_bg",   nullptr,       "extent",  "64bit",   "mmp", "flex_bg",
      "ea_inode",    nullptr,    "dirdata",        "metadata_csum_seed", "large_dir", "inline_data", "encrypt", "casefold"};
  static constexpr const char* kReadOnly[] = {"sparse_super", "large_file", "btree_dir",     "huge_file", "uninit_bg",     "dir_nlink",
                                              "extra_isize",  nullptr,      "quota",         "bigalloc",  "metadata_csum", "replica",
                                              "read-only",    "project",    "shared_blocks", "verity"};
  if (super.revision == 0) return {};
  if (super.revision > 1) {
    log(LogLevel::kError, "ext2: {}: revision {} is not known", device, super.revision);
    return Errno::kINVAL;
  }
  auto name_of = [](std::span<const char* const> names, uint32_t bit) { return bit < names.size() && names[bit] ? names[bit] : "?"; };
  uint32_t unknown = super.feature_incompat & ~kExt2KnownIncompat;
  for (uint32_t rest = unknown; rest != 0; rest &= rest - 1) {
    uint32_t bit = static_cast<uint32_t>(std::countr_zero(rest));
    log(LogLevel::kError, "ext2: {}: cannot mount: incompatible feature {} (bit {})", device, name_of(kIncompat, bit), bit);
  }
  if (unknown != 0) return Errno::kINVAL;
  unknown = super.feature_read_only & ~kExt2KnownReadOnly;
  for (uint32_t rest = unknown; rest != 0; rest &= rest - 1) {
    uint32_t bit = static_cast<uint32_t>(std::countr_zero(rest));
    log(LogLevel::kWarning, "ext2: {}: read-only because of feature {} (bit {})", device, name_of(kReadOnly, bit), bit);
  }
  if (unknown != 0) read_only = true;
  return {};
}

// Everything that later arithmetic relies on.
Result<void> Ext2FileSystem::check_geometry(const Ext2Superblock& super, uint64_t sectors) {
  if (super.log_block_size > 2) return Errno::kINVAL;
  const uint32_t block = 1024u << super.log_block_size;
  const uint32_t inode_size = super.revision == 0 ? kExt2BaseInodeSize : super.inode_size;
  const uint32_t first_inode = super.revision == 0 ? 11 : super.first_inode;
  bool good = super.first_data_block == (block == 1024 ? 1 : 0) && super.blocks_count > super.first_data_block + 4 &&
              static_cast<uint64_t>(super.blocks_count) * (block / kSectorSize) <= sectors && super.blocks_per_group >= 8 &&
              super.blocks_per_group <= 8 * block && super.inodes_per_group != 0 && super.inodes_per_group <= 8 * block &&
              std::has_single_bit(inode_size) && inode_size >= kExt2BaseInodeSize && inode_size <= block &&
              super.reserved_blocks_count <= super.blocks_count;
  if (!good) return Errno::kUCLEAN;
  uint64_t groups =
      (static_cast<uint64_t>(super.blocks_count) - super.first_data_block + super.blocks_per_group - 1) / super.blocks_per_group;
  good = groups * super.inodes_per_group == super.inodes_count && first_inode > kExt2RootInode && first_inode <= super.inodes_per_group &&
         (groups * sizeof(Ext2GroupDescriptor) + block - 1) / block + 2 < super.blocks_per_group &&
         (static_cast<uint64_t>(super.inodes_per_group) * inode_size + block - 1) / block < super.blocks_per_group;
  return good ? Result<void>() : Errno::kUCLEAN;
}

Result<void> Ext2FileSystem::start() {
  TRY(inodes_.start());
  superblock_ = TRY(metadata(kExt2SuperblockOffset >> block_shift_));
  list_add(*this);
  if (!was_clean_) {
    log(LogLevel::kWarning, "ext2: {} was not unmounted cleanly; e2fsck is recommended", device_.name());
    TRY(recount());
  }
  root_ = TRY(inodes_.get(kExt2RootInode));
  if (!root_->is_directory() || TRY(root_->lookup(".."))->number() != kExt2RootInode)
    return damaged("the root is not a directory: inode", kExt2RootInode);
  return {};
}

Ref<Inode> Ext2FileSystem::root() { return root_; }

Ext2Reserve Ext2FileSystem::callers_reserve() const { return current_is_superuser() ? Ext2Reserve::kMayUse : Ext2Reserve::kKeep; }

Errno Ext2FileSystem::damaged(StringView what, uint64_t number) {
  uint32_t before = reports_.fetch_add(1, memory_order_relaxed);
  if (before < kMaxReports) log(LogLevel::kError, "ext2: {}: {} {}", device_.name(), what, number);
  if (before == kMaxReports) log(LogLevel::kError, "ext2: {}: more damage is not reported", device_.name());
  errors_seen_.store(true, memory_order_relaxed);
  return Errno::kUCLEAN;
}

void Ext2FileSystem::unfinished(StringView what, uint32_t inode, Errno error) {
  log(LogLevel::kError, "ext2: {}: inode {} {}: error {}", device_.name(), inode, what, static_cast<int>(error));
  errors_seen_.store(true, memory_order_relaxed);
}

Result<Ext2Block> Ext2FileSystem::metadata(uint32_t block) {
  if (!is_block(block)) return damaged("pointer to the impossible block", block);
  return Ext2Block(TRY(metadata_.page(PageIndex(block))), block);
}

Result<Ext2Block> Ext2FileSystem::metadata_new(uint32_t block) {
  Ext2Block result(TRY(metadata_.page_for_overwrite(PageIndex(block))), block);
  memset(result.data(), 0, block_size_);
  metadata_changed(result);
  return result;
}

void Ext2FileSystem::metadata_changed(const Ext2Block& block) {
  note_change();
  metadata_.mark_dirty(PageIndex(block.number()));
}

void Ext2FileSystem::metadata_forget(uint32_t block) {
  if (is_block(block)) ignore_result(metadata_.discard(PageIndex(block), 1));  // cannot fail: it only frees
}

// Small blocks: page N is block N, the rest of the page is unused.
Result<void> Ext2FileSystem::read_pages(PageIndex first, std::span<const FrameNumber> frames) {
  BlockBatch batch(device_, BlockOperation::kRead);
  for (uint32_t i = 0; i < frames.size(); i++) {
    batch.add((uint64_t{first.value()} + i) * sectors_per_block(), PhysAddr::of(frames[i]), block_size_);
    memset(direct_map_bytes(frames[i]) + block_size_, 0, kPageSize - block_size_);
  }
  return batch.finish();
}

Result<void> Ext2FileSystem::write_pages(PageIndex first, std::span<const FrameNumber> frames) {
  BlockBatch batch(device_, BlockOperation::kWrite);
  for (uint32_t i = 0; i < frames.size(); i++)
    batch.add((uint64_t{first.value()} + i) * sectors_per_block(), PhysAddr::of(frames[i]), block_size_);
  return batch.finish();
}

Result<void> Ext2FileSystem::allow_large_file() {
  if (super_.revision == 0) return Errno::kFBIG;
  if (!large_files_.exchange(true, memory_order_relaxed)) note_change();  // the next superblock written says it
  return {};
}

Result<void> Ext2FileSystem::write_superblock(bool clean, WriteBack mode) {
  if (!superblock_) return {};  // never started
  auto& raw = *reinterpret_cast<Ext2Superblock*>(superblock_.data() + (kExt2SuperblockOffset & (block_size_ - 1)));
  const uint32_t now = static_cast<uint32_t>(wall_time().seconds);
  raw.free_blocks_count = free_blocks_.load(memory_order_relaxed);
  raw.free_inodes_count = free_inodes_.load(memory_order_relaxed);
  raw.write_time = now;
  raw.state = static_cast<uint16_t>((raw.state & ~kExt2StateClean) | (clean ? kExt2StateClean : 0));
  if (errors_seen_.load(memory_order_relaxed)) raw.state |= kExt2StateErrors;
  if (large_files_.load(memory_order_relaxed)) raw.feature_read_only |= kExt2ReadOnlyLargeFile;
  if (!counted_mount_) {
    counted_mount_ = true;
    raw.mount_time = now;
    raw.mount_count++;
  }
  metadata_.mark_dirty(PageIndex(superblock_.number()));
  return metadata_.write_back(PageIndex(superblock_.number()), 1, mode);
}

// Before the first change after a moment at which the disk was clean, the disk says that it no longer is.
void Ext2FileSystem::note_change() {
  changes_.fetch_add(1, memory_order_seq_cst);
  if (!disk_says_clean_.load(memory_order_seq_cst)) return;
  LockGuard guard(state_lock_);
  if (!disk_says_clean_.load(memory_order_relaxed)) return;
  ignore_result(write_superblock(false, WriteBack::kWait));  // a disk that fails shows it to whoever waits for the data
  disk_says_clean_.store(false, memory_order_seq_cst);
}

Result<void> Ext2FileSystem::synchronize_metadata() {
  TRY(metadata_.write_back_all(WriteBack::kWait));
  return device_.flush();
}

// Nothing is left undone for want of memory while there is some to be had.
Result<void> Ext2FileSystem::synchronize(WriteBack mode) {
  if (is_read_only()) return {};
  constexpr int kRounds = 3;
  Result<void> result = synchronize_once(mode);
  for (int i = 1; i < kRounds && mode == WriteBack::kWait; i++) {
    if (result.ok() || result.error() != Errno::kNOMEM || !reclaim_with_write_back()) break;
    result = synchronize_once(mode);
  }
  return result;
}

Result<void> Ext2FileSystem::synchronize_once(WriteBack mode) {
  Result<void> result = inodes_.finish_deletions();
  auto keep_first = [&result](Result<void> next) {
    if (!next.ok() && result.ok()) result = next;
  };
  keep_first(inodes_.write_back(mode));
  const uint32_t seen = changes_.load(memory_order_seq_cst);
  if (mode == WriteBack::kStart) {
    LockGuard guard(state_lock_);
    if (!disk_says_clean_.load(memory_order_relaxed)) keep_first(write_superblock(false, WriteBack::kStart));
    keep_first(metadata_.write_back_all(WriteBack::kStart));
    return result;
  }
  keep_first(metadata_.write_back_all(WriteBack::kWait));
  LockGuard guard(state_lock_);
  if (!disk_says_clean_.load(memory_order_relaxed)) {
    bool clean = was_clean_ && result.ok() && !errors_seen_.load(memory_order_relaxed) && orphans_.load(memory_order_relaxed) == 0;
    if (clean) disk_says_clean_.store(true, memory_order_seq_cst);
    // A change that came meanwhile either sees the flag, and waits for the lock to take it back, or is seen here.
    if (clean && changes_.load(memory_order_seq_cst) != seen) {
      clean = false;
      disk_says_clean_.store(false, memory_order_seq_cst);
    }
    keep_first(write_superblock(clean, WriteBack::kWait));
  }
  keep_first(device_.flush());
  return result;
}

Result<void> Ext2FileSystem::remount(uint32_t flags) {
  if (flags & kMountReadOnly) {
    Result<void> written = synchronize(WriteBack::kWait);
    // What has lost its name but is open will have to be freed one day.
    if (orphans_.load(memory_order_relaxed) != 0) return written.ok() ? Errno::kBUSY : written;
    read_only_.store(true, memory_order_seq_cst);
    return written;
  }
  if (must_be_read_only_) return Errno::kROFS;
  read_only_.store(false, memory_order_seq_cst);
  return {};
}

Result<void> Ext2FileSystem::unmount() {
  Result<void> result = synchronize(WriteBack::kWait);
  root_ = nullptr;
  if (!inodes_.evict_all()) {
    log(LogLevel::kError, "ext2: {}: unmounted while in use", device_.name());
    Result<Ref<Ext2Inode>> root = inodes_.get(kExt2RootInode);
    if (root.ok()) root_ = root.release_value();
    return Errno::kBUSY;
  }
  list_remove(*this);
  superblock_ = Ext2Block();
  small_blocks_.drop_all();
  device_.object().drop_clean();  // with small blocks, the raw device's pages are older than what we wrote
  device_.unclaim();
  slab_delete(this);
  return result;
}

void Ext2FileSystem::list_add(Ext2FileSystem& file_system) {
  LockGuard guard(list_lock);
  file_system.next_mounted_ = mounted;
  mounted = &file_system;
}

void Ext2FileSystem::list_remove(Ext2FileSystem& file_system) {
  {
    LockGuard guard(list_lock);
    Ext2FileSystem** link = &mounted;
    while (*link && *link != &file_system) link = &(*link)->next_mounted_;
    if (*link) *link = file_system.next_mounted_;
  }
  while (walkers.load(memory_order_seq_cst) != 0) yield();
}

uint32_t ext2_inodes_shrink(uint32_t wanted) {
  Ext2FileSystem* first;
  {
    LockGuard guard(list_lock);
    walkers.fetch_add(1, memory_order_seq_cst);
    first = mounted;
  }
  uint32_t freed = 0;
  for (Ext2FileSystem* each = first; each && freed < wanted; each = each->next_mounted_) freed += each->inodes_.shrink(wanted - freed);
  walkers.fetch_sub(1, memory_order_seq_cst);
  return freed;
}

void ext2_initialize() {
  static constexpr FileSystemType kType = {"ext2", true, &Ext2FileSystem::mount};
  if (!file_system_register(kType).ok()) log(LogLevel::kError, "ext2: no room to register the file system type");
  reclaim_register(&ext2_inodes_shrink);
}

}  // namespace faultline
