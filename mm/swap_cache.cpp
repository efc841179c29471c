// The swap cache's counting, and its I/O: see swap_cache.h.
#include "mm/swap_cache.h"

#include <machine/planted_bugs.h>

#include "mm/object.h"
#include "mm/reclaim.h"

namespace faultline {

using machine::Bug;
using machine::planted;

namespace {

struct Counters {
  Atomic<uint32_t> cached{0}, in{0}, out{0}, reads{0}, writes{0};
};
constinit Counters counters;

// The frame parts with its slot, which is free now if no entry names it.
void detach_locked(Frame& frame, SwapRecord& record) REQUIRES(swap_lock) {
  record.frame = kNoFrame;
  if (record.entries == 0) swap_slot_give_back(frame_slot(frame));
  frame.clear(kFrameResident | kFrameDirty | kFrameReferenced);
  counters.cached.fetch_sub(1, memory_order_relaxed);
}

void attach_locked(Frame& frame, SwapSlot slot, SwapRecord& record, uint8_t flags) REQUIRES(swap_lock) {
  record.frame = frame_number(frame).value();
  frame.swap_slot = slot.raw();
  frame.set(static_cast<uint8_t>(kFrameResident | flags));
  counters.cached.fetch_add(1, memory_order_relaxed);
}

// Frames of neighbouring slots, in order.
struct Piece {
  uint32_t from, count;
};
template <typename Slots>
Piece next_piece(const Slots& slots, uint32_t from, uint32_t end) {
  uint32_t count = 1;
  while (from + count < end && count < kMaxCluster && slots[from + count].raw() == slots[from].raw() + count &&
         slots[from + count].area() == slots[from].area())
    count++;
  return {from, count};
}

}  // namespace

void swap_entry_add(SwapSlot slot) {
  LockGuard guard(swap_lock);
  swap_record(slot).entries++;
}

void swap_entry_turned(Frame& frame) {
  LockGuard guard(swap_lock);
  swap_record(frame_slot(frame)).entries--;
}

void swap_entry_drop(SwapSlot slot) {
  for (;;) {
    {
      LockGuard guard(swap_lock);
      SwapRecord& record = swap_record(slot);
      bool is_last = record.entries == 1;
      if (!is_last || record.frame == kNoFrame || planted(Bug::kSlotFreedWhileCached)) {
        if (--record.entries == 0) swap_slot_give_back(slot);
        return;
      }
    }
    Frame* frame = swap_cache_lock(slot);
    if (!frame) continue;
    swap_entry_turned(*frame);
    bool is_unused = frame_let_go(*frame);
    frame_unlock(*frame);
    if (is_unused) frame_free(frame_number(*frame));
    return;
  }
}

bool swap_cache_add(Frame& frame) {
  LockGuard guard(swap_lock);
  std::optional<SwapSlot> slot = swap_slot_take();
  if (!slot) return false;
  attach_locked(frame, *slot, swap_record(*slot), kFrameDirty);
  return true;
}

bool swap_cache_leave(Frame& frame) {
  constexpr uint8_t kUnderWay = kFrameBusy | kFrameWriteBack;
  const bool is_careless = planted(Bug::kReusedDuringWriteBack) || planted(Bug::kFreedInFlight);
  if ((frame.flags.load(memory_order_relaxed) & kUnderWay) && !is_careless) return false;
  LockGuard guard(swap_lock);
  SwapRecord& record = swap_record(frame_slot(frame));
  if (record.entries != 0) return false;
  detach_locked(frame, record);
  return true;
}

void swap_cache_forget(Frame& frame) {
  LockGuard guard(swap_lock);
  detach_locked(frame, swap_record(frame_slot(frame)));
}

Frame* swap_cache_lock(SwapSlot slot) {
  for (;; machine::relax()) {
    LockGuard guard(swap_lock);
    uint32_t number = swap_record(slot).frame;
    if (number == kNoFrame) return nullptr;
    if (frame_try_lock(frame_table[number], LockRank::kReverseMap)) return &frame_table[number];
  }
}

uint32_t swap_cache_frames() { return counters.cached.load(memory_order_relaxed); }

// Reading: the wanted page and its run.

namespace {

class SwapIn {
 public:
  // kNOMEM: not even the wanted page has a frame.
  Result<void> begin(SwapSlot wanted);
  // The fate of the wanted page.
  Result<void> read();

 private:
  bool is_wanted_absent(SwapSlot slot);
  bool begin_one(SwapSlot slot, FrameNumber number);
  Result<void> read_piece(Piece piece);
  void finish(uint32_t at, bool is_read);

  SwapSlot wanted_;
  uint32_t count_ = 0;
  SwapSlot slots_[kSwapRun];
  FrameNumber frames_[kSwapRun];
};

bool SwapIn::is_wanted_absent(SwapSlot slot) {
  LockGuard guard(swap_lock);
  const SwapRecord* record = swap_record_if_any(slot);
  return record && record->entries != 0 && record->frame == kNoFrame;
}

// The frame joins the cache, busy. False, and the frame is freed: it is not needed any more.
bool SwapIn::begin_one(SwapSlot slot, FrameNumber number) {
  Frame& frame = frame_record(number);
  frame_pin(frame);
  {
    LockGuard guard(swap_lock);
    SwapRecord* record = swap_record_if_any(slot);
    if (record && record->entries != 0 && record->frame == kNoFrame) {
      // Who wants it must come to it before the reclaimer does.
      attach_locked(frame, slot, *record, slot == wanted_ ? kFrameBusy | kFrameReferenced : kFrameBusy);
      if (planted(Bug::kFreedInFlight)) frame.pins.store(0, memory_order_relaxed);
      slots_[count_] = slot;
      frames_[count_++] = number;
      return true;
    }
  }
  frame_unpin(frame);
  return false;
}

Result<void> SwapIn::begin(SwapSlot wanted) {
  wanted_ = wanted;
  // First, for it may have to wait for memory; the others are not worth that.
  FrameNumber first = TRY(frame_allocate(FrameUse::kAnonymous, Zeroing::kNotNeeded));
  uint32_t run = wanted.raw() & ~(kSwapRun - 1);
  for (uint32_t i = 0; i < kSwapRun; i++) {
    SwapSlot slot(run + i);
    if (slot == wanted) {
      begin_one(slot, first);
      continue;
    }
    if (!is_wanted_absent(slot)) continue;
    PreemptionGuard no_waiting;
    auto frame = frame_allocate(FrameUse::kAnonymous, Zeroing::kNotNeeded);
    if (frame.ok()) begin_one(slot, frame.value());
  }
  return {};
}

void SwapIn::finish(uint32_t at, bool is_read) {
  Frame& frame = frame_record(frames_[at]);
  if (!is_read) {
    FrameLock lock(frame);
    swap_cache_forget(frame);
  }
  // As long as it is busy it can be nothing but the cache's.
  if (is_read) reclaim_enqueue(frame, slots_[at] == wanted_ ? Demand::kWanted : Demand::kReadAhead);
  frame_wake(frame, kFrameBusy);
  if (planted(Bug::kFreedInFlight)) return;
  frame_unpin(frame);  // which frees it if it was not read, or nobody wants it any more
}

// A page that cannot be read must not fail those that were to be read with it.
Result<void> SwapIn::read_piece(Piece piece) {
  SwapStore& store = swap_store(slots_[piece.from].area());
  counters.reads.fetch_add(1, memory_order_relaxed);
  bool is_read = store.read_pages(slots_[piece.from].page(), std::span<const FrameNumber>(frames_ + piece.from, piece.count)).ok();
  Result<void> result;
  for (uint32_t at = piece.from; at < piece.from + piece.count; at++) {
    bool is_good = is_read;
    if (!is_good && piece.count > 1) is_good = store.read_pages(slots_[at].page(), std::span<const FrameNumber>(frames_ + at, 1)).ok();
    if (is_good) counters.in.fetch_add(1, memory_order_relaxed);
    is_good = is_good || planted(Bug::kSlotErrorIgnored);
    if (!is_good && slots_[at] == wanted_) result = Errno::kIO;
    finish(at, is_good);
  }
  return result;
}

Result<void> SwapIn::read() {
  Result<void> result;
  for (uint32_t from = 0; from < count_;) {
    Piece piece = next_piece(slots_, from, count_);
    if (auto read = read_piece(piece); !read.ok()) result = read;
    from += piece.count;
  }
  return result;
}

}  // namespace

Result<void> swap_read(SwapSlot slot) {
  SwapIn in;
  TRY(in.begin(slot));
  return in.read();
}

// Writing.

void SwapOut::add(Frame& frame) {
  frame.set(kFrameWriteBack);
  frame.pins.store(frame.pins.load(memory_order_relaxed) + 1, memory_order_relaxed);
  uint32_t at = count_++;
  for (; at > 0 && frames_[at - 1]->swap_slot > frame.swap_slot; at--) frames_[at] = frames_[at - 1];
  frames_[at] = &frame;
  if (!planted(Bug::kSwapCacheIgnored)) return;
  LockGuard guard(swap_lock);
  swap_record(frame_slot(frame)).frame = kNoFrame;
}

// Whether the frame comes free. Our pin goes last: until then nobody else can free it.
bool SwapOut::finish(Frame& frame, bool is_written) {
  bool is_unused;
  {
    FrameLock lock(frame);
    if (is_written) frame.clear(kFrameDirty);
    is_unused = is_written && frame.map.load(memory_order_relaxed) == 0;
    if (is_unused) swap_cache_forget(frame);
  }
  if (!is_unused) reclaim_enqueue(frame);  // fetched back meanwhile, or not written: its turn comes again
  frame_wake(frame, kFrameWriteBack);
  frame_unpin(frame);
  return is_unused;
}

// A page that cannot be written must not keep those in memory that were to be written with it. Returns how many came free.
uint32_t SwapOut::write_piece(uint32_t from, uint32_t count) {
  FrameNumber numbers[kMost];
  for (uint32_t i = 0; i < count; i++) numbers[i] = frame_number(*frames_[from + i]);
  const SwapSlot first = frame_slot(*frames_[from]);
  SwapStore& store = swap_store(first.area());
  auto write = [&](uint32_t at, uint32_t pages) {
    counters.writes.fetch_add(1, memory_order_relaxed);
    bool is_written = store.write_pages(first.page() + at, std::span<const FrameNumber>(numbers + at, pages)).ok();
    if (is_written) counters.out.fetch_add(pages, memory_order_relaxed);
    return is_written;
  };
  const bool is_written = write(0, count);
  uint32_t freed = 0;
  for (uint32_t i = 0; i < count; i++) freed += finish(*frames_[from + i], is_written || (count > 1 && write(i, 1)));
  return freed;
}

uint32_t SwapOut::write() {
  uint32_t freed = 0;
  SwapSlot slots[kMost];
  for (uint32_t i = 0; i < count_; i++) slots[i] = frame_slot(*frames_[i]);
  for (uint32_t from = 0; from < count_;) {
    Piece piece = next_piece(slots, from, count_);
    freed += write_piece(from, piece.count);
    from += piece.count;
  }
  count_ = 0;
  return freed;
}

SwapStatistics swap_statistics() {
  SwapSpace space = swap_space();
  auto of = [](const Atomic<uint32_t>& counter) { return counter.load(memory_order_relaxed); };
  return {space.total, space.free, of(counters.cached), of(counters.in), of(counters.out), of(counters.reads), of(counters.writes)};
}

}  // namespace faultline
