// Parsing what mkswap(8) wrote: see swap_header.h.
#include "fs/swap_header.h"

#include <algorithm>

#include "mm/swap.h"

namespace faultline {

namespace {

constexpr uint32_t kVersion = 1;

// Words of the header, in the order of bytes that makes the version 1.
class HeaderWords {
 public:
  explicit HeaderWords(std::span<const uint8_t, kPageSize> page) : page_(page) {
    is_swapped_ = __builtin_bswap32(at(SwapHeader::kVersionAt)) == kVersion;
  }
  uint32_t at(uint32_t offset) const {
    uint32_t word;
    memcpy(&word, page_.data() + offset, sizeof word);
    return is_swapped_ ? __builtin_bswap32(word) : word;
  }

 private:
  std::span<const uint8_t, kPageSize> page_;
  bool is_swapped_ = false;
};

StringView signature_of(std::span<const uint8_t, kPageSize> page) {
  return {reinterpret_cast<const char*>(page.data()) + SwapHeader::kSignatureAt, kPageSize - SwapHeader::kSignatureAt};
}

// False: a page that the area does not have, or the header's own. Of an area larger than can be used, those of the part that is.
bool read_bad_pages(const HeaderWords& words, uint32_t last_page, SwapHeader& header) {
  const uint32_t count = words.at(SwapHeader::kBadCountAt);
  for (uint32_t i = 0; i < count; i++) {
    header.bad[i] = words.at(SwapHeader::kBadPagesAt + i * 4);
    if (header.bad[i] == 0 || header.bad[i] > last_page) return false;
  }
  std::sort(header.bad, header.bad + count);
  const uint32_t* end = std::lower_bound(header.bad, std::unique(header.bad, header.bad + count), header.pages);
  header.bad_count = static_cast<uint32_t>(end - header.bad);
  return true;
}

}  // namespace

StringView swap_header_parse(std::span<const uint8_t, kPageSize> page, uint64_t available, SwapHeader& header) {
  if (signature_of(page) == "SWAP-SPACE") return "Unable to handle swap header version 0, SWAP-SPACE";
  if (signature_of(page) != "SWAPSPACE2") return "Unable to find swap-space signature";
  const HeaderWords words(page);
  if (words.at(SwapHeader::kVersionAt) != kVersion) return "Unable to handle swap header version";
  const uint32_t last_page = words.at(SwapHeader::kLastPageAt);
  if (last_page == 0) return "Empty swap-file";
  if (last_page >= available) return "Swap area shorter than signature indicates";
  if (words.at(SwapHeader::kBadCountAt) > SwapHeader::kMaxBadPages) return "More bad pages than the header has room for";
  header.pages = std::min(last_page, SwapSlot::kMaxPages - 1) + 1;
  if (!read_bad_pages(words, last_page, header)) return "A bad page outside the swap area";
  if (header.bad_count == header.pages - 1) return "Empty swap-file";
  return {};
}

}  // namespace faultline
