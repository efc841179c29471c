// How an address becomes a physical one, for any geometry of tables: the processor's two levels of 10 + 10 + 12 bits, and the toy machine of
// the lectures (row A1) with one level of 2 + 8. Knows nothing of where entries are kept: the caller reads them.
#pragma once

#include <stdint.h>

namespace faultline {

// A geometry has
//   kLevels, kIndexBits[kLevels] (first level first), kOffsetBits
//   is_present(entry), frame(entry)            what an entry says
//   ends_at(entry, level)                      whether it names a page, not a further table
struct I386Paging {
  static constexpr unsigned kLevels = 2, kIndexBits[kLevels] = {10, 10}, kOffsetBits = 12;
  static constexpr uint32_t kPresent = 1, kWritable = 2, kUser = 4, kWriteThrough = 8, kCacheDisable = 16, kAccessed = 32, kDirty = 64,
                            kLarge = 128, kGlobal = 256,
                            kShared = 512;  // the last is Faultline's own: mapped MAP_SHARED
  static constexpr bool is_present(uint32_t entry) { return entry & kPresent; }
  static constexpr uint32_t frame(uint32_t entry) { return entry >> kOffsetBits; }
  static constexpr bool ends_at(uint32_t entry, unsigned level) { return level + 1 == kLevels || (entry & kLarge); }
};

// 10-bit virtual and 11-bit physical addresses, 256-byte pages, one table of four entries: a valid bit and three bits of frame. Frame 0 is a
// legal frame, so validity needs a bit of its own.
struct ToyPaging {
  static constexpr unsigned kLevels = 1, kIndexBits[kLevels] = {2}, kOffsetBits = 8;
  static constexpr uint32_t kValid = 8;
  static constexpr uint32_t kTable[4] = {kValid | 2, kValid | 7, 0, kValid | 0};  // code, data, nothing, stack
  static constexpr bool is_present(uint32_t entry) { return entry & kValid; }
  static constexpr uint32_t frame(uint32_t entry) { return entry & 7; }
  static constexpr bool ends_at(uint32_t, unsigned) { return true; }
};

template <typename Paging>
constexpr unsigned virtual_bits() {
  unsigned bits = Paging::kOffsetBits;
  for (unsigned each : Paging::kIndexBits) bits += each;
  return bits;
}
// The lowest bit of an address that chooses the entry at `level`.
template <typename Paging>
constexpr unsigned index_shift(unsigned level) {
  unsigned shift = virtual_bits<Paging>();
  for (unsigned i = 0; i <= level; i++) shift -= Paging::kIndexBits[i];
  return shift;
}

template <typename Paging>
struct Walk {
  struct Step {
    uint32_t index, entry;
  };
  Step steps[Paging::kLevels] = {};
  unsigned count = 0;  // steps taken: the last is the page's entry, or one that is not present
  bool is_mapped = false;
  unsigned offset_bits = 0;  // of the page that was found
  uint32_t offset = 0, physical = 0;
};

// `read(level, table, index)` gives the entry `index` of the table in frame `table` (0 at level 0: the one table that is always there).
template <typename Paging, typename Read>
constexpr Walk<Paging> walk(uint32_t address, Read read) {
  Walk<Paging> result;
  uint32_t table = 0;
  for (unsigned level = 0; level < Paging::kLevels; level++) {
    unsigned shift = index_shift<Paging>(level);
    uint32_t index = address >> shift & ((1u << Paging::kIndexBits[level]) - 1), entry = read(level, table, index);
    result.steps[result.count++] = {index, entry};
    if (!Paging::is_present(entry)) return result;
    table = Paging::frame(entry);
    if (!Paging::ends_at(entry, level)) continue;
    result.is_mapped = true;
    result.offset_bits = shift;
    result.offset = address & ((1u << shift) - 1);
    result.physical = (table << Paging::kOffsetBits & ~((1u << shift) - 1)) | result.offset;
    return result;
  }
  return result;
}

// Lectures A1: 01 1101 0010 is 111 1101 0010; page 10 traps; page 11 is in frame 0.
constexpr uint32_t toy_entry(unsigned, uint32_t, uint32_t index) { return ToyPaging::kTable[index]; }
static_assert(walk<ToyPaging>(0b01'1101'0010, toy_entry).physical == 0b111'1101'0010);
static_assert(!walk<ToyPaging>(0b10'0000'0000, toy_entry).is_mapped);
static_assert(walk<ToyPaging>(0b11'0000'0001, toy_entry).is_mapped && walk<ToyPaging>(0b11'0000'0001, toy_entry).physical == 1);

}  // namespace faultline
