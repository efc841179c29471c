// Memory sizes, and the table of faults: see report.h.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ostream>
#include <sstream>

#include "tools/replacement_simulator/memory.h"
#include "tools/replacement_simulator/report.h"

namespace faultline::simulator {
namespace {

uint32_t parse_size(const std::string& word, const Trace& trace) {
  char* end = nullptr;
  const unsigned long number = std::strtoul(word.c_str(), &end, 10);
  const bool is_share = *end == '%';
  if (end == word.c_str() || end[is_share] != '\0' || word[0] == '-' || number == 0 || number > 100000000)
    throw Complaint("not a memory size in frames, or in percent of a trace's pages: " + word);
  return is_share ? std::max<uint32_t>(1, static_cast<uint32_t>(static_cast<uint64_t>(trace.pages()) * number / 100))
                  : static_cast<uint32_t>(number);
}

std::string format(const char* pattern, auto... values) {
  char text[200];
  std::snprintf(text, sizeof text, pattern, values...);
  return text;
}

struct Ratios {
  double logarithms = 0, worst = 0;
  void add(double ratio) {
    logarithms += std::log(ratio);
    worst = std::max(worst, ratio);
  }
};

}  // namespace

std::vector<uint32_t> parse_sizes(const std::string& sizes, const Trace& trace) {
  std::vector<uint32_t> all;
  std::istringstream words(sizes);
  for (std::string word; std::getline(words, word, ',');) {
    const size_t dash = word.find('-', 1), slash = word.find('/');
    const uint32_t first = parse_size(word.substr(0, dash), trace);
    if (dash == std::string::npos) {
      all.push_back(first);
      continue;
    }
    const uint32_t last = parse_size(word.substr(dash + 1, slash == std::string::npos ? slash : slash - dash - 1), trace);
    const uint32_t step = slash == std::string::npos ? 1 : parse_size(word.substr(slash + 1), trace);
    if (last < first || (last - first) / step > 10000) throw Complaint("not a range of memory sizes: " + word);
    for (uint32_t size = first; size <= last; size += step) all.push_back(size);
  }
  if (all.empty()) throw Complaint("no memory size given");
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

void print_table(std::ostream& out, const std::vector<Trace>& traces, const std::string& sizes, const std::vector<std::string>& policies) {
  out << format("%-16s %10s %8s %8s %9s", "trace", "references", "pages", "frames", "OPT");
  for (const std::string& policy : policies)
    if (policy != "opt") out << format(" %9s %6s", policy_title(policy).c_str(), "/OPT");
  out << "\n";
  std::vector<Ratios> ratios(policies.size());
  uint32_t lines = 0;
  for (const Trace& trace : traces) {
    for (uint32_t frames : parse_sizes(sizes, trace)) {
      const uint32_t optimal = count_faults("opt", trace, frames);
      out << format("%-16.16s %10zu %8u %8u %9u", trace.name.c_str(), trace.references.size(), trace.pages(), frames, optimal);
      for (size_t at = 0; at < policies.size(); at++) {
        if (policies[at] == "opt") continue;
        const uint32_t faults = count_faults(policies[at], trace, frames);
        ratios[at].add(static_cast<double>(faults) / optimal);
        out << format(" %9u %6.2f", faults, static_cast<double>(faults) / optimal);
      }
      out << "\n";
      lines++;
    }
  }
  if (lines < 2) return;
  for (const char* title : {"geometric mean", "worst"}) {
    out << format("%-16s %10s %8s %8s %9s", title, "", "", "", "");
    for (size_t at = 0; at < policies.size(); at++)
      if (policies[at] != "opt")
        out << format(" %9s %6.2f", "", *title == 'w' ? ratios[at].worst : std::exp(ratios[at].logarithms / lines));
    out << "\n";
  }
}

}  // namespace faultline::simulator
