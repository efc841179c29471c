// `faults --trace`: the pages of the records, as user/include/faultline/trace_format.h has them.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/faults/faults.h"

void ReferenceTrace::add(const FaultRecord& record) {
  if (record.decision >= FaultDecision::kNotMapped) return;  // no page
  writer_.add(record.address / 4096, [this](char byte) { bytes_ += byte; });
}

void ReferenceTrace::write(FILE* out, uint64_t lost) const {
  if (lost != 0) {
    fprintf(stderr, "faults: %llu references are lost: no trace is written\n", static_cast<unsigned long long>(lost));
    exit(1);
  }
  if (fwrite(bytes_.data(), 1, bytes_.size(), out) == bytes_.size() && fflush(out) == 0) return;
  fprintf(stderr, "faults: writing the trace: %s\n", strerror(errno));
  exit(1);
}
