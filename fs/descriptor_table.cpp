// Descriptor tables. Changes happen under the table's spin lock; files are dropped after it, for closing may sleep.
#include "fs/descriptor_table.h"

#include "fs/file_locks.h"
#include "mm/slab.h"

namespace faultline {

Result<Ref<DescriptorTable>> DescriptorTable::create() { return Ref<DescriptorTable>::adopt(TRY(slab_new<DescriptorTable>())); }

void DescriptorTable::destroy(DescriptorTable* table) {
  table->close_all();
  if (Directory* directory = table->directory_.load(memory_order_acquire)) {
    for (Atomic<Chunk*>& chunk : directory->chunks)
      if (Chunk* memory = chunk.load(memory_order_relaxed)) slab_delete(memory);
    slab_delete(directory);
  }
  slab_delete(table);
}

DescriptorTable::Slot* DescriptorTable::slot(uint32_t descriptor) const {
  if (descriptor < kInline) return const_cast<Slot*>(&inline_[descriptor]);
  if (descriptor >= kLimit) return nullptr;
  Directory* directory = directory_.load(memory_order_acquire);
  Chunk* chunk = directory ? directory->chunks[descriptor >> kChunkShift].load(memory_order_acquire) : nullptr;
  return chunk ? &chunk->slots[descriptor & (kPerChunk - 1)] : nullptr;
}

uintptr_t DescriptorTable::load_far(uint32_t descriptor) const {
  const Slot* found = slot(descriptor);
  return found ? found->load(memory_order_acquire) : 0;
}

// A table with one user has no other before the call ends.
File* DescriptorTable::Scan::peek_elsewhere(uint32_t descriptor) {
  const Slot* found = table_.slot(descriptor);
  if (!found || peeking_ == Peeking::kForbidden || table_.reference_count() != 1) return nullptr;
  first_ = descriptor < kInline ? 0 : descriptor & ~(kPerChunk - 1);
  count_ = descriptor < kInline ? kInline : kPerChunk;
  slots_ = found - (descriptor - first_);
  return file_of(found->load(memory_order_acquire));
}

// Memory for the slot, allocated without the lock and installed with compare-exchange: it is never taken away again.
Result<DescriptorTable::Slot*> DescriptorTable::slot_or_new(uint32_t descriptor) {
  if (Slot* found = slot(descriptor)) return found;
  Directory* directory = directory_.load(memory_order_acquire);
  if (!directory) {
    Directory* made = TRY(slab_new<Directory>());
    if (directory_.compare_exchange_strong(directory, made, memory_order_acq_rel)) {
      directory = made;
    } else {
      slab_delete(made);
    }
  }
  Atomic<Chunk*>& place = directory->chunks[descriptor >> kChunkShift];
  Chunk* chunk = nullptr;
  Chunk* made = TRY(slab_new<Chunk>());
  if (!place.compare_exchange_strong(chunk, made, memory_order_acq_rel)) slab_delete(made);
  return slot(descriptor);
}

Result<FileHandle> DescriptorTable::get_shared(uint32_t descriptor) {
  Ref<File> file = find(descriptor);
  if (!file) return Errno::kBADF;
  return FileHandle(file.leak(), true);
}

Ref<File> DescriptorTable::find(uint32_t descriptor) {
  LockGuard guard(lock_);
  File* file = file_of(load(descriptor));
  return file ? Ref<File>(*file) : Ref<File>();
}

uint32_t DescriptorTable::next_open(uint32_t from) {
  LockGuard guard(lock_);
  for (uint32_t i = from; i < end_; i++)
    if (file_of(load(i))) return i;
  return kLimit;
}

void DescriptorTable::count_locked(uint32_t descriptor, int change) {
  if (Directory* directory = directory_.load(memory_order_relaxed))
    directory->used[descriptor >> kChunkShift] = static_cast<uint16_t>(directory->used[descriptor >> kChunkShift] + change);
  // Slots of chunk 0 that were taken before there was a directory are not counted there; it is then searched slot by slot.
}

uint32_t DescriptorTable::next_free_locked(uint32_t from, uint32_t limit) const {
  uint32_t i = from > first_free_ ? from : first_free_;
  Directory* directory = directory_.load(memory_order_relaxed);
  while (i < limit) {
    bool at_chunk = (i & (kPerChunk - 1)) == 0 && i != 0;
    if (at_chunk && directory && directory->used[i >> kChunkShift] == kPerChunk) {
      i += kPerChunk;
      continue;
    }
    if (load(i) == 0) return i;
    i++;
  }
  return limit;
}

Result<uint32_t> DescriptorTable::reserve(uint64_t limit, uint32_t minimum) {
  uint32_t bound = limit < kLimit ? static_cast<uint32_t>(limit) : kLimit;
  for (;;) {
    uint32_t found;
    {
      LockGuard guard(lock_);
      found = next_free_locked(minimum, bound);
      if (found >= bound) return Errno::kMFILE;
      if (Slot* free_slot = slot(found)) {
        free_slot->store(kReserved, memory_order_relaxed);
        count_locked(found, 1);
        if (minimum <= first_free_) first_free_ = found + 1;
        if (found >= end_) end_ = found + 1;
        return found;
      }
    }
    TRY(slot_or_new(found));
  }
}

void DescriptorTable::cancel(uint32_t descriptor) {
  LockGuard guard(lock_);
  Ref<File> nothing = take_locked(descriptor);
}

void DescriptorTable::install(uint32_t descriptor, Ref<File> file, CloseOnExec close_on_exec) {
  uintptr_t value = reinterpret_cast<uintptr_t>(file.leak()) | (close_on_exec == CloseOnExec::kYes ? kCloseOnExecBit : 0);
  slot(descriptor)->store(value, memory_order_release);
}

Result<uint32_t> DescriptorTable::add(Ref<File> file, CloseOnExec close_on_exec, uint64_t limit, uint32_t minimum) {
  uint32_t descriptor = TRY(reserve(limit, minimum));
  install(descriptor, std::move(file), close_on_exec);
  return descriptor;
}

Result<void> DescriptorTable::replace(uint32_t descriptor, Ref<File> file, CloseOnExec close_on_exec, uint64_t limit) {
  if (descriptor >= limit || descriptor >= kLimit) return Errno::kBADF;
  Slot* place = TRY(slot_or_new(descriptor));
  Ref<File> old;
  {
    LockGuard guard(lock_);
    uintptr_t before = place->load(memory_order_relaxed);
    if (before == kReserved) return Errno::kBUSY;
    old = Ref<File>::adopt(file_of(before));
    if (before == 0) count_locked(descriptor, 1);
    if (descriptor == first_free_) first_free_++;
    if (descriptor >= end_) end_ = descriptor + 1;
    install(descriptor, std::move(file), close_on_exec);
  }
  if (old) file_closed(std::move(old));
  return {};
}

Ref<File> DescriptorTable::take_locked(uint32_t descriptor) {
  Slot* place = slot(descriptor);
  uintptr_t before = place ? place->exchange(0, memory_order_acq_rel) : 0;
  if (before == 0) return {};
  count_locked(descriptor, -1);
  if (descriptor < first_free_) first_free_ = descriptor;
  if (descriptor + 1 == end_) end_ = descriptor;
  return Ref<File>::adopt(file_of(before));
}

// POSIX: closing any descriptor of a file ends the process' record locks on it.
void DescriptorTable::file_closed(Ref<File> file) {
  if (file->inode() && file->inode()->locks()) [[unlikely]]
    file->inode()->locks()->drop_owner(this);
  file->descriptor_closed(file);
}

Result<void> DescriptorTable::close(uint32_t descriptor) {
  Ref<File> file;
  {
    LockGuard guard(lock_);
    if (!file_of(load(descriptor))) return Errno::kBADF;
    file = take_locked(descriptor);
  }
  file_closed(std::move(file));
  return {};
}

void DescriptorTable::close_range(uint32_t first, uint32_t last) {
  for (uint32_t i = next_open(first); i <= last && i < kLimit; i = next_open(i + 1))
    ignore_result(close(i));  // another thread may have been faster
}

void DescriptorTable::close_for_exec() {
  for (uint32_t i = next_open(0); i < kLimit; i = next_open(i + 1))
    if (load(i) & kCloseOnExecBit) ignore_result(close(i));
}

Result<CloseOnExec> DescriptorTable::close_on_exec(uint32_t descriptor) {
  uintptr_t value = load(descriptor);
  if (!file_of(value)) return Errno::kBADF;
  return value & kCloseOnExecBit ? CloseOnExec::kYes : CloseOnExec::kNo;
}

Result<void> DescriptorTable::set_close_on_exec(uint32_t descriptor, CloseOnExec value) {
  LockGuard guard(lock_);
  if (!file_of(load(descriptor))) return Errno::kBADF;
  if (value == CloseOnExec::kYes) {
    slot(descriptor)->fetch_or(kCloseOnExecBit, memory_order_relaxed);
  } else {
    slot(descriptor)->fetch_and(~kCloseOnExecBit, memory_order_relaxed);
  }
  return {};
}

void DescriptorTable::set_close_on_exec_range(uint32_t first, uint32_t last) {
  for (uint32_t i = next_open(first); i <= last && i < kLimit; i = next_open(i + 1)) ignore_result(set_close_on_exec(i, CloseOnExec::kYes));
}

Result<Ref<DescriptorTable>> DescriptorTable::copy(uint32_t below) {
  Ref<DescriptorTable> made = TRY(create());
  uint32_t end, copied = 0;
  {
    LockGuard guard(lock_);
    end = end_ < below ? end_ : below;
    for (uint32_t i = 0; i < end && i < kInline; i++) {
      uintptr_t value = inline_[i].load(memory_order_relaxed);
      File* file = file_of(value);
      if (!file) continue;
      file->acquire();
      made->inline_[i].store(value, memory_order_relaxed);
      copied = i + 1;
    }
  }
  {
    LockGuard guard(made->lock_);
    made->end_ = copied;
  }
  for (uint32_t i = next_open(kInline); i < end; i = next_open(i + 1)) {
    Ref<File> file = find(i);
    if (!file) continue;
    TRY(made->replace(i, std::move(file), load(i) & kCloseOnExecBit ? CloseOnExec::kYes : CloseOnExec::kNo, kLimit));
  }
  return made;
}

}  // namespace faultline
