// The machine of the host tests: RAM, and processors with paging by the book (Intel SDM volume 3, 4.3 and 4.10), but with TLBs and
// caches of directory entries that never evict by themselves, so that a forgotten flush is always seen.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "arch/mmu.h"
#include "mm/space.h"

namespace faultline::host {

struct MachineOptions {
  uint32_t frames = 4096;  // of RAM
  uint32_t cpus = 3;
};

// Fresh RAM, CPUs without spaces, and mm started on them. Everything of the machine before must have been released or is forgotten.
void machine_start(MachineOptions options = {});

// The code that follows runs on this CPU.
void machine_switch_cpu(uint32_t cpu);
// And in this space (null: the kernel's own directory).
void machine_run(uint32_t cpu, AddressSpace* space);
AddressSpace* machine_space(uint32_t cpu);

// One user-mode access of the current CPU, `bytes` within one page, faults included.
FaultOutcome machine_read(VirtAddr address, void* destination, uint32_t bytes);
FaultOutcome machine_write(VirtAddr address, const void* source, uint32_t bytes);

// What processors and devices do to bytes of pages, word by word where both ends are aligned: others may look at them, or change them, at any time.
void move_bytes(uint8_t* destination, const uint8_t* source, size_t bytes);

// Runs when some code blocks: completions of emulated devices. Blocking with nothing deferred and no wake is a test failure.
void machine_defer(std::function<void()> action);

// Called when TLBs are flushed, after they are; null again by machine_start().
extern std::function<void()> on_flush;

// What may_use_last_frames() says; true again by machine_start().
extern bool may_use_last_frames;

// M5 and M6 for every translation and directory entry that some CPU caches: the first violation in words, or "".
std::string machine_check_tlbs();

// Faults that fault.cpp counted.
struct FaultCounts {
  std::atomic<uint32_t> minor{0}, major{0};
};
extern FaultCounts fault_counts;

// What a panic does: by default prints and aborts.
extern void (*panic_hook)(const char* message);

}  // namespace faultline::host
