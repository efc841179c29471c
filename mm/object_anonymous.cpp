// Shared anonymous memory: objects without a source. When memory is short their pages go to swap: the index then names the slot, and the frame
// is the swap cache's, so that what private memory and shared memory have in swap is written, read and counted by the same code.
#include "mm/object_anonymous.h"

#include "lib/late.h"
#include "mm/commit.h"
#include "mm/reclaim.h"
#include "mm/swap_cache.h"

namespace faultline {

namespace {
constinit Late<AnonymousObjects> all;
}
AnonymousObjects& anonymous_objects() { return *all; }
void anonymous_objects_initialize() { all.construct(); }

class AnonymousObject final : public Object, public ListNode<AllAnonymous> {
 public:
  AnonymousObject(uint64_t size, uint32_t promised) : Object(nullptr, size), promised_(promised) { all->add(*this); }
  ~AnonymousObject() override { all->remove(*this); }
  void acquire() override { users_.fetch_add(1, memory_order_relaxed); }
  bool try_acquire() override {
    for (uint32_t users = users_.load(memory_order_relaxed); users != 0;)
      if (users_.compare_exchange_weak(users, users + 1, memory_order_acquire)) return true;
    return false;
  }
  void release() override {
    if (users_.fetch_sub(1, memory_order_acq_rel) != 1) return;
    drop_all();
    commit_release(promised_);
    slab_delete(this);
  }

 private:
  Atomic<uint32_t> users_{1};
  const uint32_t promised_;  // pages, for as long as it lives
};

Result<Ref<Object>> Object::create_anonymous(uint64_t bytes, SharedPromise how) {
  CommitPromise promise;
  const uint32_t pages = how == SharedPromise::kWhole ? pages_for(bytes) : 0;
  if (pages != 0) TRY(promise.take(pages, 0));
  Object* made = TRY(slab_new<AnonymousObject>(bytes, pages));
  made->promises_pages_ = how == SharedPromise::kByPage;
  promise.keep();
  return Ref<Object>::adopt(made);
}

void AnonymousObjects::add(AnonymousObject& object) {
  LockGuard guard(lock_);
  list_.push_back(object);
}
void AnonymousObjects::remove(AnonymousObject& object) {
  LockGuard guard(lock_);
  list_.remove(object);
}

Ref<Object> AnonymousObjects::next(Ref<Object> previous) {
  LockGuard guard(lock_);
  AnonymousObject* object = previous ? list_.next(static_cast<AnonymousObject&>(*previous)) : list_.front();
  while (object && !object->try_acquire()) object = list_.next(*object);
  return Ref<Object>::adopt(object);  // `previous` goes when the lock has gone: the argument outlives the body
}

Result<void> AnonymousObjects::fetch_all(Object& object, uint32_t area) {
  for (PageIndex at(0);; at = at + 1) {
    {
      LockGuard guard(object.lock_);
      uint32_t index, value;
      if (object.swapped_ == 0 || !object.pages_.next(at.value(), index, value)) return {};
      at = PageIndex(index);
      if (!Object::is_swap_mark(value) || SwapSlot(value & ~Object::kSwapMark).area() != area) continue;
    }
    TRY(object.pin_page(at, Object::Missing::kRead));
  }
}

uint32_t Object::swapped_pages() const {
  LockGuard guard(lock_);
  return swapped_;
}

bool Object::give_to_swap_locked(Frame& frame) {
  FrameLock lock(frame);
  const PageIndex index(frame.index);
  if (frame.pins.load(memory_order_relaxed) != 0 || !swap_cache_add(frame)) return false;
  frame.clear(static_cast<uint8_t>(~(kFrameResident | kFrameDirty)));
  frame.object = nullptr;
  frame_change_use(frame_number(frame), FrameUse::kAnonymous);
  swap_entry_add(frame_slot(frame));
  bool stored = pages_.set(index.value(), kSwapMark | frame.swap_slot);
  ASSERT(stored);  // the index had this place
  swapped_++;
  return true;
}

Object::Presence Object::fetch_locked(PageIndex index, Place& place) {
  place.slot = SwapSlot(pages_.get(index.value()) & ~kSwapMark);
  place.frame = swap_cache_lock(place.slot);
  if (!place.frame) return Presence::kSwapped;
  Frame& frame = *place.frame;
  bool is_free = !(frame.flags.load(memory_order_relaxed) & (kFrameBusy | kFrameWriteBack));
  if (is_free) {
    swap_entry_turned(frame);
    bool left = swap_cache_leave(frame);
    ASSERT(left);  // the index was the only one to know the slot
    // The reclaimer, which has it queued, looks for the object once it sees the use.
    frame.object = this;
    frame.index = index.value();
    frame_change_use(frame_number(frame), FrameUse::kObject);
    frame.set(kFrameResident | kFrameReferenced);
    bool stored = pages_.set(index.value(), frame_number(frame).value() + 1);
    ASSERT(stored);
    swapped_--;
  }
  frame_unlock(frame);
  return is_free ? Presence::kResident : Presence::kBusy;
}

void Object::drop_swapped_locked(PageIndex index) {
  SwapSlot slot(pages_.take(index.value()) & ~kSwapMark);
  swapped_--;
  if (promises_pages_) commit_release(1);
  swap_entry_drop(slot);
}

}  // namespace faultline
