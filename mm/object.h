// An Object backs memory that is shared: the pages of a file (this *is* the page cache) or anonymous shared memory. read(),
// write() and every MAP_SHARED mapping use the object's own frames, so they are coherent by construction.
// Invariants: an index holds at most one frame; a frame under I/O is busy; dirty bits live in the PTEs until collected.
#pragma once

#include <cstdint>
#include <span>

#include "lib/address.h"
#include "lib/list.h"
#include "lib/mutex.h"
#include "lib/ref.h"
#include "lib/result.h"
#include "lib/sparse_array.h"
#include "mm/frame.h"
#include "mm/io_buffer.h"
#include "mm/reclaim.h"
#include "mm/slab.h"
#include "mm/swap.h"
#include "mm/tlb_flush.h"

namespace faultline {

struct DirtyList;  // the list of objects with dirty pages

// Fills and empties the pages of an object that caches something: a file system's inode, a block device. Called with no object, table
// or spin lock held and the frames busy; may sleep. (The upward call of mm, inverted.)
class PageSource {
 public:
  // Reads pages first .. first+frames.size() into `frames`; parts past the end are zeroed by the source. All or nothing. kIO, kNOMEM.
  virtual Result<void> read_pages(PageIndex first, std::span<const FrameNumber> frames) = 0;
  // Writes them out; returns when the device has taken the data (not necessarily flushed).
  virtual Result<void> write_pages(PageIndex first, std::span<const FrameNumber> frames) = 0;
  // Makes sure that the pages can be written back later (allocates blocks for holes). Errors: kNOSPC, kIO, kDQUOT-like.
  virtual Result<void> prepare_write(PageIndex first, uint32_t pages) = 0;
  // A program writes, or has written since the last write-back, through a shared mapping: what write(2) would do to the file's times.
  virtual void note_mapped_write() {}

 protected:
  ~PageSource() = default;
};

// A frame of an object, resident and kept so while this lives. Kernel users only; mappings are counted elsewhere.
class PinnedFrame {
 public:
  PinnedFrame() = default;
  explicit PinnedFrame(FrameNumber frame) : frame_(frame) {}  // takes over one pin
  PinnedFrame(PinnedFrame&& other) noexcept : frame_(other.frame_) { other.frame_ = FrameNumber::none(); }
  PinnedFrame& operator=(PinnedFrame&& other) noexcept {
    std::swap(frame_, other.frame_);
    return *this;
  }
  ~PinnedFrame();
  FrameNumber frame() const { return frame_; }
  uint8_t* data() const;  // through the direct map
  explicit operator bool() const { return !frame_.is_none(); }

 private:
  FrameNumber frame_;
};

enum class WriteBack : uint8_t {
  kStart,  // queue it, don't wait (MS_ASYNC, the periodic flusher)
  kWait,   // return when the source has taken all of it, with the first error seen
};

// How shared anonymous memory is promised (mm/commit.h): all of it when it is made, or each page when it comes, which may be kNOSPC.
enum class SharedPromise : uint8_t { kWhole, kByPage };

class Object : public ListNode<DirtyList> {
 public:
  // Shared anonymous memory (MAP_SHARED|MAP_ANONYMOUS, tmpfs, memfd, System V): counts its own users, and dies with the last. Swap is where
  // its pages go when memory is short. kNOMEM.
  static Result<Ref<Object>> create_anonymous(uint64_t bytes, SharedPromise promise = SharedPromise::kWhole);

  // A cache of `source`, embedded in its owner (an inode, a device). References to it are references to the owner.
  Object(PageSource& source, uint64_t bytes);
  // All pages must have been dropped (see drop_all) and no region may map it.
  virtual ~Object();

  // Ref<Object>. Overridden by owners that embed an object so that a mapping keeps the owner.
  virtual void acquire();
  virtual void release();
  // As acquire(), for the flusher, which finds objects that may be dying: false if this one is. Does not sleep. Owners whose count can
  // reach zero while the object has dirty pages override it (and write those back themselves).
  virtual bool try_acquire() {
    acquire();
    return true;
  }

  uint64_t size() const;  // bytes; pages wholly past it are SIGBUS

  // Copies to `buffer` from `offset`, up to the size; returns bytes copied (0 at the end). Starts read-ahead for sequential use.
  // May sleep; the caller holds no lock that the fault path takes. Errors: kIO, kFAULT, kNOMEM, kINTR never.
  Result<size_t> read(uint64_t offset, IoBuffer& buffer);
  // Copies from `buffer` to `offset`, growing size as bytes arrive; calls prepare_write first. Returns bytes written, an error only if
  // none were. The caller serialises writers (inode content lock).
  Result<size_t> write(uint64_t offset, IoBuffer& buffer);

  // The page, filled, pinned: for metadata (directories, bitmaps) and for the kernel's own reads. kIO, kNOMEM; kINVAL past the size.
  Result<PinnedFrame> page(PageIndex index);
  // As page(), but a page that is not resident is zeroed instead of read (it will be overwritten whole).
  Result<PinnedFrame> page_for_overwrite(PageIndex index);
  // The caller has changed the pinned page's bytes (metadata); it will be written back.
  void mark_dirty(PageIndex index);

  // Grows or truncates: unmaps and frees pages past the new end, private copies too, zeroes the tail of the last page. kNOMEM, kIO, and
  // nothing is changed: that page could not be had to be zeroed (of a file's, only growing wants it). May sleep. The caller holds the
  // content lock, and nothing that comes after a space's.
  Result<void> resize(uint64_t bytes);
  // Frees whole pages of the range so that they are read (or zero) again: hole punching.
  Result<void> discard(PageIndex first, uint32_t pages);

  // Writes dirty pages of the range back (dirty = frame flag or any PTE's D bit, cleared and flushed before the copy leaves).
  Result<void> write_back(PageIndex first, uint32_t pages, WriteBack mode);
  Result<void> write_back_all(WriteBack mode) { return write_back(PageIndex(0), ~0u, mode); }
  // Frees clean, unmapped, unpinned pages; returns how many (drop_caches, memory pressure).
  uint32_t drop_clean(PageIndex first = PageIndex(0), uint32_t pages = ~0u);
  // Frees every page, dirty or not; for owners that die (an inode without links).
  void drop_all();
  // Brings in what is absent of a range, as far as memory and the source let it: a hint. Sleeps.
  void read_ahead(PageIndex first, uint32_t pages);

  uint32_t resident_pages() const;
  uint32_t swapped_pages() const;
  bool is_resident(PageIndex index) const;
  bool is_at_hand(PageIndex index) const;  // resident, and nobody is filling it
  // Of shared anonymous memory, which has pages in memory and in swap: both, and either.
  uint32_t pages() const;
  bool has_page(PageIndex index) const;
  // Its pages are not to go to swap (SHM_LOCK).
  void set_stays_in_memory(bool stays) { stays_in_memory_ = stays; }
  // Of a write-back that nobody waited for: the next one with kWait reports it.
  void remember_error(Errno error);
  uint32_t dirty_pages() const;

 protected:
  Object(PageSource* source, uint64_t bytes);

 private:
  friend class Fault;      // maps the pages
  friend class Reclaimer;  // takes clean pages away
  friend class DirtyObjects;
  friend class ObjectChecker;
  friend class AnonymousObjects;
  struct SlabNodes {
    static void* allocate(size_t bytes) { return slab_allocate(bytes); }
    static void release(void* node, size_t bytes) { slab_free(node, bytes); }
  };

  // The index holds frame numbers plus one and, of shared anonymous memory, swap entries with a mark.
  static constexpr uint32_t kSwapMark = 1u << 31;
  static constexpr bool is_swap_mark(uint32_t value) { return value & kSwapMark; }
  // The frame at an index, or null.
  Frame* lookup_locked(PageIndex index) const REQUIRES(lock_) {
    uint32_t value = pages_.get(index.value());
    return value && !is_swap_mark(value) ? &frame_record(FrameNumber(value - 1)) : nullptr;
  }
  void remember_error_locked(Errno error) REQUIRES(lock_);
  bool is_empty_locked(PageIndex index) const REQUIRES(lock_) { return pages_.get(index.value()) == 0; }
  // Where a page is; what the swap cache has of it comes back into the index by being asked for.
  enum class Presence : uint8_t {
    kAbsent,
    kResident,
    kBusy,     // wait for the frame: frame_wait(kFrameBusy | kFrameWriteBack)
    kSwapped,  // swap_read() the slot
  };
  struct Place {
    Frame* frame = nullptr;
    SwapSlot slot;
  };
  Presence look_locked(PageIndex index, Place& place) REQUIRES(lock_);
  Presence fetch_locked(PageIndex index, Place& place) REQUIRES(lock_);
  // The frame, which nobody maps or pins, goes to the swap cache, dirty; the index names its slot. False: swap is full.
  bool give_to_swap_locked(Frame& frame) REQUIRES(lock_);
  void drop_swapped_locked(PageIndex index) REQUIRES(lock_);
  bool is_past_end_locked(PageIndex index) const REQUIRES(lock_) { return index.byte() >= size_; }
  // A new resident frame at an empty index. kNOMEM; kNOSPC: it is not promised.
  Result<Frame*> insert_new_locked(PageIndex index, Zeroing zeroing, uint8_t flags, Demand demand = Demand::kWanted) REQUIRES(lock_);
  Result<void> insert_locked(PageIndex index, Frame& frame, uint8_t flags, Demand demand = Demand::kWanted) REQUIRES(lock_);
  // Takes a page that is neither busy nor under write-back out of the index and of every page table; D bits are lost.
  void remove_locked(Frame& frame) REQUIRES(lock_);
  void tag_locked(Frame& frame, uint8_t flags) REQUIRES(lock_);
  void untag_locked(Frame& frame) REQUIRES(lock_);

  // Reads absent pages from `first` on, at most `pages` or up to the end, the next present one or kMaxCluster. Nothing held. kIO, kNOMEM.
  Result<void> fill(PageIndex first, uint32_t pages);
  Result<uint32_t> begin_fill(PageIndex first, uint32_t pages, FrameNumber* frames);
  // How many pages a miss at `index` should bring: the window doubles while misses follow each other.
  uint32_t window_for(PageIndex index);
  // The resident page, pinned; read if `fill_missing`, else zeroed.
  enum class Missing : uint8_t { kRead, kZero };
  Result<PinnedFrame> pin_page(PageIndex index, Missing missing);
  Result<void> prepare(PageIndex index);
  // Bytes between the end of the file and the end of its last page must be zero before the file grows over them.
  Result<void> zero_tail();
  Result<size_t> write_piece(PageIndex index, uint32_t within, uint32_t bytes, IoBuffer& buffer);
  Result<size_t> write_new_page(PageIndex index, uint32_t within, uint32_t bytes, IoBuffer& buffer);
  void finish_write(Frame& frame, uint64_t end);
  // A writer pays for what it dirties: past a quarter of memory it waits for this object's write-back.
  void throttle_dirty();
  Result<void> remove_range(PageIndex first, uint32_t pages);
  // Takes private copies of the pages from `first` on out of every space. Sleeps on their locks.
  void drop_copies(PageIndex first);
  struct Run;
  bool collect_run(Run& run, WriteBack mode);
  void finish_run(const Run& run, bool written);
  bool collect_dirty_locked(Frame& frame, FlushBatch& batch, bool& is_mapped_write) REQUIRES(lock_);
  void untag_if_clean_locked(Frame& frame) REQUIRES(lock_);

  mutable Mutex<LockRank::kObject> lock_;
  PageSource* const source_;
  uint64_t size_ GUARDED_BY(lock_);
  SparseArray<SlabNodes> pages_ GUARDED_BY(lock_);
  uint32_t tagged_ GUARDED_BY(lock_) = 0;          // pages dirty or perhaps dirty; not zero: on the list of dirty objects
  bool is_write_noted_ GUARDED_BY(lock_) = false;  // note_mapped_write() was called since the last write-back
  uint32_t next_miss_ GUARDED_BY(lock_) = 0, window_ GUARDED_BY(lock_) = 0;  // read-ahead
  uint32_t swapped_ GUARDED_BY(lock_) = 0;                                   // pages whose index names a slot
  Atomic<bool> stays_in_memory_{false};
  bool promises_pages_ = false;                                  // SharedPromise::kByPage; constant
  bool is_copied_ GUARDED_BY(lock_) = false;                     // there may be private copies of its pages
  Errno write_error_ GUARDED_BY(lock_) = static_cast<Errno>(0);  // for the next kWait
};

inline constexpr uint32_t kMaxCluster = 32;  // pages of one read or write

void objects_initialize();  // boot, after slab

// Every object with dirty pages is written back: sync(2) (kWait) and the flusher thread (kStart).
Result<void> objects_write_back_all(WriteBack mode);
// Pages that are dirty, or may become so at any time through a writable shared mapping.
uint32_t objects_dirty_pages();
// Frees clean cached pages everywhere; returns how many.
uint32_t objects_drop_clean();

}  // namespace faultline
