// The name cache: one hash table and one second-chance queue under one spin lock, which is held for a few dozen instructions at a time.
#include "fs/dentry.h"

#include "fs/mount.h"
#include "lib/late.h"
#include "mm/frames.h"
#include "mm/reclaim.h"
#include "mm/slab.h"

namespace faultline {

namespace {

constexpr uint32_t kBuckets = 4096;
constexpr uint32_t kLongName = 256;

struct Cache {
  Dentry* buckets[kBuckets] = {};
  uint32_t count = 0;
  uint32_t limit = 0;
};

constinit SpinLock<LockRank::kDentry> cache_lock;
constinit Cache cache GUARDED_BY(cache_lock);
constinit Late<List<Dentry>> queue GUARDED_BY(cache_lock);  // oldest first

uint32_t hash_name(const Dentry& parent, StringView name) {
  uint32_t hash = static_cast<uint32_t>(reinterpret_cast<uintptr_t>(&parent) >> 4) * 0x9e3779b1u;
  const char* text = name.data();
  size_t left = name.size();
  for (; left >= 4; left -= 4, text += 4) {
    uint32_t word;
    __builtin_memcpy(&word, text, 4);
    hash = (hash ^ word) * 0x9e3779b1u;
    hash ^= hash >> 15;
  }
  for (; left != 0; left--) hash = (hash ^ static_cast<uint8_t>(*text++)) * 0x01000193u;
  return hash ^ hash >> 15;
}

// Names of equal hash and length are nearly always equal; the call of memcmp would cost more than the comparison.
bool same_name(StringView a, StringView b) {
  if (a.size() != b.size()) return false;
  const char* x = a.data();
  const char* y = b.data();
  size_t left = a.size();
  for (; left >= 4; left -= 4, x += 4, y += 4) {
    uint32_t one, other;
    __builtin_memcpy(&one, x, 4);
    __builtin_memcpy(&other, y, 4);
    if (one != other) return false;
  }
  for (; left != 0; left--)
    if (*x++ != *y++) return false;
  return true;
}

}  // namespace

// As many names as an eighth of the pages of memory: they and their inodes are what is cached per name.
void dentries_initialize() {
  LockGuard guard(cache_lock);
  queue.construct();
  for (Dentry*& bucket : cache.buckets) bucket = nullptr;  // not for the boot, but for tests, which start many machines
  cache.count = 0;
  uint32_t limit = frame_statistics().total / 8;
  cache.limit = limit < 1024 ? 1024 : limit > 65536 ? 65536 : limit;
  reclaim_register(&DentryCache::shrink);
}

// A dentry without parent link counted yet; the name is copied.
Result<Ref<Dentry>> slab_new_dentry(FileSystem& file_system, Dentry* parent, StringView name) {
  if (name.size() > 255) return Errno::kNAMETOOLONG;
  char* long_name = nullptr;
  if (name.size() > Dentry::kInlineName) {
    long_name = static_cast<char*>(slab_allocate(kLongName));
    if (!long_name) return Errno::kNOMEM;
  }
  Result<Dentry*> made = slab_new<Dentry>(file_system, parent);
  if (!made.ok()) {
    if (long_name) slab_free(long_name, kLongName);
    return made.error();
  }
  Dentry* dentry = made.value();
  dentry->long_name_ = long_name;
  dentry->length_ = static_cast<uint8_t>(name.size());
  memcpy(long_name ? long_name : dentry->short_name_, name.data(), name.size());
  if (parent) parent->acquire();
  return Ref<Dentry>::adopt(dentry);
}

Result<Ref<Dentry>> Dentry::create_root(Ref<Inode> inode) {
  Ref<Dentry> dentry = TRY(slab_new_dentry(inode->file_system(), nullptr, ""));
  dentry->inode_.store(inode.leak(), memory_order_release);
  return dentry;
}

// Iterative: the last name of a deep tree must not recurse once for each directory above it.
void Dentry::destroy(Dentry* dentry) {
  while (dentry) {
    Dentry* parent = dentry->parent_;
    if (Inode* inode = dentry->inode()) inode->release();
    if (dentry->long_name_) slab_free(dentry->long_name_, kLongName);
    slab_delete(dentry);
    dentry = parent && parent->references_.fetch_sub(1, memory_order_acq_rel) == 1 ? parent : nullptr;
  }
}

Ref<Dentry> Dentry::parent() {
  LockGuard guard(cache_lock);
  return Ref<Dentry>(parent_ ? *parent_ : *this);
}

bool Dentry::is_below(const Dentry& ancestor) const {
  LockGuard guard(cache_lock);
  for (const Dentry* at = this; at; at = at->parent_)
    if (at == &ancestor) return true;
  return false;
}

Ref<Dentry> DentryCache::find(Dentry& parent, StringView name) {
  uint32_t hash = hash_name(parent, name);
  LockGuard guard(cache_lock);
  for (Dentry* dentry = cache.buckets[hash % kBuckets]; dentry; dentry = dentry->next_in_bucket_) {
    if (dentry->hash_ != hash || dentry->parent_ != &parent || !same_name(dentry->name(), name)) continue;
    if (!dentry->recently_used_.load(memory_order_relaxed)) dentry->recently_used_.store(true, memory_order_relaxed);
    return Ref<Dentry>(*dentry);
  }
  return {};
}

Result<Ref<Dentry>> DentryCache::insert(Dentry& parent, StringView name, Ref<Inode> inode, Caching caching) {
  Ref<Dentry> dentry = TRY(slab_new_dentry(parent.file_system(), &parent, name));
  dentry->inode_.store(inode.leak(), memory_order_release);
  if (caching == Caching::kUncached) return dentry;
  bool is_full;
  {
    LockGuard guard(cache_lock);
    dentry->hash_ = hash_name(parent, name);
    hash_in_locked(*dentry);
    is_full = cache.count > cache.limit;
  }
  if (is_full) evict(8, Eviction::kSecondChance, nullptr);
  return dentry;
}

void DentryCache::instantiate(Dentry& dentry, Ref<Inode> inode) {
  ASSERT(dentry.is_negative());
  dentry.inode_.store(inode.leak(), memory_order_release);
}

// The negative names of a directory that was removed: nobody will ask for them, and they keep its inode.
void DentryCache::drop_children(Dentry& directory) {
  constexpr uint32_t kBatch = 16;
  for (;;) {
    Dentry* batch[kBatch];
    uint32_t in_batch = 0;
    {
      LockGuard guard(cache_lock);
      for (Dentry& child : directory.children_) {
        if (in_batch == kBatch) break;
        if (child.references_.load(memory_order_acquire) != 1) continue;
        hash_out_locked(child);
        batch[in_batch++] = &child;
      }
    }
    if (in_batch == 0) return;
    for (uint32_t i = 0; i < in_batch; i++) batch[i]->release();
  }
}

void DentryCache::removed(Dentry& dentry) {
  if (dentry.inode()->is_directory()) drop_children(dentry);
  Inode* forgotten = nullptr;
  bool drop = false;
  {
    LockGuard guard(cache_lock);
    if (!dentry.cached_) {
      dentry.deleted_.store(true, memory_order_release);
    } else if (dentry.references_.load(memory_order_acquire) == 2 && dentry.inode() && !dentry.inode()->is_directory()) {
      forgotten = dentry.inode_.exchange(nullptr, memory_order_acq_rel);  // the cache's and the caller's references only
    } else {
      dentry.deleted_.store(true, memory_order_release);
      hash_out_locked(dentry);
      drop = true;
    }
  }
  if (drop) dentry.release();
  if (forgotten) forgotten->release();
}

void DentryCache::hash_in_locked(Dentry& dentry) REQUIRES(cache_lock) {
  Dentry*& bucket = cache.buckets[dentry.hash_ % kBuckets];
  dentry.next_in_bucket_ = bucket;
  bucket = &dentry;
  dentry.cached_ = true;
  dentry.references_.fetch_add(1, memory_order_relaxed);
  queue->push_back(dentry);
  dentry.parent_->children_.push_back(dentry);
  cache.count++;
}

// The cache's reference becomes the caller's to release, outside the lock.
void DentryCache::hash_out_locked(Dentry& dentry) REQUIRES(cache_lock) {
  Dentry** link = &cache.buckets[dentry.hash_ % kBuckets];
  while (*link != &dentry) link = &(*link)->next_in_bucket_;
  *link = dentry.next_in_bucket_;
  dentry.next_in_bucket_ = nullptr;
  dentry.cached_ = false;
  queue->remove(dentry);
  dentry.parent_->children_.remove(dentry);
  cache.count--;
}

void DentryCache::swap_places_locked(Dentry& one, Dentry& other) {
  std::swap(one.parent_, other.parent_);
  std::swap(one.length_, other.length_);
  std::swap(one.long_name_, other.long_name_);
  std::swap(one.short_name_, other.short_name_);
}

void DentryCache::move(Dentry& moved, Dentry& target) {
  if (Inode* replaced = target.inode(); replaced && replaced->is_directory()) drop_children(target);
  uint32_t drops = 0;
  {
    LockGuard guard(cache_lock);
    bool was_cached = moved.cached_;
    if (moved.cached_) hash_out_locked(moved);
    if (target.cached_) {
      hash_out_locked(target);
      drops++;
    }
    swap_places_locked(moved, target);
    target.deleted_.store(true, memory_order_release);
    if (was_cached) {
      moved.hash_ = hash_name(*moved.parent_, moved.name());
      hash_in_locked(moved);
    }
    // hash_in took a new reference; the one that hash_out left to us is given back below.
    if (was_cached) moved.references_.fetch_sub(1, memory_order_relaxed);
  }
  if (drops) target.release();
}

void DentryCache::exchange(Dentry& one, Dentry& other) {
  LockGuard guard(cache_lock);
  bool cached = one.cached_ && other.cached_;
  if (!cached) return;
  hash_out_locked(one);
  hash_out_locked(other);
  swap_places_locked(one, other);
  one.hash_ = hash_name(*one.parent_, one.name());
  other.hash_ = hash_name(*other.parent_, other.name());
  hash_in_locked(one);
  hash_in_locked(other);
  one.references_.fetch_sub(1, memory_order_relaxed);
  other.references_.fetch_sub(1, memory_order_relaxed);
}

// Frees up to `wanted` dentries that only the cache holds, of one file system if `only` is set. Looks at a few at a time, for the lock's
// sake, and gives up when it has gone around without finding any. References are dropped outside the lock.
uint32_t DentryCache::evict(uint32_t wanted, Eviction how, FileSystem* only) {
  constexpr uint32_t kBatch = 16, kLooksPerBatch = 128;
  const bool newest_first = wanted == ~0u;  // all of them: children, which are newer, before their parents
  uint32_t freed = 0, fruitless = 0;
  while (freed < wanted) {
    Dentry* batch[kBatch];
    uint32_t in_batch = 0;
    bool went_around;
    {
      LockGuard guard(cache_lock);
      uint32_t looks = cache.count < kLooksPerBatch ? cache.count : kLooksPerBatch;
      fruitless += looks;
      for (; looks != 0 && in_batch < kBatch && freed + in_batch < wanted; looks--) {
        Dentry& dentry = newest_first ? *queue->back() : *queue->front();
        queue->remove(dentry);
        if (newest_first) {
          queue->push_front(dentry);
        } else {
          queue->push_back(dentry);
        }
        if (only && &dentry.file_system_ != only) continue;
        if (how == Eviction::kSecondChance && dentry.recently_used_.exchange(false, memory_order_relaxed)) continue;
        if (dentry.references_.load(memory_order_acquire) != 1) continue;
        hash_out_locked(dentry);
        batch[in_batch++] = &dentry;
      }
      went_around = fruitless >= 2 * cache.count;  // at once when the cache is empty
    }
    for (uint32_t i = 0; i < in_batch; i++) batch[i]->release();
    freed += in_batch;
    if (in_batch != 0) {
      fruitless = 0;
    } else if (went_around || how == Eviction::kSecondChance) {
      break;
    }
  }
  return freed;
}

uint32_t DentryCache::shrink(uint32_t wanted) {
  uint32_t unused_lately = evict(wanted, Eviction::kSecondChance, nullptr);
  return unused_lately != 0 && wanted != ~0u ? unused_lately : unused_lately + evict(wanted, Eviction::kAny, nullptr);
}

void DentryCache::prune(FileSystem& file_system) { evict(~0u, Eviction::kAny, &file_system); }

uint32_t DentryCache::count() {
  LockGuard guard(cache_lock);
  return cache.count;
}

void DentryCache::copy_name(Dentry& dentry, FormatSink& sink) {
  char copy[256];
  uint32_t length;
  {
    LockGuard guard(cache_lock);
    length = dentry.length_;
    memcpy(copy, dentry.name().data(), length);
  }
  sink.put({copy, length});
}

}  // namespace faultline
