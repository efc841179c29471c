// The three forms: a line for people, an object for programs, a table for both.
#include <algorithm>
#include <vector>

#include "user/faults/faults.h"

namespace {

constexpr size_t kRegionWidth = 16;

char access_letter(const FaultRecord& record) { return "rwx"[static_cast<int>(record.access)]; }
const char* mode_word(const FaultRecord& record) {
  constexpr const char* kWords[] = {"user", "kernel", "ahead"};
  return kWords[static_cast<int>(record.mode)];
}

// The end says more than the beginning of a path.
std::string fitted(const std::string& name, size_t width) {
  return name.size() <= width ? name : ".." + name.substr(name.size() - width + 2);
}

std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (char c : text) {
    char escaped[8];
    if (c == '"' || c == '\\')
      result += '\\', result += c;
    else if (static_cast<unsigned char>(c) < 0x20)
      snprintf(escaped, sizeof escaped, "\\u%04x", c), result += escaped;
    else
      result += c;
  }
  return result + '"';
}

}  // namespace

void print_heading(FILE* out) {
  fprintf(out, "%5s %9s %5s %-6s %c %-8s %-*s %-9s    %-9s %8s  %s\n", "fault", "ms", "pid", "by", ' ', "address",
          static_cast<int>(kRegionWidth), "region", "entry was", "entry is", "cost", "what the kernel decided");
}

void print_line(FILE* out, const FaultRecord& record, uint64_t start_time) {
  uint64_t microseconds = (record.time - start_time) / 1000;
  fprintf(out, "%5llu %5llu.%03llu %5u %-6s %c %08x %-*s %-9s -> %-9s %8u  %s\n", static_cast<unsigned long long>(record.number),
          static_cast<unsigned long long>(microseconds / 1000), static_cast<unsigned long long>(microseconds % 1000), record.tid,
          mode_word(record), access_letter(record), record.address, static_cast<int>(kRegionWidth),
          fitted(region_name(record), kRegionWidth).c_str(), entry_words(record.pte_before).c_str(), entry_words(record.pte_after).c_str(),
          record.cost, decision_words(record).c_str());
}

void print_json(FILE* out, const FaultRecord& record) {
  fprintf(out, "{\"number\":%llu,\"time_ns\":%llu,\"pid\":%u,\"tid\":%u,\"cpu\":%u,\"by\":\"%s\",\"access\":\"%c\",",
          static_cast<unsigned long long>(record.number), static_cast<unsigned long long>(record.time), record.pid, record.tid, record.cpu,
          mode_word(record), access_letter(record));
  fprintf(out, "\"address\":\"0x%08x\",\"instruction\":\"0x%08x\",\"region\":%s,\"region_start\":\"0x%08x\",\"region_end\":\"0x%08x\",",
          record.address, record.instruction, quoted(region_name(record)).c_str(), record.region_start, record.region_end);
  fprintf(out, "\"shared\":%s,\"kind\":%s,\"decision\":%s,\"major\":%s,", record.protection & 8 ? "true" : "false",
          quoted(kind_words(record)).c_str(), quoted(decision_words(record)).c_str(), is_major(record) ? "true" : "false");
  fprintf(out, "\"entry_before\":\"0x%08x\",\"entry_after\":\"0x%08x\",\"directory_before\":\"0x%08x\",\"directory_after\":\"0x%08x\",",
          record.pte_before, record.pte_after, record.directory_before, record.directory_after);
  fprintf(out, "\"users\":%u,\"page\":%u,\"neighbours\":%u,\"cost\":%u}\n", record.users, record.file_page, record.neighbours, record.cost);
}

void Summary::add(const FaultRecord& record) {
  Row& row = rows_[kind_words(record)];
  row.count++;
  row.major += is_major(record);
  row.cost += record.cost;
  row.least = std::min(row.least, record.cost);
  row.most = std::max(row.most, record.cost);
}

void Summary::print(FILE* out, uint64_t lost) const {
  std::vector<std::pair<std::string, Row>> rows(rows_.begin(), rows_.end());
  std::stable_sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a.second.count > b.second.count; });
  Row sum;
  fprintf(out, "%8s %7s %12s %9s %9s %9s  %s\n", "faults", "major", "cost", "each", "least", "most", "what the kernel decided");
  for (const auto& [what, row] : rows) {
    fprintf(out, "%8llu %7llu %12llu %9llu %9u %9u  %s\n", static_cast<unsigned long long>(row.count),
            static_cast<unsigned long long>(row.major), static_cast<unsigned long long>(row.cost),
            static_cast<unsigned long long>(row.cost / row.count), row.least, row.most, what.c_str());
    sum.count += row.count, sum.major += row.major, sum.cost += row.cost;
  }
  fprintf(out, "%8llu %7llu %12llu %9llu %9s %9s  all\n", static_cast<unsigned long long>(sum.count),
          static_cast<unsigned long long>(sum.major), static_cast<unsigned long long>(sum.cost),
          static_cast<unsigned long long>(sum.count ? sum.cost / sum.count : 0), "", "");
  if (lost) fprintf(out, "%8llu were lost: they came faster than they were read\n", static_cast<unsigned long long>(lost));
}
