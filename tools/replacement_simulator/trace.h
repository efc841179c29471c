// Traces of page references: read, written, generated. Formats: README.md.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace faultline::simulator {

// Pages are renumbered 0, 1, ... in the order in which they come first; `names` has the numbers that the file uses.
struct Trace {
  std::string name;
  std::vector<uint32_t> references;
  std::vector<uint32_t> names;
  uint32_t pages() const { return static_cast<uint32_t>(names.size()); }
};

// What is wrong with a file or an option, in words for who gave it.
struct Complaint : std::runtime_error {
  using std::runtime_error::runtime_error;
};

Trace make_trace(std::string name, const std::vector<uint32_t>& numbers);

// Either format, told apart by the first bytes; "-" is standard input.
Trace read_trace(const std::string& path);
enum class TraceFormat : uint8_t { kText, kBinary };
void write_trace(const Trace& trace, const std::string& path, TraceFormat format);

// A synthetic trace; the same for the same arguments on every machine. Kinds: generator_kinds().
Trace generate(const std::string& kind, uint32_t pages, uint32_t length, uint32_t seed);
struct GeneratorKind {
  const char* name;
  const char* meaning;
};
const std::vector<GeneratorKind>& generator_kinds();

}  // namespace faultline::simulator
