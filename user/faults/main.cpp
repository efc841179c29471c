// faults: page faults as they happen, a strace for virtual memory. What it reads is /proc/PID/faults.
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "user/faults/faults.h"

namespace {

constexpr const char* kHelp =
    "usage: faults [-c] [--json] [-o FILE] COMMAND [ARGUMENT...]\n"
    "       faults [-c] [--json] [-o FILE] -p PID\n"
    "       faults --trace FILE COMMAND [ARGUMENT...]\n"
    "\n"
    "Runs COMMAND, or attaches to process PID, and prints a line for each page fault that it and its children take, as\n"
    "it happens. The lines go to standard error; the exit status is the command's.\n"
    "\n"
    "  -c, --count       no lines: a table by kind of fault at the end\n"
    "  -j, --json        one JSON object a line, for programs\n"
    "  -o, --output FILE where the lines go\n"
    "  -p, --pid PID     watch a process that runs; Ctrl-C ends the watch, not the process\n"
    "  -t, --trace FILE  no faults: the pages that COMMAND (not its children) uses, in order, for tools/replacement;\n"
    "                    references to the 16 pages that came last are left out\n"
    "  -h, --help        this\n"
    "\n"
    "by       user: an instruction of the program; kernel: the kernel, while it copied for the program;\n"
    "         ahead: nobody yet, the kernel brings the page beforehand (exec's stack, MAP_POPULATE, mlock)\n"
    "entry    the page-table entry: physical frame, r(ead) w(rite) d(irty), none = there but not accessible, - = empty\n"
    "cost     ticks of the cycle counter; guest instructions under tools/run --icount\n";

struct Options {
  bool count = false, json = false;
  pid_t pid = 0;
  const char* output = nullptr;
  const char* trace = nullptr;
};

volatile sig_atomic_t g_interrupted;

[[noreturn]] void die(const char* what, int error) {
  fprintf(stderr, "faults: %s: %s\n", what, strerror(error));
  exit(1);
}

[[noreturn]] void die_of_usage(const char* problem) {
  fprintf(stderr, "faults: %s; try faults --help\n", problem);
  exit(2);
}

int open_watch(pid_t pid, const char* kind) {
  char name[48];
  snprintf(name, sizeof name, "/proc/%d/%s", pid, kind);
  int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd >= 0) return fd;
  int error = errno;
  if (error == ENOENT && access("/proc/faultline", F_OK) != 0) die("this kernel does not tell of its faults", ENOTSUP);
  if (error == ENOENT || error == ESRCH) die(("process " + std::to_string(pid)).c_str(), ESRCH);
  if (error == EBUSY) die(("process " + std::to_string(pid) + " is being watched already").c_str(), error);
  die(name, error);
}

// Reads records until all that is watched has ended, and prints them.
class Watcher {
 public:
  Watcher(int fd, const Options& options, FILE* out) : fd_(fd), options_(options), out_(out) {}

  // The faults of this process are not told before its execve begins: until then it is a copy of `faults`.
  void skip_until_exec(pid_t pid) { skipped_ = pid; }

  void run() {
    if (prints_lines()) print_heading(out_);
    while (!g_interrupted) {
      if (drain()) continue;
      fflush(out_);
      if (over_) break;
      pollfd wait = {fd_, POLLIN, 0};
      poll(&wait, 1, -1);
    }
    if (options_.count) summary_.print(out_, lost_);
    if (options_.trace) trace_.write(out_, lost_);
    fflush(out_);
  }

 private:
  static constexpr size_t kBatch = 512;

  // Whatever there is, in order. False: nothing.
  bool drain() {
    records_.clear();
    while (records_.size() < 8 * kBatch && read_some()) {
    }
    if (records_.empty()) return false;
    auto by_number = [](const FaultRecord& a, const FaultRecord& b) { return a.number < b.number; };
    std::sort(records_.begin(), records_.end(), by_number);
    if (records_.back().number - last_ != records_.size()) {
      // A gap: another processor may be writing the missing one this very moment.
      sched_yield();
      read_some();
      std::sort(records_.begin(), records_.end(), by_number);
    }
    for (const FaultRecord& record : records_) show(record);
    return true;
  }

  bool read_some() {
    size_t before = records_.size();
    records_.resize(before + kBatch);
    ssize_t got = read(fd_, &records_[before], kBatch * sizeof(FaultRecord));
    if (got < 0 && errno != EAGAIN && errno != EINTR) die("reading faults", errno);
    if (got == 0) over_ = true;
    records_.resize(before + (got > 0 ? got / sizeof(FaultRecord) : 0));
    return got > 0;
  }

  void show(const FaultRecord& record) {
    if (record.number > last_ + 1) tell_lost(record.number - last_ - 1);
    if (record.number > last_) last_ = record.number;
    if (record.pid == static_cast<uint32_t>(skipped_)) {
      if (record.mode != FaultMode::kAhead) return;
      skipped_ = 0;
    }
    if (start_time_ == 0) start_time_ = record.time;
    if (options_.trace) return trace_.add(record);
    summary_.add(record);
    if (options_.json)
      print_json(out_, record);
    else if (!options_.count)
      print_line(out_, record, start_time_);
  }

  bool prints_lines() const { return !options_.json && !options_.count && !options_.trace; }

  void tell_lost(uint64_t count) {
    lost_ += count;
    if (prints_lines())
      fprintf(out_, "      ... %llu faults are lost: they came faster than they were read\n", static_cast<unsigned long long>(count));
  }

  int fd_;
  const Options& options_;
  FILE* out_;
  std::vector<FaultRecord> records_;
  Summary summary_;
  ReferenceTrace trace_;
  uint64_t last_ = 0, lost_ = 0, start_time_ = 0;
  pid_t skipped_ = 0;
  bool over_ = false;
};

// The command, held back until its watch is open.
struct Command {
  pid_t pid;
  int go;

  explicit Command(char** arguments) {
    int pipe_ends[2];
    if (pipe2(pipe_ends, O_CLOEXEC) != 0) die("pipe", errno);
    pid = fork();
    if (pid < 0) die("fork", errno);
    if (pid == 0) {
      char byte;
      close(pipe_ends[1]);
      if (read(pipe_ends[0], &byte, 1) != 1) _exit(1);
      execvp(arguments[0], arguments);
      int error = errno;
      dprintf(2, "faults: %s: %s\n", arguments[0], strerror(error));
      _exit(error == ENOENT ? 127 : 126);
    }
    close(pipe_ends[0]);
    go = pipe_ends[1];
  }

  void start() {
    if (write(go, "", 1) != 1) die("pipe", errno);
    close(go);
  }

  // Ends as the command did.
  [[noreturn]] void end_likewise() {
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFSIGNALED(status)) {
      signal(WTERMSIG(status), SIG_DFL);
      raise(WTERMSIG(status));
    }
    exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
  }
};

int parse(int argc, char** argv, Options& options) {
  const option kOptions[] = {{"count", 0, nullptr, 'c'},
                             {"json", 0, nullptr, 'j'},
                             {"output", 1, nullptr, 'o'},
                             {"pid", 1, nullptr, 'p'},
                             {"trace", 1, nullptr, 't'},
                             {"help", 0, nullptr, 'h'},
                             {}};
  for (int c; (c = getopt_long(argc, argv, "+cjo:p:t:h", kOptions, nullptr)) != -1;) {
    char* end = nullptr;
    switch (c) {
      case 'c': options.count = true; break;
      case 'j': options.json = true; break;
      case 'o': options.output = optarg; break;
      case 'p':
        options.pid = static_cast<pid_t>(strtol(optarg, &end, 10));
        if (*end || options.pid <= 0) die_of_usage("-p wants the number of a process");
        break;
      case 't': options.trace = options.output = optarg; break;
      case 'h': fputs(kHelp, stdout); exit(0);
      default: fputs("try faults --help\n", stderr); exit(2);
    }
  }
  if (options.pid && optind < argc) die_of_usage("either -p PID or a command, not both");
  if (options.trace && (options.pid || options.count || options.json)) die_of_usage("--trace goes with a command and nothing else");
  if (!options.pid && optind == argc) die_of_usage("a command, or -p PID, is missing");
  return optind;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  int first = parse(argc, argv, options);
  FILE* out = options.output ? fopen(options.output, "we") : stderr;
  if (!out) die(options.output, errno);
  setvbuf(out, nullptr, _IOFBF, 1 << 16);
  if (options.pid) {
    struct sigaction action = {};
    action.sa_handler = [](int) { g_interrupted = 1; };
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
    Watcher(open_watch(options.pid, "faults"), options, out).run();
    return 0;
  }
  Command command(argv + first);
  signal(SIGINT, SIG_IGN);  // they are the command's
  signal(SIGQUIT, SIG_IGN);
  Watcher watcher(open_watch(command.pid, options.trace ? "references" : "faults"), options, out);
  watcher.skip_until_exec(command.pid);
  command.start();
  watcher.run();
  command.end_likewise();
}
