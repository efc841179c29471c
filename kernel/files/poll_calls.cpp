// poll(2), select(2) and their newer forms: look at each file, and while nothing is ready sleep on the files' wait queues.
#include "arch/clock.h"
#include "kernel/files/calls.h"
#include "kernel/files/support.h"
#include "lib/abi/fcntl_structures.h"

namespace faultline {

namespace {

constexpr uint32_t kQueuesOnStack = 6;
constexpr uint32_t kAlways = kPollError | kPollHangUp | kPollInvalid;

// The queues that this call waits on. Each entry keeps its file open: another thread may close the descriptor meanwhile.
class PollWaiter final : public PollTable {
 public:
  PollWaiter() = default;
  ~PollWaiter() {
    for (uint32_t i = 0; i < used_; i++) {
      entry(i).queue->remove(entry(i));
      entry(i).~Entry();
    }
    while (Chunk* chunk = chunks_) {
      chunks_ = chunk->next;
      slab_free(chunk, sizeof(Chunk));
    }
  }
  PollWaiter(const PollWaiter&) = delete;
  PollWaiter& operator=(const PollWaiter&) = delete;

  void set_file(File& file) { file_ = &file; }
  bool is_out_of_memory() const { return is_out_of_memory_; }

  // Since the last forget_wakes(). block() alone would not do: what wakes us while a look sleeps (an epoll instance's mutex, a page of the program's
  // array) ends that sleep, and not the one after it.
  bool was_woken() const { return was_woken_.load(memory_order_seq_cst); }
  void forget_wakes() { was_woken_.store(false, memory_order_seq_cst); }

  void register_queue(WaitQueue& queue) override {
    if (!make_room()) {
      is_out_of_memory_ = true;
      return;
    }
    Entry* made = new (place(used_++)) Entry(*this, queue, *file_);
    queue.add(*made);
  }

 private:
  struct Entry : WaitEntry {
    Entry(PollWaiter& w, WaitQueue& q, File& f) : WaitEntry(&notify), waiter(w), queue(&q), file(f) {}
    PollWaiter& waiter;
    WaitQueue* queue;
    Ref<File> file;
  };
  static WaitEntry::Verdict notify(WaitEntry& self, uint32_t) {
    PollWaiter& waiter = static_cast<Entry&>(self).waiter;
    waiter.was_woken_.store(true, memory_order_seq_cst);
    wake(waiter.thread_);
    return WaitEntry::Verdict::kKeep;
  }
  static constexpr uint32_t kPerChunk = 64;
  struct Chunk {
    Chunk* next;
    alignas(Entry) uint8_t memory[kPerChunk * sizeof(Entry)];
  };

  // Chunks are linked newest first; an index counts from the oldest.
  bool make_room() {
    if (used_ < kQueuesOnStack || (used_ - kQueuesOnStack) % kPerChunk != 0) return true;
    auto* chunk = static_cast<Chunk*>(slab_allocate(sizeof(Chunk)));
    if (!chunk) return false;
    chunk->next = chunks_;
    chunks_ = chunk;
    chunk_count_++;
    return true;
  }
  void* place(uint32_t index) {
    if (index < kQueuesOnStack) return first_ + index * sizeof(Entry);
    uint32_t from_newest = chunk_count_ - 1 - (index - kQueuesOnStack) / kPerChunk;
    Chunk* chunk = chunks_;
    while (from_newest-- != 0) chunk = chunk->next;
    return chunk->memory + (index - kQueuesOnStack) % kPerChunk * sizeof(Entry);
  }
  Entry& entry(uint32_t index) { return *static_cast<Entry*>(place(index)); }

  Thread& thread_ = *current_thread();
  Atomic<bool> was_woken_{false};
  File* file_ = nullptr;
  uint32_t used_ = 0;
  bool is_out_of_memory_ = false;
  Chunk* chunks_ = nullptr;
  uint32_t chunk_count_ = 0;
  alignas(Entry) uint8_t first_[kQueuesOnStack * sizeof(Entry)];
};

// Inlined, because it is done for each of perhaps a thousand descriptors.
[[gnu::always_inline]] inline uint32_t events_of(File& file, PollWaiter* waiter) {
  if (file.is_path_only()) [[unlikely]]
    return kPollInvalid;
  if (waiter) waiter->set_file(file);
  return file.poll(waiter);
}
[[gnu::noinline]] uint32_t events_of_shared(DescriptorTable& table, uint32_t descriptor, PollWaiter* waiter) {
  Result<FileHandle> file = table.get(descriptor);
  return file.ok() ? events_of(*file.value(), waiter) : kPollInvalid;
}
[[gnu::always_inline]] inline uint32_t events_of(DescriptorTable& table, uint32_t descriptor, PollWaiter* waiter) {
  if (!table.has_one_user()) return events_of_shared(table, descriptor, waiter);
  File* file = table.peek(descriptor);
  return file ? events_of(*file, waiter) : kPollInvalid;
}

// Calls `look(waiter)` until it finds something (how many), the deadline passes (0) or a signal comes. Often something is ready at once:
// only the second look enters the files' queues, and what becomes ready after it wakes us.
template <typename Look>
Result<uint32_t> look_until(Deadline deadline, bool may_wait, Look look) {
  uint32_t found = TRY(look(static_cast<PollWaiter*>(nullptr)));
  if (found != 0 || !may_wait) return found;
  PollWaiter waiter;
  found = TRY(look(&waiter));
  while (found == 0) {
    if (waiter.is_out_of_memory()) return Errno::kNOMEM;
    Result<void> slept;
    while (slept.ok() && !waiter.was_woken()) slept = block(SleepKind::kInterruptible, deadline);
    waiter.forget_wakes();
    found = TRY(look(static_cast<PollWaiter*>(nullptr)));
    if (found == 0 && !slept.ok()) return slept.error() == Errno::kTIMEDOUT ? Result<uint32_t>(0u) : Errno::kRESTARTNOHAND;
  }
  return found;
}

struct Wait {
  Deadline deadline;
  bool may_wait = true;
};

Wait wait_for(uint64_t nanoseconds) {
  if (nanoseconds == 0) return {{}, false};
  uint64_t now = clock_monotonic();
  return {{nanoseconds < Deadline::kNever - now ? now + nanoseconds : Deadline::kNever}, true};
}

Result<Wait> wait_for_time(int64_t seconds, int64_t nanoseconds) {
  if (seconds < 0 || nanoseconds < 0 || nanoseconds > 999'999'999) return Errno::kINVAL;
  if (seconds > 1'000'000'000) return Wait{};
  return wait_for(static_cast<uint64_t>(seconds) * 1'000'000'000 + static_cast<uint64_t>(nanoseconds));
}

// A null time waits for ever.
Result<Wait> read_timespec(UserPtr<abi::Time32> user) {
  if (user.is_null()) return Wait{};
  auto time = TRY(user_read(user));
  return wait_for_time(time.seconds, time.fraction);
}
Result<Wait> read_timespec(UserPtr<abi::Time64> user) {
  if (user.is_null()) return Wait{};
  auto time = TRY(user_read(user));
  return wait_for_time(time.seconds, time.nanoseconds);
}

// What was left of the time is written back by select and the p-forms; failures there are ignored, as on Linux.
void write_rest(UserPtr<abi::Time32> user, const Wait& wait, uint32_t unit) {
  if (user.is_null() || wait.deadline.is_never()) return;
  uint64_t now = clock_monotonic(), left = wait.may_wait && wait.deadline.nanoseconds > now ? wait.deadline.nanoseconds - now : 0;
  abi::Time32 rest{static_cast<int32_t>(left / 1'000'000'000), static_cast<int32_t>(left % 1'000'000'000 / unit)};
  ignore_result(user_write(user, rest));
}
void write_rest(UserPtr<abi::Time64> user, const Wait& wait, uint32_t) {
  if (user.is_null() || wait.deadline.is_never()) return;
  uint64_t now = clock_monotonic(), left = wait.may_wait && wait.deadline.nanoseconds > now ? wait.deadline.nanoseconds - now : 0;
  abi::Time64 rest{static_cast<int64_t>(left / 1'000'000'000), static_cast<int64_t>(left % 1'000'000'000)};
  ignore_result(user_write(user, rest));
}

Result<void> tell(UserPtr<abi::PollEntry> user, uint32_t index, abi::PollEntry& entry, int16_t returned) {
  if (entry.returned == returned) return {};
  entry.returned = returned;
  return user_write_bytes(user.at(index).address() + offsetof(abi::PollEntry, returned), &returned, sizeof returned);
}

Result<uint32_t> poll_until(UserPtr<abi::PollEntry> user, uint32_t count, const Wait& wait) {
  if (count > descriptor_limit() && count > 1024) return Errno::kINVAL;
  constexpr uint32_t kOnStack = 8;
  abi::PollEntry on_stack[kOnStack];
  Buffer<abi::PollEntry> memory;
  abi::PollEntry* entries = on_stack;
  if (count > kOnStack) {
    memory = TRY(Buffer<abi::PollEntry>::create(count));
    entries = memory.data();
  }
  TRY(user_read_bytes(entries, user.address(), count * sizeof(abi::PollEntry)));
  DescriptorTable& table = current_process().descriptors();
  // `entries` stays what the program's array holds: only what changes is written back.
  auto look = [&table, entries, user, count](PollWaiter* waiter) -> Result<uint32_t> {
    uint32_t found = 0;
    for (abi::PollEntry* entry = entries; entry != entries + count; entry++) {
      uint32_t events = entry->descriptor < 0 ? 0 : events_of(table, static_cast<uint32_t>(entry->descriptor), waiter);
      auto returned = static_cast<int16_t>(events & (static_cast<uint16_t>(entry->events) | kAlways));
      if (entry->returned == 0 && returned == 0) [[likely]]
        continue;
      TRY(tell(user, static_cast<uint32_t>(entry - entries), *entry, returned));
      if (returned == 0) continue;
      found++;
      waiter = nullptr;  // no need to wait any more
    }
    return found;
  };
  return look_until(wait.deadline, wait.may_wait, look);
}

Result<void> apply_mask(UserPtr<SignalSet> mask, uint32_t bytes) {
  if (mask.is_null()) return {};
  if (bytes != sizeof(SignalSet)) return Errno::kINVAL;
  signal_set_temporary_mask(TRY(user_read(mask)));
  return {};
}

template <typename Time>
Result<uint32_t> poll_with_mask(UserPtr<abi::PollEntry> entries, uint32_t count, UserPtr<Time> time, UserPtr<SignalSet> mask,
                                uint32_t mask_bytes) {
  Wait wait = TRY(read_timespec(time));
  TRY(apply_mask(mask, mask_bytes));
  Result<uint32_t> found = poll_until(entries, count, wait);
  write_rest(time, wait, 1);
  return found;
}

}  // namespace

Result<uint32_t> sys_poll(UserPtr<abi::PollEntry> entries, uint32_t count, int32_t milliseconds) {
  return poll_until(entries, count, milliseconds < 0 ? Wait{} : wait_for(static_cast<uint64_t>(milliseconds) * 1'000'000));
}
Result<uint32_t> sys_ppoll(UserPtr<abi::PollEntry> entries, uint32_t count, UserPtr<abi::Time32> time, UserPtr<SignalSet> mask,
                           uint32_t bytes) {
  return poll_with_mask(entries, count, time, mask, bytes);
}
Result<uint32_t> sys_ppoll_time64(UserPtr<abi::PollEntry> entries, uint32_t count, UserPtr<abi::Time64> time, UserPtr<SignalSet> mask,
                                  uint32_t bytes) {
  return poll_with_mask(entries, count, time, mask, bytes);
}

namespace {

constexpr uint32_t kSelectLimit = 65536, kSets = 3, kWordBits = 32;
// What makes a descriptor readable, writable, exceptional; which poll events to ask for is the same.
constexpr uint32_t kSetEvents[kSets] = {kPollIn | kPollReadNormal | kPollHangUp | kPollError, kPollOut | kPollWriteNormal | kPollError,
                                        kPollPriority};

struct SelectSets {
  UserPtr<uint32_t> user[kSets];
};

Result<uint32_t> select_until(uint32_t count, const SelectSets& sets, const Wait& wait) {
  if (count > kSelectLimit) return Errno::kINVAL;
  uint32_t words = (count + kWordBits - 1) / kWordBits;
  constexpr uint32_t kOnStack = 2 * kSets * 2;  // 64 descriptors, asked and found
  uint32_t on_stack[kOnStack];
  Buffer<uint32_t> memory;
  uint32_t* asked = on_stack;
  if (words * kSets * 2 > kOnStack) {
    memory = TRY(Buffer<uint32_t>::create(words * kSets * 2));
    asked = memory.data();
  }
  uint32_t* found_bits = asked + words * kSets;
  for (uint32_t s = 0; s < kSets; s++) {
    if (sets.user[s].is_null()) {
      memset(asked + s * words, 0, words * sizeof(uint32_t));
    } else {
      TRY(user_read_bytes(asked + s * words, sets.user[s].address(), words * sizeof(uint32_t)));
    }
  }
  DescriptorTable& table = current_process().descriptors();
  auto look = [&table, asked, found_bits, words, count](PollWaiter* waiter) -> Result<uint32_t> {
    uint32_t found = 0;
    memset(found_bits, 0, words * kSets * sizeof(uint32_t));
    for (uint32_t word = 0; word < words; word++)
      for (uint32_t any = asked[word] | asked[words + word] | asked[2 * words + word]; any != 0; any &= any - 1) {
        uint32_t descriptor = word * kWordBits + static_cast<uint32_t>(__builtin_ctz(any)), bit = any & -any;
        if (descriptor >= count) break;
        uint32_t events = events_of(table, descriptor, waiter);
        if (events & kPollInvalid) return Errno::kBADF;
        if (events == 0) continue;
        for (uint32_t s = 0; s < kSets; s++) {
          if (!(asked[s * words + word] & bit) || !(events & kSetEvents[s])) continue;
          found_bits[s * words + word] |= bit;
          found++;
          waiter = nullptr;
        }
      }
    return found;
  };
  uint32_t found = TRY(look_until(wait.deadline, wait.may_wait, look));
  for (uint32_t s = 0; s < kSets; s++)
    if (!sets.user[s].is_null()) TRY(user_write_bytes(sets.user[s].address(), found_bits + s * words, words * sizeof(uint32_t)));
  return found;
}

Result<uint32_t> select_timeval(uint32_t count, const SelectSets& sets, UserPtr<abi::Time32> time) {
  Wait wait;
  if (!time.is_null()) {
    auto value = TRY(user_read(time));
    if (value.seconds < 0 || value.fraction < 0) return Errno::kINVAL;
    wait = TRY(wait_for_time(int64_t{value.seconds} + value.fraction / 1'000'000, int64_t{value.fraction} % 1'000'000 * 1000));
  }
  Result<uint32_t> found = select_until(count, sets, wait);
  write_rest(time, wait, 1000);
  return found;
}

struct MaskArgument {
  uint32_t mask, bytes;
};

template <typename Time>
Result<uint32_t> select_with_mask(uint32_t count, const SelectSets& sets, UserPtr<Time> time, UserPtr<MaskArgument> argument) {
  Wait wait = TRY(read_timespec(time));
  if (!argument.is_null()) {
    auto pair = TRY(user_read(argument));
    TRY(apply_mask(UserPtr<SignalSet>(pair.mask), pair.bytes));
  }
  Result<uint32_t> found = select_until(count, sets, wait);
  write_rest(time, wait, 1);
  return found;
}

}  // namespace

Result<uint32_t> sys__newselect(uint32_t count, UserPtr<uint32_t> in, UserPtr<uint32_t> out, UserPtr<uint32_t> except,
                                UserPtr<abi::Time32> time) {
  return select_timeval(count, {{in, out, except}}, time);
}
// The first select took its arguments in a block of memory.
Result<uint32_t> sys_select(UserPtr<uint32_t> block_of_arguments) {
  uint32_t a[5];
  TRY(user_read_bytes(a, block_of_arguments.address(), sizeof a));
  return select_timeval(a[0], {{UserPtr<uint32_t>(a[1]), UserPtr<uint32_t>(a[2]), UserPtr<uint32_t>(a[3])}}, UserPtr<abi::Time32>(a[4]));
}
Result<uint32_t> sys_pselect6(uint32_t count, UserPtr<uint32_t> in, UserPtr<uint32_t> out, UserPtr<uint32_t> except,
                              UserPtr<abi::Time32> time, uint32_t mask) {
  return select_with_mask(count, {{in, out, except}}, time, UserPtr<MaskArgument>(mask));
}
Result<uint32_t> sys_pselect6_time64(uint32_t count, UserPtr<uint32_t> in, UserPtr<uint32_t> out, UserPtr<uint32_t> except,
                                     UserPtr<abi::Time64> time, uint32_t mask) {
  return select_with_mask(count, {{in, out, except}}, time, UserPtr<MaskArgument>(mask));
}

}  // namespace faultline
