// msg_fd: see message_file.h.
#include "kernel/messages/message_file.h"

#include "fs/anonymous.h"
#include "kernel/process.h"
#include "mm/slab.h"

namespace faultline {

Result<Ref<File>> MessageFile::of_running_thread() {
  Thread& self = running_thread();
  {
    InterruptLockGuard guard(message_lock);
    if (MessageFile* file = self.mailbox.file; file && file->try_acquire()) return Ref<File>::adopt(file);
  }
  Ref<Inode> inode =
      TRY(anonymous_inode_create(FileType::kSocket, 0600, current_process().credentials()));  // cannot be opened through /proc
  MessageFile* made = TRY(slab_new<MessageFile>(std::move(inode)));
  InterruptLockGuard guard(message_lock);
  if (self.mailbox.file) self.mailbox.file->leave_thread();  // it is on its way out: only this thread makes new ones
  self.mailbox.file = made;
  made->thread_ = &self;
  return Ref<File>::adopt(made);
}

void MessageFile::last_reference_gone() {
  {
    InterruptLockGuard guard(message_lock);
    if (thread_) thread_->mailbox.file = nullptr;
  }
  slab_delete(this);
}

void MessageFile::leave_thread() {
  thread_->mailbox.file = nullptr;
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
