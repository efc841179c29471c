// An atomic that tells of every access beforehand: with a choice at each of them, and at nothing else, all that sequentially consistent
// processors could do can be played by switching between threads (what is shared and not atomic is under a lock, or ThreadSanitizer says so).
#pragma once

#include <machine/schedule_point.h>

#include "lib/builtin_atomic.h"

namespace faultline::machine {

template <typename T>
class Atomic : public BuiltinAtomic<T> {
  using Base = BuiltinAtomic<T>;
  using Order = MemoryOrder;
  static constexpr Order kStrongest = memory_order_seq_cst;

 public:
  using Base::Base;

  T load(Order order = kStrongest) const { return point(Point::kLoad), Base::load(order); }
  void store(T value, Order order = kStrongest) { point(Point::kStore), Base::store(value, order); }
  T exchange(T value, Order order = kStrongest) { return point(Point::kUpdate), Base::exchange(value, order); }
  bool compare_exchange_strong(T& expected, T value, Order order = kStrongest) {
    return point(Point::kUpdate), Base::compare_exchange_strong(expected, value, order);
  }
  bool compare_exchange_strong(T& expected, T value, Order success, Order failure) {
    return point(Point::kUpdate), Base::compare_exchange_strong(expected, value, success, failure);
  }
  // Never fails for nothing: a run must be the same when it is repeated.
  bool compare_exchange_weak(T& expected, T value, Order order = kStrongest) { return compare_exchange_strong(expected, value, order); }
  bool compare_exchange_weak(T& expected, T value, Order success, Order failure) {
    return compare_exchange_strong(expected, value, success, failure);
  }
  T fetch_add(T value, Order order = kStrongest) requires std::is_integral_v<T> {
    return point(Point::kUpdate), Base::fetch_add(value, order);
  }
  T fetch_sub(T value, Order order = kStrongest) requires std::is_integral_v<T> {
    return point(Point::kUpdate), Base::fetch_sub(value, order);
  }
  T fetch_or(T value, Order order = kStrongest) requires std::is_integral_v<T> {
    return point(Point::kUpdate), Base::fetch_or(value, order);
  }
  T fetch_and(T value, Order order = kStrongest) requires std::is_integral_v<T> {
    return point(Point::kUpdate), Base::fetch_and(value, order);
  }
  operator T() const { return load(); }
  T operator=(T value) {
    store(value);
    return value;
  }
};

template <typename T>
class PublishedCell {
 public:
  constexpr PublishedCell() = default;
  constexpr explicit PublishedCell(T value) : value_(value) {}
  T load() const { return value_.load(memory_order_acquire); }
  void store(T value) { value_.store(value, memory_order_release); }

 private:
  Atomic<T> value_{};
};

}  // namespace faultline::machine
