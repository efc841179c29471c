// The name cache: which inode a name in a directory stands for, negative answers included.
//
// Invariants: a cached (hashed) dentry has one reference of the cache's own, so it is evicted only when its count is 1; a child holds
// its parent. `inode` goes from null to set at most once while others hold the dentry: a removed name that is in use elsewhere leaves the
// cache and keeps its inode ("deleted"); one that only the remover holds turns negative in place.
#pragma once

#include "fs/inode.h"
#include "lib/format.h"
#include "lib/list.h"
#include "lib/ref.h"

namespace faultline {

class Mount;

struct SiblingsTag;

class Dentry final : public ListNode<>, public ListNode<SiblingsTag> {
 public:
  // The root of a file system, or a name outside the tree (pipes): no parent, never cached. kNOMEM.
  static Result<Ref<Dentry>> create_root(Ref<Inode> inode);

  void acquire() { references_.fetch_add(1, memory_order_relaxed); }
  // May sleep: the last user of an inode without names frees its blocks.
  void release() {
    if (references_.fetch_sub(1, memory_order_acq_rel) == 1) destroy(this);
  }

  // Null: there is no such name.
  Inode* inode() const { return inode_.load(memory_order_acquire); }
  bool is_negative() const { return inode() == nullptr; }
  // Its name was removed, or its directory: nothing can be created below it.
  bool is_deleted() const { return deleted_.load(memory_order_acquire); }
  bool is_mount_point() const { return mounts_.load(memory_order_acquire) != 0; }
  FileSystem& file_system() const { return file_system_; }
  // The parent; itself for a root.
  Ref<Dentry> parent();
  bool is_below(const Dentry& ancestor) const;  // or is it; the caller holds the rename lock

 private:
  friend class DentryCache;
  friend class Mount;
  friend Result<Ref<Dentry>> slab_new_dentry(FileSystem&, Dentry*, StringView);
  template <typename T, typename... Arguments>
  friend Result<T*> slab_new(Arguments&&...);
  template <typename T>
  friend void slab_delete(T*);

  static constexpr uint32_t kInlineName = 36;
  Dentry(FileSystem& file_system, Dentry* parent) : file_system_(file_system), parent_(parent) {}
  ~Dentry() = default;
  static void destroy(Dentry* dentry);
  StringView name() const { return {long_name_ ? long_name_ : short_name_, length_}; }

  // All guarded by the cache's lock, unless atomic or constant.
  Atomic<uint32_t> references_{1};
  Atomic<Inode*> inode_{nullptr};  // one reference
  FileSystem& file_system_;
  Dentry* parent_;  // one reference; null for a root
  Dentry* next_in_bucket_ = nullptr;
  List<Dentry, SiblingsTag> children_;  // the cached ones
  uint32_t hash_ = 0;
  Atomic<uint32_t> mounts_{0};   // file systems mounted here
  Mount* last_mount_ = nullptr;  // the newest of them, while it is there: guarded by the mount links' lock
  Atomic<bool> deleted_{false};
  bool cached_ = false;
  Atomic<bool> recently_used_{false};
  uint8_t length_ = 0;
  char short_name_[kInlineName];
  char* long_name_ = nullptr;  // slab memory of 256 bytes
};

enum class Caching : uint8_t { kCached, kUncached };

// The cache's operations. None sleeps but where a reference is dropped.
class DentryCache {
 public:
  // The cached child (perhaps negative), or null: unknown.
  static Ref<Dentry> find(Dentry& parent, StringView name);
  // A new child with `inode` (null: negative). The caller holds the directory's content lock and has seen find() fail. kNOMEM.
  static Result<Ref<Dentry>> insert(Dentry& parent, StringView name, Ref<Inode> inode, Caching caching);
  // A negative dentry's name was created. The directory's content lock is held.
  static void instantiate(Dentry& dentry, Ref<Inode> inode);
  // The name is gone. The directory's content lock is held.
  static void removed(Dentry& dentry);
  // `moved` takes the place (parent and name) of `target`, which is the removed one or a negative one, and leaves. Both directories locked.
  static void move(Dentry& moved, Dentry& target);
  static void exchange(Dentry& one, Dentry& other);

  // Memory pressure: drops up to `wanted` unused dentries; returns how many.
  static uint32_t shrink(uint32_t wanted);
  // Drops every unused dentry of a file system that goes away.
  static void prune(FileSystem& file_system);
  static uint32_t count();

  // Writes the name of `dentry` within its directory.
  static void copy_name(Dentry& dentry, FormatSink& sink);

 private:
  friend class Dentry;
  friend class Mount;
  static void hash_in_locked(Dentry& dentry);
  static void hash_out_locked(Dentry& dentry);
  static void drop_children(Dentry& directory);
  static void swap_places_locked(Dentry& one, Dentry& other);
  enum class Eviction : uint8_t { kSecondChance, kAny };  // spare those used lately, or not
  static uint32_t evict(uint32_t wanted, Eviction how, FileSystem* only);
};

// Boot, once memory works.
void dentries_initialize();
inline uint32_t dentries_shrink(uint32_t wanted = ~0u) { return DentryCache::shrink(wanted); }

}  // namespace faultline
