// The workload of mm_schedules.cpp on real threads. ThreadSanitizer runs it (make thread-test); without it, it is one schedule more.
// FAULTLINE_THREAD_RUNS=n makes it longer.
#include <gtest/gtest.h>

#include "host_tests/support/emulated_machine.h"
#include "host_tests/support/real_threads.h"
#include "in_child.h"
#include "mm_workload.h"

namespace faultline::host {
namespace {

TEST(RealThreads, KeepTheInvariantsAndLoseNoByte) {
  const uint32_t first = environment("FAULTLINE_THREAD_SEED", 1), runs = environment("FAULTLINE_THREAD_RUNS", 4);
  for (uint32_t seed = first; seed < first + runs; seed++) {
    WorkloadOptions options = workload_of(seed);
    options.threads = options.cpus = 4;
    options.operations = 60;
    machine_start({.frames = options.frames, .cpus = options.cpus});
    std::unique_ptr<Workload> work;
    {
      RealThreads threads;
      work = std::make_unique<Workload>(options, threads);
      threads.run();
    }
    work->finish();
  }
}

}  // namespace
}  // namespace faultline::host
