// Messages and what they carry.
#include "kernel/net/unix_in_flight.h"

namespace faultline {

constinit SpinLock<LockRank::kUnixSockets> unix_lock;

Result<Ref<FileBundle>> FileBundle::create(size_t room, uint32_t owner) {
  Ref<FileBundle> bundle = Ref<FileBundle>::adopt(TRY(slab_new<FileBundle>(owner)));
  bundle->files_ = TRY(Buffer<File*>::create(room));
  return bundle;
}

void FileBundle::destroy(FileBundle* bundle) { UnixInFlight::discard(*bundle); }

void FileBundle::close_files() {
  while (count_ != 0) files_[--count_]->release();
}

Result<void> PacketBytes::fill(IoBuffer& from, uint32_t bytes) {
  bytes_ = bytes;
  if (bytes == 0) return {};
  if (bytes <= kSmall) {
    small_ = TRY(Buffer<uint8_t>::create(bytes));
    return from.take_all(small_.data(), bytes);
  }
  TRY(pages_.reserve(align_up(bytes, kPageSize)));
  while (pages_.bytes() < bytes) TRY(pages_.put(from, bytes - pages_.bytes()));
  return {};
}

Result<void> PacketBytes::copy(IoBuffer& to, uint32_t bytes) const {
  if (bytes_ <= kSmall) return bytes == 0 ? Result<void>() : to.put_all(small_.data(), bytes);
  for (uint32_t done = 0; done < bytes;) done += static_cast<uint32_t>(TRY(pages_.peek(to, done, bytes - done)));
  return {};
}

Result<Ref<UnixMessage>> UnixMessage::create() { return Ref<UnixMessage>::adopt(TRY(slab_new<UnixMessage>())); }

void UnixMessage::destroy(UnixMessage* message) { slab_delete(message); }

UnixMessage::UnixMessage() = default;

UnixMessage::~UnixMessage() {
  if (files) UnixInFlight::leave(*files);
  if (!sender) return;
  sender->packet_charge_.fetch_sub(packet.bytes() + kOverhead, memory_order_acq_rel);
  if (sender->is_writable()) sender->wake_writers();
}

}  // namespace faultline
