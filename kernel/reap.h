// Taking ended processes out of the tree. Their memory is given back after process_table_lock is released.
#pragma once

#include "kernel/process.h"

namespace faultline {

// Declare it before the lock's guard, so that it ends after it.
class ReapedList {
 public:
  ReapedList() = default;
  ~ReapedList();
  void add(Process& process) { list_.push_back(process); }

 private:
  List<Process, ChildrenTag> list_;
};

// The zombie leaves the tree and its number becomes free.
void reap_locked(Process& zombie, ReapedList& reaped) REQUIRES(process_table_lock);

}  // namespace faultline
