// msg_fd: a descriptor that is readable while somebody waits to send to the thread which asked for it.
#pragma once

#include "fs/file.h"
#include "kernel/messages/mailbox.h"

namespace faultline {

class MessageFile final : public File {
 public:
  // The running thread's, of which there is one, however many descriptors it has: who sends wakes one queue. kNOMEM.
  static Result<Ref<File>> of_running_thread();

  uint32_t poll(PollTable* table) override;
  Result<size_t> read_at(uint64_t, IoBuffer&) override { return Errno::kSPIPE; }
  Result<size_t> write_at(uint64_t, IoBuffer&) override { return Errno::kSPIPE; }
  Result<size_t> read(IoBuffer&) override { return Errno::kINVAL; }
  Result<size_t> write(IoBuffer&) override { return Errno::kINVAL; }
  Result<void> synchronize(bool) override { return Errno::kINVAL; }
  void describe(FormatSink& sink) const override { sink.put("anon_inode:[messages]"); }

  void tell_of_sender() REQUIRES(message_lock) { changed_.wake_all(kPollIn | kPollReadNormal); }
  void leave_thread() REQUIRES(message_lock);  // it ends

 private:
  template <typename T, typename... Arguments>
  friend Result<T*> slab_new(Arguments&&...);
  template <typename T>
  friend void slab_delete(T*);
  explicit MessageFile(Ref<Inode> inode) : File(std::move(inode), kOpenReadWrite) {}
  ~MessageFile() override = default;
  void last_reference_gone() override;

  Thread* thread_ GUARDED_BY(message_lock) = nullptr;  // whose mailbox has this file; null: it has ended
  WaitQueue changed_;
};

}  // namespace faultline
