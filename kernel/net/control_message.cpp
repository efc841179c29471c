// cmsg(3)'s layout: a header of 12 bytes, data, padding to 4.
#include "kernel/net/control_message.h"

#include "lib/string.h"

namespace faultline {

namespace {
constexpr uint32_t kHeader = sizeof(abi::ControlHeader);
constexpr uint32_t padded(uint32_t bytes) { return (bytes + 3) & ~3u; }
}  // namespace

Result<bool> ControlReader::next() {
  if (rest_.size() < kHeader) return false;
  memcpy(&header_, rest_.data(), kHeader);
  if (header_.bytes < kHeader || header_.bytes > rest_.size()) return Errno::kINVAL;
  data_ = rest_.subspan(kHeader, header_.bytes - kHeader);
  size_t step = padded(header_.bytes);
  rest_ = step < rest_.size() ? rest_.subspan(step) : std::span<const uint8_t>();
  return true;
}

void ControlWriter::advance(uint32_t bytes) {
  if (bytes > left_) bytes = left_;
  at_ = at_ + bytes;
  left_ -= bytes;
  written_ += bytes;
}

void ControlWriter::put(uint32_t level, uint32_t type, const void* data, uint32_t bytes, uint32_t& flags) {
  if (left_ < kHeader) {
    flags |= abi::kMessageControlTruncated;
    return;
  }
  abi::ControlHeader header{kHeader + bytes, level, type};
  if (header.bytes > left_) {
    flags |= abi::kMessageControlTruncated;
    header.bytes = left_;
  }
  if (!user_write(UserPtr<abi::ControlHeader>(at_), header).ok()) return;
  if (!user_write_bytes(at_ + kHeader, data, header.bytes - kHeader).ok()) return;
  advance(padded(kHeader + bytes));
}

void ControlWriter::finish_words(uint32_t level, uint32_t type, uint32_t count) {
  abi::ControlHeader header{kHeader + count * 4, level, type};
  if (user_write(UserPtr<abi::ControlHeader>(at_), header).ok()) advance(header.bytes);
}

}  // namespace faultline
