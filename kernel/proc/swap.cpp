// /proc/swaps, as Linux shows it, and faultline/swap: the transfers that moved the pages which vmstat counts.
#include "fs/swap_area.h"
#include "kernel/proc/contents.h"
#include "mm/swap.h"

namespace faultline {

namespace {

// How long a path is once it is escaped.
class CountingSink final : public FormatSink {
 public:
  void put(StringView text) override { length_ += static_cast<uint32_t>(text.size()); }
  uint32_t length() const { return length_; }

 private:
  uint32_t length_ = 0;
};
class EscapingSink final : public FormatSink {
 public:
  explicit EscapingSink(FormatSink& target) : target_(target) {}
  void put(StringView text) override { proc_put_escaped(target_, text); }

 private:
  FormatSink& target_;
};

// The columns are Linux's: tabs that line up as long as the numbers are short.
void show_area(const SwapAreaView& area, void* context) {
  FormatSink& sink = *static_cast<FormatSink*>(context);
  CountingSink counter;
  EscapingSink counted(counter), escaped(sink);
  area.file.describe(counted);
  area.file.describe(escaped);
  constexpr uint32_t kNameWidth = 40, kLongNumber = 10'000'000;
  for (uint32_t column = counter.length(); column < kNameWidth - 1; column++) sink.put(" ");
  const uint32_t size = static_cast<uint32_t>(proc_kilobytes(area.pages)), used = static_cast<uint32_t>(proc_kilobytes(area.used));
  format(sink, " {}\t{}\t{}{}\t{}{}\n", area.is_partition ? "partition" : "file\t", size, size < kLongNumber ? "\t" : "", used,
         used < kLongNumber ? "\t" : "", area.priority);
}

Result<void> show_swaps(const ProcContext&, FormatSink& sink) {
  sink.put("Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n");
  swap_areas_for_each(&show_area, &sink);
  return {};
}

Result<void> show_transfers(const ProcContext&, FormatSink& sink) {
  const SwapStatistics swap = swap_statistics();
  format(sink, "reads {}\npages_read {}\nwrites {}\npages_written {}\n", swap.reads, swap.in, swap.writes, swap.out);
  return {};
}

constexpr ProcNode kSwaps = proc_file("swaps", &show_swaps);

}  // namespace

constinit const ProcNode kProcSwapNode = proc_file("swap", &show_transfers);

void proc_register_swap() { proc_register(kSwaps); }

}  // namespace faultline
