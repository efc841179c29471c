// Reading and writing traces: see trace.h.
#include "tools/replacement_simulator/trace.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <sstream>
#include <unordered_map>

#include "user/include/faultline/trace_format.h"

namespace faultline::simulator {
namespace {

std::vector<uint32_t> parse_binary(const std::string& path, const std::string& bytes) {
  std::vector<uint32_t> numbers;
  TraceReader reader;
  for (size_t at = sizeof kTraceMagic; at < bytes.size(); at++) {
    const TraceReader::Took took = reader.take(bytes[at]);
    if (took == TraceReader::Took::kTooLarge)
      throw Complaint(path + ": byte " + std::to_string(at) + ": a difference of more than 32 bits");
    if (took == TraceReader::Took::kReference) numbers.push_back(reader.page());
  }
  if (reader.is_within_reference()) throw Complaint(path + ": cut off within its last reference");
  return numbers;
}

[[noreturn]] void complain_of_line(const std::string& path, uint32_t line, const std::string& text) {
  throw Complaint(path + ":" + std::to_string(line) + ": not a page number, optionally followed by r or w: " + text.substr(0, 60));
}

std::vector<uint32_t> parse_text(const std::string& path, const std::string& bytes) {
  std::vector<uint32_t> numbers;
  std::istringstream lines(bytes);
  uint32_t line_number = 0;
  for (std::string line; std::getline(lines, line);) {
    line_number++;
    std::istringstream words(line.substr(0, line.find('#')));
    std::string number, access, rest;
    words >> number >> access >> rest;
    if (number.empty()) continue;
    char* end = nullptr;
    errno = 0;
    const unsigned long long page = std::strtoull(number.c_str(), &end, 0);
    const bool is_page = number[0] >= '0' && number[0] <= '9' && *end == '\0' && errno == 0 && page < 0xffffffffu;
    if (!is_page || !rest.empty() || (access != "" && access != "r" && access != "w")) complain_of_line(path, line_number, line);
    numbers.push_back(static_cast<uint32_t>(page));
  }
  return numbers;
}

std::string read_all(const std::string& path) {
  if (path == "-") return std::string(std::istreambuf_iterator<char>(std::cin), {});
  std::ifstream file(path, std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(file)), {});
  if (!file) throw Complaint(path + ": " + std::strerror(errno ? errno : EIO));
  return bytes;
}

std::string base_name(const std::string& path) {
  std::string name = path.substr(path.find_last_of('/') + 1);
  return name.substr(0, name.find_last_of('.'));
}

}  // namespace

Trace make_trace(std::string name, const std::vector<uint32_t>& numbers) {
  Trace trace{std::move(name), {}, {}};
  std::unordered_map<uint32_t, uint32_t> dense;
  for (uint32_t number : numbers) {
    auto [place, is_new] = dense.try_emplace(number, trace.pages());
    if (is_new) trace.names.push_back(number);
    trace.references.push_back(place->second);
  }
  return trace;
}

Trace read_trace(const std::string& path) {
  const std::string bytes = read_all(path);
  const bool is_binary = bytes.size() >= sizeof kTraceMagic && std::memcmp(bytes.data(), kTraceMagic, sizeof kTraceMagic) == 0;
  Trace trace = make_trace(base_name(path), is_binary ? parse_binary(path, bytes) : parse_text(path, bytes));
  if (trace.references.empty()) throw Complaint(path + ": no references in it");
  return trace;
}

void write_trace(const Trace& trace, const std::string& path, TraceFormat format) {
  std::string bytes;
  if (format == TraceFormat::kBinary) {
    bytes.assign(kTraceMagic, sizeof kTraceMagic);
    TraceWriter writer;
    for (uint32_t page : trace.references) writer.add(trace.names[page], [&](char byte) { bytes += byte; });
  } else {
    bytes =
        "# " + trace.name + ": " + std::to_string(trace.references.size()) + " references to " + std::to_string(trace.pages()) + " pages\n";
    for (uint32_t page : trace.references) bytes += std::to_string(trace.names[page]) + "\n";
  }
  if (path == "-") {
    std::cout << bytes;
    return;
  }
  std::ofstream file(path, std::ios::binary);
  file << bytes;
  file.close();
  if (!file) throw Complaint(path + ": " + std::strerror(errno));
}

}  // namespace faultline::simulator
