// What a message of an AF_UNIX socket carries besides bytes: SCM_RIGHTS, SCM_CREDENTIALS. See unix(7).
#pragma once

#include "kernel/net/control_message.h"
#include "kernel/net/unix_message.h"

namespace faultline {

// What a sender attaches.
struct UnixAttachment {
  Ref<FileBundle> files;  // goes with the first bytes only
  bool has_credentials = false;
  abi::PeerCredentials credentials{};

  // From the caller's ancillary data. kINVAL, kBADF, kPERM, kSRCH, kTOOMANYREFS, kNOMEM.
  Result<void> read(std::span<const uint8_t> control);
  // The caller's own credentials, unless others were given.
  void add_own_credentials();
  bool is_empty() const { return !files && !has_credentials; }

 private:
  Result<void> read_rights(std::span<const uint8_t> data, size_t most);
  Result<void> read_credentials(std::span<const uint8_t> data);
};

// What comes with a message for its receiver, once it is out of the queue. Descriptors are opened as far as there is room for them; the others are
// closed. `told_flags` as msg_flags.
struct UnixArrival {
  bool wants_credentials = false;  // SO_PASSCRED
  bool has_credentials = false;    // some have been seen
  abi::PeerCredentials credentials{0, 65534, 65534};
  Ref<FileBundle> files;

  void take_credentials(const UnixMessage& message) {
    if (message.has_credentials) credentials = message.credentials;
  }
  void deliver(ControlWriter* control, uint32_t flags, uint32_t& told_flags);

 private:
  void open_files(ControlWriter& control, uint32_t flags, uint32_t& told_flags);
};

}  // namespace faultline
