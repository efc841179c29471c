// What mm's own bits of a page-table entry mean (arch/mmu.h has the processor's). A slot of a user table is one of
//   0                                  nothing: the region says what a touch brings
//   frame | A D | was accessed | shared | U W P    present
//   frame |   D | shared | kept        PROT_NONE: the frame stays here, the processor sees nothing
//   swap slot | swapped                the page is in swap, or on its way there or back (mm/swap.h)
#pragma once

#include "arch/mmu.h"
#include "mm/swap.h"

namespace faultline {

// The frame is an object's and mapped MAP_SHARED: W lets others see the writes, D must reach the object.
inline constexpr uint32_t kPteShared = Pte::kSoftware1;
// The reclaimer has taken A away and flushed nothing: TLBs may hold the entry although A is clear.
inline constexpr uint32_t kPteWasAccessed = Pte::kSoftware2;

// mlock(2): the page stays. Of present and of kept entries.
inline constexpr uint32_t kPteLocked = Pte::kSoftware3;

// With P clear:
inline constexpr uint32_t kPteKept = 1u << 1;
inline constexpr uint32_t kPteSwapped = 1u << 2;  // the slot is in the bits above
inline constexpr uint32_t kPteSlotShift = 3;
static_assert(SwapSlot::kAreaBits + SwapSlot::kPageBits + kPteSlotShift == 32);

constexpr bool pte_is_kept(Pte pte) { return !pte.is_present() && (pte.raw() & kPteKept); }
constexpr bool pte_is_swapped(Pte pte) { return !pte.is_present() && (pte.raw() & kPteSwapped); }
constexpr bool pte_has_frame(Pte pte) { return pte.is_present() || pte_is_kept(pte); }
constexpr bool pte_allows_writing(Pte pte) { return !(~pte.raw() & (Pte::kPresent | Pte::kWritable)); }
constexpr bool pte_may_be_in_tlb(Pte pte) { return pte.is_present() && (pte.raw() & (Pte::kAccessed | kPteWasAccessed)); }
// Of entries that have a frame:
constexpr bool pte_is_shared(Pte pte) { return pte.raw() & kPteShared; }
constexpr bool pte_is_locked(Pte pte) { return pte.raw() & kPteLocked; }

// A present user entry: readable, and writable if asked.
constexpr Pte pte_readable(FrameNumber frame) { return Pte(frame, Pte::kPresent | Pte::kUser | Pte::kAccessed); }
constexpr Pte pte_writable(FrameNumber frame) {
  return Pte(frame, Pte::kPresent | Pte::kUser | Pte::kAccessed | Pte::kWritable | Pte::kDirty);
}
// To PROT_NONE and back; the way back is never writable, so that the fault path decides afresh.
inline constexpr uint32_t kPteLasting = ~kPageMask | Pte::kDirty | kPteShared | kPteLocked;
constexpr Pte pte_hidden(Pte pte) { return Pte((pte.raw() & kPteLasting) | kPteKept); }
constexpr Pte pte_revealed(Pte pte) { return Pte((pte.raw() & kPteLasting) | Pte::kPresent | Pte::kUser | Pte::kAccessed); }
// To swap and back.
constexpr Pte pte_swapped(SwapSlot slot) { return Pte(slot.raw() << kPteSlotShift | kPteSwapped); }
constexpr SwapSlot pte_swap_slot(Pte pte) { return SwapSlot(pte.raw() >> kPteSlotShift); }
static_assert(pte_is_swapped(pte_swapped(SwapSlot(7, 5))) && !pte_has_frame(pte_swapped(SwapSlot(7, 5))));
static_assert(pte_swap_slot(pte_swapped(SwapSlot(7, 0x3fffff5))) == SwapSlot(7, 0x3fffff5));
static_assert(pte_hidden(pte_writable(FrameNumber(5))).raw() == 0x5042);
static_assert(pte_revealed(pte_hidden(pte_writable(FrameNumber(5)))).raw() == 0x5065);
static_assert(!pte_hidden(pte_writable(FrameNumber(5))).is_present());

// A directory entry. Without W the table may be shared with other directories: see page_table.h.
constexpr Pte pde_sole(FrameNumber table) { return Pte(table, Pte::kPresent | Pte::kUser | Pte::kWritable); }
constexpr Pte pde_shared(FrameNumber table) { return Pte(table, Pte::kPresent | Pte::kUser); }

}  // namespace faultline
