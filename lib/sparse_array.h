// A sparse array from 32-bit index to a word-sized value: a radix tree of 64-slot nodes, as deep as its largest index needs. An object's
// pages are kept in one. Zero is "nothing". Not locked. Nodes come from the allocator that the owner names, and
// storing may fail for want of one; taking out never fails and frees empty nodes.
#pragma once

#include <bit>
#include <cstdint>

#include "lib/panic.h"

namespace faultline {

// Allocator: static void* allocate(size_t) (null when out) and static void release(void*, size_t).
template <typename Allocator>
class SparseArray {
 public:
  using Value = uint32_t;

  SparseArray() = default;
  SparseArray(const SparseArray&) = delete;
  SparseArray& operator=(const SparseArray&) = delete;
  ~SparseArray() { ASSERT(count_ == 0); }

  uint32_t count() const { return count_; }

  Value get(uint32_t index) const {
    if (!root_ || !reaches(index)) return 0;
    const Node* node = root_;
    for (uint32_t level = levels_; level > 1; level--) {
      node = node->child(slot_of(index, level));
      if (!node) return 0;
    }
    return node->words[slot_of(index, 1)];
  }

  // Sets a non-zero value; false when a node could not be allocated (nothing changed).
  [[nodiscard]] bool set(uint32_t index, Value value) {
    ASSERT(value != 0);
    if (!grow_to(index)) return false;
    Node* node = root_;
    for (uint32_t level = levels_; level > 1; level--) {
      uint32_t slot = slot_of(index, level);
      Node* below = node->child(slot);
      if (!below) {
        below = create_node();
        if (!below) {
          prune(index);
          return false;
        }
        node->set_child(slot, below);
      }
      node = below;
    }
    uint32_t slot = slot_of(index, 1);
    if (node->words[slot] == 0) {
      node->present |= 1ull << slot;
      count_++;
    }
    node->words[slot] = value;
    return true;
  }

  // Empties an index and returns what was there.
  Value take(uint32_t index) {
    Value old = get(index);
    if (old == 0) return 0;
    Node* node = root_;
    for (uint32_t level = levels_; level > 1; level--) node = node->child(slot_of(index, level));
    uint32_t slot = slot_of(index, 1);
    node->words[slot] = 0;
    node->present &= ~(1ull << slot);
    count_--;
    prune(index);
    return old;
  }

  // The values of the 64 consecutive indices around `index` (from index & ~63 on), or null if they are all empty: for who visits
  // neighbours.
  static constexpr uint32_t kLeafValues = 64;
  const uintptr_t* leaf(uint32_t index) const {
    if (!root_ || !reaches(index)) return nullptr;
    const Node* node = root_;
    for (uint32_t level = levels_; level > 1 && node; level--) node = node->child(slot_of(index, level));
    return node ? node->words : nullptr;
  }

  // The first index at or after `from` that holds a value: false if there is none.
  bool next(uint32_t from, uint32_t& index, Value& value) const {
    if (!root_ || !reaches(from)) return false;
    return next_below(root_, levels_, 0, from, index, value);
  }

 private:
  static constexpr uint32_t kBits = 6, kSlots = 1u << kBits, kMaxLevels = 6;
  struct Node {
    uint64_t present = 0;
    uintptr_t words[kSlots] = {};  // children, or values on level 1
    Node* child(uint32_t slot) const { return reinterpret_cast<Node*>(words[slot]); }
    void set_child(uint32_t slot, Node* node) {
      words[slot] = reinterpret_cast<uintptr_t>(node);
      if (node)
        present |= 1ull << slot;
      else
        present &= ~(1ull << slot);
    }
  };

  // Two 32-bit steps: for 64 bits the compiler would call a library function.
  static uint32_t lowest_bit(uint64_t bits) {
    uint32_t low = static_cast<uint32_t>(bits);
    uint32_t within = static_cast<uint32_t>(std::countr_zero(low ? low : static_cast<uint32_t>(bits >> 32)));
    return low ? within : 32 + within;
  }
  static uint32_t slot_of(uint32_t index, uint32_t level) { return (index >> (kBits * (level - 1))) & (kSlots - 1); }
  bool reaches(uint32_t index) const { return levels_ >= kMaxLevels || (index >> (kBits * levels_)) == 0; }

  static Node* create_node() {
    void* memory = Allocator::allocate(sizeof(Node));
    return memory ? new (memory) Node : nullptr;
  }

  bool grow_to(uint32_t index) {
    if (!root_) {
      // As deep as it has to be at once: growing from an empty leaf would leave that leaf in the tree.
      root_ = create_node();
      if (!root_) return false;
      levels_ = 1;
      while (!reaches(index)) levels_++;
    }
    while (!reaches(index)) {
      Node* above = create_node();
      if (!above) {
        prune(0);
        return false;
      }
      above->set_child(0, root_);
      root_ = above;
      levels_++;
    }
    return true;
  }

  // Frees the empty nodes on the way to `index`, and roots that have only their first child.
  void prune(uint32_t index) {
    if (root_ && prune_below(root_, levels_, index)) {
      Allocator::release(root_, sizeof(Node));
      root_ = nullptr;
      levels_ = 0;
    }
    while (root_ && levels_ > 1 && root_->present == 1) {
      Node* below = root_->child(0);
      Allocator::release(root_, sizeof(Node));
      root_ = below;
      levels_--;
    }
  }
  // True if `node` is empty now.
  bool prune_below(Node* node, uint32_t level, uint32_t index) {
    if (level > 1) {
      uint32_t slot = slot_of(index, level);
      Node* below = node->child(slot);
      if (below && prune_below(below, level - 1, index)) {
        Allocator::release(below, sizeof(Node));
        node->set_child(slot, nullptr);
      }
    }
    return node->present == 0;
  }

  static bool next_below(const Node* node, uint32_t level, uint32_t base, uint32_t from, uint32_t& index, Value& value) {
    uint32_t shift = kBits * (level - 1);
    uint32_t first = from > base ? (from - base) >> shift : 0;
    if (first >= kSlots) return false;
    uint64_t candidates = node->present & (~0ull << first);
    while (candidates) {
      uint32_t slot = lowest_bit(candidates);
      candidates &= candidates - 1;
      uint32_t start = base + (slot << shift);
      if (level == 1) {
        index = start;
        value = static_cast<Value>(node->words[slot]);
        return true;
      }
      if (next_below(node->child(slot), level - 1, start, from, index, value)) return true;
    }
    return false;
  }

  Node* root_ = nullptr;
  uint32_t levels_ = 0;
  uint32_t count_ = 0;
};

}  // namespace faultline
