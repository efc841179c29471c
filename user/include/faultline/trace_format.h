// Traces of page references as `faults --trace` writes them and tools/replacement reads them: the magic bytes, then for each reference the
// difference of its page number from the one before (the first: from 0) modulo 2^32, folded so that small ones of either sign are small, seven
// bits to a byte, low bits first, bit 7 set in all bytes of a number but its last. About a byte for a reference. Ends with the file.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace faultline {

inline constexpr char kTraceMagic[8] = {'F', 'L', 'T', 'R', 'A', 'C', 'E', 1};

// 0, -1, 1, -2, ... become 0, 1, 2, 3, ...
constexpr uint32_t trace_fold(uint32_t difference) { return difference << 1 ^ (difference >> 31 ? 0xffffffffu : 0); }
constexpr uint32_t trace_unfold(uint32_t folded) { return folded >> 1 ^ (folded & 1 ? 0xffffffffu : 0); }

class TraceWriter {
 public:
  // Calls put(byte) for each byte of one reference more.
  template <typename Put>
  void add(uint32_t page, Put put) {
    uint32_t folded = trace_fold(page - last_);
    last_ = page;
    for (; folded >= 0x80; folded >>= 7) put(static_cast<char>(folded | 0x80));
    put(static_cast<char>(folded));
  }

 private:
  uint32_t last_ = 0;
};

class TraceReader {
 public:
  enum class Took : uint8_t { kPart, kReference, kTooLarge };
  // The next byte after the magic ones; kReference: page() is one.
  Took take(char byte) {
    folded_ |= static_cast<uint64_t>(byte & 0x7f) << bits_;
    bits_ += 7;
    if (folded_ > 0xffffffffu || (byte & 0x80 && bits_ >= 35)) return Took::kTooLarge;
    if (byte & 0x80) return Took::kPart;
    page_ += trace_unfold(static_cast<uint32_t>(folded_));
    folded_ = bits_ = 0;
    return Took::kReference;
  }
  uint32_t page() const { return page_; }
  bool is_within_reference() const { return bits_ != 0; }

 private:
  uint32_t page_ = 0, bits_ = 0;
  uint64_t folded_ = 0;
};

}  // namespace faultline
