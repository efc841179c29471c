// What the simulator says: a table, a plot, a trace followed step by step, an exercise.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

#include "tools/replacement_simulator/trace.h"

namespace faultline::simulator {

// Memory sizes as an option gives them: "100", "10,20,40", "10-100/10", "25%,50%" (of the trace's pages), and mixtures.
std::vector<uint32_t> parse_sizes(const std::string& sizes, const Trace& trace);

// Faults and their ratio to OPT's, a line for each trace and size; under several lines the geometric mean and the worst.
void print_table(std::ostream& out, const std::vector<Trace>& traces, const std::string& sizes, const std::vector<std::string>& policies);

// Misses in 100 references against memory size, a curve for each policy, as an SVG that is readable on paper and on a dark screen.
std::string plot(const Trace& trace, const std::vector<uint32_t>& sizes, const std::vector<std::string>& policies);

// A line for each reference, in the manner of a textbook.
void print_steps(std::ostream& out, const Trace& trace, const std::string& policy, uint32_t frames);

enum class Show : uint8_t { kQuestion, kAnswer };
void print_exercise(std::ostream& out, uint32_t seed, Show show);

}  // namespace faultline::simulator
