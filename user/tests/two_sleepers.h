// Two who sleep for something that then arrives twice, before either of them runs: a thread that was woken, and stays first in its queue until it
// runs, must not be all that the second one wakes.
#pragma once
#include "user/tests/harness.h"

// `take` sleeps until it has one; `arrive` makes one come without sleeping.
template <typename Take, typename Arrive>
void check_two_sleepers(Take take, Arrive arrive) {
  if (geteuid() != 0) SKIP("not root");
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(0, &one);
  CHECK_OK(sched_setaffinity(0, sizeof one, &one));
  pid_t sleepers[2];
  for (pid_t& pid : sleepers) {
    pid = in_child(take);
    wait_state(pid, "S");
  }
  sched_param first = {1}, usual = {0};
  CHECK_OK(sched_setscheduler(0, SCHED_FIFO, &first));
  arrive();
  arrive();
  CHECK_OK(sched_setscheduler(0, SCHED_OTHER, &usual));
  for (pid_t pid : sleepers) CHECK_EXIT(pid, 0);
}
