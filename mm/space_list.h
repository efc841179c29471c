// All address spaces, for the invariants' checker.
#pragma once

#include "mm/space.h"

namespace faultline {

class SpaceList {
  public:
    void add(AddressSpace& space);
    void remove(AddressSpace& space);
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
