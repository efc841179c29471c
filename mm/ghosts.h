// Who was evicted lately: names of pages that are no longer in memory, in a table of fixed size. A name is a 32-bit hash. The answer is
// wrong now and then (two names of one fingerprint in a bucket, a bucket that ran over), which costs a page a better place in a queue.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>

namespace faultline {

struct Ghost {
  uint32_t age;  // how many have gone since, itself included; in steps of a 4,096th of the table
  bool is_marked;
};

// A set-associative table: the name chooses a bucket, where its fingerprint takes the place of the oldest. A word is 15 bits of fingerprint,
// never 0, a mark of the caller's, and 16 bits of time; 0 is empty. Time is counted in evictions.
class Ghosts {
 public:
  // The words are the caller's, and zero. None at all is allowed: then nobody is remembered.
  constexpr void initialize(std::span<uint32_t> words) {
    bucket_ = std::min<uint32_t>(static_cast<uint32_t>(words.size()), kBucket);
    buckets_ = bucket_ == 0 ? 0 : static_cast<uint32_t>(words.size()) / bucket_;
    words_ = words;
    tick_ = static_cast<uint32_t>(words.size()) / kTicks + 1;
    evictions_ = 0;
  }

  void remember(uint32_t name, bool is_marked) {
    const uint32_t mixed = mix(name);
    uint32_t* oldest = nullptr;
    for (uint32_t& word : bucket(mixed))
      if (!oldest || age(word) > age(*oldest)) oldest = &word;
    if (oldest) *oldest = fingerprint(mixed) | (is_marked ? kMark : 0) | now();
    evictions_++;
  }

  // The name's ghost, if it was among the last `span` that were remembered; forgets it.
  std::optional<Ghost> recall(uint32_t name, uint32_t span) {
    const uint32_t mixed = mix(name);
    for (uint32_t& word : bucket(mixed)) {
      if ((word & kFingerprint) != fingerprint(mixed) || age(word) > span / tick_) continue;
      const Ghost ghost = {age(word) * tick_, (word & kMark) != 0};
      word = 0;
      return ghost;
    }
    return std::nullopt;
  }

 private:
  static constexpr uint32_t kBucket = 8, kFingerprint = 0xfffe0000u, kMark = 1u << 16;
  // The time of a word goes round after sixteen times as many evictions as there are words: its place is long taken by then.
  static constexpr uint32_t kTicks = 4096;

  // Names may be small numbers; buckets and fingerprints need all bits alike. (The finalizer of MurmurHash3.)
  static constexpr uint32_t mix(uint32_t name) {
    name = (name ^ name >> 16) * 0x85ebca6b;
    name = (name ^ name >> 13) * 0xc2b2ae35;
    return name ^ name >> 16;
  }
  std::span<uint32_t> bucket(uint32_t mixed) const {
    const uint32_t number = static_cast<uint32_t>(static_cast<uint64_t>(mixed) * buckets_ >> 32);
    return words_.subspan(number * bucket_, bucket_);
  }
  // From the bits that choose the bucket least.
  static constexpr uint32_t fingerprint(uint32_t mixed) { return std::max<uint32_t>(mixed << 17, 1u << 17); }
  uint32_t now() const { return evictions_ / tick_ & 0xffff; }
  uint32_t age(uint32_t word) const { return word == 0 ? 0xffff : (now() - word) & 0xffff; }

  std::span<uint32_t> words_;
  uint32_t bucket_ = 0, buckets_ = 0;  // words of a bucket, and how many buckets
  uint32_t tick_ = 1;                  // evictions in a unit of time
  uint32_t evictions_ = 0;
};

}  // namespace faultline
