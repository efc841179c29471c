// Changing what is said of the regions of a range: for the files of mm that do (advice, locks).
#pragma once

#include "mm/space.h"

namespace faultline {

template <typename Change>
Result<void> AddressSpace::change_regions(VirtAddr start, VirtAddr end, DeadRegions& dead, Change change) {
  Result<void> cut = split_at_both(start, end);
  Region* first = regions_.first_after(start);
  if (cut.ok())
    for (Region* region = first; region && region->start < end; region = RegionSet::next(*region)) change(*region);
  merge_from(first, end, dead);
  return cut;
}

}  // namespace faultline
