// The mounted tree: which file system is attached where. mount(2), umount2(2).
#pragma once

#include "fs/dentry.h"
#include "fs/inode.h"
#include "lib/format.h"
#include "lib/list.h"
#include "lib/ref.h"

namespace faultline {

struct Path;

inline constexpr uint32_t kMountReadOnly = 1, kMountNoSetId = 2, kMountNoDevices = 4, kMountNoExecute = 8, kMountSynchronous = 16,
                          kMountRemount = 32, kMountNoAccessTime = 1024, kMountNoDirAccessTime = 2048, kMountBind = 4096, kMountMove = 8192,
                          kMountRecursive = 16384, kMountSilent = 32768, kMountRelativeAccessTime = 1u << 21,
                          kMountStrictAccessTime = 1u << 24;
inline constexpr uint32_t kUnmountForce = 1, kUnmountDetach = 2, kUnmountExpire = 4, kUnmountNoFollow = 8;

// One attachment. A reference keeps the file system mounted; the last one (after it left the tree) writes it back and unmounts it.
class Mount final : public RefCounted<Mount>, public ListNode<> {
 public:
  // `source` is what /proc/mounts shows. The mount takes over a use of `file_system`. kNOMEM.
  static Result<Ref<Mount>> create(FileSystem& file_system, Ref<Dentry> root, StringView source, uint32_t flags);
  // Sleeps; must not be called with a lock held.
  static void destroy(Mount* mount);

  FileSystem& file_system() const { return file_system_; }
  const Ref<Dentry>& root() const { return root_; }
  uint32_t id() const { return id_; }
  uint32_t flags() const { return flags_.load(memory_order_relaxed); }
  bool is_read_only() const { return flags() & kMountReadOnly; }
  StringView source() const { return {source_, source_length_}; }

  // The mount that covers `path` (the topmost attached to that very place), or null.
  static Ref<Mount> covering(const Path& path);
  // Where this one is attached; an empty path for the root of the tree or a detached mount.
  Path attached_to();

  // Attaches at `place`, or as the root of the tree if that is empty. kBUSY never: mounts stack.
  Result<void> attach(const Path& place);
  Result<void> detach(uint32_t unmount_flags);  // kBUSY, kINVAL, kNOMEM
  Result<void> remount(uint32_t flags);         // kBUSY, kINVAL

  // Open files for writing keep the mount from becoming read-only. False: it is.
  bool writer_begins();
  void writer_ends() { writers_.fetch_sub(1, memory_order_seq_cst); }

  // Calls `visit` for each mount of the tree in the order they were made; it may sleep.
  static void for_each(void (*visit)(Mount& mount, void* context), void* context);

 private:
  template <typename T, typename... Arguments>
  friend Result<T*> slab_new(Arguments&&...);
  template <typename T>
  friend void slab_delete(T*);
  Mount(FileSystem& file_system, Ref<Dentry> root) : file_system_(file_system), root_(std::move(root)) {}
  ~Mount() = default;
  Result<void> detach_one(bool even_if_busy);

  FileSystem& file_system_;
  Ref<Dentry> root_;
  Ref<Mount> parent_;  // guarded by the mount lock, as is mount_point_
  Ref<Dentry> mount_point_;
  uint32_t children_ = 0;
  uint32_t id_ = 0;
  Atomic<uint32_t> flags_{0};
  Atomic<uint32_t> writers_{0};
  size_t source_length_ = 0;
  char source_[64];
};

void mounts_initialize();  // boot
// mount(2) and the boot's mounts. `source` is a device path's resolved device, or null for types without one.
Result<Ref<Mount>> mount_create(StringView type, BlockDevice* device, StringView source, uint32_t flags, StringView options);
const FileSystemType* file_system_type_at(uint32_t index);  // for /proc/filesystems; null past the last
// Writes every mounted file system back; the first error.
Result<void> mounts_synchronize(WriteBack mode);
// Power-off: everything is written, all file systems are made read-only and marked clean. Nobody may write afterwards.
void mounts_shut_down();

}  // namespace faultline
