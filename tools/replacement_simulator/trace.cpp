// Reading and writing traces: see trace.h.
#include "tools/replacement_simulator/trace.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <sstream>
#include <unordered_map>

namespace faultline::simulator {
namespace {

constexpr char kMagic[] = {'F', 'L', 'T', 'R', 'A', 'C', 'E', 1};

// Differences of neighbours are small, of either sign: 0, -1, 1, -2, ... become 0, 1, 2, 3, ...
uint32_t fold(uint32_t difference) { return difference << 1 ^ (difference >> 31 ? 0xffffffffu : 0); }
uint32_t unfold(uint32_t folded) { return folded >> 1 ^ (folded & 1 ? 0xffffffffu : 0); }

std::vector<uint32_t> parse_binary(const std::string& path, const std::string& bytes) {
    std::vector<uint32_t> numbers;
    uint32_t page = 0, shift = 0;
    uint64_t folded = 0;
    for (size_t at = sizeof kMagic; at < bytes.size(); at++) {
        const uint8_t byte = static_cast<uint8_t>(bytes[at]);
        folded |= static_cast<uint64_t>(byte & 0x7f) << shift;
        shift += 7;
        if (folded > 0xffffffffu || (byte & 0x80 && shift >= 35))
            throw Complaint(path + ": byte " + std::to_string(at) + ": a difference of more than 32 bits");
        if (byte & 0x80) continue;
        numbers.push_back(page += unfold(static_cast<uint32_t>(folded)));
        folded = shift = 0;
    }
    if (shift != 0) throw Complaint(path + ": cut off within its last reference");
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
    const bool is_binary = bytes.size() >= sizeof kMagic && std::memcmp(bytes.data(), kMagic, sizeof kMagic) == 0;
    Trace trace = make_trace(base_name(path), is_binary ? parse_binary(path, bytes) : parse_text(path, bytes));
    if (trace.references.empty()) throw Complaint(path + ": no references in it");
    return trace;
}

void write_trace(const Trace& trace, const std::string& path, TraceFormat format) {
    std::string bytes = format == TraceFormat::kBinary ? std::string(kMagic, sizeof kMagic)
                                                       : "# " + trace.name + ": " + std::to_string(trace.references.size()) +
                                                             " references to " + std::to_string(trace.pages()) + " pages\n";
    uint32_t last = 0;
    for (uint32_t page : trace.references) {
        const uint32_t number = trace.names[page];
        if (format == TraceFormat::kText) {
            bytes += std::to_string(number) + "\n";
        } else {
            uint32_t folded = fold(number - last);
            for (; folded >= 0x80; folded >>= 7) bytes += static_cast<char>(folded | 0x80);
            bytes += static_cast<char>(folded);
        }
        last = number;
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
