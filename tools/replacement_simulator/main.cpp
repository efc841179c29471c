// tools/replacement: page replacement policies, the kernel's own among them, over traces of page references.
#include <algorithm>
#include <cstring>
#include <fstream>
#include <iostream>
#include <sstream>

#include "tools/replacement_simulator/memory.h"
#include "tools/replacement_simulator/report.h"

using namespace faultline::simulator;

namespace {

constexpr const char* kUsage =
    "usage: tools/replacement [OPTION]... [TRACE]...\n"
    "\n"
    "Page faults of OPT, LRU, CLOCK, FIFO and the kernel's own policy, 2Q, over traces of page references. A TRACE is a\n"
    "file (- is standard input) that `faults --trace` wrote, or a text of page numbers, one a line, # starts a comment.\n"
    "\n"
    "  --frames SIZES      sizes of memory: 100 or 10,20 or 10-100/10, or in percent of a trace's pages (default 25%,50%,75%)\n"
    "  --policies LIST     of opt,lru,clock,fifo,2q (default all)\n"
    "  --svg FILE          draws the miss-ratio curve of the one trace given\n"
    "  --steps             follows the one trace given step by step, for each of the policies\n"
    "  --exercise SEED     prints a question; with --answer, the worked answer too\n"
    "  --generate KIND     adds a synthetic trace; several times for several. `all` is one of each KIND:\n";
constexpr const char* kUsageEnd =
    "  --pages N --length N --seed N   of the traces that --generate options after these make (400, 40000, 1)\n"
    "  --write FILE        writes the one trace given (- is standard output), with --binary in the compact format\n"
    "  --help\n";

void print_usage(std::ostream& out) {
  out << kUsage;
  for (const GeneratorKind& kind : generator_kinds()) {
    const std::string name = kind.name;
    out << std::string(24, ' ') << name << std::string(14 - name.size(), ' ') << kind.meaning << "\n";
  }
  out << kUsageEnd;
}

uint32_t parse_number(const std::string& option, const std::string& word) {
  char* end = nullptr;
  const unsigned long number = std::strtoul(word.c_str(), &end, 10);
  if (word.empty() || *end != '\0' || word[0] == '-' || number > 100000000)
    throw Complaint(option + " takes a number up to 100000000, not " + (word.empty() ? "nothing" : word));
  return static_cast<uint32_t>(number);
}

std::vector<std::string> parse_policies(const std::string& list) {
  std::vector<std::string> policies;
  std::istringstream words(list);
  for (std::string word; std::getline(words, word, ',');) {
    const std::vector<std::string>& known = policy_names();
    if (std::find(known.begin(), known.end(), word) == known.end())
      throw Complaint("no policy is called " + word + "; there are: opt lru clock fifo 2q");
    policies.push_back(word);
  }
  if (policies.empty()) throw Complaint("--policies names none");
  return policies;
}

struct Options {
  std::vector<Trace> traces;
  std::string frames, svg, write, exercise;
  std::vector<std::string> policies = policy_names();
  uint32_t pages = 400, length = 40000, seed = 1;
  bool steps = false, answer = false, binary = false, help = false;
};

void add_generated(Options& options, const std::string& kind) {
  if (options.pages == 0 || options.length == 0) throw Complaint("a trace has at least one page and one reference");
  if (kind != "all") {
    options.traces.push_back(generate(kind, options.pages, options.length, options.seed));
    return;
  }
  for (const GeneratorKind& each : generator_kinds())
    options.traces.push_back(generate(each.name, options.pages, options.length, options.seed));
}

// An option that takes a value.
bool take_value(Options& options, const std::string& option, const std::string& value) {
  if (option == "--frames")
    options.frames = value;
  else if (option == "--policies")
    options.policies = parse_policies(value);
  else if (option == "--svg")
    options.svg = value;
  else if (option == "--write")
    options.write = value;
  else if (option == "--exercise")
    options.exercise = value;
  else if (option == "--pages")
    options.pages = parse_number(option, value);
  else if (option == "--length")
    options.length = parse_number(option, value);
  else if (option == "--seed")
    options.seed = parse_number(option, value);
  else if (option == "--generate")
    add_generated(options, value);
  else
    return false;
  return true;
}

Options parse_options(const std::vector<std::string>& words) {
  Options options;
  bool are_over = false;
  for (size_t at = 0; at < words.size(); at++) {
    const std::string& word = words[at];
    if (are_over || word == "-" || word[0] != '-')
      options.traces.push_back(read_trace(word));
    else if (word == "--")
      are_over = true;
    else if (word == "--help" || word == "-h")
      options.help = true;
    else if (word == "--steps")
      options.steps = true;
    else if (word == "--answer")
      options.answer = true;
    else if (word == "--binary")
      options.binary = true;
    else if (at + 1 == words.size())
      throw Complaint("no such option, or no value for it: " + word);
    else if (!take_value(options, word, words[++at]))
      throw Complaint("no such option: " + word);
  }
  return options;
}

const Trace& the_one_trace(const Options& options, const char* why) {
  if (options.traces.size() != 1) throw Complaint(std::string(why) + " is for one trace, not for " + std::to_string(options.traces.size()));
  return options.traces[0];
}

void print_all_steps(const Options& options) {
  const Trace& trace = the_one_trace(options, "--steps");
  const std::vector<uint32_t> sizes = parse_sizes(options.frames.empty() ? "3" : options.frames, trace);
  if (sizes.size() != 1 || sizes[0] > 32) throw Complaint("--steps is for one memory size of at most 32 frames");
  for (const std::string& policy : options.policies) {
    if (policy != options.policies[0]) std::cout << "\n";
    print_steps(std::cout, trace, policy, sizes[0]);
  }
}

void draw(const Options& options) {
  const Trace& trace = the_one_trace(options, "--svg");
  std::string sizes = options.frames;
  if (sizes.empty()) {  // thirty points up to where all pages fit
    const uint32_t step = std::max(1u, trace.pages() / 30);
    sizes = std::to_string(step) + "-" + std::to_string(trace.pages()) + "/" + std::to_string(step) + "," + std::to_string(trace.pages());
  }
  std::ofstream file(options.svg);
  file << plot(trace, parse_sizes(sizes, trace), options.policies);
  file.close();
  if (!file) throw Complaint(options.svg + ": " + std::strerror(errno));
}

void run(const Options& options) {
  if (options.help) return print_usage(std::cout);
  if (!options.exercise.empty())
    return print_exercise(std::cout, parse_number("--exercise", options.exercise), options.answer ? Show::kAnswer : Show::kQuestion);
  if (options.traces.empty()) throw Complaint("no trace given; --help lists the options");
  if (!options.write.empty())
    write_trace(the_one_trace(options, "--write"), options.write, options.binary ? TraceFormat::kBinary : TraceFormat::kText);
  if (!options.svg.empty()) draw(options);
  if (options.steps) return print_all_steps(options);
  // Written or drawn only, unless sizes were asked for.
  if (options.frames.empty() && (!options.write.empty() || !options.svg.empty())) return;
  print_table(std::cout, options.traces, options.frames.empty() ? "25%,50%,75%" : options.frames, options.policies);
}

}  // namespace

int main(int argument_count, char** arguments) {
  try {
    run(parse_options(std::vector<std::string>(arguments + 1, arguments + argument_count)));
  } catch (const Complaint& complaint) {
    std::cerr << "replacement: " << complaint.what() << "\n";
    return 2;
  }
  return std::cout.flush() ? 0 : 1;
}
