// See mm_worker.h.
#include "mm_worker.h"

#include "host_tests/support/emulated_machine.h"
#include "mm/reclaim.h"

namespace faultline::host {

const Worker::Operation Worker::kOperations[] = {
    {"write a word", 30, &Worker::write_word},
    {"read a word", 30, &Worker::read_word},
    {"write the file", 5, &Worker::write_file},
    {"read the file", 5, &Worker::read_file},
    {"live in its own place", 10, &Worker::live_in_own_place},
    {"look at another's place", 4, &Worker::look_at_others_place},
    {"fork", 6, &Worker::fork},
    {"change the process", 6, &Worker::change_process},
    {"exec", 3, &Worker::exec},
    {"anything anywhere", 16, &Worker::wild},
    {"truncate", 3, &Worker::truncate},
    {"write back", 4, &Worker::write_back},
    {"drop clean pages", 2, &Worker::drop_clean},
    {"reclaim", 8, &Worker::reclaim},
    {"work for the kernel", 5, &Worker::work_for_the_kernel},
    {"swap off and on", 1, &Worker::swap_off_and_on},
    {"loan", 3, &Worker::loan},
    {"advise", 3, &Worker::advise},
};

Worker::Worker(Workload& work, uint32_t number)
    : work_(work), number_(number), generator_(work.options_.seed * 64 + number), process_(work.any_process(number)) {}

void Worker::run() {
  work_.executor_.enter(&space());
  switch (work_.options_.mix) {
    case Mix::kEverything: do_everything(); break;
    case Mix::kReadsAndReclaims: read_and_reclaim(); break;
    case Mix::kForksAndWrites: fork_and_write(); break;
    case Mix::kExecsAndExits: exec_and_exit(); break;
  }
  work_.executor_.enter(nullptr);
  process_ = nullptr;
}

void Worker::do_everything() {
  uint32_t total = 0;
  for (const Operation& operation : kOperations) total += operation.weight;
  for (uint32_t i = 0; i < work_.options_.operations; i++) {
    if (work_.options_.stays_together && number_ == 0 && chance(40)) fork();
    uint32_t choice = random(total);
    const Operation* operation = kOperations;
    for (; choice >= operation->weight; operation++) choice -= operation->weight;
    (this->*operation->run)();
  }
}

// The file's few pages are in memory, in nobody's tables; some look for pages to free, the others read them.
void Worker::read_and_reclaim() {
  for (uint32_t i = 0; i < work_.options_.operations; i++) {
    if (number_ == 0)
      reclaim_pages(2);
    else
      work_.stable_.object->read_ahead(PageIndex(0), kWorkPages), read_copied_word(random(kWorkPages), 0);
  }
}

// A frame with two users loses both at once when each writes.
void Worker::fork_and_write() {
  for (uint32_t page = 0; page < kWorkPages; page++) write_word_of(kAnonymous, page);
}

// Whoever leaves a process last ends it, while it is in no space itself, and where others were before the directory may still be loaded.
void Worker::exec_and_exit() {
  for (uint32_t i = 0; i < work_.options_.operations; i++) {
    if (auto fresh = chance(40) ? work_.make_process() : nullptr) work_.replace(random(4), std::move(fresh));
    work_.executor_.enter(nullptr);
    process_ = work_.any_process(random(4));
    work_.executor_.enter(&space());
    write_word_of(kAnonymous, 0);
  }
}

VirtAddr Worker::place_of(Kind kind) const {
  switch (kind) {
    case kAnonymous: return kAnonymousPlace;
    case kSharedFile: return kSharedFilePlace;
    case kSharedMemory: return kSharedMemoryPlace;
    case kCopied: return kCopiedPlace;
    case kOwn: return kOwnPlace + number_ * 2 * kWorkPages * kPageSize;
    default: return kWildPlace;
  }
}

Words& Worker::words_of(Kind kind) {
  switch (kind) {
    case kSharedFile: return work_.stable_.words;
    case kSharedMemory: return work_.shared_.words;
    case kCopied: return process_->copied;
    default: return process_->anonymous;
  }
}

void Worker::check_tag(uint32_t value, Kind kind, uint32_t page, uint32_t thread) {
  if (value != 0 && (value & 0xfff) != (kind << 8 | page << 4 | thread))
    work_fails("%#x is found where kind %u, page %u, thread %u should be", value, kind, page, thread);
}

void Worker::check_range(uint32_t value, uint32_t lowest, uint32_t highest, const char* what) {
  if (value < lowest || value > highest) work_fails("%s is %#x, should be in %#x..%#x", what, value, lowest, highest);
}

FaultOutcome Worker::touch(VirtAddr address, bool is_write) {
  uint32_t value = 0;
  return is_write ? machine_write(address, &value, sizeof value) : machine_read(address, &value, sizeof value);
}

bool Worker::load(VirtAddr address, uint32_t& value) {
  FaultOutcome outcome = machine_read(address, &value, sizeof value);
  if (outcome != FaultOutcome::kResolved && outcome != FaultOutcome::kOutOfMemory)
    work_fails("reading %#x ends with %u", address.value(), static_cast<uint32_t>(outcome));
  return outcome == FaultOutcome::kResolved;
}

bool Worker::store(VirtAddr address, uint32_t value) {
  FaultOutcome outcome = machine_write(address, &value, sizeof value);
  if (outcome != FaultOutcome::kResolved && outcome != FaultOutcome::kOutOfMemory)
    work_fails("writing %#x ends with %u", address.value(), static_cast<uint32_t>(outcome));
  return outcome == FaultOutcome::kResolved;
}

// Words that nobody but their owner writes.

void Worker::write_word() {
  const Kind kind = static_cast<Kind>(kAnonymous + random(4));
  write_word_of(kind, random(kWorkPages));
}

void Worker::write_word_of(Kind kind, uint32_t page) {
  const uint32_t value = new_value(kind, page);
  Word& word = words_of(kind)[page][number_];
  const uint32_t before = word.lowest;
  word.highest = value;
  const bool is_written = store(word_at(place_of(kind), page, number_), value);
  if (is_written)
    word.lowest = value;
  else if (before != 0)
    word.highest = before;
}

void Worker::read_word() {
  const Kind kind = static_cast<Kind>(kAnonymous + random(4));
  const uint32_t page = random(kWorkPages), thread = chance(60) ? number_ : random(work_.options_.threads);
  if (kind == kCopied) return read_copied_word(page, thread);
  const Word& word = words_of(kind)[page][thread];
  const uint32_t lowest = word.lowest;
  uint32_t value;
  if (!load(word_at(place_of(kind), page, thread), value)) return;
  check_tag(value, kind, page, thread);
  check_range(value, lowest, word.highest, "a word");
}

// Until the page is written to in this space, it is the file's.
void Worker::read_copied_word(uint32_t page, uint32_t thread) {
  const Word& word = process_->copied[page][thread];
  const uint32_t lowest = word.lowest;
  uint32_t value;
  if (!load(word_at(kCopiedPlace, page, thread), value)) return;
  const bool is_own = (value >> 8 & 0xf) == kCopied;
  check_tag(value, is_own ? kCopied : kSharedFile, page, thread);
  if (is_own)
    check_range(value, lowest, word.highest, "a copied word");
  else if (lowest != 0)
    work_fails("a written copy shows the file's %#x", value);
  else
    check_range(value, 0, work_.stable_.words[page][thread].highest, "the file's word in a copy");
}

// By write(2), out of the thread's own place.
void Worker::write_file() {
  const Kind kind = chance(50) ? kSharedFile : kSharedMemory;
  WorkFile& file = kind == kSharedFile ? work_.stable_ : work_.shared_;
  const uint32_t page = random(kWorkPages);
  const VirtAddr from = kAnonymousPlace + (random(kWorkPages) * kPageSize + kPageSize / 2 + number_ * 4);
  LockGuard guard(file.content_lock);
  const uint32_t value = new_value(kind, page);
  if (!store(from, value)) return;
  Word& word = file.words[page][number_];
  const uint32_t before = word.lowest;
  word.highest = value;
  IoBuffer buffer = IoBuffer::user(from, sizeof value);
  auto result = file.object->write(page * kPageSize + number_ * 4, buffer);
  if (result.ok() && result.value() != sizeof value) work_fails("write(2) is short");
  if (result.ok())
    word.lowest = value;
  else if (result.error() != Errno::kNOMEM && result.error() != Errno::kFAULT)
    work_fails("write(2) ends with %d", static_cast<int>(result.error()));
  else
    word.highest = before;
}

void Worker::read_file() {
  const Kind kind = chance(50) ? kSharedFile : kSharedMemory;
  WorkFile& file = kind == kSharedFile ? work_.stable_ : work_.shared_;
  const uint32_t page = random(kWorkPages), thread = random(work_.options_.threads);
  const VirtAddr to = kAnonymousPlace + (random(kWorkPages) * kPageSize + kPageSize / 2 + number_ * 4);
  const uint32_t lowest = file.words[page][thread].lowest;
  uint32_t value;
  IoBuffer buffer = IoBuffer::user(to, sizeof value);
  auto result = file.object->read(page * kPageSize + thread * 4, buffer);
  if (!result.ok() || !load(to, value)) return;
  check_tag(value, kind, page, thread);
  check_range(value, lowest, file.words[page][thread].highest, "a word of a file");
}

// Memory of its own, beside that of others in the same table: whatever they do, this must be as if it were alone.

bool Worker::fill_own(VirtAddr place, uint32_t pages, uint32_t* values) {
  for (uint32_t page = 0; page < pages; page++) {
    uint32_t value;
    if (!load(place + page * kPageSize, value)) return false;
    if (value != 0) work_fails("a fresh page is not zero: %#x", value);
    values[page] = new_value(kOwn, page);
    if (!store(place + page * kPageSize, values[page])) return false;
  }
  return true;
}

void Worker::check_own(VirtAddr place, uint32_t pages, const uint32_t* values) {
  for (uint32_t page = 0; page < pages; page++) {
    uint32_t value;
    if (load(place + page * kPageSize, value) && value != values[page])
      work_fails("own page %u has %#x instead of %#x", page, value, values[page]);
  }
}

void Worker::check_gone(VirtAddr place, uint32_t pages) {
  for (uint32_t page = 0; page < pages; page++)
    if (touch(place + page * kPageSize, chance(50)) != FaultOutcome::kNotMapped) work_fails("a page that was unmapped can be touched");
}

void Worker::live_in_own_place() {
  constexpr uint32_t kMayMoveFixed = 3;
  const uint32_t pages = 1 + random(4), bytes = pages * kPageSize;
  uint32_t values[4];
  VirtAddr place = place_of(kOwn);
  MapRequest request;
  request.address = place;
  request.bytes = bytes;
  request.protection = kProtRead | kProtWrite;
  request.fixed = true;
  if (!space().map(request).ok() || !fill_own(place, pages, values)) return;
  if (chance(30) && space().protect(place, bytes, kProtRead).ok()) {
    check_own(place, pages, values);
    if (touch(place, true) != FaultOutcome::kNotAllowed) work_fails("a read-only page can be written");
    if (!space().protect(place, bytes, kProtRead | kProtWrite).ok()) return;
  }
  check_own(place, pages, values);
  if (chance(40)) {
    const VirtAddr target = place + kWorkPages * kPageSize;
    if (!space().remap(place, bytes, bytes, kMayMoveFixed, target).ok()) return;
    check_gone(place, pages);
    place = target;
    check_own(place, pages, values);
  }
  if (space().unmap(place, bytes).ok()) check_gone(place, pages);
}

void Worker::look_at_others_place() {
  const uint32_t thread = random(work_.options_.threads), page = random(4);
  uint32_t value;
  const VirtAddr at = kOwnPlace + (thread * 2 + random(2)) * kWorkPages * kPageSize + page * kPageSize;
  if (machine_read(at, &value, sizeof value) == FaultOutcome::kResolved) check_tag(value, kOwn, page, thread);
}

// Processes.

void Worker::fork() {
  auto child = std::make_shared<WorkProcess>();
  auto for_each_word = [&](auto copy) {
    for (uint32_t page = 0; page < kWorkPages; page++)
      for (uint32_t thread = 0; thread < kMostThreads; thread++) {
        copy(child->anonymous[page][thread], process_->anonymous[page][thread]);
        copy(child->copied[page][thread], process_->copied[page][thread]);
      }
  };
  for_each_word([](Word& to, const Word& from) { to.copy_lowest(from); });
  auto space = process_->space->fork(chance(50) ? kAnonymousPlace : VirtAddr(kKernelBase));
  if (!space.ok()) return;
  for_each_word([](Word& to, const Word& from) { to.copy_highest(from); });
  child->space = space.release_value();
  work_.replace(random(8), child);
  if (chance(work_.options_.stays_together ? 5 : 60)) {
    work_.executor_.enter(child->space.get());
    process_ = std::move(child);
  }
}

void Worker::change_process() {
  if (work_.options_.stays_together && chance(80)) return write_word();
  auto other = work_.any_process(random(8));
  work_.executor_.enter(other->space.get());
  process_ = std::move(other);  // perhaps the last to leave the old one
}

void Worker::exec() {
  auto fresh = work_.make_process();
  if (!fresh) return;
  work_.replace(random(8), fresh);
  work_.executor_.enter(fresh->space.get());
  process_ = std::move(fresh);
}

// Mappings that come and go under everybody's hands: any outcome will do, but not any value.

void Worker::map_wild(VirtAddr page, uint32_t pages) {
  MapRequest request;
  request.address = page;
  request.bytes = pages * kPageSize;
  request.fixed = true;
  request.protection = chance(70) ? kProtRead | kProtWrite : kProtRead;
  request.shared = chance(40);
  if (request.shared || chance(40)) {
    request.object = Ref<Object>(*work_.wild_.object);
    request.object_offset = PageIndex(random(kWorkPages));
  }
  ignore_result(space().map(request));
}

void Worker::touch_wild(VirtAddr page) {
  const uint32_t thread = random(work_.options_.threads);
  uint32_t value = new_value(kWild, 0);
  if (chance(50)) return (void)machine_write(page + number_ * 4, &value, sizeof value);
  if (machine_read(page + thread * 4, &value, sizeof value) == FaultOutcome::kResolved) check_tag(value, kWild, 0, thread);
}

void Worker::wild() {
  constexpr uint32_t kMayMove = 1, kDontNeed = 4;
  const VirtAddr page = kWildPlace + random(kWorkPages) * kPageSize;
  const uint32_t pages = 1 + random(4);
  switch (random(12)) {
    case 0:
    case 1: return map_wild(page, pages);
    case 2: return ignore_result(space().unmap(page, pages * kPageSize));
    case 3: return ignore_result(space().protect(page, pages * kPageSize, static_cast<Protection>(random(4))));
    case 4: return ignore_result(space().advise(page, pages * kPageSize, kDontNeed));
    case 5: return ignore_result(space().remap(page, kPageSize, pages * kPageSize, kMayMove, VirtAddr(0)));
    default: return touch_wild(page);
  }
}

void Worker::truncate() {
  LockGuard guard(work_.wild_.content_lock);
  ignore_result(work_.wild_.object->resize(random(kWorkPages * kPageSize + 1)));
}

// Memory.

void Worker::write_back() {
  const WriteBack mode = chance(60) ? WriteBack::kWait : WriteBack::kStart;
  if (chance(40)) return ignore_result(objects_write_back_all(mode));
  Object& object = *(chance(50) ? work_.stable_ : work_.wild_).object;
  ignore_result(object.write_back(PageIndex(random(kWorkPages)), 1 + random(4), mode));
}

void Worker::drop_clean() {
  if (chance(50)) return (void)reclaim_clean(1 + random(3));
  (chance(50) ? work_.stable_ : work_.wild_).object->drop_clean();
}

void Worker::reclaim() { reclaim_pages(1 + random(20)); }

// As the kernel's own threads do: with no space, while the processor keeps the last one's directory.
void Worker::work_for_the_kernel() {
  work_.executor_.enter(nullptr);
  chance(50) ? reclaim() : write_back();
  work_.executor_.enter(&space());
}

void Worker::swap_off_and_on() {
  if (!work_.options_.has_swap || work_.moves_swap_.exchange(true)) return;
  if (swap_remove(work_.swap_area_).ok()) work_.add_swap();
  work_.moves_swap_ = false;
}

void Worker::loan() {
  auto loan = space().loan_page(kAnonymousPlace + random(kWorkPages) * kPageSize);
  if (!loan.ok()) return;
  PinnedFrame frame = loan.release_value();
  uint8_t before[kPageSize], after[kPageSize];
  move_bytes(before, frame.data(), kPageSize);
  write_word();
  read_word();
  move_bytes(after, frame.data(), kPageSize);
  if (!std::equal(before, before + kPageSize, after)) work_fails("a loaned page changes");
}

void Worker::advise() {
  constexpr uint32_t kWillNeed = 3;
  if (chance(30)) return ignore_result(space().sync(kSharedFilePlace, kWorkPages * kPageSize, 4));
  if (chance(40)) return (void)space().statistics();
  ignore_result(space().advise(chance(50) ? kSharedFilePlace : kAnonymousPlace, kWorkPages * kPageSize, kWillNeed));
}

}  // namespace faultline::host
