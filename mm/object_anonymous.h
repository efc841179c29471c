// All objects of shared anonymous memory: for swapoff, which must find what they have in swap.
#pragma once

#include "mm/object.h"

namespace faultline {

struct AllAnonymous;  // their list
class AnonymousObject;

class AnonymousObjects {
 public:
  void add(AnonymousObject& object);
  void remove(AnonymousObject& object);
  // The object made next after `previous` (null: the first) that is not dying, or null. Nothing is held while it is looked at.
  Ref<Object> next(Ref<Object> previous);
  // Brings back what an object has in a swap area. Sleeps. kIO, kNOMEM.
  static Result<void> fetch_all(Object& object, uint32_t area);

 private:
  SpinLock<LockRank::kDirtyObjects> lock_;
  List<AnonymousObject, AllAnonymous> list_ GUARDED_BY(lock_);
};

AnonymousObjects& anonymous_objects();
void anonymous_objects_initialize();  // boot

}  // namespace faultline
