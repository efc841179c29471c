// The game of life, in strips: each member of a team holds some rows of the board and nothing else, and before each generation neighbours send
// each other the rows at their common edge.
//
// The board is a torus: its upper edge touches the lower, the left the right. So the strips form a ring, and who sends when matters: send
// waits for receive, and if all sent first (--naive), each would wait for the next, all around. Here even ranks send first and odd ones
// receive first. A ring of an odd number has two even neighbours, but then the one only waits until the other has met its odd one.
//
// Exit status: 0; 1 trouble; 2 usage, or a pattern that is none; 3 deadlock.
#include <getopt.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "user/messages/picture.h"
#include "user/messages/rle.h"
#include "user/messages/team.h"

namespace {

struct Options {
  int processes = 4, width = 0, height = 0, generations = 100, delay = 50;
  Team::By by = Team::By::kMessages;
  bool is_naive = false, draws = false;
  std::string pgm, pattern;
};

// The rows from `first` on that one member holds, a byte for each cell, and beside them a copy of each neighbour's edge.
struct Strip {
  Strip(int w, int f, int n) : width(w), first(f), rows(n), cells((n + 2) * w), next((n + 2) * w) {}
  uint8_t* row(int y) { return &cells[(y + 1) * width]; }  // -1 and `rows` are the neighbours'

  int width, first, rows;
  std::vector<uint8_t> cells, next;
};

// --- what the members say to each other

// All rows move by one strip: ours goes `to`, and what was sent to us comes `from` there.
void shift(Team& team, bool sends_first, const uint8_t* ours, int to, uint8_t* theirs, int from, uint32_t width) {
  if (sends_first) team.send(to, ours, width);
  team.receive(from, theirs, width);
  if (!sends_first) team.send(to, ours, width);
}

void exchange_edges(Team& team, Strip& strip, int members, bool is_naive) {
  const uint32_t width = static_cast<uint32_t>(strip.width);
  const int above = (team.rank() + members - 1) % members, below = (team.rank() + 1) % members;
  uint8_t* const top = strip.row(0);
  uint8_t* const bottom = strip.row(strip.rows - 1);
  if (members == 1) {
    memcpy(strip.row(-1), bottom, width);
    memcpy(strip.row(strip.rows), top, width);
    return;
  }
  const bool sends_first = is_naive || team.rank() % 2 == 0;
  shift(team, sends_first, bottom, below, strip.row(-1), above, width);
  shift(team, sends_first, top, above, strip.row(strip.rows), below, width);
}

int first_row(int rank, int members, int height) { return static_cast<int>(static_cast<int64_t>(height) * rank / members); }

// Rank 0 gets the whole board.
std::vector<uint8_t> collect(Team& team, Strip& strip, int members, int height) {
  std::vector<uint8_t> board;
  if (team.rank() > 0) {
    team.send(0, strip.row(0), static_cast<uint32_t>(strip.rows * strip.width));
    return board;
  }
  board.resize(static_cast<size_t>(height) * strip.width);
  memcpy(board.data(), strip.row(0), static_cast<size_t>(strip.rows) * strip.width);
  for (int rank = 1; rank < members; rank++) {
    const int begin = first_row(rank, members, height), end = first_row(rank + 1, members, height);
    team.receive(rank, &board[static_cast<size_t>(begin) * strip.width], static_cast<uint32_t>((end - begin) * strip.width));
  }
  return board;
}

// --- the game

void step(Strip& strip, const Pattern& rule) {
  const int width = strip.width;
  for (int y = 0; y < strip.rows; y++) {
    const uint8_t *above = strip.row(y - 1), *here = strip.row(y), *below = strip.row(y + 1);
    for (int x = 0; x < width; x++) {
      const int left = x ? x - 1 : width - 1, right = x + 1 < width ? x + 1 : 0;
      const int neighbours = above[left] + above[x] + above[right] + here[left] + here[right] + below[left] + below[x] + below[right];
      strip.next[(y + 1) * width + x] = (here[x] ? rule.survives : rule.born) >> neighbours & 1;
    }
  }
  strip.cells.swap(strip.next);
}

// The pattern in the middle of the board; each member keeps what lies in its strip.
void place(const Pattern& pattern, const Options& options, Strip& strip) {
  const int left = (options.width - pattern.width) / 2, top = (options.height - pattern.height) / 2;
  for (const Pattern::Cell& cell : pattern.alive) {
    const int y = top + cell.y - strip.first;
    if (y >= 0 && y < strip.rows) strip.row(y)[left + cell.x] = 1;
  }
}

void report(const std::vector<uint8_t>& board, int generation) {
  uint32_t alive = 0, checksum = 2166136261u;  // FNV-1a
  for (uint8_t cell : board) alive += cell, checksum = (checksum ^ cell) * 16777619u;
  printf("generation %d: %u alive, checksum %08x\n", generation, alive, checksum);
}

void show(const std::vector<uint8_t>& board, const Options& options, int generation) {
  if (options.draws) {
    draw_cells(board, options.width, options.delay);
    report(board, generation);
  }
  char name[16];
  snprintf(name, sizeof name, "-%04d.pgm", generation);
  if (!options.pgm.empty()) write_pgm(options.pgm + name, board, options.width, 1);
}

// --- the command line

[[noreturn]] void usage() {
  fprintf(
      stderr,
      "usage: life [-n PROCESSES] [--tcp] [--size WxH] [--generations N] [--picture] [--delay MS] [--pgm PREFIX] [--naive] PATTERN.rle\n"
      "  -n, --processes  1 to 64 (4); machines instead, below tools/cluster    --tcp  over TCP, not the kernel's messages\n"
      "  --size           of the board, a torus (twice the pattern, at least 64x32)\n"
      "  --picture        draws each generation   --pgm PREFIX  writes PREFIX-0000.pgm, ...\n"
      "  --naive          all send first          a PATTERN without / may be one of /usr/share/life\n");
  exit(Team::kUsage);
}

Options options_of(int count, char** arguments) {
  Options options;
  const option known[] = {{"help", 0, nullptr, 0},    {"processes", 1, nullptr, 'n'},   {"tcp", 0, nullptr, 't'},
                          {"size", 1, nullptr, 's'},  {"generations", 1, nullptr, 'g'}, {"picture", 0, nullptr, 'p'},
                          {"delay", 1, nullptr, 'd'}, {"pgm", 1, nullptr, 'm'},         {"naive", 0, nullptr, 'a'},
                          {nullptr, 0, nullptr, 0}};
  for (int which; (which = getopt_long(count, arguments, "n:", known, nullptr)) != -1;) {
    switch (which) {
      case 'n': options.processes = atoi(optarg); break;
      case 't': options.by = Team::By::kTcp; break;
      case 's':
        if (sscanf(optarg, "%dx%d", &options.width, &options.height) != 2) usage();
        break;
      case 'g': options.generations = atoi(optarg); break;
      case 'p': options.draws = true; break;
      case 'd': options.delay = atoi(optarg); break;
      case 'm': options.pgm = optarg; break;
      case 'a': options.is_naive = true; break;
      default: usage();
    }
  }
  if (optind != count - 1 || options.processes < 1 || options.processes > Team::kMost || options.generations < 0) usage();
  options.pattern = arguments[optind];
  return options;
}

Pattern read_pattern(const std::string& name) {
  FILE* file = fopen(name.c_str(), "r");
  if (!file && name.find('/') == std::string::npos) file = fopen(("/usr/share/life/" + name).c_str(), "r");
  if (!file) {
    perror(("life: " + name).c_str());
    exit(Team::kUsage);
  }
  Pattern pattern;
  RleReader reader;
  if (!reader.read(file, pattern)) {
    fprintf(stderr, "life: %s: %s\n", name.c_str(), reader.trouble().c_str());
    exit(Team::kUsage);
  }
  fclose(file);
  return pattern;
}

void choose_size(Options& options, const Pattern& pattern) {
  if (options.width == 0) options.width = std::max(64, 2 * pattern.width), options.height = std::max(32, 2 * pattern.height);
  const int64_t cells = int64_t{options.width} * options.height;
  if (options.width >= std::max(3, pattern.width) && options.height >= std::max(3, pattern.height) && cells <= 16 << 20) return;
  fprintf(stderr, "life: the board must hold the pattern, 3x3 cells at least and 16 Mi at most\n");
  exit(Team::kUsage);
}

}  // namespace

int main(int count, char** arguments) {
  Options options = options_of(count, arguments);
  const Pattern pattern = read_pattern(options.pattern);
  choose_size(options, pattern);

  Team team = Team::start(options.processes, options.by);
  const int members = std::min(team.size(), options.height);  // a strip has a row at least: whoever is left over has nothing to do
  if (team.rank() >= members) team.leave(0);
  const int first = first_row(team.rank(), members, options.height);
  Strip strip(options.width, first, first_row(team.rank() + 1, members, options.height) - first);
  place(pattern, options, strip);

  for (int generation = 0;; generation++) {
    const bool is_last = generation == options.generations, is_shown = options.draws || !options.pgm.empty();
    if (is_shown || is_last) {
      const std::vector<uint8_t> board = collect(team, strip, members, options.height);
      if (team.rank() == 0) show(board, options, generation);
      if (team.rank() == 0 && is_last && !options.draws) report(board, generation);
    }
    if (is_last) team.leave(0);
    exchange_edges(team, strip, members, options.is_naive);
    step(strip, pattern);
  }
}
