// /proc/faultline/block_faults: disks that fail on request. The words are in docs/fault-injection.md.
#include "fs/block_faults.h"
#include "kernel/proc/contents.h"

namespace faultline {

namespace {

constexpr uint64_t kNanosecondsPerMillisecond = 1'000'000;

// The words of a line, one after the other.
class Words {
 public:
  explicit Words(StringView text) : rest_(text) {}
  bool is_empty() {
    while (!rest_.empty() && rest_[0] == ' ') rest_ = rest_.substring(1);
    return rest_.empty();
  }
  StringView next() {
    if (is_empty()) return {};
    size_t length = rest_.find(' ');
    StringView word = rest_.substring(0, length);
    rest_ = rest_.substring(word.size());
    return word;
  }
  Result<uint32_t> number() {
    StringView word = next();
    uint32_t value;
    if (!proc_take_number(word, value) || !word.empty()) return Errno::kINVAL;
    return value;
  }

 private:
  StringView rest_;
};

// "read", "write" or "flush", or several with commas between them.
Result<void> take_operations(StringView text, BlockFault& fault) {
  for (;;) {
    const size_t comma = text.find(',');
    const StringView one = text.substring(0, comma);
    if (one == "read")
      fault.reads = true;
    else if (one == "write")
      fault.writes = true;
    else if (one == "flush")
      fault.flushes = true;
    else
      return Errno::kINVAL;
    if (comma == StringView::kNotFound) return {};
    text = text.substring(comma + 1);
  }
}

Result<void> take_condition(Words& words, BlockFault& fault) {
  const StringView what = words.next();
  if (what == "sectors") {
    fault.first = TRY(words.number());
    fault.sectors = TRY(words.number());
  } else if (what == "nth") {
    fault.nth = TRY(words.number());
    if (fault.times == ~0u) fault.times = 1;
  } else if (what == "times") {
    fault.times = TRY(words.number());
  } else if (what == "permille") {
    fault.per_mille = TRY(words.number());
  } else if (what == "seed") {
    fault.seed = TRY(words.number());
    if (fault.seed == 0) return Errno::kINVAL;
  } else {
    return Errno::kINVAL;
  }
  return {};
}

Result<void> store_block_faults(const ProcContext&, StringView text) {
  Words words(text);
  const StringView name = words.next();
  if (name == "clear" && words.is_empty()) return block_faults_clear(), Result<void>();
  BlockFault fault;
  fault.device = block_device_find(name);
  if (!fault.device) return Errno::kNODEV;
  TRY(take_operations(words.next(), fault));
  const StringView effect = words.next();
  if (effect == "delay") fault.delay = TRY(words.number()) * kNanosecondsPerMillisecond;
  if (effect != "error" && fault.delay == 0) return Errno::kINVAL;
  while (!words.is_empty()) TRY(take_condition(words, fault));
  return block_fault_add(fault);
}

Result<void> show_block_faults(const ProcContext&, FormatSink& sink) {
  BlockFault fault;
  for (uint32_t i = 0; block_fault_at(i, fault); i++) {
    format(sink, "{}{}{}{} ", fault.device->name(), fault.reads ? " read" : "", fault.writes ? " write" : "",
           fault.flushes ? " flush" : "");
    if (fault.delay != 0)
      format(sink, "delay {}", fault.delay / kNanosecondsPerMillisecond);
    else
      sink.put("error");
    format(sink, " struck {}\n", fault.struck);
  }
  return {};
}

}  // namespace

constinit const ProcNode kProcBlockFaultsNode = {
    .name = "block_faults", .mode = 0100600, .show = &show_block_faults, .store = &store_block_faults};

}  // namespace faultline
