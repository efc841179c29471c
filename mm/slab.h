// Small kernel objects: size-class caches over whole pages, per-CPU magazines in front. All fallible. Any context with
// preemption on or off, but not interrupt handlers. An empty slab goes back to the frame allocator at once.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

#include "lib/ref.h"
#include "lib/result.h"

namespace faultline {

// Boot only, after frames_initialize().
void slab_initialize();

// Uninitialised bytes, aligned to 16, up to 128 KiB; null when memory is out. The same `bytes` must be given back.
void* slab_allocate(size_t bytes);
void slab_free(void* pointer, size_t bytes);

// The same for who knows the size when it is compiled, and so the slots' class.
inline constexpr std::array<uint16_t, 13> kSlabClassBytes = {16, 32, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048};
inline constexpr size_t kLargestSlabClass = kSlabClassBytes.back();
constexpr uint32_t slab_class(size_t bytes) {
  uint32_t index = 0;
  while (kSlabClassBytes.data()[index] < bytes) index++;
  return index;
}
void* slab_allocate_slot(uint32_t slab_class);
void slab_free_slot(void* slot, uint32_t slab_class);
template <size_t kBytes>
void* slab_allocate() {
  if constexpr (kBytes <= kLargestSlabClass) {
    constexpr uint32_t kClass = slab_class(kBytes);
    return slab_allocate_slot(kClass);
  } else {
    return slab_allocate(kBytes);
  }
}
template <size_t kBytes>
void slab_free(void* pointer) {
  if constexpr (kBytes <= kLargestSlabClass) {
    constexpr uint32_t kClass = slab_class(kBytes);
    slab_free_slot(pointer, kClass);
  } else {
    slab_free(pointer, kBytes);
  }
}

// Empties the magazines of every CPU, so that slabs without users are frames again. May be called from any thread.
void slab_drain();
// How many allocations live. Exact while nobody else allocates or frees: for tests of leaks, which no partly used slab can hide.
uint32_t slab_allocations();

// One size class; `used` is exact while nobody allocates. False: there is no class of that number.
struct SlabStatistics {
  uint32_t slot_bytes, slots_per_slab, pages_per_slab;
  uint32_t slabs, used;  // used: slots
};
bool slab_statistics(uint32_t index, SlabStatistics& statistics);

// Constructs a T in slab memory: kNOMEM or the object, to be ended with slab_delete (usually from T::destroy).
template <typename T, typename... Arguments>
Result<T*> slab_new(Arguments&&... arguments) {
  void* memory = slab_allocate<sizeof(T)>();
  if (!memory) return Errno::kNOMEM;
  return new (memory) T(std::forward<Arguments>(arguments)...);
}
template <typename T>
void slab_delete(T* object) {
  object->~T();
  slab_free<sizeof(T)>(object);
}

// A byte or element buffer of a size known at run time, freed with its owner.
template <typename T>
class Buffer {
 public:
  Buffer() = default;
  static Result<Buffer> create(size_t count) {
    if (count > (128 * 1024) / sizeof(T)) return Errno::kNOMEM;
    Buffer buffer;
    buffer.data_ = static_cast<T*>(slab_allocate(count * sizeof(T)));
    if (!buffer.data_) return Errno::kNOMEM;
    buffer.count_ = count;
    return buffer;
  }
  Buffer(Buffer&& other) noexcept : data_(std::exchange(other.data_, nullptr)), count_(std::exchange(other.count_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(count_, other.count_);
    return *this;
  }
  ~Buffer() {
    if (data_) slab_free(data_, count_ * sizeof(T));
  }
  T* data() const { return data_; }
  size_t size() const { return count_; }
  T& operator[](size_t index) const {
    ASSERT(index < count_);
    return data_[index];
  }

 private:
  static_assert(std::is_trivially_destructible_v<T>);
  T* data_ = nullptr;
  size_t count_ = 0;
};

}  // namespace faultline
