// The harness's runner: options, one process and one directory for each test, the watchdog, the count of free frames.
#pragma once
#include "user/tests/harness.h"

inline void remove_tree(int at, const char* name) {
  if (!unlinkat(at, name, 0)) return;
  fchmodat(at, name, 0700, 0);
  if (int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW); fd >= 0) {
    DIR* dir = fdopendir(fd);
    while (dirent* entry = readdir(dir))
      if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..")) remove_tree(fd, entry->d_name);
    closedir(dir);
  }
  unlinkat(at, name, AT_REMOVEDIR);
}

// Where the kernel's memory is, with every cache empty; absent where the kernel doesn't say.
struct Memory {
  static constexpr int kKinds = 16;
  int kinds = 0;
  char names[kKinds][16];
  long counts[kKinds];

  // A slab's frame stays as long as one of its slots is used, so the kernel's allocations are compared instead of it, and of the sum.
  static bool is_exact(const char* kind) { return strcmp(kind, "slab") && strcmp(kind, "free"); }
  bool has_lost(const Memory& before) const {
    for (int i = 0; i < kinds; i++)
      if (is_exact(names[i]) && counts[i] > before.counts[i]) return true;
    return false;
  }
  bool operator==(const Memory& other) const { return kinds == other.kinds && !memcmp(counts, other.counts, sizeof counts[0] * kinds); }
};

inline Memory memory_in_use() {
  Memory memory;
  FILE* file = fopen("/proc/faultline/frames", "r");
  if (!file) return memory;
  while (memory.kinds < Memory::kKinds && fscanf(file, "%15s %ld", memory.names[memory.kinds], &memory.counts[memory.kinds]) == 2)
    memory.kinds++;
  fclose(file);
  return memory;
}

// Its kinds are counted one after the other. Whoever passes on what the last test printed may fault a page in meanwhile, and a page that
// moves between two counts is in neither: only what two readings agree on is true.
inline Memory memory_at_rest() {
  Memory last = memory_in_use();
  for (int i = 0; i < 200; i++) {
    pause_a_little();
    Memory now = memory_in_use();
    if (now == last) break;
    last = now;
  }
  return last;
}

inline volatile pid_t g_running;
inline volatile bool g_hung;
inline void watchdog(int) {
  g_hung = true;
  kill(-g_running, SIGKILL);
  kill(g_running, SIGKILL);
}

inline int run_in_child(const Test& test, const char* directory) {
  g_hung = false;
  pid_t pid = fork();
  g_running = pid;
  if (pid < 0) {
    say("FAIL %s: fork: %s\n", test.name, strerrorname_np(errno));
    return 1;
  }
  if (pid == 0) {
    setpgid(0, 0);
    signal(SIGALRM, SIG_DFL);
    if (mkdir(directory, 0755) || chdir(directory)) FAIL("%s: %s", directory, strerrorname_np(errno));
    test.run();
    _exit(0);
  }
  setpgid(pid, pid);
  alarm(test.seconds);
  int status = 0;
  while (waitpid(pid, &status, 0) != pid) {
  }
  alarm(0);
  kill(-pid, SIGKILL);
  for (int i = 0; i < 2000 && !kill(-pid, 0); i++) pause_a_little();  // what it left behind is gone before frames are counted
  // By a process of its own: a deep tree would make this one's stack and heap larger for good.
  if (pid_t remover = fork(); remover == 0) {
    remove_tree(AT_FDCWD, directory);
    _exit(0);
  } else
    while (remover > 0 && waitpid(remover, nullptr, 0) != remover) {
    }
  if (g_hung)
    say("FAIL %s: still running after %u seconds\n", test.name, test.seconds);
  else if (WIFSIGNALED(status))
    say("FAIL %s: died by signal %d\n", test.name, WTERMSIG(status));
  else if (WEXITSTATUS(status) > 1 && WEXITSTATUS(status) != kSkipped)
    say("FAIL %s: exit status %d\n", test.name, WEXITSTATUS(status));
  return g_hung || WIFSIGNALED(status) ? 1 : WEXITSTATUS(status);
}

// Runs one test; a verdict on leaked memory only if nothing else is wrong. Everything has to come back, to the frame; what comes a
// moment later, from a process on its way out or from the disk's writer, is waited for.
inline int run_one(const Test& test) {
  char directory[256];
  snprintf(directory, sizeof directory, "%s/%s.%d", g_directory, test.name, getpid());
  g_test = test.name;
  const Memory before = memory_at_rest();
  if (int result = run_in_child(test, directory)) return result;
  Memory after = memory_in_use();
  for (int i = 0; i < 200 && after.has_lost(before); i++) pause_a_little(), after = memory_in_use();
  if (!after.has_lost(before)) {
    say("ok %s\n", test.name);
    return 0;
  }
  say("FAIL %s: it leaks memory:\n", test.name);
  for (int i = 0; i < after.kinds; i++)
    if (after.counts[i] != before.counts[i]) say("# %s: %ld before, %ld after\n", after.names[i], before.counts[i], after.counts[i]);
  return 1;
}

// What happens once and stays: this process's own pages, the pages of the pipes to whoever started it, process 1's after an orphan's end.
inline void warm_up() {
  char directory[256];
  snprintf(directory, sizeof directory, "%s/warm-up.%d", g_directory, getpid());
  static const Test orphan(
      "an orphan",
      [] {
        if (!fork()) pause_a_little();
      },
      60, true);
  say("# memory is counted around each test\n");
  run_in_child(orphan, directory);
}

inline bool chosen(const char* name, int first) {
  if (first == g_argc) return true;
  for (int i = first; i < g_argc; i++)
    if (!strcmp(name, g_argv[i])) return true;
  return false;
}

int main(int argc, char** argv) {
  static char program[4096];
  ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
  g_program = n > 0 ? program : argv[0];
  g_argc = argc, g_argv = argv;
  if (argc > 1 && argv[1][0] == '@') {
    for (Test* t = Test::first; t; t = t->next)
      if (t->helper && !strcmp(t->name, argv[1] + 1)) {
        g_test = t->name;
        t->run();
        return 0;
      }
    return 126;
  }
  int first = 1;
  bool list = false;
  for (; first < argc && argv[first][0] == '-'; first++) {
    if (!strcmp(argv[first], "--list"))
      list = true;
    else if (!strcmp(argv[first], "-d") && first + 1 < argc)
      g_directory = argv[++first];
    else if (!strcmp(argv[first], "-n") && first + 1 < argc)
      g_scale = atoi(argv[++first]);
    else {
      say("usage: %s [-d DIR] [-n COUNT] [--list | NAME...]\n", argv[0]);
      return 2;
    }
  }
  struct sigaction action = {};
  action.sa_handler = watchdog;
  sigaction(SIGALRM, &action, nullptr);
  if (!list && memory_in_use().kinds) warm_up();
  int passed = 0, failed = 0, skipped = 0;
  for (Test* t = Test::first; t; t = t->next) {
    if (t->helper || !chosen(t->name, first)) continue;
    if (list) {
      say("%s\n", t->name);
      continue;
    }
    int result = run_one(*t);
    (result == 0 ? passed : result == kSkipped ? skipped : failed)++;
  }
  if (list) return 0;
  say("%s: %d passed, %d failed, %d skipped\n", argv[0], passed, failed, skipped);
  return failed || passed + skipped == 0;
}
