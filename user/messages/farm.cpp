// A work farm: rank 0 coordinates, all others work. A worker says that it is free, with the result of its last item, and gets the next item.
//
// Nobody is told in advance what he will do: items are handed out on demand, so that one that takes long keeps one worker, not the farm. The
// coordinator receives from anybody and answers whoever came, who waits for that: no circle can close.
//
// Exit status: 0; 1 trouble; 2 usage; 3 deadlock.
#include <getopt.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "user/messages/picture.h"
#include "user/messages/team.h"

namespace {

constexpr int kNone = -1;  // no item yet, no item any more

// Work that falls into items, whose results are bytes.
class Job {
 public:
  virtual ~Job() = default;
  virtual int items() const = 0;
  virtual size_t longest() const = 0;                                   // of a result, in bytes
  virtual void work(int item, std::vector<uint8_t>& result) const = 0;  // at a worker
  virtual void collect(int item, const uint8_t* result) = 0;            // at the coordinator, in any order
  virtual void report() = 0;
};

// --- the farm

void run_worker(Team& team, const Job& job) {
  std::vector<uint8_t> message, result;
  for (int item = kNone;;) {
    result.clear();
    if (item != kNone) job.work(item, result);
    message.resize(sizeof item + result.size());
    memcpy(message.data(), &item, sizeof item);
    if (!result.empty()) memcpy(message.data() + sizeof item, result.data(), result.size());
    team.send(0, message.data(), static_cast<uint32_t>(message.size()));
    team.receive(0, &item, sizeof item);
    if (item == kNone) return;
  }
}

void show_progress(int done, int all, int workers) {
  if (!isatty(2)) return;
  fprintf(stderr, "\r%3d%%  %d of %d items, %d workers%s", done * 100 / all, done, all, workers, done == all ? "\n" : "");
}

void run_coordinator(Team& team, Job& job) {
  std::vector<uint8_t> message(sizeof(int) + job.longest());
  int next = 0, done = 0;
  for (int workers = team.size() - 1; workers > 0;) {
    const Received from = team.receive(Team::kAny, message.data(), static_cast<uint32_t>(message.size()));
    int item;
    memcpy(&item, message.data(), sizeof item);
    if (item != kNone) {
      job.collect(item, message.data() + sizeof item);
      show_progress(++done, job.items(), team.size() - 1);
    }
    const int task = next < job.items() ? next++ : kNone;
    team.send(from.rank, &task, sizeof task);
    if (task == kNone) workers--;
  }
  job.report();
}

// --- the jobs

// A row of the picture is an item: for each of its points, how many turns z = z*z + c takes to leave the circle of radius 2, 255 at most.
class Mandelbrot : public Job {
 public:
  Mandelbrot(int width, int height, std::string file) : width_(width), height_(height), file_(std::move(file)), picture_(width * height) {}

  int items() const override { return height_; }
  size_t longest() const override { return static_cast<size_t>(width_); }
  void work(int row, std::vector<uint8_t>& result) const override {
    const double imaginary = 1.2 - 2.4 * (row + 0.5) / height_;
    for (int column = 0; column < width_; column++) result.push_back(turns(-2.2 + 3.0 * (column + 0.5) / width_, imaginary));
  }
  void collect(int row, const uint8_t* result) override { memcpy(&picture_[static_cast<size_t>(row) * width_], result, width_); }
  void report() override {
    if (!file_.empty()) return write_pgm(file_, picture_, width_, 255);
    constexpr char kShades[] = " .,:;-=+*oxOX%#@";
    for (int row = 0; row < height_; row++) {
      for (int column = 0; column < width_; column++) {
        int shade = 0;
        for (int count = picture_[static_cast<size_t>(row) * width_ + column]; count > 1 && shade < 15; count -= (count + 3) / 4) shade++;
        putchar(kShades[shade]);
      }
      putchar('\n');
    }
  }

 private:
  static uint8_t turns(double a, double b) {
    double x = 0, y = 0;
    int count = 0;
    for (; count < 255 && x * x + y * y <= 4; count++) {
      const double new_x = x * x - y * y + a;
      y = 2 * x * y + b;
      x = new_x;
    }
    return static_cast<uint8_t>(count);
  }

  const int width_, height_;
  const std::string file_;
  std::vector<uint8_t> picture_;
};

// How many primes there are below N: an interval is an item, and later ones take longer.
class Primes : public Job {
 public:
  explicit Primes(int limit) : limit_(limit) {}

  int items() const override { return (limit_ + kInterval - 1) / kInterval; }
  size_t longest() const override { return sizeof(uint32_t); }
  void work(int item, std::vector<uint8_t>& result) const override {
    uint32_t count = 0;
    const int begin = item * kInterval, end = limit_ - begin < kInterval ? limit_ : begin + kInterval;
    for (int number = begin; number < end; number++) count += is_prime(number);
    result.resize(sizeof count);
    memcpy(result.data(), &count, sizeof count);
  }
  void collect(int, const uint8_t* result) override {
    uint32_t count;
    memcpy(&count, result, sizeof count);
    found_ += count;
  }
  void report() override { printf("%u primes below %d\n", found_, limit_); }

 private:
  static constexpr int kInterval = 1000;
  static bool is_prime(int number) {
    for (int divisor = 2; divisor <= number / divisor; divisor++)
      if (number % divisor == 0) return false;
    return number >= 2;
  }

  const int limit_;
  uint32_t found_ = 0;
};

// --- the command line

[[noreturn]] void usage() {
  fprintf(stderr,
          "usage: farm [-n WORKERS] [--tcp] --mandelbrot WxH [--pgm FILE] | --primes N\n"
          "  -n, --workers  1 to 63 (4); machines less one instead, below tools/cluster    --tcp  over TCP, not the kernel's messages\n"
          "  --mandelbrot   the picture on the terminal, or as FILE      --primes  how many there are below N\n");
  exit(Team::kUsage);
}

}  // namespace

int main(int count, char** arguments) {
  const option known[] = {{"help", 0, nullptr, 0},  {"workers", 1, nullptr, 'n'}, {"tcp", 0, nullptr, 't'}, {"mandelbrot", 1, nullptr, 'm'},
                          {"pgm", 1, nullptr, 'f'}, {"primes", 1, nullptr, 'p'},  {nullptr, 0, nullptr, 0}};
  int workers = 4, width = 0, height = 0, limit = 0;
  Team::By by = Team::By::kMessages;
  std::string file;
  for (int which; (which = getopt_long(count, arguments, "n:", known, nullptr)) != -1;) {
    switch (which) {
      case 'n': workers = atoi(optarg); break;
      case 't': by = Team::By::kTcp; break;
      case 'm':
        if (sscanf(optarg, "%dx%d", &width, &height) != 2 || width < 1 || height < 1 || width > 8192 || height > 8192) usage();
        break;
      case 'f': file = optarg; break;
      case 'p':
        if ((limit = atoi(optarg)) < 1) usage();
        break;
      default: usage();
    }
  }
  if (optind != count || workers < 1 || workers >= Team::kMost || (width > 0) == (limit > 0)) usage();
  if (Team::size_of(workers + 1) < 2) {
    fprintf(stderr, "farm: a coordinator alone is no farm: two machines at least\n");
    return Team::kUsage;
  }

  std::unique_ptr<Job> job;
  if (width > 0)
    job = std::make_unique<Mandelbrot>(width, height, file);
  else
    job = std::make_unique<Primes>(limit);
  Team team = Team::start(workers + 1, by);
  team.rank() == 0 ? run_coordinator(team, *job) : run_worker(team, *job);
  team.leave(0);
}
