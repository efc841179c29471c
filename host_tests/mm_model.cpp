// See mm_model.h.
#include "mm_model.h"

#include <cstring>

#include <machine/planted_bugs.h>

namespace faultline::host {

namespace {
template <typename Device>
bool device_fails(Device& device) {
  if (device.failure_rate == 0) return false;
  device.failure_state = device.failure_state * 1664525 + 1013904223;
  bool failing = (device.failure_state >> 8) % device.failure_rate == 0;
  device.failures += failing;
  return failing;
}
}  // namespace

bool ModelSource::fails() { return device_fails(*this); }
bool ModelSwap::fails() { return device_fails(*this); }

// What is written is what the frame holds when the device is done; what is read arrives before.
Result<void> ModelSwap::write_pages(uint32_t first, std::span<const FrameNumber> frames) {
  std::vector<std::vector<uint8_t>> taken;
  for (FrameNumber frame : frames) taken.emplace_back(direct_map_bytes(frame), direct_map_bytes(frame) + kPageSize);
  if (meanwhile) meanwhile(true);
  for (size_t i = 0; i < frames.size(); i++)
    if (memcmp(taken[i].data(), direct_map_bytes(frames[i]), kPageSize) != 0) PANIC("a page changes while it is written to swap");
  if (fails()) return Errno::kIO;
  for (size_t i = 0; i < frames.size(); i++) disk[first + static_cast<uint32_t>(i)] = taken[i];
  return {};
}

Result<void> ModelSwap::read_pages(uint32_t first, std::span<const FrameNumber> frames) {
  if (meanwhile) meanwhile(false);
  bool failing = fails();
  for (size_t i = 0; i < frames.size(); i++) {
    auto found = disk.find(first + static_cast<uint32_t>(i));
    if (found == disk.end()) PANIC("a page is read from swap that was never written");
    failing ? memset(direct_map_bytes(frames[i]), 0xee, kPageSize) : memcpy(direct_map_bytes(frames[i]), found->second.data(), kPageSize);
  }
  if (failing) return Errno::kIO;
  return {};
}

Result<void> ModelSource::read_pages(PageIndex first, std::span<const FrameNumber> frames) {
  if (fails()) return Errno::kIO;
  for (size_t i = 0; i < frames.size(); i++) {
    uint32_t index = first.value() + static_cast<uint32_t>(i);
    uint8_t* data = direct_map_bytes(frames[i]);
    auto found = disk.find(index);
    memset(data, 0, kPageSize);
    uint64_t start = uint64_t{index} * kPageSize;
    if (found == disk.end() || start >= size_on_disk) continue;
    uint64_t valid = size_on_disk - start;
    memcpy(data, found->second.data(), valid < kPageSize ? valid : kPageSize);
  }
  return {};
}

Result<void> ModelSource::write_pages(PageIndex first, std::span<const FrameNumber> frames) {
  if (fails()) return Errno::kIO;
  for (size_t i = 0; i < frames.size(); i++) {
    const uint8_t* data = direct_map_bytes(frames[i]);
    disk[first.value() + static_cast<uint32_t>(i)] = std::vector<uint8_t>(data, data + kPageSize);
  }
  return {};
}

Result<void> ModelSource::prepare_write(PageIndex, uint32_t) {
  if (fails()) return Errno::kNOSPC;
  return {};
}

ModelObject::ModelObject(bool has_source, uint64_t size) : bytes(size) {
  if (has_source) {
    source_ = std::make_unique<ModelSource>();
    cached_ = std::make_unique<Cached>(*source_, size);
    object_ = cached_.get();
  } else {
    anonymous_ = Object::create_anonymous(size).release_value();
    object_ = anonymous_.get();
  }
}

ModelObject::~ModelObject() {
  if (cached_) cached_->drop_all();
}

FaultOutcome ModelPage::expected(bool is_write) const {
  if (is_write ? !(protection & kProtWrite) : protection == kProtNone) return FaultOutcome::kNotAllowed;
  if (object && !own && uint64_t{index} * kPageSize >= object->size()) return FaultOutcome::kBusError;
  return FaultOutcome::kResolved;
}

int ModelPage::byte(uint32_t offset) const {
  if (own) return own->known[offset] ? own->bytes[offset] : -1;
  if (!object) return 0;
  uint64_t at = uint64_t{index} * kPageSize + offset;
  return at < object->size() ? object->bytes[at] : -1;
}

void ModelPage::write(uint32_t offset, uint8_t value) {
  if (shared) {
    uint64_t at = uint64_t{index} * kPageSize + offset;
    if (at < object->size()) object->bytes[at] = value;
    return;
  }
  if (!own || own.use_count() > 1) {
    auto copy = std::make_shared<ModelBytes>();
    for (uint32_t i = 0; i < kPageSize; i++) {
      int now = byte(i);
      copy->known[i] = now >= 0;
      copy->bytes[i] = now >= 0 ? static_cast<uint8_t>(now) : 0;
    }
    own = copy;
  }
  own->bytes[offset] = value;
  own->known[offset] = true;
}

}  // namespace faultline::host
