// All address spaces, in the order in which they were made: for truncation, which must find private copies, and for the invariants' checker.
#pragma once

#include "mm/space.h"

namespace faultline {

class SpaceList {
 public:
  void add(AddressSpace& space);
  void remove(AddressSpace& space);  // no effect on one that is not there: the child of a fork that failed
  // The space made next after `previous` (null: the first) that is not dying, or null. Nothing is held while it is looked at, and a fork
  // comes after its parent: whoever goes from the first to the last misses no copy of what it has seen.
  Ref<AddressSpace> next(Ref<AddressSpace> previous);
  template <typename Visit>
  void for_each(Visit visit) {
    LockGuard guard(lock_);
    for (AddressSpace& space : list_) visit(space);
  }

 private:
  SpinLock<LockRank::kDirtyObjects> lock_;
  List<AddressSpace, AllSpaces> list_ GUARDED_BY(lock_);
};

SpaceList& space_list();

}  // namespace faultline
