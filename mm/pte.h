// What mm's own bits of a page-table entry mean (arch/mmu.h has the processor's). A slot of a user table is one of
//   0                                  nothing: the region says what a touch brings
//   frame | A D | was accessed | shared | U W P    present
//   frame |   D | shared | kept        PROT_NONE: the frame stays here, the processor sees nothing
//   swap slot | swapped                the page is in swap (with "Under memory pressure")
#pragma once

#include "arch/mmu.h"

namespace faultline {

// The frame is an object's and mapped MAP_SHARED: W lets others see the writes, D must reach the object.
inline constexpr uint32_t kPteShared = Pte::kSoftware1;
// The reclaimer has taken A away and flushed nothing: TLBs may hold the entry although A is clear.
inline constexpr uint32_t kPteWasAccessed = Pte::kSoftware2;

// With P clear:
inline constexpr uint32_t kPteKept = 1u << 1;
inline constexpr uint32_t kPteSwapped = 1u << 2;

constexpr bool pte_is_kept(Pte pte) { return !pte.is_present() && (pte.raw() & kPteKept); }
constexpr bool pte_is_swapped(Pte pte) { return !pte.is_present() && (pte.raw() & kPteSwapped); }
constexpr bool pte_has_frame(Pte pte) { return pte.is_present() || pte_is_kept(pte); }
constexpr bool pte_may_be_in_tlb(Pte pte) { return pte.is_present() && (pte.raw() & (Pte::kAccessed | kPteWasAccessed)); }
constexpr bool pte_is_shared(Pte pte) { return pte.raw() & kPteShared; }

// A present user entry: readable, and writable if asked.
constexpr Pte pte_readable(FrameNumber frame) { return Pte(frame, Pte::kPresent | Pte::kUser | Pte::kAccessed); }
constexpr Pte pte_writable(FrameNumber frame) {
    return Pte(frame, Pte::kPresent | Pte::kUser | Pte::kAccessed | Pte::kWritable | Pte::kDirty);
}
// To PROT_NONE and back; the way back is never writable, so that the fault path decides afresh.
constexpr Pte pte_hidden(Pte pte) { return Pte((pte.raw() & ~(kPageMask & ~(Pte::kDirty | kPteShared))) | kPteKept); }
constexpr Pte pte_revealed(Pte pte) {
    return Pte((pte.raw() & ~(kPageMask & ~(Pte::kDirty | kPteShared))) | Pte::kPresent | Pte::kUser | Pte::kAccessed);
}
static_assert(pte_hidden(pte_writable(FrameNumber(5))).raw() == 0x5042);
static_assert(pte_revealed(pte_hidden(pte_writable(FrameNumber(5)))).raw() == 0x5065);
static_assert(!pte_hidden(pte_writable(FrameNumber(5))).is_present());

// A directory entry. Without W the table may be shared with other directories: see page_table.h.
constexpr Pte pde_sole(FrameNumber table) { return Pte(table, Pte::kPresent | Pte::kUser | Pte::kWritable); }
constexpr Pte pde_shared(FrameNumber table) { return Pte(table, Pte::kPresent | Pte::kUser); }

}  // namespace faultline
