// All tables of a process on one page: runs of alike entries in a line, holes folded, what is shared marked.
#include "user/pagetable/pagetable.h"

namespace {

constexpr uint32_t kRights = I386Paging::kPresent | I386Paging::kWritable | I386Paging::kUser | I386Paging::kGlobal | I386Paging::kLarge;
constexpr uint32_t kPagesPerTable = faultline::kDirectoryEntries, kKernelHalf = 512;

const char* kind_word(const TableEntry& entry) {
  switch (static_cast<FrameKind>(entry.kind)) {
    case FrameKind::kAnonymous: return "private";
    case FrameKind::kFile: return "file";
    case FrameKind::kKernel: return entry.entry & I386Paging::kUser ? "zeroes" : "kernel";
    default: return "-";
  }
}

// Entries that one line can stand for.
bool are_alike(const TableEntry& a, const TableEntry& b) {
  return (a.entry & kRights) == (b.entry & kRights) && a.kind == b.kind && a.users == b.users && (a.entry == 0) == (b.entry == 0);
}

std::string rights(uint32_t entry) {
  if (!(entry & I386Paging::kPresent)) return "none";
  std::string text = entry & I386Paging::kWritable ? "rw" : "r-";
  return text + (entry & I386Paging::kUser ? " u" : " k") + (entry & I386Paging::kGlobal ? " g" : "  ");
}

// "00337..0033a 00350": frames in ranges, as many as fit.
std::string frames(const std::vector<TableEntry>& table, size_t from, size_t to, uint32_t step) {
  std::string text;
  for (size_t i = from; i < to;) {
    size_t end = i + 1;
    while (end < to && I386Paging::frame(table[end].entry) == I386Paging::frame(table[end - 1].entry) + step) end++;
    char range[32];
    snprintf(range, sizeof range, end == i + 1 ? "%05x " : "%05x..%05x ", I386Paging::frame(table[i].entry),
             I386Paging::frame(table[end - 1].entry));
    if (text.size() + 12 > 48) return text + "...";
    text += range;
    i = end;
  }
  return text;
}

// Calls visit(from, to) for each run of alike entries.
template <typename Visit>
void for_each_run(const std::vector<TableEntry>& table, size_t from, size_t to, Visit visit) {
  while (from < to) {
    size_t end = from + 1;
    while (end < to && are_alike(table[from], table[end])) end++;
    visit(from, end);
    from = end;
  }
}

void print_run(const std::vector<TableEntry>& table, uint32_t base, size_t from, size_t to) {
  const TableEntry& entry = table[from];
  uint32_t start = base + (static_cast<uint32_t>(from) << 12), last = base + (static_cast<uint32_t>(to) << 12) - 1;
  if (entry.entry == 0) return;  // the addresses show it
  std::string users = entry.users > 1 ? " x" + std::to_string(entry.users) : "";
  printf("    %08x-%08x %5zu  %-6s %-8s%-5s %s\n", start, last, to - from, rights(entry.entry).c_str(), kind_word(entry), users.c_str(),
         frames(table, from, to, 1).c_str());
}

void print_table(const Tables& tables, const TableEntry& entry, uint32_t index) {
  std::vector<TableEntry> table = tables.table(index);
  size_t used = 0;
  for (const TableEntry& each : table) used += each.entry != 0;
  std::string shared = entry.users > 1 ? ", shared by " + std::to_string(entry.users) + " processes" : "";
  printf("%4u       %08x-%08x  table in frame %05x, %zu of 1024 entries%s%s\n", index, index << 22, (index << 22) + 0x3fffff,
         I386Paging::frame(entry.entry), used, shared.c_str(), entry.entry & I386Paging::kWritable ? "" : " (read-only here)");
  for_each_run(table, 0, kPagesPerTable, [&](size_t from, size_t to) { print_run(table, index << 22, from, to); });
}

void print_directory_run(const Tables& tables, const std::vector<TableEntry>& directory, size_t from, size_t to) {
  const TableEntry& entry = directory[from];
  auto first = static_cast<uint32_t>(from), last = static_cast<uint32_t>(to - 1);
  if (I386Paging::is_present(entry.entry) && !(entry.entry & I386Paging::kLarge)) {
    for (uint32_t index = first; index <= last; index++)
      if (index < kKernelHalf) print_table(tables, directory[index], index);
    if (first >= kKernelHalf) printf("%4u..%-4u %08x-%08x  the kernel's own tables\n", first, last, first << 22, (last << 22) + 0x3fffff);
    return;
  }
  printf("%4u..%-4u %08x-%08x  ", first, last, first << 22, (last << 22) + 0x3fffff);
  if (entry.entry == 0)
    printf("hole of %zu MiB\n", (to - from) * 4);
  else
    printf("%zu pages of 4 MiB, %s, frames %s\n", to - from, rights(entry.entry).c_str(), frames(directory, from, to, 1024).c_str());
}

}  // namespace

void print_map(const Tables& tables) {
  std::vector<TableEntry> directory = tables.directory();
  size_t own = 0, shared = 0;
  for (uint32_t i = 0; i < kKernelHalf; i++) {
    if (!I386Paging::is_present(directory[i].entry)) continue;
    (directory[i].users > 1 ? shared : own)++;
  }
  printf("process %d: a directory, %zu page tables of its own and %zu shared: %zu KiB of its own\n", tables.pid(), own, shared,
         4 * (own + 1));
  printf("directory  addresses          what is there (rights: r w, u user, k kernel, g global; xN: seen by N processes)\n");
  for_each_run(directory, 0, kKernelHalf, [&](size_t from, size_t to) { print_directory_run(tables, directory, from, to); });
  for_each_run(directory, kKernelHalf, directory.size(), [&](size_t from, size_t to) { print_directory_run(tables, directory, from, to); });
}
