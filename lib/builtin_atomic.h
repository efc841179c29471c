// Atomic integers, enumerations and pointers by the compiler's builtins: <atomic> brings the half of the C++ library that waits, which would be
// most of what the compiler reads for the average file of the kernel.
#pragma once

#include <cstdint>
#include <type_traits>

namespace faultline {

enum class MemoryOrder : int {
  kRelaxed = __ATOMIC_RELAXED,
  kAcquire = __ATOMIC_ACQUIRE,
  kRelease = __ATOMIC_RELEASE,
  kAcquireRelease = __ATOMIC_ACQ_REL,
  kSequential = __ATOMIC_SEQ_CST,
};
// By the standard's names.
inline constexpr MemoryOrder memory_order_relaxed = MemoryOrder::kRelaxed, memory_order_acquire = MemoryOrder::kAcquire,
                             memory_order_release = MemoryOrder::kRelease, memory_order_acq_rel = MemoryOrder::kAcquireRelease,
                             memory_order_seq_cst = MemoryOrder::kSequential;

// std::atomic's members, with its meaning. Lock-free: no larger than the processor can exchange at once.
template <typename T>
class BuiltinAtomic {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= 8);

 public:
  constexpr BuiltinAtomic() = default;
  constexpr BuiltinAtomic(T value) : value_(value) {}  // NOLINT
  BuiltinAtomic(const BuiltinAtomic&) = delete;
  BuiltinAtomic& operator=(const BuiltinAtomic&) = delete;

  T load(MemoryOrder order = memory_order_seq_cst) const {
    T value;
    __atomic_load(&value_, &value, static_cast<int>(order));
    return value;
  }
  void store(T value, MemoryOrder order = memory_order_seq_cst) { __atomic_store(&value_, &value, static_cast<int>(order)); }
  T exchange(T value, MemoryOrder order = memory_order_seq_cst) {
    T old;
    __atomic_exchange(&value_, &value, &old, static_cast<int>(order));
    return old;
  }
  bool compare_exchange_strong(T& expected, T value, MemoryOrder success, MemoryOrder failure) {
    return __atomic_compare_exchange(&value_, &expected, &value, false, static_cast<int>(success), static_cast<int>(failure));
  }
  bool compare_exchange_strong(T& expected, T value, MemoryOrder order = memory_order_seq_cst) {
    return compare_exchange_strong(expected, value, order, of_failure(order));
  }
  bool compare_exchange_weak(T& expected, T value, MemoryOrder success, MemoryOrder failure) {
    return __atomic_compare_exchange(&value_, &expected, &value, true, static_cast<int>(success), static_cast<int>(failure));
  }
  bool compare_exchange_weak(T& expected, T value, MemoryOrder order = memory_order_seq_cst) {
    return compare_exchange_weak(expected, value, order, of_failure(order));
  }
  T fetch_add(T value, MemoryOrder order = memory_order_seq_cst) requires std::is_integral_v<T> {
    return __atomic_fetch_add(&value_, value, static_cast<int>(order));
  }
  T fetch_sub(T value, MemoryOrder order = memory_order_seq_cst) requires std::is_integral_v<T> {
    return __atomic_fetch_sub(&value_, value, static_cast<int>(order));
  }
  T fetch_or(T value, MemoryOrder order = memory_order_seq_cst) requires std::is_integral_v<T> {
    return __atomic_fetch_or(&value_, value, static_cast<int>(order));
  }
  T fetch_and(T value, MemoryOrder order = memory_order_seq_cst) requires std::is_integral_v<T> {
    return __atomic_fetch_and(&value_, value, static_cast<int>(order));
  }
  operator T() const { return load(); }  // NOLINT
  T operator=(T value) {
    store(value);
    return value;
  }

 private:
  // A failed exchange only reads.
  static constexpr MemoryOrder of_failure(MemoryOrder order) {
    return order == memory_order_acq_rel ? memory_order_acquire : order == memory_order_release ? memory_order_relaxed : order;
  }

  alignas(sizeof(T) > alignof(T) ? sizeof(T) : alignof(T)) T value_{};
};

}  // namespace faultline
