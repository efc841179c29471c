// The record of a physical page: what it is used for, who maps it, who pins it. 32 bytes for every page of RAM.
#pragma once

#include <cstdint>

#include "arch/cpu.h"
#include "lib/atomic.h"
#include "lib/lock.h"
#include "mm/frames.h"
#include "mm/replacement.h"

namespace faultline {

class Object;

// Bits of Frame::flags. Those of object frames change under the object's lock, but for kDirty, which unmapping sets under
// the frame's lock; hence the atomic byte. Of anonymous frames the first four speak of their swap slot.
enum FrameFlag : uint8_t {
  kFrameResident = 1,     // in its object's index; anonymous: in the swap cache, so that it has a slot
  kFrameBusy = 2,         // being filled: nobody may look inside; wait with frame_wait()
  kFrameWriteBack = 4,    // on its way to the source; may be read and written meanwhile (anonymous: read)
  kFrameDirty = 8,        // newer than the source, or the slot
  kFrameTagged = 16,      // dirty, or mapped writable and so perhaps dirty: counted by the object
  kFramePrepared = 32,    // the source has promised room for it (prepare_write)
  kFrameReferenced = 64,  // used since the reclaimer last looked
};

// Invariants M1, M2: `map` counts the slots (for a table: the directory entries) that name the frame, and the reverse map
// names the same slots. A frame is free only with map and pins zero.
struct Frame {
  // One lock byte, never reinitialised because a latecomer may still knock: of a page table, it guards the table's
  // contents and `map`; of any other frame `map`, `pins` and the reverse map.
  Atomic<uint8_t> lock;
  Published<FrameUse> use;
  Atomic<uint8_t> flags;
  Atomic<uint8_t> list;   // of a free block's first frame its order; else kNoList, or the reclaimer's queue: see queue()
  Atomic<uint32_t> map;   // written under `lock`
  Atomic<uint32_t> pins;  // kernel users, never mappings; written under `lock`
  uintptr_t reverse;      // under `lock`; see reverse_map.h. kPageTable: slots that name counted frames
  union {
    Object* object;    // kObject: the owner, null once it let go
    uintptr_t second;  // kAnonymous: the second locator
    struct {
      uint16_t live;       // kPageTable: slots that are not zero
      uint16_t directory;  // and which directory entry it hangs below, in every directory
    } table;
  };
  union {
    uint32_t index;      // kObject: page number within the object
    uint32_t swap_slot;  // kAnonymous, kFrameResident: SwapSlot::raw()
    uint32_t groups;     // kPageTable: bit n is clear only if slots 32n..32n+31 are all zero
  };
  uint32_t next, previous;  // links: free list, the reclaimer's queue

  static constexpr uint8_t kNoList = 0xf0;
  PageQueue queue() const { return static_cast<PageQueue>(list.load(memory_order_relaxed) - kNoList); }
  void set_queue(PageQueue queue) { list.store(static_cast<uint8_t>(kNoList + static_cast<uint8_t>(queue)), memory_order_relaxed); }
  bool is_queued() const { return list.load(memory_order_relaxed) > kNoList; }
  bool is(FrameFlag flag) const { return flags.load(memory_order_relaxed) & flag; }
  void set(uint8_t bits) { flags.fetch_or(bits, memory_order_acq_rel); }
  void clear(uint8_t bits) { flags.fetch_and(static_cast<uint8_t>(~bits), memory_order_acq_rel); }
  // Frames whose mappings are counted; the zero page's and devices' are not.
  bool is_counted() const { return use == FrameUse::kAnonymous || use == FrameUse::kObject; }
};
static_assert(sizeof(Frame) == 32 || sizeof(void*) != 4);

inline constexpr uint32_t kNoFrame = 0xffffffffu;

// The table of records: index it with a frame of RAM below frame_table_size().
extern Frame* frame_table;
uint32_t frame_table_size();
uint32_t frames_total();  // usable pages of RAM
inline Frame& frame_record(FrameNumber frame) { return frame_table[frame.value()]; }
inline FrameNumber frame_number(const Frame& frame) { return FrameNumber(static_cast<uint32_t>(&frame - frame_table)); }

// The lock byte: of kPageTable rank in tables, kReverseMap in the rest. Holding one keeps preemption off.
inline bool frame_try_lock(Frame& frame, LockRank rank) {
  machine::preemption_disable();
  if (frame.lock.exchange(1, memory_order_acquire) != 0) {
    machine::preemption_enable();
    return false;
  }
  lock_order_acquired(&frame.lock, rank, true);
  return true;
}
inline void frame_lock(Frame& frame, LockRank rank) {
  machine::preemption_disable();
  while (frame.lock.exchange(1, memory_order_acquire) != 0) machine::relax();
  lock_order_acquired(&frame.lock, rank, false);
}
inline void frame_unlock(Frame& frame) {
  lock_order_released(&frame.lock);
  frame.lock.store(0, memory_order_release);
  machine::preemption_enable();
}

// A frame's lock for who holds a table's: preemption is off already.
class NestedFrameLock {
 public:
  explicit NestedFrameLock(Frame& frame) : frame_(frame) {
    while (frame_.lock.exchange(1, memory_order_acquire) != 0) machine::relax();
    lock_order_acquired(&frame_.lock, LockRank::kReverseMap, false);
  }
  ~NestedFrameLock() {
    lock_order_released(&frame_.lock);
    frame_.lock.store(0, memory_order_release);
  }
  NestedFrameLock(const NestedFrameLock&) = delete;
  NestedFrameLock& operator=(const NestedFrameLock&) = delete;

 private:
  Frame& frame_;
};

template <LockRank kRank>
class FrameLockGuard {
 public:
  explicit FrameLockGuard(Frame& frame) : frame_(frame) { frame_lock(frame, kRank); }
  ~FrameLockGuard() { frame_unlock(frame_); }
  FrameLockGuard(const FrameLockGuard&) = delete;
  FrameLockGuard& operator=(const FrameLockGuard&) = delete;

 private:
  Frame& frame_;
};
using TableLock = FrameLockGuard<LockRank::kPageTable>;
using FrameLock = FrameLockGuard<LockRank::kReverseMap>;

// A second table's lock, for who holds one already; both are tables of a space that is held for writing, or one is new. Others may hold it, but
// they wait for no table, nor for anything that is held while waiting for one; so no order is needed, as long as no frame's lock is held.
class SecondTableLock {
 public:
  explicit SecondTableLock(Frame& table) : table_(table) {
    while (!frame_try_lock(table, LockRank::kPageTable)) machine::relax();
  }
  ~SecondTableLock() { frame_unlock(table_); }
  SecondTableLock(const SecondTableLock&) = delete;
  SecondTableLock& operator=(const SecondTableLock&) = delete;

 private:
  Frame& table_;
};

// For those who come against the order (reclaim, write-back, truncate: frame first, then table): a table's lock if nobody has it.
class TryTableLock {
 public:
  explicit TryTableLock(Frame& table) : table_(table), held_(frame_try_lock(table, LockRank::kPageTable)) {}
  ~TryTableLock() {
    if (held_) frame_unlock(table_);
  }
  TryTableLock(const TryTableLock&) = delete;
  TryTableLock& operator=(const TryTableLock&) = delete;
  explicit operator bool() const { return held_; }

 private:
  Frame& table_;
  const bool held_;
};

// One more kernel user of a frame that is kept by something else meanwhile.
void frame_pin(Frame& frame);
// One fewer; frees the frame if nothing else keeps it.
void frame_unpin(Frame& frame);
// Whether nothing keeps the frame: to be asked under its lock by whoever took the last reason away, who then frees it.
inline bool frame_is_unused(const Frame& frame) {
  return frame.map.load(memory_order_relaxed) == 0 && frame.pins.load(memory_order_relaxed) == 0 && !frame.is(kFrameResident);
}

// As frame_is_unused(), and takes an anonymous frame out of the swap cache if that is all that keeps it and no entry names its slot.
bool frame_let_go(Frame& frame);

// Whether a private page's record belongs to whoever holds the lock of the one table that maps it, and owns no block: nobody pins it, a
// second user would come through that table, and it is on no queue and has no slot. The lock is looked at last, with the rest of the
// record's first word: who took away the last pin or the other mapping may still hold it. And first, for the map of an object's page is changed by
// others meanwhile.
inline bool frame_is_ours_alone(const Frame& frame) {
  using Word [[gnu::may_alias]] = uint32_t;
  constexpr uint32_t kUnlockedAndPrivate = static_cast<uint32_t>(FrameUse::kAnonymous) << 8 | uint32_t{Frame::kNoList} << 24;
  auto first_word = [&] { return __atomic_load_n(reinterpret_cast<const Word*>(&frame), __ATOMIC_ACQUIRE); };
  return first_word() == kUnlockedAndPrivate && frame.map.load(memory_order_acquire) == 1 && (frame.reverse & 1) &&
         frame.pins.load(memory_order_acquire) == 0 && first_word() == kUnlockedAndPrivate;
}

// Sleeps while any of `flags` (kFrameBusy, kFrameWriteBack) is set. Nothing may be held that the I/O needs. The caller looks again.
void frame_wait(const Frame& frame, uint8_t flags);
// Clears `flags` and wakes the waiters.
void frame_wake(Frame& frame, uint8_t flags);

void frame_wait_initialize();  // boot

// Frames that are unused, freed together: one turn of the locks for many, and a full batch goes to the shared lists as it is. They are
// chained through their records (`next`), and all of one use.
class FreeBatch {
 public:
  FreeBatch() = default;
  ~FreeBatch() {
    if (count_ > 0) flush();
  }
  FreeBatch(const FreeBatch&) = delete;
  FreeBatch& operator=(const FreeBatch&) = delete;
  void add(Frame& frame) {
    if (frame.use != use_) [[unlikely]] {
      if (count_ > 0) flush();
      use_ = frame.use;
    }
    frame.use = FrameUse::kFree;
    frame.next = first_;
    first_ = frame_number(frame).value();
    if (++count_ == kFrames) flush();
  }
  static constexpr uint32_t kFrames = 16;

 private:
  void flush();
  uint32_t count_ = 0, first_ = kNoFrame;
  FrameUse use_ = FrameUse::kFree;
};

// A frame known to hold only zeroes goes back where the next zeroed allocation finds it.
void frame_free_zeroed(FrameNumber frame);

}  // namespace faultline
