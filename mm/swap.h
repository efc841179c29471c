// Swap: memory as a cache for the disk (lecture rows F1 to F4). A page that goes out leaves a *swap entry* in the page-table slot, or in the
// index of the anonymous object, that it came from; the entry names a slot of a swap area. The slot array is the swap cache: it knows how many
// entries name each slot (M4), and the frame that holds the slot's page in memory, if one does.
#pragma once

#include <cstdint>
#include <span>

#include "lib/address.h"
#include "lib/result.h"

namespace faultline {

// A page of swap space: 3 bits of area, 26 of page within the area.
class SwapSlot {
 public:
  static constexpr uint32_t kAreaBits = 3, kPageBits = 26;
  static constexpr uint32_t kMaxAreas = 1u << kAreaBits, kMaxPages = 1u << kPageBits;
  constexpr SwapSlot() = default;
  constexpr SwapSlot(uint32_t area, uint32_t page) : raw_(area << kPageBits | page) {}
  constexpr explicit SwapSlot(uint32_t raw) : raw_(raw) {}
  constexpr uint32_t raw() const { return raw_; }
  constexpr uint32_t area() const { return raw_ >> kPageBits; }
  constexpr uint32_t page() const { return raw_ & (kMaxPages - 1); }
  constexpr bool operator==(const SwapSlot&) const = default;

 private:
  uint32_t raw_ = 0;
};

// Where an area's pages are kept: a partition, or a file whose blocks were looked up beforehand. Called with no spin lock held; sleeps on the
// device only, and allocates nothing, because there may be no memory. (An upward call of mm, inverted: fs implements it.)
class SwapStore {
 public:
  // Pages first .. first + frames.size() of the area, at most kMaxCluster. All or nothing. kIO.
  virtual Result<void> read_pages(uint32_t first, std::span<const FrameNumber> frames) = 0;
  // Returns when the device has taken the data; nothing of it need survive a power cut.
  virtual Result<void> write_pages(uint32_t first, std::span<const FrameNumber> frames) = 0;

 protected:
  ~SwapStore() = default;
};

// A new area of `pages` pages, of which page 0 (the header) and those in `bad` are never used. Areas of higher priority fill first. The store
// must live until swap_remove() has succeeded. Returns the area's number. kNOMEM; kPERM: there are kMaxAreas already; kINVAL: no usable page.
Result<uint32_t> swap_add(SwapStore& store, uint32_t pages, std::span<const uint32_t> bad, int32_t priority);
// Brings everything back and forgets the area. Sleeps; nothing may be held. kNOMEM: there is not enough memory for it; kIO: a page cannot be
// read; kINTR. The area is then in use as before, and nothing is lost.
Result<void> swap_remove(uint32_t area);

struct SwapAreaStatistics {
  bool in_use;
  uint32_t pages, used;  // usable ones, and those that hold something
  int32_t priority;
};
SwapAreaStatistics swap_area_statistics(uint32_t area);

struct SwapStatistics {
  uint32_t total, free;    // pages of all areas
  uint32_t cached;         // pages that are in memory and in a slot
  uint32_t in, out;        // pages read and written since boot, modulo 2^32 (pswpin, pswpout)
  uint32_t reads, writes;  // transfers that moved them
};
SwapStatistics swap_statistics();

}  // namespace faultline
