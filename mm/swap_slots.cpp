// Areas and their slots: see swap_slots.h. An area's records come in chunks of a page each, so that a large area needs no large piece of memory.
#include "mm/swap_slots.h"

#include <bit>

#include "mm/slab.h"

namespace faultline {

SpinLock<LockRank::kSwapSlots> swap_lock;

namespace {

struct Chunk {
  static constexpr uint32_t kSlots = kPageSize / sizeof(SwapRecord), kWords = kSlots / 32;
  SwapRecord* records;
  uint32_t taken[kWords];  // a bit for each slot; those that do not exist, and bad ones, are taken for ever
};

class Area {
 public:
  // kNOMEM; kINVAL: no usable page.
  Result<void> open(SwapStore& store, uint32_t pages, std::span<const uint32_t> bad, int32_t priority);
  void release();
  bool has(uint32_t page) const { return page / Chunk::kSlots < chunk_count_; }
  SwapRecord& record(uint32_t page) const { return chunks_[page / Chunk::kSlots].records[page % Chunk::kSlots]; }
  bool is_full() const { return used == usable; }
  const char* check() const;
  // An area that is not full.
  uint32_t take();
  void give_back(uint32_t page) {
    word_of(page) &= ~(1u << page % 32);
    used--;
  }

  enum class State : uint8_t { kUnused, kOpening, kOpen, kClosed };
  Published<State> state = State::kUnused;
  SwapStore* store = nullptr;
  int32_t priority = 0;
  uint32_t usable = 0, used = 0;

 private:
  uint32_t& word_of(uint32_t page) const { return chunks_[page / Chunk::kSlots].taken[page % Chunk::kSlots / 32]; }
  bool is_taken(uint32_t page) const { return word_of(page) & 1u << page % 32; }
  uint32_t find_run() const;
  uint32_t find_single() const;

  Chunk* chunks_ = nullptr;
  uint32_t chunk_count_ = 0;
  uint32_t next_ = 0;  // after the slot given last: where its run goes on, if it does
};

constinit Area areas[SwapSlot::kMaxAreas];
constinit Atomic<uint32_t> open_areas{0};
constinit Published<uint32_t> total_slots = 0, used_slots = 0;  // written under swap_lock

constexpr uint32_t kNoPage = ~0u;

Result<void> Area::open(SwapStore& new_store, uint32_t pages, std::span<const uint32_t> bad, int32_t new_priority) {
  constexpr uint32_t kMost = (128 * 1024) / sizeof(Chunk);  // of one allocation: some 3.7 GiB of swap
  uint32_t count = (pages + Chunk::kSlots - 1) / Chunk::kSlots;
  if (count > kMost) pages = (count = kMost) * Chunk::kSlots;
  if (pages < 2) return Errno::kINVAL;
  chunks_ = static_cast<Chunk*>(slab_allocate(count * sizeof(Chunk)));
  if (!chunks_) return Errno::kNOMEM;
  chunk_count_ = count;
  for (uint32_t i = 0; i < count; i++) chunks_[i].records = nullptr;
  for (uint32_t i = 0; i < count; i++) {
    auto frame = frame_allocate(FrameUse::kKernel, Zeroing::kNotNeeded);
    if (!frame.ok()) {
      release();
      return frame.error();
    }
    chunks_[i].records = static_cast<SwapRecord*>(direct_map(frame.value()));
    for (uint32_t slot = 0; slot < Chunk::kSlots; slot++) chunks_[i].records[slot] = {0, kNoFrame};
    for (uint32_t& word : chunks_[i].taken) word = 0;
  }
  usable = count * Chunk::kSlots;
  used = next_ = 0;
  auto never_use = [this](uint32_t page) {
    if (is_taken(page)) return;
    word_of(page) |= 1u << page % 32;
    usable--;
  };
  never_use(0);
  for (uint32_t page : bad)
    if (page < pages) never_use(page);
  for (uint32_t page = pages; page < count * Chunk::kSlots; page++) never_use(page);
  if (usable == 0) {
    release();
    return Errno::kINVAL;
  }
  store = &new_store;
  priority = new_priority;
  return {};
}

void Area::release() {
  for (uint32_t i = 0; i < chunk_count_; i++)
    if (chunks_[i].records) frame_free(direct_map_frame(chunks_[i].records));
  slab_free(chunks_, chunk_count_ * sizeof(Chunk));
  chunk_count_ = 0;
  store = nullptr;
}

// The first page of an aligned run that is wholly free, from the last one given onwards and round.
uint32_t Area::find_run() const {
  uint32_t words = chunk_count_ * Chunk::kWords, first = next_ / 32;
  for (uint32_t i = 0; i < words; i++) {
    uint32_t word = (first + i) % words, bits = word_of(word * 32);
    for (uint32_t run = 0; run < 32; run += kSwapRun)
      if ((bits >> run & 0xff) == 0) return word * 32 + run;
  }
  return kNoPage;
}

uint32_t Area::find_single() const {
  uint32_t words = chunk_count_ * Chunk::kWords, first = next_ / 32;
  for (uint32_t i = 0; i < words; i++) {
    uint32_t word = (first + i) % words, bits = word_of(word * 32);
    if (bits != ~0u) return word * 32 + static_cast<uint32_t>(std::countr_one(bits));
  }
  return kNoPage;
}

uint32_t Area::take() {
  uint32_t page = next_;
  bool goes_on = page % kSwapRun != 0 && !is_taken(page);
  if (!goes_on) page = find_run();
  if (page == kNoPage) page = find_single();
  ASSERT(page != kNoPage);
  word_of(page) |= 1u << page % 32;
  used++;
  next_ = has(page + 1) ? page + 1 : 0;
  return page;
}

const char* Area::check() const {
  uint32_t taken = 0, bits = 0;
  for (uint32_t page = 0; page < chunk_count_ * Chunk::kSlots; page++) {
    const SwapRecord& slot = record(page);
    bits += is_taken(page);
    if (slot.entries != 0) return "M4: a slot's count of entries is wrong";
    if (slot.frame == kNoFrame) continue;
    const Frame& frame = frame_table[slot.frame];
    bool is_its = frame.use == FrameUse::kAnonymous && frame.is(kFrameResident) && SwapSlot(frame.swap_slot).page() == page;
    if (!is_its || !is_taken(page)) return "a slot names a frame that does not cache it";
    taken++;
  }
  uint32_t unusable = chunk_count_ * Chunk::kSlots - usable;
  return bits - unusable != used || taken > used ? "the count of used slots is wrong" : nullptr;
}

}  // namespace

const char* swap_slots_check() {
  LockGuard guard(swap_lock);
  for (const Area& area : areas)
    if (area.state == Area::State::kOpen || area.state == Area::State::kClosed)
      if (const char* wrong = area.check()) return wrong;
  return nullptr;
}

SwapRecord& swap_record(SwapSlot slot) { return areas[slot.area()].record(slot.page()); }

SwapRecord* swap_record_if_any(SwapSlot slot) {
  Area& area = areas[slot.area()];
  const bool is_in_use = area.state == Area::State::kOpen || area.state == Area::State::kClosed;
  return is_in_use && area.has(slot.page()) ? &area.record(slot.page()) : nullptr;
}

std::optional<SwapSlot> swap_slot_take() {
  Area* best = nullptr;
  for (Area& area : areas)
    if (area.state == Area::State::kOpen && !area.is_full() && (!best || area.priority > best->priority)) best = &area;
  if (!best) return std::nullopt;
  used_slots += 1;
  return SwapSlot(static_cast<uint32_t>(best - areas), best->take());
}

void swap_slot_give_back(SwapSlot slot) {
  used_slots -= 1;
  areas[slot.area()].give_back(slot.page());
}

SwapStore& swap_store(uint32_t area) { return *areas[area].store; }
bool swap_is_on() { return open_areas.load(memory_order_relaxed) != 0; }
bool swap_is_full() { return used_slots == total_slots || !swap_is_on(); }
bool swap_is_half_full() { return used_slots > total_slots / 2; }

bool swap_area_is_leaving(uint32_t number) NO_THREAD_SAFETY_ANALYSIS { return areas[number].state == Area::State::kClosed; }

bool swap_area_close(uint32_t number) {
  LockGuard guard(swap_lock);
  if (number >= SwapSlot::kMaxAreas || areas[number].state != Area::State::kOpen) return false;
  areas[number].state = Area::State::kClosed;
  open_areas.fetch_sub(1, memory_order_relaxed);
  return true;
}

void swap_area_reopen(uint32_t number) {
  LockGuard guard(swap_lock);
  areas[number].state = Area::State::kOpen;
  open_areas.fetch_add(1, memory_order_relaxed);
}

bool swap_area_remove(uint32_t number) {
  Area& area = areas[number];
  {
    LockGuard guard(swap_lock);
    if (area.used != 0) return false;
    total_slots -= area.usable;
    area.state = Area::State::kOpening;  // nobody looks at it from now on
  }
  area.release();
  LockGuard guard(swap_lock);
  area.state = Area::State::kUnused;
  return true;
}

Result<uint32_t> swap_slots_add(SwapStore& store, uint32_t pages, std::span<const uint32_t> bad, int32_t priority) {
  Area* area = nullptr;
  {
    LockGuard guard(swap_lock);
    for (Area& candidate : areas)
      if (!area && candidate.state == Area::State::kUnused) area = &candidate;
    if (!area) return Errno::kPERM;
    area->state = Area::State::kOpening;
  }
  Result<void> opened = area->open(store, pages, bad, priority);
  LockGuard guard(swap_lock);
  area->state = opened.ok() ? Area::State::kOpen : Area::State::kUnused;
  if (!opened.ok()) return opened.error();
  total_slots += area->usable;
  open_areas.fetch_add(1, memory_order_relaxed);
  return static_cast<uint32_t>(area - areas);
}

SwapAreaStatistics swap_area_statistics(uint32_t number) {
  LockGuard guard(swap_lock);
  if (number >= SwapSlot::kMaxAreas) return {};
  const Area& area = areas[number];
  bool in_use = area.state == Area::State::kOpen || area.state == Area::State::kClosed;
  return {in_use, area.usable, area.used, area.priority};
}

SwapSpace swap_space() {
  LockGuard guard(swap_lock);
  return {total_slots, total_slots - used_slots};
}

}  // namespace faultline
