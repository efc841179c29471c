// A ring of bytes in a fixed buffer. Not locked: its owner names the lock.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "lib/string.h"

namespace faultline {

template <uint32_t kCapacity>
class ByteRing {
 public:
  static_assert(std::has_single_bit(kCapacity));

  size_t used() const { return write_ - read_; }
  size_t room() const { return kCapacity - used(); }
  bool is_empty() const { return write_ == read_; }

  // Both return how many bytes moved.
  size_t put(std::span<const uint8_t> bytes) {
    size_t count = bytes.size() < room() ? bytes.size() : room();
    size_t first = piece(write_, count);
    memcpy(&data_[write_ % kCapacity], bytes.data(), first);
    memcpy(data_, bytes.data() + first, count - first);
    write_ += static_cast<uint32_t>(count);
    return count;
  }
  size_t peek(std::span<uint8_t> buffer) const {
    size_t count = buffer.size() < used() ? buffer.size() : used();
    size_t first = piece(read_, count);
    memcpy(buffer.data(), &data_[read_ % kCapacity], first);
    memcpy(buffer.data() + first, data_, count - first);
    return count;
  }
  void drop(size_t count) { read_ += static_cast<uint32_t>(count); }
  size_t take(std::span<uint8_t> buffer) {
    size_t count = peek(buffer);
    drop(count);
    return count;
  }
  bool put(uint8_t byte) { return put(std::span<const uint8_t>(&byte, 1)) == 1; }
  void clear() { read_ = write_; }

 private:
  static size_t piece(uint32_t index, size_t count) {
    size_t to_end = kCapacity - index % kCapacity;
    return count < to_end ? count : to_end;
  }
  uint32_t read_ = 0, write_ = 0;  // free-running
  uint8_t data_[kCapacity];
};

}  // namespace faultline
