// Page faults as the kernel tells them: /proc/PID/faults.
//
//   int fd = open("/proc/PID/faults", O_RDONLY | O_CLOEXEC);
//
// watches process PID, all its threads, and whatever they fork from then on, until the descriptor is closed. Who may open it: who may
// look into the process (ptrace(2)'s rule; otherwise EACCES). EBUSY: a thread has one watcher at most. ESRCH: it has ended.
//
// read() gives whole FaultRecords, as many as fit, and waits for the first (EAGAIN with O_NONBLOCK); 0 says that all the watched have
// ended. poll() says POLLIN for records, POLLHUP for that end. The kernel keeps the last 1,024 records of each processor; who reads too
// slowly finds the numbers of two records apart by more than one. A program that gains other rights by execve() is not watched further.
//
// lib/abi/fault_record.h has the record and what its fields mean.
#pragma once

#include "lib/abi/fault_record.h"
