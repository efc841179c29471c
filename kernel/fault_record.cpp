// From the fault's story to the record that programs read: what mm decided, and the region as /proc/PID/maps would name it.
#include "kernel/fault_watch.h"

namespace faultline {

namespace {

// Keeps the last bytes of what it is given.
class TailSink final : public FormatSink {
 public:
  explicit TailSink(std::span<char> buffer) : buffer_(buffer) {}
  void put(StringView text) override {
    size_t room = buffer_.size() - 1;
    if (text.size() > room) text = text.substring(text.size() - room);
    if (used_ + text.size() > room) {
      size_t dropped = used_ + text.size() - room;
      memmove(buffer_.data(), buffer_.data() + dropped, used_ - dropped);
      used_ -= dropped;
    }
    memcpy(buffer_.data() + used_, text.data(), text.size());
    used_ += text.size();
    buffer_.data()[used_] = '\0';
  }

 private:
  std::span<char> buffer_;
  size_t used_ = 0;
};

FaultRegion kind_of(const RegionView& region) {
  if (region.kind == RegionKind::kHeap) return FaultRegion::kHeap;
  if (region.kind == RegionKind::kStack) return FaultRegion::kStack;
  if (region.kind != RegionKind::kAnonymousOrFile) return FaultRegion::kOther;
  if (region.backing) return FaultRegion::kFile;
  return region.shared ? FaultRegion::kSharedMemory : FaultRegion::kAnonymous;
}

void put_region(const RegionView& region, void* context) {
  FaultRecord& record = *static_cast<FaultRecord*>(context);
  record.region = kind_of(region);
  record.region_start = region.start.value();
  record.region_end = region.end.value();
  record.protection = static_cast<uint8_t>(region.protection | (region.shared ? 8 : 0));
  record.file_page = region.object_offset.value() + ((record.address - record.region_start) >> kPageShift);
  TailSink name(record.name);
  if (region.backing) region.backing->describe(name);
}

}  // namespace

FaultRecord fault_record_of(VirtAddr address, Access access, const FaultStory& story) {
  FaultRecord record{};
  record.kind = 1;
  record.bytes = sizeof record;
  record.access = access == Access::kWrite ? FaultAccess::kWrite : FaultAccess::kRead;
  record.decision = story.decision;
  record.steps = story.steps;
  record.address = address.value();
  record.cost = story.cost;
  record.pte_before = story.before.raw();
  record.pte_after = story.after.raw();
  record.directory_before = story.directory_before.raw();
  record.directory_after = story.directory_after.raw();
  record.users = story.users;
  record.neighbours = story.neighbours;
  return record;
}

void fault_record_region(FaultRecord& record, AddressSpace& space) { space.visit_region(VirtAddr(record.address), &put_region, &record); }

}  // namespace faultline
