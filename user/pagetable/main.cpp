// pagetable: the page tables of a process, one address at a time or all of them; and the toy machine of the lectures.
#include "user/pagetable/pagetable.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

namespace {

constexpr const char* kHelp =
    "usage: pagetable PID            the page tables of a process, holes folded\n"
    "       pagetable PID ADDRESS    the walk for one address, step by step\n"
    "       pagetable --toy ADDRESS  the same on the lectures' toy machine: 10-bit addresses, 256-byte pages\n"
    "       pagetable --toy all      every page of it\n"
    "\n"
    "PID may be `self`. Addresses: 0x8048000, 134512640, 0b0111010010. Frames, and the kernel's half, are shown to root only.\n";

uint32_t parse_number(const char* text, const char* what) {
  int base = strncmp(text, "0b", 2) == 0 ? 2 : 0;
  char* end = nullptr;
  errno = 0;
  unsigned long long value = strtoull(base == 2 ? text + 2 : text, &end, base);
  if (*text == '\0' || *text == '-' || *end || errno || value > 0xffffffffu) die(std::string(text) + " is not " + what);
  return static_cast<uint32_t>(value);
}

void toy(const char* argument) {
  if (strcmp(argument, "all") == 0) {
    for (uint32_t page = 0; page < 4; page++) print_toy(page << ToyPaging::kOffsetBits);
    return;
  }
  uint32_t address = parse_number(argument, "an address");
  if (address >= 1u << faultline::virtual_bits<ToyPaging>()) die(std::string(argument) + " has more than the toy's 10 bits");
  print_toy(address);
}

}  // namespace

void die(const std::string& problem) {
  fprintf(stderr, "pagetable: %s\n", problem.c_str());
  exit(1);
}

Tables::Tables(pid_t pid) : pid_(pid) {
  std::string name = "/proc/" + std::to_string(pid) + "/pagetables";
  fd_ = open(name.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd_ >= 0) return;
  if (errno == ENOENT && access("/proc/faultline", F_OK) != 0) die("this kernel does not show its page tables");
  die(errno == ENOENT ? "no process " + std::to_string(pid) : name + ": " + strerror(errno));
}

TableEntry Tables::read(uint64_t offset) const {
  TableEntry entry;
  if (pread(fd_, &entry, sizeof entry, static_cast<off_t>(offset)) != sizeof entry) die("process " + std::to_string(pid_) + " has ended");
  return entry;
}

std::vector<TableEntry> Tables::read_many(uint64_t offset) const {
  std::vector<TableEntry> entries(faultline::kDirectoryEntries);
  ssize_t wanted = static_cast<ssize_t>(entries.size() * sizeof(TableEntry));
  if (pread(fd_, entries.data(), wanted, static_cast<off_t>(offset)) != wanted) die("process " + std::to_string(pid_) + " has ended");
  return entries;
}

int main(int argc, char** argv) {
  if (argc == 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) return fputs(kHelp, stdout), 0;
  if (argc == 3 && !strcmp(argv[1], "--toy")) return toy(argv[2]), 0;
  if (argc < 2 || argc > 3 || argv[1][0] == '-') return fputs(kHelp, stderr), 2;
  pid_t pid = strcmp(argv[1], "self") == 0 ? getpid() : static_cast<pid_t>(parse_number(argv[1], "the number of a process"));
  Tables tables(pid);
  if (argc == 3)
    print_walk(tables, parse_number(argv[2], "an address"));
  else
    print_map(tables);
}
