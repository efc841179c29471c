// Pseudo-terminals. A pair lives as long as either side is open: the slave's Terminal counts the users of both.
#include "drivers/pty.h"

#include <utility>

#include "drivers/terminal/byte_ring.h"
#include "drivers/terminal/terminal_file.h"
#include "fs/character_device.h"
#include "lib/format.h"
#include "mm/slab.h"
#include "mm/user_memory.h"

namespace faultline {

namespace {

constexpr uint32_t kPairs = 256, kSlaveMajor = 136, kMasterMajor = 5, kMasterMinor = 2;
constexpr size_t kChunk = 512;

class PtyPair final : public TerminalPort {
 public:
  explicit PtyPair(uint32_t number) : number_(number), terminal_(*this, {kSlaveMajor, number}, kSaneTermios) {}
  // A pair of which the caller has the only user, the master. kNOSPC: no number is free; kNOMEM.
  static Result<PtyPair*> create();
  // The slave of that number if its master is open and has unlocked it; kIO, kNXIO.
  static Result<Ref<Terminal>> find_slave(uint32_t number);

  Terminal& terminal() { return terminal_; }
  bool is_master_closed() const { return master_closed_.load(memory_order_seq_cst); }

  // --- The master's file.
  Result<size_t> master_read(IoBuffer& buffer, bool non_blocking);
  Result<size_t> master_write(IoBuffer& buffer, bool non_blocking);
  uint32_t master_poll(PollTable* table);
  Result<uint32_t> master_ioctl(uint32_t request, uint32_t argument);
  void master_closed();

  // --- The slave's port.
  size_t transmit(std::span<const uint8_t> bytes) override;
  size_t transmit_room() override;
  size_t transmit_pending() override { return 0; }  // what the master has not read has arrived all the same, as on Linux
  bool is_ready_to_transmit() override { return transmit_room() >= kRing / 2; }
  void transmit_discard() override;
  void transmit_pause(bool paused) override;
  void input_wanted() override { master_queue_.wake_all(kPollOut | kPollWriteNormal); }
  void last_file_closed() override;
  void first_file_opened() override { slave_gone_.store(false, memory_order_seq_cst); }
  void terminal_unreferenced() override;

 private:
  static constexpr uint32_t kRing = 4096;
  size_t pending();

  const uint32_t number_;
  char name_[12] = {};
  Terminal terminal_;
  SpinLock<LockRank::kDevice> lock_;
  ByteRing<kRing> output_ GUARDED_BY(lock_);  // from the slave to the master
  bool paused_ GUARDED_BY(lock_) = false;
  Atomic<bool> unlocked_{false}, master_closed_{false};
  Atomic<bool> slave_gone_{false};  // it was open and is no more
  WaitQueue master_queue_;
};

// Which numbers are in use; null with the bit set while a pair is being made.
constinit SpinLock<LockRank::kDevice> table_lock;
constinit PtyPair* table[kPairs] GUARDED_BY(table_lock);
constinit bool taken[kPairs] GUARDED_BY(table_lock);

Result<uint32_t> take_number() {
  LockGuard guard(table_lock);
  for (uint32_t number = 0; number < kPairs; number++) {
    if (taken[number]) continue;
    taken[number] = true;
    return number;
  }
  return Errno::kNOSPC;
}

void give_back_number(uint32_t number) {
  LockGuard guard(table_lock);
  taken[number] = false;
  table[number] = nullptr;
}

Result<Ref<File>> open_slave(Ref<Inode> inode, DeviceNumber number, uint32_t flags) {
  Ref<Terminal> terminal = TRY(PtyPair::find_slave(number.minor));
  Ref<File> file = TRY(terminal_open(std::move(terminal), std::move(inode), flags, TerminalOpen::kOrdinary));
  // The master may have closed meanwhile: before this file began to count hang-ups, or after.
  TRY(PtyPair::find_slave(number.minor));
  return file;
}

Result<PtyPair*> PtyPair::create() {
  uint32_t number = TRY(take_number());
  Result<PtyPair*> made = slab_new<PtyPair>(number);
  if (!made.ok()) {
    give_back_number(number);
    return made.error();
  }
  PtyPair* pair = made.value();
  BufferSink name(pair->name_);
  format(name, "pts/{}", number);
  {
    LockGuard guard(table_lock);
    table[number] = pair;
  }
  Result<void> registered = character_device_register(name.text(), {kSlaveMajor, number}, 0620, &open_slave, job_caller().user);
  if (!registered.ok()) {
    pair->master_closed_.store(true, memory_order_seq_cst);
    pair->terminal_.release();
    return registered.error();
  }
  return pair;
}

Result<Ref<Terminal>> PtyPair::find_slave(uint32_t number) {
  LockGuard guard(table_lock);
  PtyPair* pair = number < kPairs ? table[number] : nullptr;
  if (!pair) return Errno::kNXIO;
  if (pair->is_master_closed() || !pair->unlocked_.load(memory_order_relaxed)) return Errno::kIO;
  if (!pair->terminal_.try_acquire()) return Errno::kIO;
  return Ref<Terminal>::adopt(&pair->terminal_);
}

void PtyPair::terminal_unreferenced() {
  give_back_number(number_);
  slab_delete(this);
}

size_t PtyPair::pending() {
  LockGuard guard(lock_);
  return output_.used();
}

size_t PtyPair::transmit(std::span<const uint8_t> bytes) {
  size_t accepted;
  {
    LockGuard guard(lock_);
    if (paused_) return 0;
    accepted = output_.put(bytes);
  }
  master_queue_.wake_all(kPollIn | kPollReadNormal);
  return accepted;
}

size_t PtyPair::transmit_room() {
  LockGuard guard(lock_);
  return paused_ ? 0 : output_.room();
}

void PtyPair::transmit_discard() {
  {
    LockGuard guard(lock_);
    output_.clear();
  }
  terminal_.output_progressed();
}

void PtyPair::transmit_pause(bool paused) {
  {
    LockGuard guard(lock_);
    paused_ = paused;
  }
  if (!paused) terminal_.output_progressed();
}

void PtyPair::last_file_closed() {
  slave_gone_.store(true, memory_order_seq_cst);
  master_queue_.wake_all();
}

Result<size_t> PtyPair::master_read(IoBuffer& buffer, bool non_blocking) {
  if (buffer.remaining() == 0) return 0u;
  size_t done = 0;
  for (;;) {
    while (buffer.remaining() > 0) {
      uint8_t chunk[kChunk];
      size_t count = buffer.remaining() < kChunk ? buffer.remaining() : kChunk;
      {
        LockGuard guard(lock_);
        count = output_.take({chunk, count});
      }
      if (count == 0) break;
      Result<size_t> moved = buffer.put(chunk, count);
      if (!moved.ok() && done == 0) return moved.error();
      if (!moved.ok()) break;
      done += moved.value();
    }
    if (done > 0) {
      if (is_ready_to_transmit()) terminal_.output_progressed();
      return done;
    }
    // The last word of a slave that closed may have come since: only an empty ring after that is the end.
    bool is_gone = slave_gone_.load(memory_order_seq_cst);
    if (pending() > 0) continue;
    if (is_gone) return Errno::kIO;
    if (non_blocking) return Errno::kAGAIN;
    Result<void> waited = wait_until(
        master_queue_, [&] { return pending() > 0 || slave_gone_.load(memory_order_seq_cst); }, SleepKind::kInterruptible);
    if (!waited.ok()) return Errno::kRESTARTSYS;
  }
}

Result<size_t> PtyPair::master_write(IoBuffer& buffer, bool non_blocking) {
  size_t done = 0;
  while (buffer.remaining() > 0) {
    uint8_t chunk[kChunk];
    Result<size_t> copied = buffer.take(chunk, buffer.remaining() < kChunk ? buffer.remaining() : kChunk);
    if (!copied.ok() && done > 0) return done;
    size_t count = TRY(copied);
    for (size_t sent = 0; sent < count;) {
      size_t accepted = terminal_.receive({chunk + sent, count - sent}, Terminal::EchoWhenFull::kDrop);
      sent += accepted;
      done += accepted;
      if (sent == count) break;
      if (non_blocking && done > 0) return done;
      if (non_blocking) return Errno::kAGAIN;
      Result<void> waited = wait_until(
          master_queue_, [&] { return !terminal_.wants_input(); }, SleepKind::kInterruptible);
      if (!waited.ok() && done > 0) return done;
      if (!waited.ok()) return Errno::kRESTARTSYS;
    }
  }
  return done;
}

uint32_t PtyPair::master_poll(PollTable* poll_table) {
  if (poll_table) poll_table->register_queue(master_queue_);
  uint32_t events = 0;
  if (slave_gone_.load(memory_order_seq_cst)) events |= kPollHangUp;
  if (pending() > 0) events |= kPollIn | kPollReadNormal;
  if (!terminal_.wants_input()) events |= kPollOut | kPollWriteNormal;
  return events;
}

Result<uint32_t> PtyPair::master_ioctl(uint32_t request, uint32_t argument) {
  Terminal::Control control = terminal_.control();
  UserPtr<uint32_t> word(argument);
  switch (request) {
    case kIoctlGetPtyNumber: TRY(user_write(word, number_)); return 0u;
    case kIoctlLockPty: unlocked_.store(TRY(user_read(word)) == 0, memory_order_relaxed); return 0u;
    case kIoctlGetPtyLock: TRY(user_write(word, !unlocked_.load(memory_order_relaxed))); return 0u;
    case kIoctlInputPending: TRY(user_write(word, static_cast<uint32_t>(pending()))); return 0u;
    case kIoctlGetGroup: TRY(user_write(word, control.foreground)); return 0u;
    case kIoctlGetSession:
      if (control.session == 0) return Errno::kNOTTY;
      TRY(user_write(word, control.session));
      return 0u;
    case kIoctlSetGroup: {
      uint32_t group = TRY(user_read(word));
      TRY(terminal_.set_foreground(control.session, group));
      return 0u;
    }
    case kIoctlSetControlling:
    case kIoctlDropControlling:
    case kIoctlInsertInput: return Errno::kNOTTY;
  }
  return terminal_.ioctl(request, argument, Terminal::kNeverHungUp);
}

void PtyPair::master_closed() {
  master_closed_.store(true, memory_order_seq_cst);
  character_device_unregister({kSlaveMajor, number_});
  terminal_.hang_up();
}

class MasterFile final : public File {
 public:
  MasterFile(PtyPair& pair, Ref<Inode> inode, uint32_t flags) : File(std::move(inode), flags), pair_(pair) {}
  ~MasterFile() override {
    pair_.master_closed();
    pair_.terminal().release();
  }
  Result<size_t> read(IoBuffer& buffer) override { return pair_.master_read(buffer, may_not_wait(buffer)); }
  Result<size_t> write(IoBuffer& buffer) override { return pair_.master_write(buffer, may_not_wait(buffer)); }
  uint32_t poll(PollTable* poll_table) override { return pair_.master_poll(poll_table); }
  Result<uint32_t> ioctl(uint32_t request, uint32_t argument) override { return pair_.master_ioctl(request, argument); }

 private:
  void last_reference_gone() override { slab_delete(this); }
  PtyPair& pair_;  // with one use of its terminal
};

Result<Ref<File>> open_master(Ref<Inode> inode, DeviceNumber, uint32_t flags) {
  PtyPair* pair = TRY(PtyPair::create());
  Result<MasterFile*> file = slab_new<MasterFile>(*pair, std::move(inode), flags);
  if (!file.ok()) {
    pair->master_closed();
    pair->terminal().release();
    return file.error();
  }
  return Ref<File>(Ref<MasterFile>::adopt(file.value()));
}

}  // namespace

Result<void> pty_initialize() { return character_device_register("ptmx", {kMasterMajor, kMasterMinor}, 0666, &open_master); }

}  // namespace faultline
