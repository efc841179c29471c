// Descriptors in flight: sent, not yet received. Sockets that only lie in the queues of each other can never be received; they are found and
// closed here. Linux has the same collector (its net/unix/garbage.c explains the problem); ours is a plain mark and sweep.
//
// An AF_UNIX socket is garbage if no reference to its file is outside of queues, and none of those inside is in the queue of a socket that is not
// garbage. So: count for each socket in flight the references from queues of sockets in flight (inner_). Who has more references than that is
// held from outside, and reaches whatever lies in its queue. The rest is emptied. It takes time in proportion to the descriptors in flight, under
// unix_lock, and no memory.
//
// Garbage can only come about when the last reference from outside to a socket in flight goes, or a queue that held some is dropped: suspect(). The
// collector runs when there are a sixteenth as many such events as sockets in flight, so at once where there are few, and so that who keeps
// thousands in flight pays for each a small number of visits. What waits longer is found at the next event, or when memory is counted.
// RLIMIT_NOFILE bounds how many those of one user may be (kTOOMANYREFS).
#pragma once

#include "kernel/net/unix_endpoint.h"

namespace faultline {

class UnixInFlight {
 public:
  static void initialize();  // boot
  // May the caller send this many more? kTOOMANYREFS.
  static Result<void> check_limit();
  // The bundle goes into the queue of `holder`.
  static void enter_locked(FileBundle& bundle, UnixEndpoint& holder) REQUIRES(unix_lock);
  // It is taken out again; harmless if it is in none.
  static void leave(FileBundle& bundle);
  static void leave_locked(FileBundle& bundle) REQUIRES(unix_lock);
  // Closes the files of a bundle that nobody refers to and frees it. Closing a socket drops other bundles: those are done one after the other, not
  // one inside the other, for the stack is small.
  static void discard(FileBundle& bundle);
  static void suspect();
  // Closes all that only exists in flight.
  static void collect();

 private:
  class Draining;
  static void mark_locked() REQUIRES(unix_lock);
  static void sweep_locked(Draining& into) REQUIRES(unix_lock);
  static void count_locked(FileBundle& bundle, int change) REQUIRES(unix_lock);
};

}  // namespace faultline
