// Paging hardware in software: see emulated_machine.h, and arch/mmu.h for what it promises.
#include "emulated_machine.h"

#include <cstdlib>
#include <cstring>
#include <map>
#include <vector>

#include "arch/interrupt.h"
#include <machine/planted_bugs.h>

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

// Loads a translation as the processor does, setting A and D. False: a page fault.
bool walk(Cpu& cpu, VirtAddr address, bool is_write) {
  auto cached = cpu.directory_cache.find(address.directory_index());
  Pte entry;
  if (cached != cpu.directory_cache.end()) {
    entry = cached->second;
  } else {
    PteSlot& slot = table_slots(cpu.directory)[address.directory_index()];
    entry = pte_load(slot);
    if (!entry.is_present()) return false;
    slot.fetch_or(Pte::kAccessed);
    cpu.directory_cache[address.directory_index()] = entry;
  }
  if (!is_ram(entry.frame()) || frame_record(entry.frame()).use != FrameUse::kPageTable)
    PANIC("the processor walks a frame that is no page table");
  PteSlot& slot = table_slots(entry.frame())[address.table_index()];
  Pte pte = pte_load(slot);
  if (!pte.is_present() || (pte.raw() & Pte::kUser) == 0) return false;
  bool writable = entry.is_writable() && pte.is_writable();
  if (is_write && !writable) return false;
  pte = Pte(slot.fetch_or(Pte::kAccessed | (is_write ? Pte::kDirty : 0)));
  cpu.tlb[address.value() >> kPageShift] = {pte.frame(), writable, is_write || pte.is_dirty()};
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
  const Frame& frame = frame_record(found->second.frame);
  if (!frame.is_counted() && found->second.frame != zero_page()) PANIC("the processor uses a frame that is no user page");
  return direct_map_bytes(found->second.frame) + address.page_offset();
}

FaultOutcome access(VirtAddr address, bool is_write, const std::function<void(uint8_t*)>& move) {
  if (!address.is_user()) return FaultOutcome::kNotAllowed;
  for (int faults = 0; faults < 50; faults++) {
    Cpu& cpu = cpu_here();
    if (uint8_t* byte = cpu.space ? translate(cpu, address, is_write) : nullptr) {
      move(byte);
      return FaultOutcome::kResolved;
    }
    // A page fault makes the processor forget what it knew of the address (SDM 4.10.4.1).
    cpu.forget(address);
    if (!cpu.space) return FaultOutcome::kNotMapped;
    FaultOutcome outcome = cpu.space->handle_fault(address, is_write ? Access::kWrite : Access::kRead);
    if (outcome != FaultOutcome::kResolved) return outcome;
  }
  PANIC("the same access faults for ever");
}

}  // namespace

void machine_start(MachineOptions options) {
  free(emulated_ram);
  ram_bytes = size_t{options.frames} * kPageSize;
  emulated_ram = static_cast<uint8_t*>(aligned_alloc(kPageSize, ram_bytes));
  memset(emulated_ram, 0xa5, ram_bytes);
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
  fault_counts = {};
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
  return access(address, false, [&](uint8_t* byte) { memcpy(destination, byte, bytes); });
}
FaultOutcome machine_write(VirtAddr address, const void* source, uint32_t bytes) {
  return access(address, true, [&](uint8_t* byte) { memcpy(byte, source, bytes); });
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
  for (const host::Cpu& cpu : cpus) {
    if (cpu.directory.value() == frame) PANIC("M6: the loaded directory is freed");
    for (auto& [page, translation] : cpu.tlb)
      if (translation.frame.value() == frame) PANIC("M6: a frame is freed while a TLB names it");
    for (auto& [index, entry] : cpu.directory_cache)
      if (entry.frame().value() == frame) PANIC("M6: a table is freed while a directory cache names it");
  }
}
}  // namespace machine

uint64_t current_data_limit() { return ~0ull; }
uint64_t current_locked_limit() { return ~0ull; }
bool current_may_use_the_reserve() { return true; }
bool memory_ran_out() { return false; }
bool may_use_last_frames() { return host::may_use_last_frames; }
void fault_count_minor() { host::fault_counts.minor++; }
void fault_count_major() { host::fault_counts.major++; }
bool fault_is_watched() { return false; }
void fault_seen_ahead(AddressSpace&, VirtAddr, Access, const FaultStory&) {}

uint32_t cpu_count() { return static_cast<uint32_t>(cpus.size()); }

void cpu_call_others(void (*function)(void* context), void* context) {
  uint32_t self = this_cpu();
  for (uint32_t cpu = 0; cpu < cpus.size(); cpu++) {
    if (cpu == self) continue;
    host::machine_switch_cpu(cpu);
    InterruptGuard guard;
    function(context);
  }
  host::machine_switch_cpu(self);
}

void page_zero(FrameNumber frame) { memset(direct_map(frame), 0, kPageSize); }
void page_copy(FrameNumber destination, FrameNumber source) { memcpy(direct_map(destination), direct_map(source), kPageSize); }

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
  for (uint32_t number = 0; number < cpus.size(); number++) {
    if (!(mask & cpu_bit(number))) continue;
    if (range.pages > kFlushAllThreshold)
      cpus[number].forget_all();
    else
      for (uint32_t i = 0; i < range.pages; i++) cpus[number].forget(range.start + i * kPageSize);
  }
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
  static const uint8_t zeroes[kPageSize] = {};
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
