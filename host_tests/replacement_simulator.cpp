// tools/replacement's parts: the policies against plain restatements of their definitions, traces through files and back.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <random>
#include <sstream>

#include "tools/replacement_simulator/memory.h"
#include "tools/replacement_simulator/report.h"

namespace faultline::simulator {
namespace {

using Numbers = std::vector<uint32_t>;

Trace random_trace(uint32_t seed, uint32_t pages, uint32_t length) {
  std::mt19937 random(seed);
  Numbers numbers;
  for (uint32_t step = 0; step < length; step++) numbers.push_back(random() % 3 ? random() % (pages / 2) : random() % pages);
  return make_trace("random", numbers);
}

// The fewest faults from `at` on with `memory` resident, by trying every victim.
uint32_t fewest_faults(const Numbers& references, size_t at, Numbers memory, uint32_t frames) {
  while (at < references.size() && std::count(memory.begin(), memory.end(), references[at])) at++;
  if (at == references.size()) return 0;
  if (memory.size() < frames) {
    memory.push_back(references[at]);
    return 1 + fewest_faults(references, at + 1, memory, frames);
  }
  uint32_t fewest = ~0u;
  for (uint32_t& page : memory) {
    const uint32_t victim = std::exchange(page, references[at]);
    fewest = std::min(fewest, 1 + fewest_faults(references, at + 1, memory, frames));
    page = victim;
  }
  return fewest;
}

TEST(ReplacementSimulator, OptHasTheFewestFaultsThereCanBe) {
  for (uint32_t seed = 1; seed <= 40; seed++) {
    const Trace trace = random_trace(seed, 6, 16);
    for (uint32_t frames : {1u, 2u, 3u}) EXPECT_EQ(count_faults("opt", trace, frames), fewest_faults(trace.references, 0, {}, frames));
  }
}

TEST(ReplacementSimulator, LruFifoAndClockAreThoseOfTheTextbook) {
  for (uint32_t seed = 1; seed <= 20; seed++) {
    const Trace trace = random_trace(seed, 40, 2000);
    const uint32_t frames = 3 + seed;
    Numbers lru, fifo;                             // the next victim first
    std::vector<std::pair<uint32_t, bool>> clock;  // pages and their bits, by frame
    size_t hand = 0;
    uint32_t lru_faults = 0, fifo_faults = 0, clock_faults = 0;
    for (uint32_t page : trace.references) {
      if (auto place = std::find(lru.begin(), lru.end(), page); place != lru.end()) {
        lru.erase(place);
      } else {
        lru_faults++;
        if (lru.size() == frames) lru.erase(lru.begin());
      }
      lru.push_back(page);
      if (!std::count(fifo.begin(), fifo.end(), page)) {
        fifo_faults++;
        if (fifo.size() == frames) fifo.erase(fifo.begin());
        fifo.push_back(page);
      }
      auto place = std::find_if(clock.begin(), clock.end(), [&](auto& entry) { return entry.first == page; });
      if (place != clock.end()) {
        place->second = true;
      } else {
        clock_faults++;
        if (clock.size() < frames) {
          clock.push_back({page, true});
        } else {
          for (; clock[hand].second; hand = (hand + 1) % frames) clock[hand].second = false;
          clock[hand] = {page, true};
          hand = (hand + 1) % frames;
        }
      }
    }
    EXPECT_EQ(count_faults("lru", trace, frames), lru_faults);
    EXPECT_EQ(count_faults("fifo", trace, frames), fifo_faults);
    EXPECT_EQ(count_faults("clock", trace, frames), clock_faults);
  }
}

TEST(ReplacementSimulator, MoreMemoryMayMeanMoreFaultsUnderFifoOnly) {
  const Trace belady = make_trace("Belady", {1, 2, 3, 4, 1, 2, 5, 1, 2, 3, 4, 5});
  EXPECT_EQ(count_faults("fifo", belady, 3), 9u);
  EXPECT_EQ(count_faults("fifo", belady, 4), 10u);
  EXPECT_EQ(count_faults("lru", belady, 3), 10u);
  EXPECT_EQ(count_faults("lru", belady, 4), 8u);
  EXPECT_EQ(count_faults("opt", belady, 3), 7u);
  EXPECT_EQ(count_faults("opt", belady, 4), 6u);
}

TEST(ReplacementSimulator, EveryPolicyFaultsOncePerPageWhenAllFit) {
  for (const GeneratorKind& kind : generator_kinds()) {
    const Trace trace = generate(kind.name, 50, 2000, 1);
    EXPECT_EQ(trace.references.size(), 2000u) << kind.name;
    for (const std::string& policy : policy_names())
      EXPECT_EQ(count_faults(policy, trace, trace.pages()), trace.pages()) << kind.name << policy;
  }
}

// What docs/replacement.md says of the policy on synthetic traces.
TEST(ReplacementSimulator, TheKernelsPolicyKeepsToItsBounds) {
  double logarithms = 0, clock_logarithms = 0;
  uint32_t runs = 0;
  for (const GeneratorKind& kind : generator_kinds()) {
    for (uint32_t seed : {1u, 2u}) {
      const Trace trace = generate(kind.name, 400, 40000, seed);
      for (uint32_t frames : parse_sizes("25%,50%,75%,80%", trace)) {
        const double optimal = count_faults("opt", trace, frames), ours = count_faults("2q", trace, frames);
        const double clock = count_faults("clock", trace, frames);
        EXPECT_LE(ours / optimal, 3.5) << kind.name << " " << frames;
        EXPECT_LE(ours / clock, 1.26) << kind.name << " " << frames;
        logarithms += std::log(ours / optimal);
        clock_logarithms += std::log(clock / optimal);
        runs++;
      }
    }
  }
  EXPECT_LE(std::exp(logarithms / runs), 1.65);
  EXPECT_LE(logarithms, clock_logarithms * 0.85);
}

class TraceFile {
 public:
  explicit TraceFile(const std::string& bytes) : path_(::testing::TempDir() + "trace-under-test") {
    std::ofstream(path_, std::ios::binary) << bytes;
  }
  ~TraceFile() { std::remove(path_.c_str()); }
  const std::string& path() const { return path_; }
  std::string complaint() const {
    try {
      read_trace(path_);
    } catch (const Complaint& complaint) {
      return std::string(complaint.what()).substr(path_.size());
    }
    return "none";
  }

 private:
  const std::string path_;
};

TEST(ReplacementSimulator, BothFormatsGiveBackWhatWasWritten) {
  Numbers numbers = {0, 0xfffffffe, 0, 5, 4, 0x80000000, 0x7fffffff, 63, 127, 0};
  std::mt19937 random(1);
  for (int i = 0; i < 1000; i++) numbers.push_back(static_cast<uint32_t>(random()) >> random() % 32 & 0xfffffffe);
  const Trace trace = make_trace("both", numbers);
  for (TraceFormat format : {TraceFormat::kText, TraceFormat::kBinary}) {
    TraceFile file("");
    write_trace(trace, file.path(), format);
    const Trace read = read_trace(file.path());
    EXPECT_EQ(read.references, trace.references);
    EXPECT_EQ(read.names, trace.names);
  }
}

TEST(ReplacementSimulator, TextMayHaveCommentsAccessesAndHexadecimal) {
  TraceFile file("# a comment\n 7 r\n0x10 w # another\n\n7\n");
  const Trace trace = read_trace(file.path());
  EXPECT_EQ(trace.references, (Numbers{0, 1, 0}));
  EXPECT_EQ(trace.names, (Numbers{7, 16}));
}

TEST(ReplacementSimulator, DamagedTracesAreRefusedWithTheirPlace) {
  const std::string magic("FLTRACE\1", 8);
  EXPECT_NE(TraceFile("1\n2 x\n").complaint().find(":2: not a page number"), std::string::npos);
  EXPECT_NE(TraceFile("1\n-2\n").complaint().find(":2: not a page number"), std::string::npos);
  EXPECT_NE(TraceFile("4294967296\n").complaint().find(":1: not a page number"), std::string::npos);
  EXPECT_NE(TraceFile("1 r 2\n").complaint().find(":1: not a page number"), std::string::npos);
  EXPECT_EQ(TraceFile("# nothing\n").complaint(), ": no references in it");
  EXPECT_EQ(TraceFile(magic).complaint(), ": no references in it");
  EXPECT_EQ(TraceFile(magic + "\x02\x80").complaint(), ": cut off within its last reference");
  EXPECT_EQ(TraceFile(magic + "\xff\xff\xff\xff\x7f").complaint(), ": byte 12: a difference of more than 32 bits");
  EXPECT_EQ(TraceFile(magic + "\x80\x80\x80\x80\x80\x80").complaint(), ": byte 12: a difference of more than 32 bits");
}

TEST(ReplacementSimulator, SizesAreNumbersRangesAndShares) {
  const Trace trace = make_trace("ten", {1, 2, 3, 4, 5, 6, 7, 8, 9, 10});
  EXPECT_EQ(parse_sizes("5,50%,2-8/3,100%", trace), (Numbers{2, 5, 8, 10}));
  for (const char* bad : {"", "0", "x", "5x", "-1", "8-2", "1-", "%"}) EXPECT_THROW(parse_sizes(bad, trace), Complaint) << bad;
}

TEST(ReplacementSimulator, AnExerciseIsTheSameForItsSeedAndItsAnswerCounts) {
  for (uint32_t seed = 1; seed <= 20; seed++) {
    std::ostringstream question, again, answer;
    print_exercise(question, seed, Show::kQuestion);
    print_exercise(again, seed, Show::kQuestion);
    print_exercise(answer, seed, Show::kAnswer);
    EXPECT_EQ(question.str(), again.str());
    EXPECT_EQ(answer.str().find(question.str()), 0u);
    const std::string text = answer.str();
    size_t faults = 0;
    for (size_t at = text.find("  fault "); at != std::string::npos; at = text.find("  fault ", at + 1)) faults++;
    EXPECT_NE(text.find("\n" + std::to_string(faults) + " faults in 14 references"), std::string::npos) << text;
  }
}

TEST(ReplacementSimulator, ThePlotHasACurveForEachPolicy) {
  const Trace trace = generate("zipf", 50, 2000, 1);
  const std::string svg = plot(trace, {10, 20, 30}, policy_names());
  for (const std::string& policy : policy_names()) EXPECT_NE(svg.find(">" + policy_title(policy) + "</text>"), std::string::npos);
  EXPECT_EQ(svg.find("nan"), std::string::npos);
  EXPECT_NE(svg.find("prefers-color-scheme: dark"), std::string::npos);
}

}  // namespace
}  // namespace faultline::simulator
