// Cleaning: dirty pages go back to their source. A page is *tagged* while it is dirty, on its way out, or mapped writable (so that a
// program may dirty it at any time); only tagged pages are looked at. Order for each: clear D everywhere, flush, then write (M5).
#include <machine/planted_bugs.h>

#include "lib/late.h"
#include "mm/object.h"
#include "mm/page_table.h"
#include "mm/reclaim.h"

namespace faultline {

// The objects with tagged pages, and how many there are in all.
class DirtyObjects {
 public:
  void add(Object& object) {
    LockGuard guard(lock_);
    list_.push_back(object);
    length_ += 1;
  }
  void remove(Object& object) {
    LockGuard guard(lock_);
    list_.remove(object);
    length_ -= 1;
  }
  uint32_t length() const { return length_; }
  // The next object, moved to the end and acquired; null if there is none or it is dying.
  Object* rotate() {
    LockGuard guard(lock_);
    Object* object = list_.pop_front();
    if (!object) return nullptr;
    list_.push_back(*object);
    return object->try_acquire() ? object : nullptr;
  }
  Atomic<uint32_t> pages{0};

 private:
  SpinLock<LockRank::kDirtyObjects> lock_;
  List<Object, DirtyList> list_ GUARDED_BY(lock_);
  Published<uint32_t> length_ = 0;
};

namespace {
constinit Late<DirtyObjects> dirty_objects;

// An entry through which the page may have been or may become dirty.
bool may_dirty(Pte pte) { return pte_is_shared(pte) && (pte.is_dirty() || (pte.is_present() && pte.is_writable())); }
PteSlot& slot_at(Locator locator) { return table_slots(locator.table())[locator.index()]; }

bool is_perhaps_dirty(Frame& frame) {
  FrameLock lock(frame);
  return frame.is(kFrameDirty) || !reverse_map_for_each(frame, [](Locator at) { return !may_dirty(pte_load(slot_at(at))); });
}
}  // namespace

void objects_initialize() { dirty_objects.construct(); }

void Object::tag_locked(Frame& frame, uint8_t flags) {
  if (!source_) return;
  bool was_tagged = frame.is(kFrameTagged);
  frame.set(static_cast<uint8_t>(flags | kFrameTagged));
  if (was_tagged) return;
  dirty_objects->pages.fetch_add(1, memory_order_relaxed);
  if (tagged_++ == 0) dirty_objects->add(*this);
}

void Object::untag_locked(Frame& frame) {
  frame.clear(kFrameTagged);
  dirty_objects->pages.fetch_sub(1, memory_order_relaxed);
  if (--tagged_ == 0) dirty_objects->remove(*this);
}

void Object::untag_if_clean_locked(Frame& frame) {
  if (!is_perhaps_dirty(frame)) untag_locked(frame);
}

// Gathers and clears what says that the page is dirty; true if anything did.
bool Object::collect_dirty_locked(Frame& frame, FlushBatch& batch, bool& is_mapped_write) {
  FrameLock lock(frame);
  bool dirty = frame.is(kFrameDirty);
  frame.clear(kFrameDirty);
  reverse_map_for_each(frame, [&](Locator at) {
    Pte pte = pte_load(slot_at(at));
    if (!pte_is_shared(pte) || !pte.is_dirty()) return true;
    dirty = is_mapped_write = true;
    slot_at(at).fetch_and(~Pte::kDirty, memory_order_seq_cst);
    if (pte.is_present() && !machine::planted(machine::Bug::kWriteBackWithoutFlush))
      batch.add(slot_address(frame_record(at.table()), at.index()));
    return true;
  });
  return dirty;
}

// Neighbouring dirty pages that are written together.
struct Object::Run {
  uint32_t from, end;  // what is still to be looked at
  PageIndex first;
  uint32_t count = 0;
  bool has_mapped_writes = false;
  FrameNumber frames[kMaxCluster];
  Frame* under_way = nullptr;  // somebody else writes this one: wait for it
};

// Finds the next run and marks it as under write-back. False when the range is done.
bool Object::collect_run(Run& run, WriteBack mode) {
  run.count = 0;
  run.under_way = nullptr;
  LockGuard guard(lock_);
  FlushBatch batch;  // ends, and so flushes, before the lock does
  uint32_t index, value;
  while (run.count < kMaxCluster && run.from < run.end && pages_.next(run.from, index, value) && index < run.end) {
    if (run.count > 0 && index != run.first.value() + run.count) break;
    Frame& frame = frame_record(FrameNumber(value - 1));
    if (frame.is(kFrameWriteBack)) {
      if (run.count > 0) break;
      if (mode == WriteBack::kWait) {
        run.under_way = &frame;
        return true;
      }
    } else if (frame.is(kFrameTagged)) {
      if (collect_dirty_locked(frame, batch, run.has_mapped_writes)) {
        if (run.count == 0) run.first = PageIndex(index);
        frame.set(kFrameWriteBack);
        frame_pin(frame);
        run.frames[run.count++] = FrameNumber(value - 1);
      } else {
        untag_if_clean_locked(frame);
        if (run.count > 0) break;
      }
    } else if (run.count > 0) {
      break;
    }
    run.from = index + 1;
    if (run.from == 0) run.from = run.end;
  }
  return run.count > 0;
}

void Object::finish_run(const Run& run, bool written) {
  for (uint32_t i = 0; i < run.count; i++) {
    Frame& frame = frame_record(run.frames[i]);
    {
      LockGuard guard(lock_);
      if (!written) frame.set(kFrameDirty);
      untag_if_clean_locked(frame);
    }
    frame_wake(frame, kFrameWriteBack);
    frame_unpin(frame);
  }
}

Result<void> Object::write_back(PageIndex first, uint32_t pages, WriteBack mode) {
  if (!source_) return {};
  Run run{};
  run.from = first.value();
  run.end = pages > ~0u - run.from ? ~0u : run.from + pages;
  Result<void> result;
  bool was_noted;
  {
    LockGuard guard(lock_);
    was_noted = std::exchange(is_write_noted_, false);
  }
  while (collect_run(run, mode)) {
    if (run.under_way) {
      frame_wait(*run.under_way, kFrameWriteBack);
      continue;
    }
    auto written = source_->write_pages(run.first, std::span<const FrameNumber>(run.frames, run.count));
    finish_run(run, written.ok());
    if (!written.ok() && result.ok()) result = written;
    if (!written.ok() && written.error() == Errno::kNOMEM) break;  // the rest would fare no better
  }
  // W stays after a write-back, so a write since then came without a fault: it is known only now.
  if (run.has_mapped_writes && !was_noted) source_->note_mapped_write();
  LockGuard guard(lock_);
  constexpr Errno kNone = static_cast<Errno>(0);
  if (mode == WriteBack::kStart) {
    if (!result.ok()) remember_error_locked(result.error());
    return {};
  }
  if (result.ok() && write_error_ != kNone) result = write_error_;
  write_error_ = kNone;
  return result;
}

void Object::remember_error(Errno error) {
  LockGuard guard(lock_);
  remember_error_locked(error);
}

// Want of memory passes, and the pages are dirty still.
void Object::remember_error_locked(Errno error) {
  if (error != Errno::kNOMEM) write_error_ = error;
}

uint32_t objects_dirty_pages() { return dirty_objects->pages.load(memory_order_relaxed); }

void Object::throttle_dirty() {
  auto is_too_much = [] { return dirty_objects->pages.load(memory_order_relaxed) > frames_total() / 4; };
  if (!source_ || !is_too_much()) return;
  ignore_result(write_back_all(WriteBack::kStart));  // the error is remembered for fsync
  // Not ours, then: files written before. They would fill memory until the flusher's next turn, and forks fail.
  if (is_too_much()) ignore_result(objects_write_back_all(WriteBack::kStart));
}

Result<void> objects_write_back_all(WriteBack mode) {
  Result<void> result;
  for (uint32_t left = dirty_objects->length(); left > 0; left--) {
    Object* object = dirty_objects->rotate();
    if (!object) continue;
    auto written = object->write_back_all(mode);
    if (!written.ok()) object->remember_error(written.error());
    if (!written.ok() && result.ok()) result = written;
    object->release();
  }
  return result;
}

uint32_t objects_drop_clean() { return reclaim_clean(~0u); }

}  // namespace faultline
