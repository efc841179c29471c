// Paging hardware in software: see emulated_machine.h, and arch/mmu.h for what it promises.
#include "emulated_machine.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <vector>

#include "arch/interrupt.h"
#include "executor.h"
#include <machine/planted_bugs.h>

#include "lib/lock_classes.h"
#include "mm/commit.h"
#include "mm/frame.h"
#include "mm/slab.h"

namespace faultline {
namespace host {
namespace {

struct Translation {
  FrameNumber frame;
  bool writable;  // by both levels
  bool dirty;     // D is known to be set: a write need not look at the table
};

struct Cpu {
  FrameNumber directory;
  AddressSpace* space = nullptr;
  std::map<uint32_t, Translation> tlb;      // by page number
  std::map<uint32_t, Pte> directory_cache;  // by directory index

  void forget_all() {
    tlb.clear();
    directory_cache.clear();
  }
  void forget(VirtAddr page) {
    tlb.erase(page.value() >> kPageShift);
    directory_cache.erase(page.directory_index());
  }
};

std::vector<Cpu> cpus(1);
FrameNumber kernel_directory;
size_t ram_bytes = 0;

Cpu& cpu_here() { return cpus[this_cpu()]; }

bool is_ram(FrameNumber frame) { return (size_t{frame.value()} + 1) * kPageSize <= ram_bytes; }

// The entry as it is found, with `bits` set in it by the processor, which looks again if it has changed meanwhile. Empty: the entry does not allow
// the access.
template <typename Allows>
Pte load_and_mark(PteSlot& slot, uint32_t bits, Allows allows) {
  for (Pte entry = pte_load(slot); allows(entry);)
    if (entry.with(bits) == entry || pte_compare_exchange(slot, entry, entry.with(bits))) return entry;
  return Pte();
}

// Loads a translation as the processor does, setting A and D. False: a page fault.
bool walk(Cpu& cpu, VirtAddr address, bool is_write) {
  auto cached = cpu.directory_cache.find(address.directory_index());
  Pte entry;
  if (cached != cpu.directory_cache.end()) {
    entry = cached->second;
  } else {
    PteSlot& slot = table_slots(cpu.directory)[address.directory_index()];
    entry = load_and_mark(slot, Pte::kAccessed, [](Pte pte) { return pte.is_present(); });
    if (entry.is_empty()) return false;
    cpu.directory_cache[address.directory_index()] = entry;
  }
  if (!is_ram(entry.frame()) || frame_record(entry.frame()).use != FrameUse::kPageTable)
    PANIC("the processor walks a frame that is no page table");
  PteSlot& slot = table_slots(entry.frame())[address.table_index()];
  Pte pte = load_and_mark(slot, Pte::kAccessed | (is_write ? Pte::kDirty : 0), [&](Pte now) {
    return now.is_present() && (now.raw() & Pte::kUser) && (!is_write || (entry.is_writable() && now.is_writable()));
  });
  if (pte.is_empty()) return false;
  cpu.tlb[address.value() >> kPageShift] = {pte.frame(), entry.is_writable() && pte.is_writable(), is_write || pte.is_dirty()};
  return true;
}

// The byte's place in RAM, or a page fault.
uint8_t* translate(Cpu& cpu, VirtAddr address, bool is_write) {
  auto found = cpu.tlb.find(address.value() >> kPageShift);
  if (found != cpu.tlb.end() && is_write && found->second.writable && !found->second.dirty) {
    cpu.tlb.erase(found);  // to set D, the table is looked at again
    found = cpu.tlb.end();
  }
  if (found == cpu.tlb.end()) {
    if (!walk(cpu, address, is_write)) return nullptr;
    found = cpu.tlb.find(address.value() >> kPageShift);
  }
  if (is_write && !found->second.writable) return nullptr;
  machine::point(machine::Point::kAccess);
  const Frame& frame = frame_record(found->second.frame);
  if (!frame.is_counted() && found->second.frame != zero_page()) PANIC("the processor uses a frame that is no user page");
  return direct_map_bytes(found->second.frame) + address.page_offset();
}

// Tries the access once; not done: a page fault, in the space that is returned.
AddressSpace* instruction(VirtAddr address, bool is_write, const std::function<void(uint8_t*)>& move, bool& done) {
  InterruptGuard guard;  // the processor takes an interrupt before the access or after it
  Cpu& cpu = cpu_here();
  uint8_t* byte = cpu.space ? translate(cpu, address, is_write) : nullptr;
  done = byte != nullptr;
  if (byte) move(byte);
  // A page fault makes the processor forget what it knew of the address (SDM 4.10.4.1).
  else
    cpu.forget(address);
  return cpu.space;
}

FaultOutcome access(VirtAddr address, bool is_write, const std::function<void(uint8_t*)>& move) {
  if (!address.is_user()) return FaultOutcome::kNotAllowed;
  for (int faults = 0; faults < 50; faults++) {
    bool done;
    AddressSpace* space = instruction(address, is_write, move, done);
    if (done) return FaultOutcome::kResolved;
    if (!space) return FaultOutcome::kNotMapped;
    FaultOutcome outcome = space->handle_fault(address, is_write ? Access::kWrite : Access::kRead);
    if (outcome != FaultOutcome::kResolved) return outcome;
  }
  PANIC("the same access faults for ever");
}

// At the same address in every run, if that is to be had: the kernel hashes addresses of things in it, and a run must be the same when repeated.
void place_ram(size_t bytes) {
  constexpr uintptr_t kPlace = 0x60000000;
  if (emulated_ram) munmap(emulated_ram, ram_bytes);
  ram_bytes = bytes;
  void* ram = mmap(reinterpret_cast<void*>(kPlace), bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (ram == MAP_FAILED) PANIC("no memory for the emulated machine");
  emulated_ram = static_cast<uint8_t*>(ram);
  memset(emulated_ram, 0xa5, bytes);
}

}  // namespace

void machine_start(MachineOptions options) {
  place_ram(size_t{options.frames} * kPageSize);
  cpus.clear();
  cpus.resize(options.cpus);
  machine::emulated = {};
  // Frame 0 is a legal frame; a hole shows that RAM need not be one piece.
  uint32_t hole = options.frames / 3;
  FrameRange usable[] = {{FrameNumber(0), hole}, {FrameNumber(hole + 1), options.frames - hole - 1}};
  frames_initialize(usable);
  slab_initialize();
  auto directory = frame_allocate(FrameUse::kPageDirectory, Zeroing::kZeroed);
  kernel_directory = directory.value();
  for (Cpu& cpu : cpus) cpu.directory = kernel_directory;
  spaces_initialize();
  commit_set_mode(Overcommit::kAlways);  // programs of the model map more than this machine has
  // As at boot, for runs that must be the same when repeated.
  entries_lost.store(0, memory_order_relaxed);
  lock_classes_forget();
  fault_counts.minor = fault_counts.major = 0;
}

// Unseen by ThreadSanitizer: a program that writes to memory that is being read races with itself, not with the kernel.
[[gnu::no_sanitize("thread")]] void move_bytes(uint8_t* destination, const uint8_t* source, size_t bytes) {
  using Word [[gnu::may_alias]] = volatile uint32_t;
  const bool is_aligned = (reinterpret_cast<uintptr_t>(destination) | reinterpret_cast<uintptr_t>(source) | bytes) % sizeof(uint32_t) == 0;
  size_t at = 0;
  for (; is_aligned && at < bytes; at += sizeof(uint32_t))
    *reinterpret_cast<Word*>(destination + at) = *reinterpret_cast<const Word*>(source + at);
  for (; at < bytes; at++) destination[at] = source[at];
}

void machine_switch_cpu(uint32_t cpu) { machine::emulated.current = cpu; }

void machine_run(uint32_t cpu, AddressSpace* space) {
  machine_switch_cpu(cpu);
  InterruptGuard guard;
  cpus[cpu].space = space;
  if (space)
    space->activate();
  else
    AddressSpace::deactivate();
}

AddressSpace* machine_space(uint32_t cpu) { return cpus[cpu].space; }

FaultOutcome machine_read(VirtAddr address, void* destination, uint32_t bytes) {
  return access(address, false, [&](uint8_t* byte) { move_bytes(static_cast<uint8_t*>(destination), byte, bytes); });
}
FaultOutcome machine_write(VirtAddr address, const void* source, uint32_t bytes) {
  return access(address, true, [&](uint8_t* byte) { move_bytes(byte, static_cast<const uint8_t*>(source), bytes); });
}

std::string machine_check_tlbs() {
  for (uint32_t number = 0; number < cpus.size(); number++) {
    const Cpu& cpu = cpus[number];
    auto complain = [&](const char* what, uint32_t address) {
      char text[160];
      snprintf(text, sizeof text, "M5: cpu %u address %#x: %s", number, address, what);
      return std::string(text);
    };
    for (auto [index, cached] : cpu.directory_cache) {
      Pte now = pte_load(table_slots(cpu.directory)[index]);
      if (!now.is_present()) return complain("cached directory entry is gone", index << 22);
      if (now.frame() != cached.frame()) return complain("cached directory entry names another table", index << 22);
      if (cached.is_writable() && !now.is_writable()) return complain("cached directory entry is writable", index << 22);
    }
    for (auto [page, cached] : cpu.tlb) {
      VirtAddr address(page << kPageShift);
      if (frame_record(cached.frame).use == FrameUse::kFree) return complain("M6: translation to a free frame", address.value());
      Pte entry = pte_load(table_slots(cpu.directory)[address.directory_index()]);
      if (!entry.is_present()) return complain("translation without a table", address.value());
      Pte pte = pte_load(table_slots(entry.frame())[address.table_index()]);
      if (!pte.is_present()) return complain("translation of an absent page", address.value());
      if (pte.frame() != cached.frame) return complain("translation to another frame", address.value());
      if (cached.writable && !(entry.is_writable() && pte.is_writable())) return complain("stale right to write", address.value());
      if (cached.dirty && !pte.is_dirty()) return complain("D is set in the TLB only", address.value());
    }
  }
  return "";
}

FaultCounts fault_counts;
std::function<void()> on_flush;
bool may_use_last_frames = true;

}  // namespace host

using host::cpu_here;
using host::cpus;

namespace machine {
void observe_free(uint32_t frame) {
  if (host::executor && !host::executor->sees_all_cpus()) return;
  for (uint32_t number = 0; number < cpus.size(); number++) {
    const host::Cpu& cpu = cpus[number];
    auto fails = [&](const char* what, uint32_t place) {
      char text[200];
      snprintf(text, sizeof text, "M6: %s: frame %#x, CPU %u, of directory %#x, %#x", what, frame, number, cpu.directory.value(), place);
      PANIC(text);
    };
    if (cpu.directory.value() == frame) fails("the loaded directory is freed", 0);
    for (auto& [page, translation] : cpu.tlb)
      if (translation.frame.value() == frame) fails("a frame is freed while a TLB names it, for page", page);
    for (auto& [index, entry] : cpu.directory_cache)
      if (entry.frame().value() == frame) fails("a table is freed while a directory cache names it, for entry", index);
  }
}
}  // namespace machine

uint64_t current_data_limit() { return ~0ull; }
uint64_t current_locked_limit() { return ~0ull; }
bool current_may_use_the_reserve() { return true; }
bool memory_ran_out() { return false; }
bool running_process_gives_back() { return false; }
bool may_use_last_frames() { return host::may_use_last_frames; }
void fault_count_minor() { host::fault_counts.minor++; }
void fault_count_major() { host::fault_counts.major++; }
bool fault_is_watched() { return false; }
void fault_seen_ahead(AddressSpace&, VirtAddr, Access, const FaultStory&) {}

uint32_t cpu_count() { return static_cast<uint32_t>(cpus.size()); }

void cpu_call_others(void (*function)(void* context), void* context) {
  PreemptionGuard guard;
  uint32_t self = this_cpu();
  if (host::executor) return host::executor->call((cpu_bit(cpu_count()) - 1) & ~cpu_bit(self), [=] { function(context); });
  for (uint32_t cpu = 0; cpu < cpus.size(); cpu++) {
    if (cpu == self) continue;
    host::machine_switch_cpu(cpu);
    InterruptGuard interrupt;
    function(context);
  }
  host::machine_switch_cpu(self);
}

void page_zero(FrameNumber frame) {
  alignas(4) static const uint8_t zeroes[kPageSize] = {};
  host::move_bytes(direct_map_bytes(frame), zeroes, kPageSize);
}
// Others may do something while it is half done.
void page_copy(FrameNumber destination, FrameNumber source) {
  constexpr uint32_t kHalf = kPageSize / 2;
  host::move_bytes(direct_map_bytes(destination), direct_map_bytes(source), kHalf);
  machine::point(machine::Point::kAccess);
  host::move_bytes(direct_map_bytes(destination) + kHalf, direct_map_bytes(source) + kHalf, kHalf);
}

void mmu_initialize_directory(FrameNumber directory) { page_zero(directory); }
void mmu_activate(FrameNumber directory) {
  if (cpu_here().directory == directory) return;
  cpu_here().directory = directory;
  cpu_here().forget_all();
}
FrameNumber mmu_active_directory() { return cpu_here().directory; }
FrameNumber mmu_kernel_directory() { return host::kernel_directory; }

void mmu_flush_page(VirtAddr page) { cpu_here().forget(page); }
void mmu_flush_all() { cpu_here().forget_all(); }
void mmu_flush_cpus(CpuMask mask, FlushRange range) {
  auto flush = [range](host::Cpu& cpu) {
    if (range.pages > kFlushAllThreshold) return cpu.forget_all();
    for (uint32_t i = 0; i < range.pages; i++) cpu.forget(range.start + i * kPageSize);
  };
  if (host::executor) return host::executor->call(mask & (cpu_bit(cpu_count()) - 1), [&] { flush(cpu_here()); });
  for (uint32_t number = 0; number < cpus.size(); number++)
    if (mask & cpu_bit(number)) flush(cpus[number]);
  if (host::on_flush) host::on_flush();
}

namespace {
// Byte ranges through the emulated MMU, page by page; returns the bytes not moved.
template <typename Move>
size_t move_user(VirtAddr address, size_t bytes, Move move) {
  size_t done = 0;
  while (done < bytes) {
    VirtAddr at = address + static_cast<uint32_t>(done);
    uint32_t piece = kPageSize - at.page_offset();
    if (piece > bytes - done) piece = static_cast<uint32_t>(bytes - done);
    if (at < address || move(at, done, piece) != FaultOutcome::kResolved) break;
    done += piece;
  }
  return bytes - done;
}
}  // namespace

extern "C" {

size_t user_copy_in(void* destination, VirtAddr source, size_t bytes) {
  auto* to = static_cast<uint8_t*>(destination);
  return move_user(source, bytes, [&](VirtAddr at, size_t done, uint32_t piece) { return host::machine_read(at, to + done, piece); });
}
size_t user_copy_out(VirtAddr destination, const void* source, size_t bytes) {
  auto* from = static_cast<const uint8_t*>(source);
  return move_user(destination, bytes,
                   [&](VirtAddr at, size_t done, uint32_t piece) { return host::machine_write(at, from + done, piece); });
}
size_t user_zero(VirtAddr destination, size_t bytes) {
  alignas(4) static const uint8_t zeroes[kPageSize] = {};
  return move_user(destination, bytes, [&](VirtAddr at, size_t, uint32_t piece) { return host::machine_write(at, zeroes, piece); });
}
int32_t user_copy_string_in(char* destination, VirtAddr source, size_t limit) {
  for (size_t i = 0; i < limit; i++) {
    if (user_copy_in(destination + i, source + static_cast<uint32_t>(i), 1) != 0) return -1;
    if (destination[i] == 0) return static_cast<int32_t>(i);
  }
  return static_cast<int32_t>(limit);
}
bool user_load_u32(VirtAddr address, uint32_t& value) { return user_copy_in(&value, address, 4) == 0; }
bool user_compare_exchange_u32(VirtAddr address, uint32_t& expected, uint32_t desired) {
  uint32_t now;
  if (user_copy_in(&now, address, 4) != 0) return false;
  if (now == expected && user_copy_out(address, &desired, 4) != 0) return false;
  expected = now;
  return true;
}

}  // extern "C"

}  // namespace faultline
