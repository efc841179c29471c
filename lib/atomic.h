// The only door to <atomic>: lock-free integers and pointers, orderings spelt out by the caller where they matter.
#pragma once

#include <atomic>

namespace faultline {

template <typename T>
using Atomic = std::atomic<T>;

using std::memory_order_acq_rel;
using std::memory_order_acquire;
using std::memory_order_relaxed;
using std::memory_order_release;
using std::memory_order_seq_cst;

}  // namespace faultline
