// exec when the kernel's N-th allocation fails, for every N: the caller gets ENOMEM and goes on as it was, and no memory is lost.
#include "user/tests/injection.h"
#include "user/tests/intact.h"

// The new program reads what is left of the number that its exec began with, from a descriptor that the caller opened: the last argument.
HELPER(how_many_left) {
  char text[20] = "";
  if (pread(atoi(g_argv[g_argc - 1]), text, sizeof text - 1, 0) <= 0) _exit(98);
  _exit(atol(text) ? kNotReached : kMadeGood);
}

static void exec_with_failures(const char* program, int nth, int times) {
  static Caller caller;
  Caller::furnish();
  Injection injection;
  int fd = CHECK_OK(open("/proc/self/fail-nth", O_RDONLY));
  char number[10];
  snprintf(number, sizeof number, "%d", fd);
  // Not constants: those are pages of the file, which may have been dropped when exec reads them, and not be had again.
  char name[] = "program", helper[] = "@how_many_left", variable[] = "A=1";
  char* const arguments[] = {name, helper, number, nullptr};
  char* const environment[] = {variable, nullptr};
  caller = Caller();
  injection.arm(nth, times);
  execve(program, arguments, environment);
  int error = errno;
  long left = injection.left();
  injection.disarm();
  if (error != ENOMEM || left != 0) FAIL("exec failed with %s and %ld left of %d", strerrorname_np(error), left, nth);
  caller.check("exec");
  _exit(kError);
}

static void sweep_exec(const char* what, const char* program) {
  auto report = [&](const char* how, const Tally& tally) {
    say("  %s, %s: failed at %d places, ENOMEM each time; made good at %d\n", what, how, tally.failed, tally.made_good);
    CHECK(tally.failed >= 5);
  };
  report("one allocation, caches empty", sweep(what, Caches::kCold, [&](int nth) { exec_with_failures(program, nth, 1); }));
  report("one allocation, caches full", sweep(what, Caches::kWarm, [&](int nth) { exec_with_failures(program, nth, 1); }));
  report("all from one on, caches empty", sweep(what, Caches::kCold, [&](int nth) { exec_with_failures(program, nth, kForEver); }));
  report("all from one on, caches full", sweep(what, Caches::kWarm, [&](int nth) { exec_with_failures(program, nth, kForEver); }));
}

TEST_SLOW(exec_of_a_program_fails_cleanly_at_every_allocation) { sweep_exec("exec", g_program); }

TEST_SLOW(exec_of_a_script_fails_cleanly_at_every_allocation) {
  char line[300];
  snprintf(line, sizeof line, "#!%s @how_many_left\n", g_program);
  close(make_file("script", line, strlen(line), 0755));
  sweep_exec("exec of a script", "../script");
}
