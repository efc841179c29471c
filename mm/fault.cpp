// The page fault (xv6 has none; the lab's page_fault_handler). One pass with nothing held while sleeping: I/O never completes a fault, it fills
// a cache and the fault starts again.
//
//   region?  none: below a stack, within its limit and a gap?   grow, again    else   SEGV_MAPERR
//            access not allowed by it                                                 SEGV_ACCERR
//   table    absent: make one
//            shared, and this is not a read of a present page: un-share it
//   entry    PROT_NONE with its frame: reveal it, read-only, and go on
//            present, and this reads or it is writable: spurious (another CPU, a stale TLB), done
//            read-only, and this writes:
//                the zero page                                a zeroed frame
//                shared                                       dirty, writable (after the source promised room)
//                a cached page, private                       copy
//                anonymous, one entry, no pin, and no entry   writable
//                names its slot, nor is it being written
//                anonymous, more                              copy
//   swapped  in the swap cache: busy                         wait, again
//                               else                         map read-only; a write goes on as read-only
//            not there                                       read its run of slots (major), again
//   none     anonymous: a read                                the zero page, read-only, for untouched neighbours too
//                       a write                               a zeroed frame
//            object: past the last page                       SIGBUS
//                    not resident: anonymous                  a zeroed page joins the object
//                                  has a source               read a cluster (major), again
//                    busy                                     wait, again
//                    shared                                   map; a write makes it dirty as above
//                    private read                             map read-only; who reads on gets those behind it too
//                    private write                            copy
//
// What concerns pages of objects is in fault_object.cpp.
//
// Locks: space (shared) → object → table → frame. Copies and zeroing happen under the table's lock, for they sleep on nothing.
#include "mm/fault.h"

#include "arch/clock.h"
#include "mm/reclaim.h"

namespace faultline {

inline Fault::Step Fault::attempt_here() {
  SharedLockGuard guard(space_.lock_);
  region_ = space_.regions_.first_after(page_);
  if (!region_) return Step::kNotMapped;
  if (page_ < region_->start) return region_->grows_down ? Step::kGrowStack : Step::kNotMapped;
  if (!region_->allows(access_)) return Step::kNotAllowed;
  object_ = region_->object.get();
  if (!object_) return resolve();
  object_index_ = region_->index_of(page_);
  LockGuard object_guard(object_->lock_);
  return resolve();
}

Fault::Step Fault::attempt() { return attempt_here(); }

// The table.
inline Fault::Step Fault::resolve() {
  index_ = page_.table_index();
  const PteSlot& directory = space_.directory_slot(page_.directory_index());
  for (;;) {
    Pte entry = pte_load(directory);
    if (!entry.is_writable()) [[unlikely]] {
      if (entry.is_present() && !is_write() && pte_load(table_slots(entry.frame())[index_]).is_present())
        return decided(FaultDecision::kAllowedAlready);
      if (!space_.own_table(page_.directory_index()).ok()) return Step::kMakeRoom;
      continue;
    }
    Frame& record = frame_record(entry.frame());
    TableLock lock(record);
    // Another thread may have had it replaced since.
    if (pte_load(directory).without(Pte::kAccessed) == entry.without(Pte::kAccessed)) [[likely]]
      return resolve_in_table(entry.frame(), record);
  }
}

// The entry, under its table's lock.
inline Fault::Step Fault::resolve_in_table(FrameNumber table, Frame& record) {
  table_ = table;
  table_record_ = &record;
  slot_ = table_slots(table).data() + index_;
  Pte old = pte_load(slot());
  if (old.is_empty()) return resolve_empty();
  story.before = old;
  story.decision = FaultDecision::kAllowedAlready;
  if (pte_is_swapped(old)) [[unlikely]] {
    if (Step step = resolve_swapped(old); step != Step::kDone || !is_write()) return step;
    old = pte_load(slot());
  }
  if (pte_is_kept(old)) {
    old = marked(pte_revealed(old));  // swap_off() could not know of a lock
    pte_store(slot(), old);
    story.decision = FaultDecision::kRevealed;
  }
  ASSERT(old.is_present());
  if (!is_write() || old.is_writable()) return Step::kDone;
  return resolve_read_only(old);
}

inline Fault::Step Fault::resolve_empty() {
  if (!is_private_anonymous()) return map_object_page();
  return is_write() ? map_zeroed() : map_zero_page();
}

// The zero page costs nothing, so a read gets it for all untouched pages of the aligned eight: who reads one reads on.
Fault::Step Fault::map_zero_page() {
  constexpr uint32_t kWindow = 8;
  uint32_t from = index_ & ~(kWindow - 1), to = from + kWindow;
  uint32_t below = (page_ - region_->start) >> kPageShift, above = (region_->end - page_) >> kPageShift;
  if (index_ - from > below) from = index_ - below;
  if (to - index_ > above) to = index_ + above;
  Frame& table = table_record();
  PteSlot* slots = table_slots(table_).data();
  const Pte zero = marked(pte_readable(zero_page()));
  const uint32_t live = table.table.live;
  for (uint32_t index = from; index < to; index++)
    if (pte_load(slots[index]).is_empty()) slot_fill(table, slots[index], index, zero, FrameKind::kUncounted);
  story.neighbours = static_cast<uint8_t>(table.table.live - live - 1);
  return decided(FaultDecision::kZeroPage);
}

inline Fault::Step Fault::map_zeroed() {
  auto frame = frame_allocate(FrameUse::kAnonymous, Zeroing::kZeroed);
  if (!frame.ok()) return Step::kMakeRoom;
  story.decision = FaultDecision::kZeroFrame;
  return install(frame.value(), pte_writable(frame.value()));
}

inline Fault::Step Fault::resolve_read_only(Pte old) {
  Frame& frame = frame_record(old.frame());
  if (old.frame() == zero_page() && !planted(Bug::kZeroPageExclusive)) return copy_from(old, FaultDecision::kZeroPageReplaced);
  if (pte_is_shared(old)) return write_shared(old, frame);
  if (frame.use == FrameUse::kObject) return copy_from_object(old);
  // Stable: a second user would come through this entry, whose table is locked and ours.
  bool is_sole = frame.map.load(memory_order_relaxed) <= 1;
  bool is_still = frame.pins.load(memory_order_relaxed) == 0 || planted(Bug::kPinIgnored) || planted(Bug::kReusedDuringWriteBack);
  if (!is_sole || (!is_still && old.frame() != zero_page())) return copy_from(old, FaultDecision::kCopied);
  if (frame.is(kFrameResident) && !leave_slot(frame)) return copy_from(old, FaultDecision::kCopied);
  slot().fetch_or(Pte::kWritable | Pte::kDirty | Pte::kAccessed, memory_order_seq_cst);
  return decided(FaultDecision::kMadeWritable);
}

// A writable copy takes the place of a present entry. `decision` says of what: the zero page's is made by zeroing.
Fault::Step Fault::copy_from(Pte old, FaultDecision decision) {
  const bool is_zero = decision == FaultDecision::kZeroPageReplaced;
  auto copy = frame_allocate(FrameUse::kAnonymous, is_zero ? Zeroing::kZeroed : Zeroing::kNotNeeded);
  if (!copy.ok()) return Step::kMakeRoom;
  if (!is_zero) page_copy(copy.value(), old.frame());
  Frame& frame = frame_record(old.frame());
  story.users = frame.map.load(memory_order_relaxed);
  story.decision = decision;
  reverse_map_add_first(frame_record(copy.value()), place());
  pte_exchange(slot(), marked(pte_writable(copy.value())));
  if (swap_is_on()) [[unlikely]]
    reclaim_enqueue(frame_record(copy.value()));
  if (!planted(Bug::kCopyWithoutFlush)) flush_page(space_.cpus_, page_);
  if (!frame.is_counted()) {
    table_record().reverse++;
    space_.count_resident(1);
    return Step::kDone;
  }
  bool unused;
  {
    NestedFrameLock lock(frame);
    reverse_map_remove(frame, place());
    unused = !planted(Bug::kLastUserAskedLate) && frame_let_go(frame);
  }
  if (planted(Bug::kLastUserAskedLate)) unused = frame_let_go(frame);
  if (unused) frame_free(old.frame());
  return Step::kDone;
}

FaultOutcome AddressSpace::handle_fault(VirtAddr address, Access access) {
  if (!address.is_user()) return FaultOutcome::kNotMapped;
  Fault fault(*this, address.page_floor(), access);
  Fault::Step step = fault.attempt_here();
  if (step != Fault::Step::kDone) [[unlikely]]
    return fault.continue_from(step);
  fault_count_minor();
  return FaultOutcome::kResolved;
}

// As above, and tells how it went.
FaultOutcome AddressSpace::handle_fault_watched(VirtAddr address, Access access, FaultStory& story) {
  VirtAddr page = address.page_floor();
  Fault fault(*this, page, access);
  fault.story.decision = FaultDecision::kNone;
  fault.story.neighbours = 0;
  fault.story.users = 0;
  fault.story.before = Pte();
  Pte directory_before = directory_entry(page);
  uint64_t begin = clock_cycles();
  FaultOutcome outcome = fault.continue_from(fault.attempt());
  uint64_t ticks = clock_cycles() - begin;
  static_cast<FaultNotes&>(story) = fault.story;
  story.cost = ticks < ~0u ? static_cast<uint32_t>(ticks) : ~0u;
  story.directory_before = directory_before;
  story.directory_after = directory_entry(page);
  story.after = entry_of(page);
  bool is_new_table =
      story.directory_after.is_present() && (!directory_before.is_present() || directory_before.frame() != story.directory_after.frame());
  if (is_new_table) story.steps |= directory_before.is_present() ? kFaultTableUnshared : kFaultTableMade;
  constexpr FaultDecision kByOutcome[] = {FaultDecision::kNone, FaultDecision::kNotMapped, FaultDecision::kNotAllowed,
                                          FaultDecision::kPastEnd, FaultDecision::kOutOfMemory};
  if (outcome != FaultOutcome::kResolved) story.decision = kByOutcome[static_cast<uint32_t>(outcome)];
  return outcome;
}

FaultOutcome AddressSpace::fault_ahead(VirtAddr address, Access access) {
  if (!fault_is_watched()) return handle_fault(address, access);
  FaultStory story;
  FaultOutcome outcome = handle_fault_watched(address, access, story);
  fault_seen_ahead(*this, address, access, story);
  return outcome;
}

FaultOutcome Fault::continue_from(Step step) {
  bool is_major = false;
  for (;; step = attempt()) {
    if (step == Step::kRead) {
      is_major = true;
      story.steps |= kFaultMajor;
      step = read_page();
    }
    if (step == Step::kSwapIn) {
      is_major = true;
      story.steps |= kFaultMajor;
      step = swap_in();
    }
    if (step == Step::kPrepare) {
      story.steps |= kFaultRoomPromised;
      step = prepare_write();
    }
    switch (step) {
      case Step::kDone: is_major ? fault_count_major() : fault_count_minor(); return FaultOutcome::kResolved;
      case Step::kNotMapped: return FaultOutcome::kNotMapped;
      case Step::kNotAllowed: return FaultOutcome::kNotAllowed;
      case Step::kBusError: return FaultOutcome::kBusError;
      case Step::kGrowStack:
        if (auto outcome = space_.grow_stack(page_); outcome != FaultOutcome::kResolved) return outcome;
        story.steps |= kFaultStackGrew;
        break;
      case Step::kWait:
        story.steps |= kFaultWaited;
        frame_wait(*busy_, kFrameBusy | kFrameWriteBack);
        break;
      case Step::kMakeRoom:
        story.steps |= kFaultReclaimed;
        if (!reclaim_or_end_somebody()) return FaultOutcome::kOutOfMemory;
        break;
      default: break;
    }
  }
}

}  // namespace faultline
