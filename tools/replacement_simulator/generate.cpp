// Synthetic traces, each with one habit of real programs in its pure form.
#include <algorithm>
#include <cmath>
#include <random>

#include "tools/replacement_simulator/trace.h"

namespace faultline::simulator {
namespace {

// The standard library's distributions differ between implementations; its engines do not.
class Dice {
 public:
  explicit Dice(uint32_t seed) : engine_(seed) {}
  uint32_t below(uint32_t limit) { return static_cast<uint32_t>(static_cast<uint64_t>(engine_()) * limit >> 32); }
  bool percent(uint32_t chance) { return below(100) < chance; }
  double unit() { return engine_() / 4294967296.0; }

 private:
  std::mt19937 engine_;
};

using Numbers = std::vector<uint32_t>;

void loop(Numbers& out, uint32_t pages, uint32_t length, Dice&) {
  while (out.size() < length) out.push_back(static_cast<uint32_t>(out.size()) % pages);
}

// Each page while its neighbours are read too, then never again.
void scan(Numbers& out, uint32_t pages, uint32_t length, Dice& dice) {
  const uint32_t uses = std::max(1u, length / pages);
  for (uint32_t step = 0; out.size() < length; step++) out.push_back((step / uses + dice.below(3)) % pages);
}

void hot(Numbers& out, uint32_t pages, uint32_t length, Dice& dice) {
  const uint32_t hot_pages = std::max(1u, pages / 10);
  while (out.size() < length) out.push_back(dice.percent(90) ? dice.below(hot_pages) : dice.below(pages));
}

void hot_and_scan(Numbers& out, uint32_t pages, uint32_t length, Dice& dice) {
  const uint32_t hot_pages = std::max(1u, pages * 2 / 5), cold_pages = std::max(1u, pages - hot_pages);
  for (uint32_t cold = 0; out.size() < length;) out.push_back(dice.percent(60) ? dice.below(hot_pages) : hot_pages + cold++ % cold_pages);
}

void phases(Numbers& out, uint32_t pages, uint32_t length, Dice& dice) {
  const uint32_t set = std::max(1u, pages / 4);
  uint32_t first = 0;
  for (uint32_t step = 0; out.size() < length; step++) {
    if (step % std::max(1u, length / 12) == 0) first = dice.below(pages);
    out.push_back((first + dice.below(set)) % pages);
  }
}

void zipf(Numbers& out, uint32_t pages, uint32_t length, Dice& dice) {
  std::vector<double> sums(pages);
  double sum = 0;
  for (uint32_t rank = 0; rank < pages; rank++) sums[rank] = sum += 1.0 / (rank + 1);
  while (out.size() < length)
    out.push_back(static_cast<uint32_t>(std::lower_bound(sums.begin(), sums.end() - 1, dice.unit() * sum) - sums.begin()));
}

void walk(Numbers& out, uint32_t pages, uint32_t length, Dice& dice) {
  for (uint32_t page = 0; out.size() < length; page = (page + pages + dice.below(9) - 4) % pages) out.push_back(page);
}

// Merge sort from the bottom: in each pass pairs of runs are read side by side from one half of memory and written to the other.
void merges(Numbers& out, uint32_t pages, uint32_t length, Dice& dice) {
  const uint32_t half = std::max(1u, pages / 2);
  for (uint32_t run = 1, from = 0; out.size() < length; run = run * 2 < half ? run * 2 : 1, from = half - from)
    for (uint32_t start = 0; start < half; start += 2 * run) {
      const uint32_t middle = std::min(half, start + run), end = std::min(half, start + 2 * run);
      for (uint32_t left = start, right = middle; left < middle || right < end;) {
        const bool takes_left = right == end || (left < middle && dice.percent(50));
        out.push_back(from + (takes_left ? left++ : right++));
        out.push_back(half - from + left + right - middle);
      }
    }
  for (uint32_t& page : out) page = std::min(page, pages - 1);
  out.resize(length);
}

// Searches from the root of a tree with eight children a node, a node a page.
void tree(Numbers& out, uint32_t pages, uint32_t length, Dice& dice) {
  while (out.size() < length)
    for (uint32_t node = 0; node < pages && out.size() < length; node = node * 8 + 1 + dice.below(8)) out.push_back(node);
}

// A row of one matrix against all columns of another: a loop within a loop.
void matrix(Numbers& out, uint32_t pages, uint32_t length, Dice&) {
  const uint32_t rows = std::max(1u, pages / 3), columns = std::max(1u, pages - 2 * rows);
  for (uint32_t row = 0; out.size() < length; row = (row + 1) % rows)
    for (uint32_t column = 0; column < columns && out.size() < length; column++)
      for (uint32_t page : {row, 2 * rows + column, rows + row}) out.push_back(page);
  out.resize(length);
}

// A collector: small objects live and die near the end of the heap, and now and then all of it is marked.
void heap(Numbers& out, uint32_t pages, uint32_t length, Dice& dice) {
  const uint32_t nursery = std::max(1u, pages / 8), between = pages * 6;
  while (out.size() < length) {
    for (uint32_t step = 0; step < between; step++) out.push_back(dice.percent(80) ? pages - 1 - dice.below(nursery) : dice.below(pages));
    for (uint32_t page = 0; page < pages; page++) out.push_back(page);
  }
  out.resize(length);
}

struct Generator {
  GeneratorKind kind;
  void (*generate)(Numbers& out, uint32_t pages, uint32_t length, Dice& dice);
};
constexpr Generator kGenerators[] = {
    {{"loop", "all pages in turn, again and again"}, loop},
    {{"scan", "each page a few times, then never again"}, scan},
    {{"hot", "nine references in ten go to a tenth of the pages"}, hot},
    {{"hot-and-scan", "a hot set in use while all else is scanned"}, hot_and_scan},
    {{"phases", "a quarter of the pages at random, another one every twelfth of the time"}, phases},
    {{"zipf", "page k as often as 1/k"}, zipf},
    {{"walk", "from each page to one nearby"}, walk},
    {{"merges", "merge sort, pass after pass"}, merges},
    {{"tree", "searches from the root of a tree"}, tree},
    {{"matrix", "a row against all columns, row after row"}, matrix},
    {{"heap", "young objects in use, all of them marked now and then"}, heap},
};

}  // namespace

const std::vector<GeneratorKind>& generator_kinds() {
  static const std::vector<GeneratorKind> kinds = [] {
    std::vector<GeneratorKind> all;
    for (const Generator& generator : kGenerators) all.push_back(generator.kind);
    return all;
  }();
  return kinds;
}

Trace generate(const std::string& kind, uint32_t pages, uint32_t length, uint32_t seed) {
  for (const Generator& generator : kGenerators) {
    if (kind != generator.kind.name) continue;
    Numbers numbers;
    Dice dice(seed);
    generator.generate(numbers, pages, length, dice);
    return make_trace(kind, numbers);
  }
  std::string all;
  for (const GeneratorKind& known : generator_kinds()) all += std::string(" ") + known.name;
  throw Complaint("no generator is called " + kind + "; there are:" + all);
}

}  // namespace faultline::simulator
