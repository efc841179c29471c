// What is on its way between AF_UNIX sockets besides the bytes of streams: packets, the ancillary data of both, connections not yet accepted.
#pragma once

#include "fs/byte_ring.h"
#include "fs/file.h"
#include "lib/abi/socket.h"
#include "lib/list.h"
#include "mm/slab.h"

namespace faultline {

class UnixEndpoint;

// The one lock of everything that is between AF_UNIX sockets: who is connected with whom, names, queues of packets, descriptors in flight. Held
// for short and without touching user memory; nothing is released under it, for that may close files.
extern SpinLock<LockRank::kUnixSockets> unix_lock;

struct BundleTag;

// Open files that travel together in one message. From the time it is in a queue until it is taken out, its sockets count as in flight
// (unix_in_flight.h). The files are closed with the last reference.
class FileBundle final : public RefCounted<FileBundle>, public ListNode<BundleTag> {
 public:
  static constexpr uint32_t kNobody = ~0u;  // as owner: a connection that waits to be accepted, which nobody sent

  static Result<Ref<FileBundle>> create(size_t room, uint32_t owner);  // owner: the user whose limit they count for
  static void destroy(FileBundle* bundle);
  void add(Ref<File> file) { files_[count_++] = file.leak(); }
  uint32_t count() const { return count_; }
  File& file(uint32_t index) const { return *files_[index]; }
  uint32_t owner() const { return owner_; }

 private:
  friend class UnixInFlight;
  template <typename T, typename... Arguments>
  friend Result<T*> slab_new(Arguments&&...);
  template <typename T>
  friend void slab_delete(T*);
  explicit FileBundle(uint32_t owner) : owner_(owner) {}
  ~FileBundle() = default;
  void close_files();

  Buffer<File*> files_;
  uint32_t count_ = 0;  // fixed once it is in a queue, until it is emptied as garbage
  const uint32_t owner_;
  UnixEndpoint* holder_ GUARDED_BY(unix_lock) = nullptr;  // in whose queue it is
};

// The bytes of one packet: a small one in slab memory, others in pages. Filled once, then only looked at.
class PacketBytes {
 public:
  Result<void> fill(IoBuffer& from, uint32_t bytes);      // kFAULT, kNOMEM
  Result<void> copy(IoBuffer& to, uint32_t bytes) const;  // the first of them; kFAULT
  uint32_t bytes() const { return bytes_; }

 private:
  static constexpr uint32_t kSmall = 2048;
  Buffer<uint8_t> small_;
  ByteRing pages_;
  uint32_t bytes_ = 0;
};

// A packet; or, in a stream, what came along with the bytes from `begin` to `end` of it; or a connection for accept.
class UnixMessage final : public RefCounted<UnixMessage>, public ListNode<> {
 public:
  // Counted to the sender's buffer, besides the bytes: what it costs in kernel memory, so that empty messages are limited too.
  static constexpr uint32_t kOverhead = 512;

  static Result<Ref<UnixMessage>> create();
  static void destroy(UnixMessage* message);

  Ref<FileBundle> files;
  bool has_credentials = false;
  abi::PeerCredentials credentials{};
  uint32_t begin = 0, end = 0;  // positions in the stream
  Ref<UnixEndpoint> sender;     // of packets: it gets its buffer space back with the last reference
  PacketBytes packet;

 private:
  template <typename T, typename... Arguments>
  friend Result<T*> slab_new(Arguments&&...);
  template <typename T>
  friend void slab_delete(T*);
  UnixMessage();
  ~UnixMessage();
};

}  // namespace faultline
