// msg_fd: see message_file.h.
#include "kernel/messages/message_file.h"

#include "fs/anonymous.h"
#include "kernel/process.h"
#include "mm/slab.h"

namespace faultline {

MessageFile::MessageFile(Ref<Inode> inode, Thread& thread) : File(std::move(inode), kOpenReadWrite), thread_(&thread) {
  InterruptLockGuard guard(message_lock);
  thread.mailbox.files.push_back(*this);
}

Result<Ref<File>> MessageFile::create() {
  Ref<Inode> inode =
      TRY(anonymous_inode_create(FileType::kSocket, 0600, current_process().credentials()));  // cannot be opened through /proc
  return Ref<File>::adopt(TRY(slab_new<MessageFile>(std::move(inode), running_thread())));
}

void MessageFile::last_reference_gone() {
  {
    InterruptLockGuard guard(message_lock);
    if (thread_) thread_->mailbox.files.remove(*this);
  }
  slab_delete(this);
}

void MessageFile::forget_thread() {
  thread_ = nullptr;
  changed_.wake_all();
}

uint32_t MessageFile::poll(PollTable* table) {
  if (table) table->register_queue(changed_);
  InterruptLockGuard guard(message_lock);
  if (!thread_) return kPollHangUp;
  return thread_->mailbox.senders.is_empty() ? 0 : kPollIn | kPollReadNormal;
}

}  // namespace faultline
