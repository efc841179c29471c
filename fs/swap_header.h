// The header of a swap area, as mkswap(8) writes it: version 1, in the area's first page. It comes from a disk, so nothing in it is believed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "lib/address.h"
#include "lib/string.h"

namespace faultline {

// Format (Linux's include/linux/swap.h, union swap_header): from byte 1024 the version, the last page's number and the number of bad pages, in
// the byte order of the machine that made it; a UUID and a label; from byte 1536 the bad pages' numbers; "SWAPSPACE2" in the last ten bytes.
struct SwapHeader {
  static constexpr uint32_t kVersionAt = 1024, kLastPageAt = 1028, kBadCountAt = 1032, kUuidAt = 1036, kLabelAt = 1052, kBadPagesAt = 1536;
  static constexpr uint32_t kSignatureAt = kPageSize - 10;
  static constexpr uint32_t kMaxBadPages = (kSignatureAt - kBadPagesAt) / 4;

  uint32_t pages = 0;  // of the whole area, this page included; at most SwapSlot::kMaxPages
  uint32_t bad_count = 0;
  uint32_t bad[kMaxBadPages];  // sorted, each once, between 1 and pages - 1

  std::span<const uint32_t> bad_pages() const { return {bad, bad_count}; }
};

// Reads the first page of an area that has room for `available` pages. Returns what is wrong with it, in Linux's words where it has some; an
// empty text: nothing, and `header` is filled in.
StringView swap_header_parse(std::span<const uint8_t, kPageSize> page, uint64_t available, SwapHeader& header);

}  // namespace faultline
