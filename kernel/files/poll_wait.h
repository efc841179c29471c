// What poll(2) and select(2) are made of: looking at the files of many descriptors, and sleeping on their wait queues until there is something to see.
#pragma once

#include "fs/descriptor_table.h"
#include "mm/slab.h"

namespace faultline {

// The queues that a call waits on. Each entry keeps its file open: another thread may close the descriptor meanwhile.
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
  static constexpr uint32_t kOnStack = 6, kPerChunk = 64;
  struct Chunk {
    Chunk* next;
    alignas(Entry) uint8_t memory[kPerChunk * sizeof(Entry)];
  };

  // Chunks are linked newest first; an index counts from the oldest.
  bool make_room() {
    if (used_ < kOnStack || (used_ - kOnStack) % kPerChunk != 0) return true;
    auto* chunk = static_cast<Chunk*>(slab_allocate(sizeof(Chunk)));
    if (!chunk) return false;
    chunk->next = chunks_;
    chunks_ = chunk;
    chunk_count_++;
    return true;
  }
  void* place(uint32_t index) {
    if (index < kOnStack) return first_ + index * sizeof(Entry);
    uint32_t from_newest = chunk_count_ - 1 - (index - kOnStack) / kPerChunk;
    Chunk* chunk = chunks_;
    while (from_newest-- != 0) chunk = chunk->next;
    return chunk->memory + (index - kOnStack) % kPerChunk * sizeof(Entry);
  }
  Entry& entry(uint32_t index) { return *static_cast<Entry*>(place(index)); }

  Thread& thread_ = *current_thread();
  Atomic<bool> was_woken_{false};
  File* file_ = nullptr;
  uint32_t used_ = 0;
  bool is_out_of_memory_ = false;
  Chunk* chunks_ = nullptr;
  uint32_t chunk_count_ = 0;
  alignas(Entry) uint8_t first_[kOnStack * sizeof(Entry)];
};

// One look at the files of many descriptors. The waiter, if there is one, enters their queues and keeps them open.
class PollLook {
 public:
  PollLook(DescriptorTable& table, PollWaiter* waiter)
      : scan_(table, waiter ? DescriptorTable::Scan::Peeking::kForbidden : DescriptorTable::Scan::Peeking::kAllowed), waiter_(waiter) {}
  // What is true of a descriptor's file; nothing of a negative number's, which stands for none. Inlined: it is done for each of perhaps a thousand.
  [[gnu::always_inline]] uint32_t events_of(uint32_t descriptor) {
    File* file = scan_.peek(descriptor);
    return file ? file->events_now() : events_of_borrowed(descriptor);
  }
  // Something was found: there is no need to wait any more.
  void has_found() { waiter_ = nullptr; }

 private:
  [[gnu::noinline]] uint32_t events_of_borrowed(uint32_t descriptor) {
    if (static_cast<int32_t>(descriptor) < 0) return 0;
    Result<FileHandle> file = scan_.get(descriptor);
    if (!file.ok()) return kPollInvalid;
    if (waiter_) waiter_->set_file(*file.value());
    return file.value()->poll(waiter_);
  }
  DescriptorTable::Scan scan_;
  PollWaiter* waiter_;
};

// Calls `look(waiter)` until it finds something (how many), the deadline passes (0) or a signal comes (kINTR). Often something is ready at once:
// only the second look enters the files' queues, and what becomes ready after it wakes us.
template <typename Look>
Result<uint32_t> poll_until(Deadline deadline, bool may_wait, Look look) {
  uint32_t found = TRY(look(static_cast<PollWaiter*>(nullptr)));
  if (found != 0 || !may_wait) return found;
  PollWaiter waiter;
  found = TRY(look(&waiter));
  if (machine::planted(machine::Bug::kPollUnchecked)) found = 0;
  while (found == 0) {
    if (waiter.is_out_of_memory()) return Errno::kNOMEM;
    Result<void> slept;
    while (slept.ok() && !waiter.was_woken()) slept = block(SleepKind::kInterruptible, deadline);
    waiter.forget_wakes();
    found = TRY(look(static_cast<PollWaiter*>(nullptr)));
    if (found == 0 && !slept.ok()) return slept.error() == Errno::kTIMEDOUT ? Result<uint32_t>(0u) : slept.error();
  }
  return found;
}

}  // namespace faultline
