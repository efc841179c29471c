// eventfd(2): a counter to wait for.
#pragma once

#include "fs/file.h"

namespace faultline {

enum class EventCounting : uint8_t { kAllAtOnce, kOneByOne };

Result<Ref<File>> event_file_create(uint32_t initial, EventCounting counting, uint32_t flags, const Credentials& who);

}  // namespace faultline
