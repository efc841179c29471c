// The parts of `faults`: what a record says in words, the table of -c, and the ways of printing.
#pragma once

#include <stdio.h>

#include <map>
#include <string>

#include "user/include/faultline/faults.h"
#include "user/include/faultline/trace_format.h"

using faultline::FaultAccess;
using faultline::FaultDecision;
using faultline::FaultMode;
using faultline::FaultRecord;
using faultline::FaultRegion;

// The region as a person would name it: a path, [heap], anonymous.
std::string region_name(const FaultRecord& record);
// What the kernel decided, and why, in a few plain words.
std::string decision_words(const FaultRecord& record);
// The same for a whole kind of fault, for the table of -c.
std::string kind_words(const FaultRecord& record);
// A page-table entry: frame and rights, such as "00a20 rw d"; "-" if there is none.
std::string entry_words(uint32_t entry);
inline bool is_major(const FaultRecord& record) { return record.steps & faultline::kFaultMajor; }

void print_heading(FILE* out);
void print_line(FILE* out, const FaultRecord& record, uint64_t start_time);
void print_json(FILE* out, const FaultRecord& record);

// For --trace: kept in memory to the end, because the command waits for whoever is slow to read.
class ReferenceTrace {
 public:
  void add(const FaultRecord& record);
  // Ends the program if references are missing, or if it cannot be written.
  void write(FILE* out, uint64_t lost) const;

 private:
  std::string bytes_{faultline::kTraceMagic, sizeof faultline::kTraceMagic};
  faultline::TraceWriter writer_;
};

class Summary {
 public:
  void add(const FaultRecord& record);
  void print(FILE* out, uint64_t lost) const;

 private:
  struct Row {
    uint64_t count = 0, major = 0, cost = 0;
    uint32_t least = ~0u, most = 0;
  };
  std::map<std::string, Row> rows_;
};
