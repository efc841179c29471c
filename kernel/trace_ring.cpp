// See trace_ring.h. A slot's stamp is its record's place plus one, and zero while it is being written: who reads the same stamp before and
// after copying has copied a whole record.
#include "kernel/trace_ring.h"

#include "arch/interrupt.h"
#include "lib/late.h"
#include "lib/mutex.h"
#include "lib/string.h"
#include "mm/frames.h"

namespace faultline {

namespace {

constexpr uint32_t kOrder = 5;  // 128 KiB for each CPU

struct Slot {
  uint32_t words[sizeof(TraceRecord) / 4];
};

constexpr uint32_t kSlots = (kPageSize << kOrder) / sizeof(Slot);
static_assert((kSlots & (kSlots - 1)) == 0);

struct alignas(64) Ring {
  Atomic<Slot*> slots{nullptr};
  Atomic<uint32_t> head{0};  // the place of the next record; written by its CPU
  Atomic<uint32_t> stamps[kSlots];
};

constinit Ring rings[kMaxCpus] = {};
// The readers' numbers, by bit. The lock also guards the rings' memory; its rank is that of what may be held while a file is closed.
struct Readers {
  Mutex<LockRank::kDriver> lock;
  uint32_t numbers GUARDED_BY(lock) = 0;
};
constinit Late<Readers> readers;

Result<void> make_rings() {
  for (uint32_t cpu = 0; cpu < cpu_count(); cpu++) {
    Result<FrameNumber> first = frames_allocate(kOrder, FrameUse::kKernel, Zeroing::kNotNeeded);
    if (!first.ok()) return first.error();
    for (Atomic<uint32_t>& stamp : rings[cpu].stamps) stamp.store(0, memory_order_relaxed);
    rings[cpu].slots.store(static_cast<Slot*>(direct_map(first.value())), memory_order_release);
  }
  return {};
}

void free_rings() {
  Slot* memory[kMaxCpus];
  for (uint32_t cpu = 0; cpu < kMaxCpus; cpu++) memory[cpu] = rings[cpu].slots.exchange(nullptr, memory_order_seq_cst);
  // Writers have interrupts off: when all CPUs have taken one, nobody writes any more.
  cpu_call_others([](void*) {}, nullptr);
  for (Slot* slots : memory)
    if (slots) frames_free(direct_map_frame(slots), kOrder);
}

}  // namespace

void trace_initialize() { readers.construct(); }

void trace_put(const TraceRecord& record) {
  Ring& ring = rings[this_cpu()];
  Slot* slots = ring.slots.load(memory_order_acquire);
  if (!slots) return;
  uint32_t place = ring.head.load(memory_order_relaxed), index = place % kSlots;
  ring.stamps[index].store(0, memory_order_seq_cst);
  memcpy(&slots[index], &record, sizeof record);
  ring.stamps[index].store(place + 1, memory_order_release);
  ring.head.store(place + 1, memory_order_release);
}

Result<void> TraceReader::open() {
  LockGuard guard(readers->lock);
  uint32_t free = 1;
  while (free <= kReaders && (readers->numbers & 1u << (free - 1))) free++;
  if (free > kReaders) return Errno::kAGAIN;
  if (readers->numbers == 0) {
    Result<void> made = make_rings();
    if (!made.ok()) {
      free_rings();
      return made.error();
    }
  }
  readers->numbers |= 1u << (free - 1);
  for (uint32_t cpu = 0; cpu < kMaxCpus; cpu++) places_[cpu] = rings[cpu].head.load(memory_order_acquire);
  number_ = static_cast<uint8_t>(free);
  return {};
}

TraceReader::~TraceReader() {
  if (number_ == 0) return;
  LockGuard guard(readers->lock);
  readers->numbers &= ~(1u << (number_ - 1));
  if (readers->numbers == 0) free_rings();
}

// The next record of this reader's on one CPU, stepping over what is lost and what is others'.
bool TraceReader::peek(uint32_t cpu, TraceRecord& record) {
  Ring& ring = rings[cpu];
  const Slot* slots = ring.slots.load(memory_order_acquire);
  uint32_t& place = places_[cpu];
  while (slots) {
    uint32_t head = ring.head.load(memory_order_acquire);
    if (place == head) return false;
    if (head - place > kSlots) place = head - kSlots;
    const Atomic<uint32_t>& stamp = ring.stamps[place % kSlots];
    bool is_whole = stamp.load(memory_order_seq_cst) == place + 1;
    if (is_whole) {
      memcpy(&record, &slots[place % kSlots], sizeof record);
      is_whole = stamp.load(memory_order_seq_cst) == place + 1;
    }
    if (is_whole && record.watch == number_) return true;
    place++;
  }
  return false;
}

bool TraceReader::next(TraceRecord& record) {
  uint32_t from = kMaxCpus;
  for (uint32_t cpu = 0; cpu < cpu_count(); cpu++) {
    TraceRecord candidate;
    if (!peek(cpu, candidate) || (from < kMaxCpus && candidate.number > record.number)) continue;
    record = candidate;
    from = cpu;
  }
  if (from == kMaxCpus) return false;
  places_[from]++;
  return true;
}

bool TraceReader::has_next() {
  TraceRecord record;
  for (uint32_t cpu = 0; cpu < cpu_count(); cpu++)
    if (peek(cpu, record)) return true;
  return false;
}

}  // namespace faultline
