// One address on its way through the tables, drawn as the slides do: the bits, then a box for each entry.
#include "user/pagetable/pagetable.h"

using faultline::index_shift;
using faultline::walk;

namespace {

struct Flag {
  uint32_t bit;
  const char* letters;
  const char* meaning;
};
constexpr Flag kFlags[] = {
    {I386Paging::kPresent, "P", "present"},
    {I386Paging::kWritable, "W", "writable"},
    {I386Paging::kUser, "U", "user"},
    {I386Paging::kWriteThrough, "PWT", "write-through"},
    {I386Paging::kCacheDisable, "PCD", "not cached"},
    {I386Paging::kAccessed, "A", "accessed"},
    {I386Paging::kDirty, "D", "dirty"},
    {I386Paging::kLarge, "PS", "4 MiB page"},
    {I386Paging::kGlobal, "G", "global"},
    {I386Paging::kShared, "S", "MAP_SHARED (software)"},
};

std::string flag_words(uint32_t entry) {
  std::string words;
  for (const Flag& flag : kFlags)
    if (entry & flag.bit) words += (words.empty() ? "" : ", ") + std::string(flag.letters) + " " + flag.meaning;
  return words.empty() ? "no flag is set" : words;
}

const char* kind_words(const TableEntry& entry) {
  switch (static_cast<FrameKind>(entry.kind)) {
    case FrameKind::kAnonymous: return "private memory";
    case FrameKind::kFile: return "a page of a file or of shared memory";
    case FrameKind::kPageTable: return "a page table";
    case FrameKind::kKernel: return "the kernel's";
    default: return "";
  }
}

std::string users_words(const TableEntry& entry) {
  if (entry.users == 0) return "";
  return entry.users == 1 ? ", this process' alone" : ", shared by " + std::to_string(entry.users) + " processes";
}

// The bits of an address, cut where the walk cuts it, with a name below each piece.
template <typename Paging>
void print_cut(uint32_t address, const char* const (&names)[Paging::kLevels + 1]) {
  std::string bits, below;
  auto piece = [&](uint32_t value, unsigned width, const char* name) {
    std::string text = binary(value, width), number = std::string(name) + " " + std::to_string(value);
    size_t columns = text.size() > number.size() ? text.size() : number.size();
    bits += (bits.empty() ? "" : " | ") + text + std::string(columns - text.size(), ' ');
    below += (below.empty() ? "" : " | ") + number + std::string(columns - number.size(), ' ');
  };
  for (unsigned level = 0; level < Paging::kLevels; level++)
    piece(address >> index_shift<Paging>(level) & ((1u << Paging::kIndexBits[level]) - 1), Paging::kIndexBits[level], names[level]);
  piece(address & ((1u << Paging::kOffsetBits) - 1), Paging::kOffsetBits, names[Paging::kLevels]);
  printf("  %s\n  %s\n\n", bits.c_str(), below.c_str());
}

void print_entry(const char* what, uint32_t index, const TableEntry& entry) {
  printf("  %s %-4u  0x%08x  %s\n", what, index, entry.entry, flag_words(entry.entry).c_str());
  if (I386Paging::is_present(entry.entry))
    printf("  %*s        -> frame 0x%05x  %s%s\n", static_cast<int>(std::char_traits<char>::length(what)), "",
           I386Paging::frame(entry.entry), kind_words(entry), users_words(entry).c_str());
}

}  // namespace

std::string binary(uint32_t value, unsigned bits) {
  std::string text;
  for (unsigned bit = bits; bit-- > 0;) {
    text += value >> bit & 1 ? '1' : '0';
    if (bit % 4 == 0 && bit != 0) text += ' ';
  }
  return text;
}

std::string flag_letters(uint32_t entry) {
  std::string letters;
  for (const Flag& flag : kFlags)
    if (entry & flag.bit) letters += (letters.empty() ? "" : " ") + std::string(flag.letters);
  return letters;
}

void print_walk(const Tables& tables, uint32_t address) {
  printf("process %d, virtual address 0x%08x\n\n", tables.pid(), address);
  print_cut<I386Paging>(address, {"directory entry", "table entry", "offset"});
  TableEntry entries[2] = {};
  auto result = walk<I386Paging>(address, [&](unsigned level, uint32_t, uint32_t) {
    entries[level] = level == 0 ? tables.directory_entry(address) : tables.table_entry(address);
    return entries[level].entry;
  });
  print_entry("directory entry", result.steps[0].index, entries[0]);
  if (result.count > 1) print_entry("table entry    ", result.steps[1].index, entries[1]);
  if (!result.is_mapped)
    printf("\n  no page: %s\n", result.count == 1 ? "there is no table, the whole 4 MiB are a hole" : "an access traps here");
  else
    printf("\n  physical address 0x%08x = frame 0x%05x, offset 0x%0*x\n", result.physical, result.physical >> I386Paging::kOffsetBits,
           static_cast<int>(result.offset_bits + 3) / 4, result.offset);
  if (result.is_mapped && result.count == 2) {
    uint32_t both = entries[0].entry & entries[1].entry;
    printf("  both levels together: %s, %s\n", both & I386Paging::kUser ? "user" : "kernel only",
           both & I386Paging::kWritable ? "writable" : "read-only");
  }
}

void print_toy(uint32_t address) {
  constexpr const char* kUse[4] = {"code", "data", "nothing", "stack"};
  printf("toy machine, virtual address 0x%03x\n\n", address);
  print_cut<ToyPaging>(address, {"page", "offset"});
  auto result = walk<ToyPaging>(address, faultline::toy_entry);
  uint32_t index = result.steps[0].index, entry = result.steps[0].entry;
  printf("  table entry %s   %s", binary(index, 2).c_str(), result.is_mapped ? "valid" : "invalid: the access traps\n");
  if (!result.is_mapped) return static_cast<void>(printf("\n"));
  printf(" -> frame %s  %s\n", binary(ToyPaging::frame(entry), 3).c_str(), kUse[index]);
  printf("\n  physical address %s | %s = 0x%03x\n\n", binary(ToyPaging::frame(entry), 3).c_str(), binary(result.offset, 8).c_str(),
         result.physical);
}
