// The parts of `pagetable`: reading a process' tables, one walk, the whole map, the toy machine.
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include <string>
#include <vector>

#include "user/include/faultline/page_walk.h"
#include "user/include/faultline/pagetables.h"

using faultline::FrameKind;
using faultline::I386Paging;
using faultline::TableEntry;
using faultline::ToyPaging;

// /proc/PID/pagetables of one process. Ends the program with a message if it cannot be read.
class Tables {
 public:
  explicit Tables(pid_t pid);
  TableEntry directory_entry(uint32_t address) const { return read(faultline::directory_entry_offset(address)); }
  TableEntry table_entry(uint32_t address) const { return read(faultline::table_entry_offset(address)); }
  // 1,024 entries: of the directory, or of the table below one of its entries.
  std::vector<TableEntry> directory() const { return read_many(0); }
  std::vector<TableEntry> table(uint32_t directory_index) const { return read_many(8192 * (uint64_t{directory_index} + 1)); }
  pid_t pid() const { return pid_; }

 private:
  TableEntry read(uint64_t offset) const;
  std::vector<TableEntry> read_many(uint64_t offset) const;
  pid_t pid_;
  int fd_;
};

[[noreturn]] void die(const std::string& problem);

std::string binary(uint32_t value, unsigned bits);
// "P W U A D": the flags of an entry by their names in the manuals.
std::string flag_letters(uint32_t entry);

void print_walk(const Tables& tables, uint32_t address);
void print_map(const Tables& tables);
void print_toy(uint32_t address);
