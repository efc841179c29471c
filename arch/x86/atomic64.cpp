// Atomic operations on 64-bit words, which compilers leave to a library when the vector and x87 registers are not theirs.
// All by cmpxchg8b, which every processor since the Pentium has; sequentially consistent whatever is asked for.
#include <cstdint>

namespace faultline {

namespace {

// The old value, whatever it was; `desired` is stored if it was `expected`.
uint64_t exchange_if_equal(volatile uint64_t* word, uint64_t expected, uint64_t desired) {
  asm volatile("lock cmpxchg8b %1"
               : "+A"(expected), "+m"(*word)
               : "b"(static_cast<uint32_t>(desired)), "c"(static_cast<uint32_t>(desired >> 32))
               : "memory");
  return expected;
}

template <typename Change>
uint64_t update(volatile uint64_t* word, Change change) {
  uint64_t old = 0;
  for (;;) {
    uint64_t found = exchange_if_equal(word, old, change(old));
    if (found == old) return old;
    old = found;
  }
}

}  // namespace

// The compilers' own names for them (GCC manual, "__atomic Builtins"; declared under others, for the names are reserved).
extern "C" {
uint64_t atomic_load_8(volatile uint64_t* word, int) asm("__atomic_load_8");
void atomic_store_8(volatile uint64_t* word, uint64_t value, int) asm("__atomic_store_8");
uint64_t atomic_exchange_8(volatile uint64_t* word, uint64_t value, int) asm("__atomic_exchange_8");
bool atomic_compare_exchange_8(volatile uint64_t* word, uint64_t* expected, uint64_t desired, int, int) asm("__atomic_compare_exchange_8");
uint64_t atomic_fetch_add_8(volatile uint64_t* word, uint64_t value, int) asm("__atomic_fetch_add_8");
uint64_t atomic_fetch_sub_8(volatile uint64_t* word, uint64_t value, int) asm("__atomic_fetch_sub_8");
uint64_t atomic_fetch_or_8(volatile uint64_t* word, uint64_t value, int) asm("__atomic_fetch_or_8");
uint64_t atomic_fetch_and_8(volatile uint64_t* word, uint64_t value, int) asm("__atomic_fetch_and_8");

// Storing back what is there is a store that changes nothing.
uint64_t atomic_load_8(volatile uint64_t* word, int) { return exchange_if_equal(word, 0, 0); }
void atomic_store_8(volatile uint64_t* word, uint64_t value, int) {
  update(word, [=](uint64_t) { return value; });
}
uint64_t atomic_exchange_8(volatile uint64_t* word, uint64_t value, int) {
  return update(word, [=](uint64_t) { return value; });
}
bool atomic_compare_exchange_8(volatile uint64_t* word, uint64_t* expected, uint64_t desired, int, int) {
  uint64_t wanted = *expected;
  *expected = exchange_if_equal(word, wanted, desired);
  return *expected == wanted;
}
uint64_t atomic_fetch_add_8(volatile uint64_t* word, uint64_t value, int) {
  return update(word, [=](uint64_t old) { return old + value; });
}
uint64_t atomic_fetch_sub_8(volatile uint64_t* word, uint64_t value, int) {
  return update(word, [=](uint64_t old) { return old - value; });
}
uint64_t atomic_fetch_or_8(volatile uint64_t* word, uint64_t value, int) {
  return update(word, [=](uint64_t old) { return old | value; });
}
uint64_t atomic_fetch_and_8(volatile uint64_t* word, uint64_t value, int) {
  return update(word, [=](uint64_t old) { return old & value; });
}
}

}  // namespace faultline
