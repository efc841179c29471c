// The mounted tree. A mutex orders mount and umount; a spin lock guards the links, which path walking follows.
#include "fs/mount.h"

#include "fs/path.h"
#include "lib/late.h"
#include "lib/log.h"
#include "lib/mutex.h"
#include "mm/slab.h"

namespace faultline {

namespace {

struct Tree {
  Mutex<LockRank::kMountTable> mutex;
  List<Mount> mounts;  // in the order they were attached; the first is the root. Guarded by links_lock
};
constinit Late<Tree> tree;
constinit SpinLock<LockRank::kDentry> links_lock;

constexpr uint32_t kMaxTypes = 16;
const FileSystemType* types[kMaxTypes];
uint32_t type_count;
Atomic<uint32_t> next_mount_id{1};
Atomic<uint32_t> next_anonymous_device{1};

const FileSystemType* find_type(StringView name) {
  for (uint32_t i = 0; i < type_count; i++)
    if (types[i]->name == name) return types[i];
  return nullptr;
}

// The mount at `index` of the tree, with a reference.
Ref<Mount> mount_at(uint32_t index) {
  LockGuard guard(links_lock);
  for (Mount& mount : tree->mounts)
    if (index-- == 0) return Ref<Mount>(mount);
  return {};
}

}  // namespace

void mounts_initialize() { tree.construct(); }

Result<void> file_system_register(const FileSystemType& type) {
  if (find_type(type.name)) return Errno::kEXIST;
  if (type_count == kMaxTypes) return Errno::kNOMEM;
  types[type_count++] = &type;
  return {};
}

const FileSystemType* file_system_type_at(uint32_t index) { return index < type_count ? types[index] : nullptr; }

DeviceNumber anonymous_device_number() { return {0, next_anonymous_device.fetch_add(1, memory_order_relaxed)}; }

Result<Ref<Mount>> Mount::create(FileSystem& file_system, Ref<Dentry> root, StringView source, uint32_t flags) {
  Mount* mount = TRY(slab_new<Mount>(file_system, std::move(root)));
  mount->source_length_ = source.size() < sizeof mount->source_ ? source.size() : sizeof mount->source_;
  memcpy(mount->source_, source.data(), mount->source_length_);
  mount->flags_.store(flags, memory_order_relaxed);
  mount->id_ = next_mount_id.fetch_add(1, memory_order_relaxed);
  file_system.mount_count.fetch_add(1, memory_order_relaxed);
  return Ref<Mount>::adopt(mount);
}

void Mount::destroy(Mount* mount) {
  FileSystem& file_system = mount->file_system_;
  bool is_last = file_system.mount_count.fetch_sub(1, memory_order_acq_rel) == 1;
  if (is_last) DentryCache::prune(file_system);
  mount->root_ = nullptr;
  slab_delete(mount);
  if (!is_last) return;
  if (Result<void> result = file_system.unmount(); !result.ok())
    log(LogLevel::kError, "unmount: errno {}", static_cast<int>(result.error()));
}

Ref<Mount> Mount::covering(const Path& path) {
  LockGuard guard(links_lock);
  if (Mount* last = path.dentry->last_mount_; last && last->parent_ == path.mount) return Ref<Mount>(*last);
  for (Mount& mount : tree->mounts)
    if (mount.mount_point_ == path.dentry && mount.parent_ == path.mount) return Ref<Mount>(mount);
  return {};
}

Path Mount::attached_to() {
  LockGuard guard(links_lock);
  return {parent_, mount_point_};
}

Result<void> Mount::attach(const Path& place) {
  LockGuard order(tree->mutex);
  if (place && place.dentry->is_deleted()) return Errno::kNOENT;
  acquire();  // the tree's reference
  LockGuard guard(links_lock);
  if (place) {
    parent_ = place.mount;
    mount_point_ = place.dentry;
    place.mount->children_++;
    place.dentry->mounts_.fetch_add(1, memory_order_release);
    place.dentry->last_mount_ = this;
  }
  tree->mounts.push_back(*this);
  return {};
}

// The caller holds one reference to this mount. References above that and the tree's are users.
Result<void> Mount::detach(uint32_t unmount_flags) {
  bool lazily = unmount_flags & kUnmountDetach;
  LockGuard order(tree->mutex);
  while (lazily) {  // what is mounted below leaves with it
    Ref<Mount> child;
    {
      LockGuard guard(links_lock);
      for (Mount& mount : tree->mounts)
        if (mount.parent_.get() == this) child = Ref<Mount>(mount);
    }
    if (!child) break;
    TRY(child->detach_one(true));
  }
  return detach_one(lazily);
}

Result<void> Mount::detach_one(bool even_if_busy) {
  Path was_at;
  if (!even_if_busy) {  // what there is no memory to finish now would never be: then it stays mounted
    Result<void> written = file_system_.synchronize(WriteBack::kWait);
    if (!written.ok() && written.error() == Errno::kNOMEM) return written;
  }
  {
    LockGuard guard(links_lock);
    if (!is_linked()) return Errno::kINVAL;
    if (!parent_) return Errno::kBUSY;  // the root of everything
    if (children_ != 0) return Errno::kBUSY;
    if (!even_if_busy && reference_count() > 2) return Errno::kBUSY;
    tree->mounts.remove(*this);
    parent_->children_--;
    mount_point_->mounts_.fetch_sub(1, memory_order_release);
    if (mount_point_->last_mount_ == this) mount_point_->last_mount_ = nullptr;
    was_at = Path{std::move(parent_), std::move(mount_point_)};
  }
  release();  // the tree's reference; the caller has another
  return {};
}

bool Mount::writer_begins() {
  writers_.fetch_add(1, memory_order_seq_cst);
  if (!is_read_only()) return true;
  writers_.fetch_sub(1, memory_order_seq_cst);
  return false;
}

Result<void> Mount::remount(uint32_t flags) {
  LockGuard order(tree->mutex);
  uint32_t before = flags_.load(memory_order_relaxed);
  constexpr uint32_t kKept = kMountReadOnly | kMountNoSetId | kMountNoDevices | kMountNoExecute | kMountSynchronous | kMountNoAccessTime |
                             kMountNoDirAccessTime | kMountRelativeAccessTime | kMountStrictAccessTime;
  flags_.store(flags & kKept, memory_order_seq_cst);
  Result<void> result;
  bool becomes_read_only = (flags & kMountReadOnly) && !(before & kMountReadOnly);
  if (becomes_read_only && writers_.load(memory_order_seq_cst) != 0) result = Errno::kBUSY;
  if (result.ok()) result = file_system_.remount(flags & kKept);
  if (!result.ok()) flags_.store(before, memory_order_seq_cst);
  return result;
}

void Mount::for_each(void (*visit)(Mount&, void*), void* context) {
  for (uint32_t i = 0;; i++) {
    Ref<Mount> mount = mount_at(i);
    if (!mount) return;
    visit(*mount, context);
  }
}

Result<Ref<Mount>> mount_create(StringView type_name, BlockDevice* device, StringView source, uint32_t flags, StringView options) {
  const FileSystemType* type = find_type(type_name);
  if (!type) return Errno::kNODEV;
  if (type->needs_device && !device) return Errno::kNOTBLK;
  FileSystem* file_system = TRY(type->mount(device, flags, options));
  if (file_system->is_read_only()) flags |= kMountReadOnly;
  Ref<Inode> root_inode = file_system->root();
  Result<Ref<Dentry>> root = root_inode ? Dentry::create_root(std::move(root_inode)) : Errno::kNOMEM;
  Result<Ref<Mount>> mount = root.ok() ? Mount::create(*file_system, root.release_value(), source, flags) : root.error();
  if (!mount.ok()) ignore_result(file_system->unmount());  // nothing was written: the first error counts
  return mount;
}

Result<void> mounts_synchronize(WriteBack mode) {
  Result<void> result;
  LockGuard order(tree->mutex);  // so that the uses we hold keep no umount from its work: it waits
  for (uint32_t i = 0;; i++) {
    Ref<Mount> mount = mount_at(i);
    if (!mount) return result;
    Result<void> one = mount->file_system().synchronize(mode);
    if (result.ok()) result = one;
  }
}

void mounts_shut_down() {
  ignore_result(mounts_synchronize(WriteBack::kWait));  // what fails here fails again below, and is logged there
  for (uint32_t i = 0;; i++) {
    Ref<Mount> mount = mount_at(i);
    if (!mount) return;
    if (Result<void> result = mount->file_system().remount(kMountReadOnly); !result.ok() && result.error() != Errno::kINVAL)
      log(LogLevel::kError, "could not mark {} clean: errno {}", mount->source(), static_cast<int>(result.error()));
  }
}

}  // namespace faultline
