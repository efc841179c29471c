// Ancillary data of sendmsg and recvmsg: cmsg(3). Read from a copy in kernel memory, written to the caller's own.
#pragma once

#include <span>

#include "lib/abi/socket.h"
#include "mm/user_memory.h"

namespace faultline {

// Walks the messages that a caller gave. Nothing is believed: each header's length is checked against what is left.
class ControlReader {
 public:
  explicit ControlReader(std::span<const uint8_t> bytes) : rest_(bytes) {}
  // The next one; false: there is none. kINVAL: its length is impossible.
  Result<bool> next();
  const abi::ControlHeader& header() const { return header_; }
  std::span<const uint8_t> data() const { return data_; }

 private:
  std::span<const uint8_t> rest_, data_;
  abi::ControlHeader header_{};
};

// Puts messages one after the other into the caller's msg_control.
class ControlWriter {
 public:
  ControlWriter(VirtAddr address, uint32_t bytes) : at_(address), left_(bytes) {}
  // kMessageControlTruncated is set in `flags` if it does not fit whole. What cannot be written (kFAULT) is as if there were no room.
  void put(uint32_t level, uint32_t type, const void* data, uint32_t bytes, uint32_t& flags);

  // For data that is made only as far as there is room: how many words fit, where they lie, and the header once it is known how many there are.
  uint32_t room_for_words() const { return left_ <= sizeof(abi::ControlHeader) ? 0 : (left_ - sizeof(abi::ControlHeader)) / 4; }
  UserPtr<uint32_t> word(uint32_t index) const {
    return UserPtr<uint32_t>(at_ + static_cast<uint32_t>(sizeof(abi::ControlHeader))).at(index);
  }
  void finish_words(uint32_t level, uint32_t type, uint32_t count);

  uint32_t written() const { return written_; }

 private:
  void advance(uint32_t bytes);
  VirtAddr at_;
  uint32_t left_, written_ = 0;
};

}  // namespace faultline
