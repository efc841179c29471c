// See mm_model.h.
#include "mm_model.h"

#include <cstring>

#include <machine/planted_bugs.h>

namespace faultline::host {

bool ModelSource::fails() {
    if (failure_rate == 0) return false;
    failure_state = failure_state * 1664525 + 1013904223;
    bool failing = (failure_state >> 8) % failure_rate == 0;
    failures += failing;
    return failing;
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
