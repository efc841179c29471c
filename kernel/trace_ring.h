// The trace rings: one for each CPU, of fixed size, the oldest record making way for the newest. A CPU writes into its own with interrupts
// off and without any lock; readers keep their own places and see afterwards whether a record changed while they copied it. The rings
// have memory only while somebody reads.
#pragma once

#include <cstdint>

#include "arch/cpu.h"
#include "lib/abi/fault_record.h"
#include "lib/result.h"

namespace faultline {

// Every kind of record has this size and begins as a FaultRecord does, up to `bytes`.
using TraceRecord = FaultRecord;

// A reader: the rings exist while one does. Its records are those from its making on that bear its number in `watch`.
class TraceReader {
 public:
  static constexpr uint32_t kReaders = 31;

  TraceReader() = default;
  TraceReader(const TraceReader&) = delete;
  TraceReader& operator=(const TraceReader&) = delete;
  ~TraceReader();

  // kNOMEM; kAGAIN: too many readers.
  Result<void> open();
  uint8_t number() const { return number_; }
  // The record with the lowest number of those that are there, or false. One caller at a time.
  bool next(TraceRecord& record);
  // Whether next() would find one.
  bool has_next();

 private:
  bool peek(uint32_t cpu, TraceRecord& record);

  uint8_t number_ = 0;  // 0: not open
  uint32_t places_[kMaxCpus] = {};
};

// Adds a record to this CPU's ring, if there are rings. Interrupts off.
void trace_put(const TraceRecord& record);

void trace_initialize();  // boot, before any thread but the idle ones

}  // namespace faultline
