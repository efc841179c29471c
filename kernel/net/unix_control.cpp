// Descriptors and credentials in messages: from the sender's ancillary data, and to the receiver's.
#include "kernel/net/unix_control.h"

#include "kernel/files/support.h"
#include "kernel/net/unix_in_flight.h"

namespace faultline {

Result<void> UnixAttachment::read(std::span<const uint8_t> control) {
  ControlReader reader(control);
  while (TRY(reader.next())) {
    if (reader.header().level != abi::kLevelSocket) continue;
    switch (reader.header().type) {
      case abi::kControlRights: TRY(read_rights(reader.data(), control.size() / sizeof(int32_t))); break;
      case abi::kControlCredentials: TRY(read_credentials(reader.data())); break;
      default: return Errno::kINVAL;
    }
  }
  return files ? UnixInFlight::check_limit() : Result<void>();
}

// `most` is how many descriptors the whole of the ancillary data could hold.
Result<void> UnixAttachment::read_rights(std::span<const uint8_t> data, size_t most) {
  const uint32_t count = static_cast<uint32_t>(data.size() / sizeof(int32_t)), before = files ? files->count() : 0;
  if (count == 0) return {};
  if (count > abi::kMaximumRights - before) return Errno::kINVAL;
  if (!files) files = TRY(FileBundle::create(most < abi::kMaximumRights ? most : abi::kMaximumRights, caller_credentials().uid));
  for (uint32_t i = 0; i < count; i++) {
    int32_t descriptor;
    memcpy(&descriptor, data.data() + i * sizeof descriptor, sizeof descriptor);
    FileHandle file = TRY(current_process().descriptors().get(static_cast<uint32_t>(descriptor)));
    if (file->ring()) return Errno::kINVAL;  // it could hold the socket in whose queue it lies
    files->add(file.share());
  }
  return {};
}

// Only who is privileged may say that it is somebody else.
Result<void> UnixAttachment::read_credentials(std::span<const uint8_t> data) {
  if (data.size() != sizeof credentials) return Errno::kINVAL;
  abi::PeerCredentials wanted;
  memcpy(&wanted, data.data(), sizeof wanted);
  const Credentials& who = caller_credentials();
  bool is_own = wanted.pid == current_process().pid() && (wanted.uid == who.uid || wanted.uid == who.euid || wanted.uid == who.suid) &&
                (wanted.gid == who.gid || wanted.gid == who.egid || wanted.gid == who.sgid);
  if (!is_own && !who.is_superuser()) return Errno::kPERM;
  if (wanted.pid != current_process().pid() && !Process::find(wanted.pid)) return Errno::kSRCH;
  if (wanted.uid == ~0u || wanted.gid == ~0u) return Errno::kINVAL;
  credentials = wanted;
  has_credentials = true;
  return {};
}

void UnixAttachment::add_own_credentials() {
  if (has_credentials) return;
  has_credentials = true;
  credentials = {current_process().pid(), caller_credentials().uid, caller_credentials().gid};
}

void UnixArrival::deliver(ControlWriter* control, uint32_t flags, uint32_t& told_flags) {
  if (!control) {
    if (wants_credentials || files) told_flags |= abi::kMessageControlTruncated;
    return;
  }
  if (wants_credentials) control->put(abi::kLevelSocket, abi::kControlCredentials, &credentials, sizeof credentials, told_flags);
  if (!files) return;
  open_files(*control, flags, told_flags);
  // While the message stays in its queue, its files come to our caller by a way that the collector does not see. One that began to count before then
  // must still find the queue's own socket held, so nobody closes that one until it is through.
  if (flags & abi::kMessagePeek) {
    LockGuard counted(unix_lock);
  }
}

void UnixArrival::open_files(ControlWriter& control, uint32_t flags, uint32_t& told_flags) {
  DescriptorTable& table = current_process().descriptors();
  const CloseOnExec close_on_exec = flags & abi::kMessageControlCloseOnExec ? CloseOnExec::kYes : CloseOnExec::kNo;
  uint32_t room = control.room_for_words(), opened = 0;
  for (; opened < files->count() && opened < room; opened++) {
    Result<uint32_t> descriptor = table.reserve(descriptor_limit());
    if (!descriptor.ok()) break;
    if (!user_write(control.word(opened), descriptor.value()).ok()) {
      table.cancel(descriptor.value());
      break;
    }
    table.install(descriptor.value(), Ref<File>(files->file(opened)), close_on_exec);
  }
  if (opened != 0) control.finish_words(abi::kLevelSocket, abi::kControlRights, opened);
  if (opened < files->count()) told_flags |= abi::kMessageControlTruncated;
}

}  // namespace faultline
