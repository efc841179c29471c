// Small traces step by step, and exercises made of them: see report.h.
#include <algorithm>
#include <iomanip>
#include <ostream>
#include <random>

#include "tools/replacement_simulator/memory.h"
#include "tools/replacement_simulator/report.h"

namespace faultline::simulator {
namespace {

size_t name_width(const Trace& trace) {
  size_t width = 1;
  for (uint32_t name : trace.names) width = std::max(width, std::to_string(name).size());
  return width;
}

// The frames in their order: "7 ", "7*" with its accessed bit set, ">7" where the hand points.
std::string frame_row(const Memory& memory, const Trace& trace, size_t width) {
  std::string row;
  for (uint32_t frame = 0; frame < memory.frames(); frame++) {
    const uint32_t page = memory.page_in(frame);
    const std::string name = page == kNone ? "." : std::to_string(trace.names[page]);
    row += memory.hand() == frame ? " >" : "  ";
    row += std::string(width - name.size(), ' ') + name + (memory.is_accessed(frame) ? "*" : " ");
  }
  return row;
}

const char* explanation(const std::string& policy) {
  if (policy == "opt") return "OPT: the page goes whose next use is farthest away.";
  if (policy == "lru") return "LRU: the page goes that has not been used for the longest time.";
  if (policy == "fifo") return "FIFO: the page goes that came first (>).";
  if (policy == "clock") return "CLOCK: the hand (>) passes over used pages (*) and takes their mark; the first unmarked one goes.";
  return "2Q: new pages wait in probation, a FIFO: in the middle (young | old) the mark (*) of use is taken from them. Who is\n"
         "used after that joins main, a CLOCK (> is its hand), and so does a page that comes back soon after it went. Victims\n"
         "come from probation while it has more than a quarter of the frames, else from main.";
}

struct Exercise {
  Trace trace;
  std::string policy;
  uint32_t frames;
};

// Short strings with some locality: half of the references go to one of the last three pages.
Exercise make_exercise(uint32_t seed) {
  std::mt19937 random(seed);
  static const char* const kPolicies[] = {"fifo", "lru", "clock", "opt"};
  Exercise exercise{{}, kPolicies[random() % 4], 3 + static_cast<uint32_t>(random() % 2)};
  const uint32_t pages = exercise.frames + 2 + static_cast<uint32_t>(random() % 2);
  std::vector<uint32_t> numbers;
  while (numbers.size() < 14) {
    const bool is_near = numbers.size() >= 3 && random() % 2 == 0;
    const uint32_t page = is_near ? numbers[numbers.size() - 2 - random() % 2] : 1 + static_cast<uint32_t>(random() % pages);
    if (numbers.empty() || numbers.back() != page) numbers.push_back(page);
  }
  exercise.trace = make_trace("exercise " + std::to_string(seed), numbers);
  return exercise;
}

}  // namespace

void print_steps(std::ostream& out, const Trace& trace, const std::string& policy, uint32_t frames) {
  const std::unique_ptr<Memory> memory = make_memory(policy, trace, frames);
  const size_t width = name_width(trace);
  const std::string heading = frames == 1 ? "frame" : "frames 1.." + std::to_string(frames);
  const int frames_width = static_cast<int>(std::max(heading.size() + 2, frames * (width + 3)));
  out << explanation(policy) << "\n\nstep  page  result      out  " << std::left << std::setw(frames_width) << "  " + heading << "\n";
  uint32_t faults = 0;
  for (uint32_t step = 1; !memory->is_done(); step++) {
    const Touch touch = memory->touch();
    faults += !touch.hit;
    const std::string out_name = touch.victim == kNone ? "" : std::to_string(trace.names[touch.victim]);
    out << std::right << std::setw(4) << step << std::setw(6) << trace.names[touch.page] << "  " << std::left << std::setw(8)
        << (touch.hit ? "hit" : "fault") << std::right << std::setw(7) << out_name << "  " << std::left << std::setw(frames_width)
        << frame_row(*memory, trace, width) << (memory->remark().empty() ? "" : "  " + memory->remark()) << "\n";
  }
  out << "\n"
      << faults << " faults in " << trace.references.size() << " references (" << policy_title(policy) << ", " << frames
      << " frames); OPT has " << count_faults("opt", trace, frames) << ".\n";
}

void print_exercise(std::ostream& out, uint32_t seed, Show show) {
  const Exercise exercise = make_exercise(seed);
  out << "Exercise " << seed << ". A process has " << exercise.frames << " frames, all empty, and uses its pages in this order:\n\n   ";
  for (uint32_t page : exercise.trace.references) out << " " << exercise.trace.names[page];
  out << "\n\nWhich references fault under " << policy_title(exercise.policy) << ", and which page goes at each of these faults? ";
  if (exercise.policy == "clock") out << "A new page takes the victim's\nframe, counts as used, and the hand moves on behind it. ";
  out << "How many faults are there, and\nhow few could there be?\n";
  if (show == Show::kQuestion) return;
  out << "\n";
  print_steps(out, exercise.trace, exercise.policy, exercise.frames);
}

}  // namespace faultline::simulator
