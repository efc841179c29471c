// Ownership without exceptions: Ref<T> shares an object that counts its users, Owned<T> has it alone.
// T says how it is given back: Ref calls T::acquire()/T::release(), Owned calls T::destroy(T*).
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "lib/atomic.h"
#include "lib/panic.h"

namespace faultline {

// Base of shared objects. The last release() calls Derived::destroy(Derived*), which gives the memory back.
// A new object starts with one user, which Ref<T>::adopt takes over.
template <typename Derived>
class RefCounted {
 public:
  RefCounted() = default;
  RefCounted(const RefCounted&) = delete;
  RefCounted& operator=(const RefCounted&) = delete;

  void acquire() {
    uint32_t before = references_.fetch_add(1, memory_order_relaxed);
    DEBUG_ASSERT(before != 0);
    (void)before;
  }
  void release() {
    uint32_t before = references_.fetch_sub(1, memory_order_acq_rel);
    ASSERT(before != 0);
    if (before == 1) Derived::destroy(static_cast<Derived*>(this));
  }
  // For caches that hand out an object which may be dying: false if it already is.
  bool try_acquire() {
    uint32_t count = references_.load(memory_order_relaxed);
    while (count != 0)
      if (references_.compare_exchange_weak(count, count + 1, memory_order_acquire)) return true;
    return false;
  }
  // For caches that keep objects nobody uses: the count goes from zero to one. Only under the lock that orders this against the
  // cache's own handling of the zero.
  void revive() {
    uint32_t before = references_.fetch_add(1, memory_order_acquire);
    ASSERT(before == 0);
  }
  uint32_t reference_count() const { return references_.load(memory_order_relaxed); }

 private:
  Atomic<uint32_t> references_{1};
};

template <typename T>
class Ref {
 public:
  constexpr Ref() = default;
  constexpr Ref(std::nullptr_t) {}  // NOLINT
  explicit Ref(T& object) : object_(&object) { object_->acquire(); }
  // Takes over the reference that a new object starts with.
  static Ref adopt(T* object) {
    Ref ref;
    ref.object_ = object;
    return ref;
  }
  Ref(const Ref& other) : object_(other.object_) {
    if (object_) object_->acquire();
  }
  Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  template <typename U>
  requires std::is_convertible_v<U*, T*> Ref(Ref<U>&& other)
  noexcept : object_(other.leak()) {}  // NOLINT
  template <typename U>
  requires std::is_convertible_v<U*, T*> Ref(const Ref<U>& other) : object_(other.get()) {  // NOLINT
    if (object_) object_->acquire();
  }
  Ref& operator=(Ref other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Ref() {
    if (object_) object_->release();
  }
  T* get() const { return object_; }
  T* operator->() const {
    DEBUG_ASSERT(object_ != nullptr);
    return object_;
  }
  T& operator*() const {
    DEBUG_ASSERT(object_ != nullptr);
    return *object_;
  }
  explicit operator bool() const { return object_ != nullptr; }
  bool operator==(const Ref& other) const { return object_ == other.object_; }
  // Gives the reference to the caller, who must release() it.
  T* leak() { return std::exchange(object_, nullptr); }

 private:
  T* object_ = nullptr;
};

template <typename T>
class Owned {
 public:
  constexpr Owned() = default;
  constexpr Owned(std::nullptr_t) {}  // NOLINT
  explicit Owned(T* object) : object_(object) {}
  Owned(const Owned&) = delete;
  Owned(Owned&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Owned& operator=(Owned&& other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Owned() {
    if (object_) T::destroy(object_);
  }
  T* get() const { return object_; }
  T* operator->() const { return object_; }
  T& operator*() const { return *object_; }
  explicit operator bool() const { return object_ != nullptr; }
  T* leak() { return std::exchange(object_, nullptr); }

 private:
  T* object_ = nullptr;
};

}  // namespace faultline
