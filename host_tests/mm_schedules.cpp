// Runs threads over mm under thousands of schedules, each a seed. To replay one: FAULTLINE_SCHEDULE_SEED=n [FAULTLINE_SCHEDULE_TRACE=1] tests
// --gtest_filter=Schedules.*; FAULTLINE_SCHEDULES=n tries so many, from there.
#include <cstdlib>

#include <gtest/gtest.h>
#include <machine/planted_bugs.h>

#include "host_tests/support/emulated_machine.h"
#include "host_tests/support/explorer.h"
#include "in_child.h"
#include "mm_workload.h"

namespace faultline::host {
namespace {

// The 32-bit tests may be run by an emulator, in which a schedule takes ten times as long; and the schedules are the same.
constexpr bool kIsSlow = sizeof(void*) == 4;

struct RunResult {
  uint64_t points, fingerprint;
};

RunResult run_workload(const WorkloadOptions& options, ScheduleOptions schedule) {
  schedule.trace = environment("FAULTLINE_SCHEDULE_TRACE", 0);
  machine_start({.frames = options.frames, .cpus = options.cpus});
  std::unique_ptr<Workload> work;
  RunResult result;
  {
    Explorer explorer(schedule);
    work = std::make_unique<Workload>(options, explorer);
    explorer.run();
    result = {explorer.points(), explorer.fingerprint()};
  }
  static uint32_t seed;
  seed = schedule.seed;
  panic_hook = [](const char*) { fprintf(stderr, "explorer: seed %u, when all threads had ended\n", seed); };
  work->finish();
  panic_hook = nullptr;
  return result;
}

RunResult run_schedule(uint32_t seed) { return run_workload(workload_of(seed), schedule_of(seed)); }

TEST(Schedules, KeepTheInvariantsAndLoseNoByte) {
  const uint32_t first = environment("FAULTLINE_SCHEDULE_SEED", 1);
  const uint32_t count = environment("FAULTLINE_SCHEDULES", getenv("FAULTLINE_SCHEDULE_SEED") ? 1 : kIsSlow ? 10 : 100);
  EXPECT_TRUE(ends_well(Output::kShown, [=] {
    for (uint32_t seed = first; seed < first + count; seed++) run_schedule(seed);
  }));
}

// A page that nobody had when the reclaimer chose it, mapped while it went on searching, and searched once more: nobody was told to forget it.
TEST(Schedules, FlushWhatWasMappedWhileVictimsWereChosen) {
  EXPECT_TRUE(ends_well(Output::kShown, [] {
    for (uint32_t seed = 1; seed <= (kIsSlow ? 20u : 150u); seed++)
      run_workload(workload_of(seed, Mix::kReadsAndReclaims), schedule_of(seed));
  }));
}

TEST(Schedules, FreeAFrameOnceWhenAllItsUsersLeave) {
  EXPECT_TRUE(ends_well(Output::kShown, [] {
    for (uint32_t seed = 1; seed <= (kIsSlow ? 20u : 100u); seed++)
      run_workload(workload_of(seed, Mix::kForksAndWrites), schedule_of(seed));
  }));
}

// Whoever ended a space left its directory, went on elsewhere, and asked all others to leave it: there it stayed loaded when it was freed.
TEST(Schedules, LeaveADirectoryOnAllCpusBeforeItIsFreed) {
  EXPECT_TRUE(ends_well(Output::kShown, [] {
    for (uint32_t seed = 1; seed <= (kIsSlow ? 20u : 150u); seed++) {
      ScheduleOptions schedule = schedule_of(seed);
      schedule.stays = 2;
      run_workload(workload_of(seed, Mix::kExecsAndExits), schedule);
    }
  }));
}

class CutFile final : public Object {
 public:
  explicit CutFile(PageSource& source) : Object(source, kWorkPages * kPageSize) {}
  void acquire() override {}
  void release() override {}
};

// Truncation waited for a page that was being read, and then went on to the next.
TEST(Schedules, RemovePagesThatAreBusyWhenTheirFileIsCut) {
  EXPECT_TRUE(ends_well(Output::kShown, [] {
    for (uint32_t seed = 1; seed <= 20; seed++) {
      machine_start({.frames = 420, .cpus = 2});
      SlowFile disk;
      CutFile file(disk);
      {
        Explorer explorer(schedule_of(seed));
        explorer.add_thread("reads", [&] { file.read_ahead(PageIndex(0), kWorkPages); });
        explorer.add_thread("cuts", [&] { ignore_result(file.resize(0)); });
        explorer.run();
      }
      if (file.resident_pages() != 0) work_fails("seed %u: %u pages past the end", seed, file.resident_pages());
    }
  }));
}

TEST(Schedules, AreTheSameForTheSameSeed) {
  for (uint32_t seed : {3u, 4u, 15u}) {
    RunResult first = run_schedule(seed), second = run_schedule(seed);
    EXPECT_EQ(first.points, second.points) << "seed " << seed;
    EXPECT_EQ(first.fingerprint, second.fingerprint) << "seed " << seed;
  }
}

struct NamedBug {
  machine::Bug bug;
  const char* name;
  Mix mix = Mix::kEverything;
};
void PrintTo(const NamedBug& race, std::ostream* out) { *out << race.name; }

class PlantedRace : public ::testing::TestWithParam<NamedBug> {};

// Within so many schedules.
TEST_P(PlantedRace, IsFound) {
  if (kIsSlow) GTEST_SKIP();
  constexpr uint32_t kSchedules = 1000, kBatch = 25;
  for (uint32_t from = 1; from <= kSchedules; from += kBatch) {
    bool passed = ends_well(Output::kDiscarded, [=] {
      machine::planted_bug = GetParam().bug;
      for (uint32_t seed = from; seed < from + kBatch; seed++) run_workload(workload_of(seed, GetParam().mix), schedule_of(seed));
    });
    if (!passed) return RecordProperty("schedules", static_cast<int>(from + kBatch - 1));
  }
  FAIL() << kSchedules << " schedules did not find it";
}

constexpr NamedBug kRaces[] = {
    {machine::Bug::kFlushOneCpuOnly, "FlushOneCpuOnly"},
    {machine::Bug::kUnmapWithoutFlush, "UnmapWithoutFlush"},
    {machine::Bug::kEvictionWithoutFlush, "EvictionWithoutFlush"},
    {machine::Bug::kLazyCpuLeavesMask, "LazyCpuLeavesMask"},
    {machine::Bug::kUnshareUnchecked, "UnshareUnchecked"},
    {machine::Bug::kLastUserAskedLate, "LastUserAskedLate", Mix::kForksAndWrites},
    {machine::Bug::kSleepUnchecked, "SleepUnchecked"},
    {machine::Bug::kFreedInFlight, "FreedInFlight"},
};

INSTANTIATE_TEST_SUITE_P(All, PlantedRace, ::testing::ValuesIn(kRaces), [](const auto& parameter) { return parameter.param.name; });

}  // namespace
}  // namespace faultline::host
