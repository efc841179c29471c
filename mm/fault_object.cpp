// The fault on a page of an object: what the page cache has is mapped, with its neighbours, or copied; what it lacks, the attempt asks for.
#include "mm/fault.h"

#include <algorithm>

namespace faultline {

namespace {

[[gnu::noinline]] bool add_mapper_locked(Frame& frame, Locator place) {
  NestedFrameLock lock(frame);  // the table's lock is held
  if (frame.map.load(memory_order_relaxed) != 0) return reverse_map_add(frame, place).ok();
  reverse_map_add_first(frame, place);
  return true;
}

// One mapping more of an object's page; false without memory.
inline bool add_mapper(Frame& frame, Locator place) {
  if (frame.map.load(memory_order_acquire) != 0) return add_mapper_locked(frame, place);
  reverse_map_add_first(frame, place);
  return true;
}

}  // namespace

Fault::Step Fault::copy_from_object(Pte old) NO_THREAD_SAFETY_ANALYSIS {
  object_->is_copied_ = true;
  return copy_from(old, FaultDecision::kFileCopied);
}

// The object's frame for this page. Anything but kDone: there is none yet.
Fault::Step Fault::find_object_frame(Frame*& frame) NO_THREAD_SAFETY_ANALYSIS {
  // (Of a file, a page past the end would never come, and the planted bug would only try for ever.)
  bool is_unchecked = planted(Bug::kNoEndOfFileCheck) && !object_->source_;
  if (object_->is_past_end_locked(object_index_) && !is_unchecked) return Step::kBusError;
  Object::Place place;
  const Object::Presence presence = object_->look_locked(object_index_, place);
  frame = place.frame;
  if (presence == Object::Presence::kSwapped) {
    wanted_slot_ = place.slot;
    return Step::kSwapIn;
  }
  if (presence == Object::Presence::kAbsent && !object_->source_) {
    auto made = object_->insert_new_locked(object_index_, Zeroing::kZeroed, 0);
    if (!made.ok()) return made.error() == Errno::kNOSPC ? Step::kBusError : Step::kMakeRoom;
    story.steps |= kFaultNewShared;
    frame = made.value();
  }
  if (!frame) return ask(Step::kRead);
  if (presence == Object::Presence::kBusy) {
    busy_ = frame;
    return Step::kWait;
  }
  return Step::kDone;
}

Fault::Step Fault::map_object_page() NO_THREAD_SAFETY_ANALYSIS {
  Frame* frame = nullptr;
  if (Step step = find_object_frame(frame); step != Step::kDone) return step;
  FrameNumber number = frame_number(*frame);
  if (is_write() && !region_->shared) {
    auto copy = frame_allocate(FrameUse::kAnonymous, Zeroing::kNotNeeded);
    if (!copy.ok()) return Step::kMakeRoom;
    page_copy(copy.value(), number);
    object_->is_copied_ = true;
    story.decision = FaultDecision::kFileCopied;
    return install(copy.value(), pte_writable(copy.value()));
  }
  if (!add_mapper(*frame, place())) return Step::kMakeRoom;
  Pte pte = marked(region_->shared ? pte_readable(number).with(kPteShared) : pte_readable(number));
  pte_store(slot(), pte);
  Step step = decided(FaultDecision::kFileMapped);
  bool brings_neighbours = !is_write() || may_be_dirtied(*frame);
  if (is_write()) step = write_shared(pte, *frame);
  uint32_t filled = brings_neighbours && step == Step::kDone ? 1 + map_neighbours() : 1;
  table_count_filled(table_record(), index_, filled);  // neighbours are within one group
  space_.count_resident(static_cast<int32_t>(filled));
  return step;
}

// Whether a writable mapping more changes nothing for the page: it is tagged and has its room, or needs neither.
inline bool Fault::may_be_dirtied(const Frame& frame) const NO_THREAD_SAFETY_ANALYSIS {
  constexpr uint8_t kBoth = kFrameTagged | kFramePrepared;
  return !object_->source_ || (frame.flags.load(memory_order_relaxed) & kBoth) == kBoth;
}

// A shared entry becomes writable. The page counts as perhaps dirty from now until a write-back finds no such entry.
Fault::Step Fault::write_shared(Pte, Frame& frame) NO_THREAD_SAFETY_ANALYSIS {
  if (object_->source_ && (!frame.is(kFramePrepared) || !object_->is_write_noted_)) return ask(Step::kPrepare);
  object_->tag_locked(frame, 0);
  slot().fetch_or(Pte::kWritable | Pte::kDirty | Pte::kAccessed, memory_order_seq_cst);
  return decided(FaultDecision::kSharedWritten);
}

// Fault-around: a read maps what is resident behind its page; a write, what is resident and may be dirtied at no cost. Who has used the
// page before is reading on, and gets the pages up to the next border of 32. Of others nothing is known, and an entry that nobody uses costs a
// fifth of a fault, to make and to take away. Never past the region, the table or the end of the object, nor into another leaf of the index:
// within one, neighbours stand side by side. Returns how many were mapped. Failing to is no error.
uint32_t Fault::map_neighbours() NO_THREAD_SAFETY_ANALYSIS {
  if (index_ == 0 || !pte_may_be_in_tlb(pte_load(slot_[-1]))) return 0;
  constexpr uint32_t kLeaf = decltype(object_->pages_)::kLeafValues;
  const uint32_t index = object_index_.value();
  uint32_t count = std::min(kFaultWindow - index_ % kFaultWindow, (region_->end - page_) >> kPageShift);
  count = std::min(std::min(count, kLeaf - index % kLeaf), pages_for(object_->size_) - index);
  return count > 1 ? map_resident(object_->pages_.leaf(index) + index % kLeaf + 1, index_ + 1, count - 1) : 0;
}

// Of `count` slots from `first` on, the empty ones get the pages that stand from `resident` on in the object's index.
uint32_t Fault::map_resident(const uintptr_t* resident, uint32_t first, uint32_t count) {
  const bool wants_room = is_write() && object_->source_;
  constexpr uint8_t kRoom = kFrameTagged | kFramePrepared;
  const uint8_t looked_at = wants_room ? kFrameBusy | kRoom : kFrameBusy, wanted = wants_room ? kRoom : 0;
  const Pte bits = marked(Pte(Pte::kPresent | Pte::kUser | (region_->shared ? kPteShared : 0) | (is_write() ? Pte::kWritable : 0)));
  Frame* const frames = frame_table;
  PteSlot* slot = slot_ - index_ + first;
  PteSlot* const end = slot + count;
  Locator place(table_, first);
  uint32_t mapped = 0;
  for (; slot != end; slot++, resident++, place = Locator(place.raw() + 1)) {
    const uint32_t word = static_cast<uint32_t>(*resident);
    if (word == 0 || Object::is_swap_mark(word) || !pte_load(*slot).is_empty()) continue;
    Frame& frame = frames[word - 1];
    if ((frame.flags.load(memory_order_relaxed) & looked_at) != wanted) continue;
    if (!add_mapper(frame, place)) break;
    pte_store(*slot, Pte(FrameNumber(word - 1), bits.raw()));
    mapped++;
  }
  story.neighbours = static_cast<uint8_t>(mapped);
  return mapped;
}

// What an attempt asked for, with nothing held.
Fault::Step Fault::read_page() {
  Ref<Object> object = Ref<Object>::adopt(wanted_);
  uint32_t window = reading_order_ == ReadingOrder::kRandom       ? 1
                    : reading_order_ == ReadingOrder::kSequential ? kMaxCluster
                                                                  : object->window_for(object_index_);
  auto result = object->fill(object_index_, window);
  if (!result.ok()) return result.error() == Errno::kNOMEM ? Step::kMakeRoom : Step::kBusError;
  return Step::kAgain;
}

Fault::Step Fault::prepare_write() {
  Ref<Object> object = Ref<Object>::adopt(wanted_);
  auto result = object->prepare(object_index_);
  if (!result.ok()) return result.error() == Errno::kNOMEM ? Step::kMakeRoom : Step::kBusError;
  return Step::kAgain;
}

}  // namespace faultline
