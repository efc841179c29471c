// See mm_fuzzer.h.
#include "mm_fuzzer.h"

#include <cstdlib>
#include <cstring>

#include <machine/planted_bugs.h>

#include "mm/check.h"
#include "mm/frame.h"
#include "mm/reclaim.h"
#include "mm/slab.h"

namespace faultline::host {
namespace {

constexpr uint32_t kMaxProcesses = 5, kMaxObjects = 4, kMaxFilePages = 14;
constexpr uint32_t kBorders[] = {0x10000000, 0x10400000, 0x10800000, 0x08400000};
constexpr uint32_t kStackEnd = 0x7fff0000, kStackPages = 24;
constexpr uint32_t kBreakStart = 0x083fd000;

uint32_t page_number(VirtAddr address) { return address.value() >> kPageShift; }

}  // namespace

const Fuzzer::Operation Fuzzer::kOperations[] = {
    {"map", 8, &Fuzzer::map},
    {"map anywhere", 2, &Fuzzer::map_anywhere},
    {"unmap", 5, &Fuzzer::unmap},
    {"protect", 6, &Fuzzer::protect},
    {"fork", 4, &Fuzzer::fork},
    {"exit", 3, &Fuzzer::exit_process},
    {"start", 1, &Fuzzer::start_process},
    {"switch", 8, &Fuzzer::switch_cpu},
    {"access", 50, &Fuzzer::access},
    {"stack", 4, &Fuzzer::access_stack},
    {"foreign", 3, &Fuzzer::access_foreign},
    {"read", 4, &Fuzzer::file_read},
    {"write", 4, &Fuzzer::file_write},
    {"read to user", 3, &Fuzzer::file_read_to_user},
    {"write from user", 3, &Fuzzer::file_write_from_user},
    {"truncate", 2, &Fuzzer::truncate},
    {"write back", 3, &Fuzzer::write_back},
    {"drop clean", 2, &Fuzzer::drop_clean},
    {"discard", 1, &Fuzzer::discard},
    {"new object", 1, &Fuzzer::new_object},
    {"forget object", 1, &Fuzzer::forget_object},
    {"loan", 3, &Fuzzer::loan},
    {"return loan", 2, &Fuzzer::return_loan},
    {"remap", 4, &Fuzzer::remap},
    {"break", 3, &Fuzzer::move_break},
    {"drop pages", 3, &Fuzzer::drop_pages},
    {"advise fork", 2, &Fuzzer::advise_fork},
    {"lock pages", 2, &Fuzzer::lock_pages},
    {"sync", 2, &Fuzzer::sync},
    {"inspect", 1, &Fuzzer::inspect},
    {"swap out", 8, &Fuzzer::swap_out},
    {"swap off and on", 1, &Fuzzer::swap_off_and_on},
};

Fuzzer::Fuzzer(const FuzzOptions& options) : options_(options), generator_(options.seed) {
  machine_start({.frames = options.frames, .cpus = 3});
  machine::allocation_failure_rate = 0;
  machine::allocation_failure_state = options.seed;
}

void Fuzzer::fail(const std::string& what) {
  fprintf(stderr, "fuzzer: seed %u step %u (%s): %s\n", options_.seed, step_, operation_, what.c_str());
  fflush(stderr);
  abort();
}

size_t Fuzzer::index_of(const ModelProcess* process) const {
  for (size_t i = 0; i < processes_.size(); i++)
    if (processes_[i].get() == process) return i;
  return 99;
}
size_t Fuzzer::index_of(const ModelObject* object) const {
  for (size_t i = 0; i < objects_.size(); i++)
    if (objects_[i].get() == object) return i;
  return 99;
}

void Fuzzer::with_failures() {
  failures_before_ = source_failures();
  bool inject = options_.inject_failures && chance(25);
  machine::allocation_failure_rate = inject ? 2 + random(12) : 0;
  for (auto& object : objects_)
    if (object->source()) object->source()->failure_rate = inject && chance(40) ? 2 + random(6) : 0;
  swap_.failure_rate = inject && chance(40) ? 2 + random(6) : 0;
}

void Fuzzer::without_failures() {
  machine::allocation_failure_rate = 0;
  for (auto& object : objects_)
    if (object->source()) object->source()->failure_rate = 0;
  swap_.failure_rate = 0;
}

uint32_t Fuzzer::source_failures() const {
  uint32_t failures = swap_.failures;
  for (auto& object : objects_)
    if (object->source()) failures += object->source()->failures;
  return failures;
}

void Fuzzer::step() {
  uint32_t total = 0;
  for (const Operation& operation : kOperations) total += operation.weight;
  uint32_t choice = random(total);
  for (const Operation& operation : kOperations) {
    if (choice >= operation.weight) {
      choice -= operation.weight;
      continue;
    }
    operation_ = operation.name;
    tell("\nstep %u: %s", step_, operation_);
    with_failures();
    (this->*operation.run)();
    without_failures();
    break;
  }
  check_machine();
}

void Fuzzer::run() {
  if (options_.has_swap) start_swap();
  for (int i = 0; i < 2; i++) new_object();
  for (int i = 0; i < 2; i++) start_process();
  for (step_ = 1; step_ <= options_.operations; step_++) {
    step();
    if (step_ % options_.full_check == 0) {
      check_everything();
      check_machine();
    }
  }
  operation_ = "end";
  check_everything();
  check_disks();
  finish();
}

void Fuzzer::check_machine() {
  std::string wrong = machine_check_tlbs();
  if (!wrong.empty()) fail(wrong);
  if (const char* broken = mm_check_invariants()) fail(broken);
  for (Loan& loan : loans_)
    if (memcmp(loan.frame.data(), loan.bytes.data(), kPageSize) != 0) fail("a loaned page has changed");
}

// Every byte of every process, and of every file.
void Fuzzer::check_everything() {
  for (auto& process : processes_) {
    machine_run(0, process->space.get());
    for (auto& [number, page] : process->pages) {
      if (page.expected(false) != FaultOutcome::kResolved) continue;
      uint8_t bytes[kPageSize];
      FaultOutcome outcome = machine_read(VirtAddr(number << kPageShift), bytes, kPageSize);
      if (outcome == FaultOutcome::kOutOfMemory) continue;
      if (outcome != FaultOutcome::kResolved) fail("a page that should be readable is not");
      for (uint32_t i = 0; i < kPageSize; i++)
        if (int byte = page.byte(i); byte >= 0 && bytes[i] != byte) {
          char text[160];
          snprintf(text, sizeof text, "page %#x of process %zu (object %zu index %u%s) byte %u is %#x, should be %#x", number << kPageShift,
                   index_of(process.get()), page.object ? index_of(page.object.get()) : 99, page.index,
                   page.shared ? " shared"
                   : page.own  ? " own"
                               : "",
                   i, bytes[i], byte);
          fail(text);
        }
    }
  }
  for (auto& object : objects_) {
    std::vector<uint8_t> bytes(object->size() + 1);
    IoBuffer buffer = IoBuffer::kernel(bytes.data(), bytes.size());
    auto result = object->object().read(0, buffer);
    if (!result.ok() && result.error() == Errno::kNOMEM) continue;
    if (!result.ok()) fail("a file cannot be read");
    if (result.value() > object->size()) fail("a file is longer than it should be");
    if (memcmp(bytes.data(), object->bytes.data(), result.value()) != 0) fail("a file's bytes differ");
    if (object->object().size() != object->size()) fail("a file's size differs");
  }
}

// After a write-back the disk alone must know everything.
void Fuzzer::check_disks() {
  for (auto& object : objects_) {
    if (!object->source()) continue;
    while (!object->object().write_back_all(WriteBack::kWait).ok()) {
    }
    for (uint64_t i = 0; i < object->size(); i++) {
      auto found = object->source()->disk.find(static_cast<uint32_t>(i / kPageSize));
      uint8_t byte = found == object->source()->disk.end() ? 0 : found->second[i % kPageSize];
      if (byte != object->bytes[i]) fail("a write-back has left the disk behind");
    }
  }
}

void Fuzzer::finish() {
  while (!processes_.empty()) remove_process(0);
  loans_.clear();
  objects_.clear();
  check_machine();
  SwapStatistics swap = swap_statistics();
  if (swap.free != swap.total || swap.cached != 0) fail("swap slots leaked");
  if (swap_area_ && !swap_remove(*swap_area_).ok()) fail("an empty swap area cannot be taken out");
  for (uint32_t cpu = 0; cpu < 3; cpu++) machine_run(cpu, nullptr);
  slab_drain();
  FrameStatistics statistics = frame_statistics();
  auto used = [&](FrameUse use) { return statistics.by_use[static_cast<uint32_t>(use)]; };
  if (used(FrameUse::kAnonymous) || used(FrameUse::kObject) || used(FrameUse::kPageTable)) fail("pages leaked");
  if (used(FrameUse::kSlab)) fail("slab memory leaked");
  if (used(FrameUse::kPageDirectory) > 5) fail("directories leaked");
}

ModelProcess* Fuzzer::process_on(uint32_t cpu) {
  machine_switch_cpu(cpu);
  for (auto& process : processes_)
    if (process->space.get() == machine_space(cpu)) return process.get();
  return nullptr;
}

VirtAddr Fuzzer::any_page(const ModelProcess* process) {
  if (process && !process->pages.empty() && chance(60)) {
    auto at = process->pages.begin();
    std::advance(at, random(static_cast<uint32_t>(process->pages.size())));
    return VirtAddr(at->first << kPageShift);
  }
  uint32_t border = kBorders[random(3)];
  return VirtAddr(border + (random(12) - 6) * kPageSize);
}

Protection Fuzzer::any_protection() {
  constexpr Protection kChoices[] = {kProtRead | kProtWrite,  kProtRead | kProtWrite, kProtRead | kProtWrite, kProtRead, kProtNone,
                                     kProtRead | kProtExecute};
  return kChoices[random(6)];
}

std::shared_ptr<ModelObject> Fuzzer::any_object() {
  return objects_.empty() ? nullptr : objects_[random(static_cast<uint32_t>(objects_.size()))];
}

// Processes.

void Fuzzer::start_process() {
  if (processes_.size() >= kMaxProcesses) return;
  auto space = AddressSpace::create();
  if (!space.ok()) return;
  auto process = std::make_unique<ModelProcess>();
  process->space = space.release_value();
  process->space->set_limits(kStackPages * kPageSize, kKernelBase);
  process->space->set_break_start(VirtAddr(kBreakStart));
  process->break_start = process->break_now = VirtAddr(kBreakStart);
  MapRequest request;
  request.address = VirtAddr(kStackEnd - 2 * kPageSize);
  request.bytes = 2 * kPageSize;
  request.protection = kProtRead | kProtWrite;
  request.fixed = request.grows_down = true;
  request.kind = RegionKind::kStack;
  auto stack = process->space->map(request);
  if (!stack.ok()) return;
  ModelPage page;
  page.protection = kProtRead | kProtWrite;
  model_map(*process, request.address, 2, page);
  process->stack_end = kStackEnd >> kPageShift;
  process->stack_low = process->stack_end - kStackPages;
  processes_.push_back(std::move(process));
  switch_cpu();
}

void Fuzzer::fork() {
  if (processes_.size() >= kMaxProcesses) return;
  ModelProcess* parent = process_on(any_cpu());
  if (!parent) return;
  auto space = parent->space->fork(chance(60) ? any_page(parent) : VirtAddr(kStackEnd - 8));
  if (!space.ok()) return expect(space.error() == Errno::kNOMEM, "fork fails with another error");
  auto child = std::make_unique<ModelProcess>(*parent);
  child->space = space.release_value();
  std::erase_if(child->pages, [](const auto& entry) { return entry.second.inheritance == Inheritance::kLeftOut; });
  for (auto& [number, page] : child->pages)
    if (page.inheritance == Inheritance::kEmpty) page.own = nullptr;
  processes_.push_back(std::move(child));
  if (chance(50)) switch_cpu();
}

void Fuzzer::remove_process(size_t index) {
  AddressSpace* space = processes_[index]->space.get();
  for (uint32_t cpu = 0; cpu < 3; cpu++)
    if (machine_space(cpu) == space) machine_run(cpu, nullptr);
  processes_.erase(processes_.begin() + static_cast<ptrdiff_t>(index));
}

void Fuzzer::exit_process() {
  if (processes_.size() < 2) return;
  machine_switch_cpu(any_cpu());
  remove_process(random(static_cast<uint32_t>(processes_.size())));
}

void Fuzzer::switch_cpu() {
  ModelProcess* process = any_process();
  if (process) machine_run(any_cpu(), chance(95) ? process->space.get() : nullptr);
}

// Mappings.

void Fuzzer::model_map(ModelProcess& process, VirtAddr start, uint32_t pages, const ModelPage& first) {
  for (uint32_t i = 0; i < pages; i++) {
    ModelPage page = first;
    page.index += i;
    process.pages[page_number(start) + i] = page;
  }
}

void Fuzzer::model_unmap(ModelProcess& process, VirtAddr start, uint32_t pages) {
  for (uint32_t i = 0; i < pages; i++) process.pages.erase(page_number(start) + i);
}

void Fuzzer::map() {
  ModelProcess* process = process_on(any_cpu());
  if (!process) process = any_process();
  if (!process) return;
  ModelPage page;
  page.protection = any_protection();
  uint32_t pages = 1 + random(7);
  MapRequest request;
  request.address = any_page(nullptr);
  request.fixed = true;
  request.bytes = pages * kPageSize;
  if (chance(55)) {
    page.object = any_object();
    if (!page.object) return;
    page.shared = chance(60);
    page.index = random(kMaxFilePages);
    request.object = page.object->ref();
    request.object_offset = PageIndex(page.index);
    if (page.shared && !(page.protection & kProtWrite) && chance(50)) page.max_protection = kProtRead | kProtExecute;
  }
  request.shared = page.shared;
  request.populate = chance(10) && (page.shared || !page.object);  // else it would copy, which the model cannot see
  request.protection = page.protection;
  request.max_protection = page.max_protection;
  tell(" process %zu at %#x pages %u protection %u object %zu index %u %s", index_of(process), request.address.value(), pages,
       page.protection, index_of(page.object.get()), page.index, page.shared ? "shared" : "private");
  auto result = process->space->map(request);
  if (!result.ok()) return expect(result.error() == Errno::kNOMEM, "mmap fails with another error");
  expect(result.value() == request.address, "mmap has not kept to a fixed place");
  model_unmap(*process, request.address, pages);
  model_map(*process, request.address, pages, page);
}

void Fuzzer::map_anywhere() {
  ModelProcess* process = process_on(any_cpu());
  if (!process || process->pages.size() > 120) return;
  ModelPage page;
  page.protection = any_protection();
  uint32_t pages = 1 + random(7);
  MapRequest request;
  request.bytes = pages * kPageSize - random(kPageSize);
  request.protection = page.protection;
  if (chance(30)) request.address = any_page(process);
  auto result = process->space->map(request);
  if (!result.ok()) return expect(result.error() == Errno::kNOMEM, "mmap fails with another error");
  for (uint32_t i = 0; i < pages; i++) expect(!process->page(result.value() + i * kPageSize), "mmap chose a place that is taken");
  model_map(*process, result.value(), pages, page);
}

void Fuzzer::unmap() {
  ModelProcess* process = chance(70) ? process_on(any_cpu()) : any_process();
  if (!process) return;
  VirtAddr start = any_page(process);
  if (page_number(start) >= process->stack_low) return;  // the stack stays
  if (start.value() < kBreakStart + 0x100000) return;    // and the heap
  uint32_t pages = chance(10) ? 1024 : 1 + random(8);
  tell(" process %zu at %#x pages %u", index_of(process), start.value(), pages);
  auto result = process->space->unmap(start, pages * kPageSize);
  if (!result.ok()) return expect(may_fail(result), "munmap fails with another error");
  model_unmap(*process, start, pages);
}

void Fuzzer::protect() {
  ModelProcess* process = chance(70) ? process_on(any_cpu()) : any_process();
  if (!process) return;
  VirtAddr start = any_page(process);
  uint32_t pages = 1 + random(6);
  Protection protection = any_protection();
  bool is_mapped = true, is_allowed = true;
  for (uint32_t i = 0; i < pages; i++) {
    ModelPage* page = process->page(start + i * kPageSize);
    is_mapped = is_mapped && page;
    is_allowed = is_allowed && (!page || (protection & ~page->max_protection) == 0);
  }
  tell(" process %zu at %#x pages %u protection %u", index_of(process), start.value(), pages, protection);
  auto result = process->space->protect(start, pages * kPageSize, protection);
  if (!is_mapped || !is_allowed) return expect(!result.ok(), "mprotect does what it must not");
  if (!result.ok()) return expect(may_fail(result), "mprotect fails with another error");
  for (uint32_t i = 0; i < pages; i++) process->page(start + i * kPageSize)->protection = protection;
  if (page_number(start) >= process->stack_low) process->stack_is_cut = true;
}

// After a failure that may have emptied a range: the kernel says which pages are left.
void Fuzzer::adopt_holes(ModelProcess& process, VirtAddr start, uint32_t pages) {
  struct Look {
    VirtAddr at;
    bool found;
  };
  for (uint32_t i = 0; i < pages; i++) {
    Look look{start + i * kPageSize, false};
    process.space->for_each_region(
        [](const RegionView& view, void* context) {
          Look& wanted = *static_cast<Look*>(context);
          wanted.found = wanted.found || (view.start <= wanted.at && wanted.at < view.end);
          return true;
        },
        &look);
    if (!look.found) process.pages.erase(page_number(look.at));
  }
}

void Fuzzer::remap() {
  constexpr uint32_t kMayMove = 1, kFixed = 2, kDontUnmap = 4;
  ModelProcess* process = process_on(any_cpu());
  if (!process) return;
  VirtAddr start = any_page(process);
  if (page_number(start) >= process->stack_low || start.value() < kBreakStart + 0x100000) return;
  uint32_t old_pages = 1 + random(4), new_pages = 1 + random(6);
  uint32_t flags = chance(30) ? 0 : chance(50) ? kMayMove : kMayMove | kFixed;
  VirtAddr target = any_page(nullptr);
  if ((flags & kMayMove) && chance(20)) {
    flags |= kDontUnmap;
    new_pages = old_pages;
  } else if ((flags & kMayMove) && chance(10)) {
    old_pages = 0;  // duplicates
  }
  tell(" process %zu at %#x pages %u to %u flags %u target %#x", index_of(process), start.value(), old_pages, new_pages, flags,
       target.value());
  auto result = process->space->remap(start, old_pages * kPageSize, new_pages * kPageSize, flags, target);
  if (!result.ok()) {
    // A fixed place is emptied before the move may fail.
    bool may_be_emptied = result.error() == Errno::kNOMEM || (result.error() == Errno::kFAULT && old_pages == 0);
    if ((flags & kFixed) && may_be_emptied) adopt_holes(*process, target, new_pages);
    return;
  }
  VirtAddr to = result.value();
  std::vector<ModelPage> moved;
  if (old_pages == 0) {
    ModelPage* first = process->page(start);
    expect(first && first->shared, "mremap duplicates what is not shared");
    ModelPage page = *first;
    model_unmap(*process, to, new_pages);
    return model_map(*process, to, new_pages, page);
  }
  for (uint32_t i = 0; i < old_pages; i++) {
    expect(process->page(start + i * kPageSize) != nullptr, "mremap moves what is not mapped");
    moved.push_back(*process->page(start + i * kPageSize));
  }
  if (flags & kDontUnmap)
    for (uint32_t i = 0; i < old_pages; i++) process->page(start + i * kPageSize)->own = nullptr;
  else
    model_unmap(*process, start, old_pages);
  if (flags & kFixed) {
    expect(to == target, "mremap has not kept to a fixed place");
    model_unmap(*process, to, new_pages);
  }
  for (uint32_t i = 0; i < new_pages; i++) {
    ModelPage page = moved[i < old_pages ? i : old_pages - 1];
    if (i >= old_pages) {
      page.own = nullptr;
      page.index += i - old_pages + 1;
      expect(!process->page(to + i * kPageSize), "mremap grows over something");
    }
    process->pages[page_number(to) + i] = page;
  }
}

void Fuzzer::move_break() {
  ModelProcess* process = process_on(any_cpu());
  if (!process) return;
  VirtAddr wanted = process->break_start + random(9 * kPageSize);
  VirtAddr now = process->space->set_break(wanted, 1 << 20);
  expect(now == wanted || now == process->break_now, "brk ends somewhere else");
  auto end_page = [](VirtAddr at) { return pages_for(at.value()); };
  for (uint32_t page = end_page(now); page < end_page(process->break_now); page++) process->pages.erase(page);
  ModelPage fresh;
  fresh.protection = kProtRead | kProtWrite;
  for (uint32_t page = end_page(process->break_now); page < end_page(now); page++) process->pages[page] = fresh;
  process->break_now = now;
}

void Fuzzer::drop_pages() {
  constexpr uint32_t kDontNeed = 4, kFree = 8;
  ModelProcess* process = process_on(any_cpu());
  if (!process) return;
  VirtAddr start = any_page(process);
  uint32_t pages = 1 + random(6);
  bool is_free = chance(30), is_anonymous = true;
  for (uint32_t i = 0; i < pages; i++) {
    ModelPage* page = process->page(start + i * kPageSize);
    if (!page) return;  // around a hole it works and says kNOMEM, which it says without memory, too
    is_anonymous = is_anonymous && !page->object;
  }
  tell(" process %zu at %#x pages %u", index_of(process), start.value(), pages);
  auto result = process->space->advise(start, pages * kPageSize, is_free ? kFree : kDontNeed);
  expect(is_anonymous || !is_free || !result.ok(), "MADV_FREE takes pages of an object");
  if (!result.ok()) return;
  for (uint32_t i = 0; i < pages; i++) process->page(start + i * kPageSize)->own = nullptr;
}

void Fuzzer::advise_fork() {
  constexpr uint32_t kDontFork = 10, kDoFork = 11, kWipeOnFork = 18;
  ModelProcess* process = process_on(any_cpu());
  if (!process) return;
  VirtAddr start = any_page(process);
  uint32_t pages = 1 + random(6), advice = chance(40) ? kDoFork : chance(50) ? kDontFork : kWipeOnFork;
  bool is_anonymous = true;
  for (uint32_t i = 0; i < pages; i++) {
    ModelPage* page = process->page(start + i * kPageSize);
    // The heap and the stack are left alone: their growth would have to be modelled.
    if (!page || page_number(start) + i >= process->stack_low || start.value() < kBreakStart + 0x100000) return;
    is_anonymous = is_anonymous && !page->object;
  }
  auto result = process->space->advise(start, pages * kPageSize, advice);
  if (advice == kWipeOnFork && !is_anonymous) return expect(!result.ok(), "a file is wiped on fork");
  if (!result.ok()) return expect(may_fail(result), "madvise fails with another error");
  Inheritance inheritance = advice == kDoFork ? Inheritance::kCopied : advice == kDontFork ? Inheritance::kLeftOut : Inheritance::kEmpty;
  for (uint32_t i = 0; i < pages; i++) process->page(start + i * kPageSize)->inheritance = inheritance;
}

void Fuzzer::lock_pages() {
  ModelProcess* process = process_on(any_cpu());
  if (!process) return;
  VirtAddr start = any_page(process);
  uint32_t pages = 1 + random(6);
  for (uint32_t i = 0; i < pages; i++) {
    ModelPage* page = process->page(start + i * kPageSize);
    if (!page) return;
    if (page->object && !page->shared && (page->protection & kProtWrite)) return;  // copies that the model cannot see
  }
  // Unlocked soon: a locked page is one that madvise may not drop and that does not go to swap, and else like any other.
  auto locked = process->space->lock_pages(start, pages * kPageSize, chance(80) ? LockMode::kLocked : LockMode::kOnFault);
  if (locked.ok()) check_locked_pages_stay(*process, start, pages);
  auto unlocked = process->space->lock_pages(start, pages * kPageSize, LockMode::kNone);
  while (!unlocked.ok()) {
    expect(may_fail(unlocked), "munlock fails with another error");
    unlocked = process->space->lock_pages(start, pages * kPageSize, LockMode::kNone);
  }
}

// Accesses.

void Fuzzer::check_outcome(FaultOutcome outcome, FaultOutcome expected, VirtAddr address) {
  if (outcome == expected || outcome == FaultOutcome::kOutOfMemory) return;
  if (outcome == FaultOutcome::kBusError && source_failures() != failures_before_) return;
  char text[120];
  snprintf(text, sizeof text, "access to %#x ends with %u, should be %u", address.value(), static_cast<unsigned>(outcome),
           static_cast<unsigned>(expected));
  fail(text);
}

void Fuzzer::check_access(ModelProcess& process, VirtAddr address, bool is_write, uint32_t bytes) {
  tell(" cpu %u process %zu %s %#x", this_cpu(), index_of(&process), is_write ? "write" : "read", address.value());
  ModelPage* page = process.page(address);
  FaultOutcome expected = page ? page->expected(is_write) : FaultOutcome::kNotMapped;
  uint8_t data[16];
  uint32_t offset = address.page_offset();
  if (is_write) {
    for (uint32_t i = 0; i < bytes; i++) data[i] = static_cast<uint8_t>(++bytes_tag_ * 37 + i);
    FaultOutcome outcome = machine_write(address, data, bytes);
    check_outcome(outcome, expected, address);
    if (outcome == FaultOutcome::kResolved)
      for (uint32_t i = 0; i < bytes; i++) page->write(offset + i, data[i]);
    return;
  }
  FaultOutcome outcome = machine_read(address, data, bytes);
  check_outcome(outcome, expected, address);
  if (outcome != FaultOutcome::kResolved) return;
  for (uint32_t i = 0; i < bytes; i++)
    if (int byte = page->byte(offset + i); byte >= 0 && data[i] != byte) {
      char text[100];
      snprintf(text, sizeof text, "read %#x gives %#x, should be %#x", address.value() + i, data[i], byte);
      fail(text);
    }
}

void Fuzzer::access() {
  ModelProcess* process = process_on(any_cpu());
  if (!process) return;
  may_happen_in_reads_ = true;
  uint32_t times = 1 + random(4);
  VirtAddr page = any_page(process);
  for (uint32_t i = 0; i < times; i++) {
    VirtAddr at = page + i * kPageSize;
    if (page_number(at) >= process->stack_low && !process->page(at)) return;  // growth is access_stack's
    check_access(*process, at + random(kPageSize - 16), chance(50), 1 + random(12));
  }
  may_happen_in_reads_ = false;
}

void Fuzzer::access_stack() {
  ModelProcess* process = process_on(any_cpu());
  if (!process) return;
  uint32_t number = process->stack_end - 1 - random(kStackPages + 2);
  VirtAddr address = VirtAddr(number << kPageShift) + random(kPageSize - 16);
  if (number < process->stack_low && process->stack_is_cut) return;  // the limit counts from the cut then
  if (number >= process->stack_low && !process->page(address)) {
    // A touch within the limit grows the stack down to it; mprotect may have changed what grows.
    ModelPage page;
    page.protection = process->pages.upper_bound(number)->second.protection;
    uint8_t byte = 0;
    FaultOutcome outcome = machine_read(address, &byte, 1);
    check_outcome(outcome, page.expected(false), address);
    for (uint32_t i = number; !process->pages.count(i); i++) process->pages[i] = page;
    return;
  }
  check_access(*process, address, chance(50), 1 + random(12));
}

void Fuzzer::access_foreign() {
  ModelProcess* process = any_process();
  if (!process) return;
  VirtAddr address = any_page(process) + random(kPageSize - 16);
  if (page_number(address) >= process->stack_low && !process->page(address)) return;
  ModelPage* page = process->page(address);
  bool is_write = chance(50);
  FaultOutcome expected = page ? page->expected(is_write) : FaultOutcome::kNotMapped;
  uint8_t data[8];
  for (uint8_t& byte : data) byte = static_cast<uint8_t>(++bytes_tag_ * 41);
  auto result =
      is_write ? process->space->write_foreign(address, data, sizeof data) : process->space->read_foreign(address, data, sizeof data);
  if (!result.ok()) return;
  expect(expected == FaultOutcome::kResolved && result.value() == sizeof data, "a foreign access does what it must not");
  for (uint32_t i = 0; i < sizeof data; i++) {
    if (is_write)
      page->write(address.page_offset() + i, data[i]);
    else if (int byte = page->byte(address.page_offset() + i); byte >= 0)
      expect(data[i] == byte, "a foreign read gives other bytes");
  }
}

void Fuzzer::loan() {
  ModelProcess* process = process_on(any_cpu());
  if (!process || loans_.size() >= 4) return;
  VirtAddr at = any_page(process);
  auto result = process->space->loan_page(at);
  if (!result.ok()) return;
  Loan loan;
  loan.bytes.assign(result.value().data(), result.value().data() + kPageSize);
  loan.frame = result.release_value();
  loans_.push_back(std::move(loan));
  if (chance(70)) check_access(*process, at + random(kPageSize - 16), true, 8);
}

void Fuzzer::return_loan() {
  if (!loans_.empty()) loans_.erase(loans_.begin() + random(static_cast<uint32_t>(loans_.size())));
}

// Files.

void Fuzzer::new_object() {
  if (objects_.size() >= kMaxObjects) return;
  without_failures();
  uint64_t size = random(kMaxFilePages * kPageSize);
  if (frame_statistics().free < 10) return;
  objects_.push_back(std::make_shared<ModelObject>(chance(65), size));
}

void Fuzzer::forget_object() {
  if (objects_.size() < 3) return;
  size_t index = random(static_cast<uint32_t>(objects_.size()));
  for (auto& process : processes_)
    for (auto& [number, page] : process->pages)
      if (page.object == objects_[index]) return;
  objects_.erase(objects_.begin() + static_cast<ptrdiff_t>(index));
}

void Fuzzer::file_read() {
  auto object = any_object();
  if (!object) return;
  uint32_t offset = random(kMaxFilePages * kPageSize), bytes = random(4 * kPageSize);
  std::vector<uint8_t> data(bytes + 1);
  IoBuffer buffer = IoBuffer::kernel(data.data(), bytes);
  auto result = object->object().read(offset, buffer);
  if (!result.ok()) return;
  size_t expected = offset >= object->size() ? 0 : std::min<size_t>(bytes, object->size() - offset);
  bool is_short = result.value() < expected;
  expect(result.value() <= expected, "read gives too much");
  expect(!is_short || options_.inject_failures || frame_statistics().free < 8, "read gives too little");
  expect(memcmp(data.data(), object->bytes.data() + (result.value() ? offset : 0), result.value()) == 0, "read gives other bytes");
}

void Fuzzer::file_write() {
  auto object = any_object();
  if (!object) return;
  uint32_t offset = random((kMaxFilePages - 4) * kPageSize), bytes = 1 + random(4 * kPageSize);
  if (chance(30)) offset = static_cast<uint32_t>(object->size());  // an append
  if (offset + bytes > kMaxFilePages * kPageSize) return;
  if (chance(30)) offset &= ~kPageMask;
  std::vector<uint8_t> data(bytes);
  for (uint8_t& byte : data) byte = static_cast<uint8_t>(generator_());
  IoBuffer buffer = IoBuffer::kernel(data.data(), bytes);
  if (object->source() && object->source()->size_on_disk < offset + bytes) object->source()->size_on_disk = ~0ull;
  tell(" object %zu (size %zu) at %u bytes %u", index_of(object.get()), size_t(object->size()), offset, bytes);
  auto result = object->object().write(offset, buffer);
  tell(" gives %d", result.ok() ? int(result.value()) : -int(result.error()));
  if (!result.ok()) return;
  size_t end = offset + result.value();
  if (result.value() > 0 && end > object->size()) object->bytes.resize(end);
  std::copy_n(data.begin(), result.value(), object->bytes.begin() + offset);
}

// The same with the caller's memory on the other side: private anonymous pages, whose bytes the model knows.
void Fuzzer::file_read_to_user() {
  ModelProcess* process = process_on(any_cpu());
  auto object = any_object();
  if (!process || !object) return;
  VirtAddr start = any_page(process) + random(kPageSize);
  uint32_t offset = random(kMaxFilePages * kPageSize), bytes = 1 + random(2 * kPageSize);
  for (uint32_t at = 0; at <= bytes + kPageSize; at += kPageSize)
    if (ModelPage* page = process->page(start + at); (page && page->object) || page_number(start + at) >= process->stack_low) return;
  IoBuffer buffer = IoBuffer::user(start, bytes);
  tell(" process %zu at %#x object %zu (size %zu) at %u bytes %u", index_of(process), start.value(), index_of(object.get()),
       size_t(object->size()), offset, bytes);
  auto result = object->object().read(offset, buffer);
  tell(" gives %d", result.ok() ? int(result.value()) : -int(result.error()));
  if (!result.ok()) return;
  for (uint32_t i = 0; i < result.value(); i++) {
    ModelPage* page = process->page(start + i);
    expect(page && page->expected(true) == FaultOutcome::kResolved, "read writes where it must not");
    page->write((start + i).page_offset(), object->bytes[offset + i]);
  }
  // Bytes past a fault may have been moved as far as the page's end by the copy: here copies go page by page, so none.
}

void Fuzzer::file_write_from_user() {
  ModelProcess* process = process_on(any_cpu());
  auto object = any_object();
  if (!process || !object) return;
  VirtAddr start = any_page(process) + random(kPageSize);
  uint32_t offset = random((kMaxFilePages - 4) * kPageSize), bytes = 1 + random(2 * kPageSize);
  if (chance(40)) offset &= ~kPageMask;
  for (uint32_t at = 0; at <= bytes + kPageSize; at += kPageSize)
    if (ModelPage* page = process->page(start + at); (page && page->object) || page_number(start + at) >= process->stack_low) return;
  IoBuffer buffer = IoBuffer::user(start, bytes);
  tell(" object %zu (size %zu) at %u bytes %u", index_of(object.get()), size_t(object->size()), offset, bytes);
  auto result = object->object().write(offset, buffer);
  tell(" gives %d", result.ok() ? int(result.value()) : -int(result.error()));
  if (!result.ok()) return;
  size_t end = offset + result.value();
  if (result.value() > 0 && end > object->size()) object->bytes.resize(end);
  for (uint32_t i = 0; i < result.value(); i++) {
    ModelPage* page = process->page(start + i);
    expect(page && page->expected(false) == FaultOutcome::kResolved, "write reads where it must not");
    object->bytes[offset + i] = static_cast<uint8_t>(page->byte((start + i).page_offset()));
  }
}

void Fuzzer::truncate() {
  auto object = any_object();
  if (!object) return;
  uint64_t size = chance(20) ? random(kMaxFilePages) * kPageSize : random(kMaxFilePages * kPageSize);
  tell(" object %zu from %zu to %zu", index_of(object.get()), size_t(object->size()), size_t(size));
  auto result = object->object().resize(size);
  // Zeroing the tail of a page that is in swap wants memory to read it into, and a device that gives it.
  const bool may_fail = size > object->size() || (options_.has_swap && !object->source() && size % kPageSize != 0);
  if (!result.ok()) return expect(may_fail, "a file cannot be shortened");
  object->bytes.resize(size);
  for (auto& process : processes_)
    for (auto& [number, page] : process->pages)
      if (page.object == object && page.index >= pages_for(size)) page.own = nullptr;  // private copies go as well
  if (object->source()) {
    // The file system forgets the blocks past the end.
    auto& disk = object->source()->disk;
    disk.erase(disk.lower_bound(pages_for(size)), disk.end());
  }
}

void Fuzzer::write_back() {
  auto object = any_object();
  if (chance(30)) return ignore_result(objects_write_back_all(chance(50) ? WriteBack::kWait : WriteBack::kStart));
  if (!object) return;
  auto result =
      object->object().write_back(PageIndex(random(kMaxFilePages)), 1 + random(8), chance(70) ? WriteBack::kWait : WriteBack::kStart);
  expect(result.ok() || options_.inject_failures, "write-back fails");
  if (chance(30)) {
    without_failures();
    check_disks();
  }
}

void Fuzzer::drop_clean() {
  uint32_t choice = random(3);
  if (choice == 0) {
    objects_drop_clean();
  } else if (choice == 1) {
    reclaim_clean(1 + random(3));  // stops where it may, with some pages' A bits just cleared
  } else if (auto object = any_object()) {
    object->object().drop_clean();
  }
}

void Fuzzer::discard() {
  auto object = any_object();
  if (!object || object->source()) return;
  uint32_t first = random(kMaxFilePages), pages = 1 + random(3);
  if (!object->object().discard(PageIndex(first), pages).ok()) fail("discard fails");
  for (uint64_t i = uint64_t{first} * kPageSize; i < uint64_t{first + pages} * kPageSize && i < object->size(); i++) object->bytes[i] = 0;
}

void Fuzzer::sync() {
  constexpr uint32_t kSync = 4;
  ModelProcess* process = process_on(any_cpu());
  if (!process) return;
  VirtAddr start = any_page(process);
  auto result = process->space->sync(start, kPageSize, kSync);
  expect(result.ok() || !process->page(start) || options_.inject_failures, "msync fails");
}

void Fuzzer::inspect() {
  ModelProcess* process = any_process();
  if (!process) return;
  SpaceStatistics statistics = process->space->statistics();
  expect(statistics.mapped_pages == process->pages.size(), "the count of mapped pages differs");
}

// Swap.

void Fuzzer::start_swap() {
  constexpr uint32_t kPages = 700;
  const uint32_t bad[] = {9, 17, 18};
  auto area = swap_add(swap_, kPages, bad, 0);
  if (area.ok()) swap_area_ = area.value();
  swap_.meanwhile = [this](bool is_write) { happen_meanwhile(is_write); };
}

// Whether an access would wait for the very transfer that it happens during: one thread plays them all.
bool Fuzzer::would_wait(ModelProcess& process, VirtAddr page, bool is_write) {
  const ModelPage& model = *process.page(page);
  if (model.object && !model.object->source() && model.object->object().swapped_pages() > 0) return true;
  return !is_write && pte_is_swapped(process.space->entry_of(page));
}

// What other threads do while one waits for the swap device.
void Fuzzer::happen_meanwhile(bool is_write) {
  if (!(is_write ? may_happen_in_writes_ : may_happen_in_reads_)) return;
  const bool writes = std::exchange(may_happen_in_writes_, false), reads = std::exchange(may_happen_in_reads_, false);
  const uint32_t cpu = this_cpu();
  AddressSpace* const space = machine_space(cpu);
  for (uint32_t times = 1 + random(4); times > 0; times--) {
    tell("\n  meanwhile:");
    // A read serves an access, whose pages must not be unmapped under it.
    uint32_t choice = is_write ? random(12) : 0;
    switch (choice) {
      case 8: unmap(); break;
      case 9: fork(); break;
      case 10: exit_process(); break;
      case 11: remap(); break;
      default:
        if (ModelProcess* process = any_process()) {
          VirtAddr page = any_page(process);
          if (!process->page(page) || would_wait(*process, page, is_write)) break;
          machine_run(is_write ? any_cpu() : cpu, process->space.get());
          check_access(*process, page + random(kPageSize - 16), chance(60), 1 + random(12));
        }
    }
  }
  if (!is_write) machine_run(cpu, space);
  may_happen_in_writes_ = writes;
  may_happen_in_reads_ = reads;
}

void Fuzzer::swap_out() {
  may_happen_in_writes_ = true;
  uint32_t freed = reclaim_pages(1 + random(40));
  may_happen_in_writes_ = false;
  tell(" frees %u", freed);
}

void Fuzzer::swap_off_and_on() {
  if (!swap_area_) return;
  auto result = swap_remove(*swap_area_);
  if (!result.ok()) return expect(may_fail(result) || swap_.failures != 0, "swapoff fails with another error");
  swap_area_.reset();
  check_machine();
  if (!chance(10)) without_failures();
  start_swap();
}

void Fuzzer::check_locked_pages_stay(ModelProcess& process, VirtAddr start, uint32_t pages) {
  std::vector<Pte> before;
  for (uint32_t i = 0; i < pages; i++) before.push_back(process.space->entry_of(start + i * kPageSize));
  reclaim_pages(200);
  for (uint32_t i = 0; i < pages; i++) {
    Pte now = process.space->entry_of(start + i * kPageSize);
    if (pte_has_frame(before[i])) expect(pte_has_frame(now) && now.frame() == before[i].frame(), "a locked page has gone");
  }
}

}  // namespace faultline::host
