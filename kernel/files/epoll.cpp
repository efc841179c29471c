// An epoll instance: what is watched, what may be ready, and waiting for it. The protocol is in epoll.h.
#include "kernel/files/epoll.h"

#include <machine/user_inline.h>

#include "fs/anonymous.h"
#include "kernel/files/epoll_nesting.h"
#include "kernel/time.h"
#include "mm/slab.h"

namespace faultline {

namespace {

constexpr uint32_t kHow = abi::kEpollExclusive | abi::kEpollWakeUp | abi::kEpollOneShot | abi::kEpollEdge;

// Whether anybody can wait for a file: who can be waited for says on which queue.
class QueueProbe final : public PollTable {
 public:
  static bool has_queue(File& file) {
    QueueProbe probe;
    (void)file.poll(&probe);
    return probe.has_queue_;
  }

 private:
  void register_queue(WaitQueue&) override { has_queue_ = true; }
  bool has_queue_ = false;
};

}  // namespace

bool epoll_can_watch(File& file) { return file.epoll() || QueueProbe::has_queue(file); }

// ---------------------------------------------------------------- items

Epoll::Item::Item(Epoll& epoll, File& f, uint32_t d, const abi::EpollEvent& w)
    : FileWatch(epoll), file(&f),
      descriptor(d), hooks{Hook(*this, w.events & abi::kEpollExclusive), Hook(*this, w.events & abi::kEpollExclusive)} {
  set_wanted(w);
}

void Epoll::Item::set_wanted(const abi::EpollEvent& event) {
  wanted = event.events | kPollError | kPollHangUp;
  data_words[0] = static_cast<uint32_t>(event.data);
  data_words[1] = static_cast<uint32_t>(event.data >> 32);
  mask.store(wanted & ~kHow, memory_order_seq_cst);
}

class Epoll::Registration final : public PollTable {
 public:
  explicit Registration(Item& item) : item_(item) {}
  void register_queue(WaitQueue& queue) override {
    ASSERT(used_ < kMaxQueues);
    Hook& hook = item_.hooks[used_++];
    hook.queue = &queue;
    queue.add(hook);
  }

 private:
  Item& item_;
  uint32_t used_ = 0;
};

// Any context, the queue's lock is held. Who waits for one of several instances shall not have it ended by one that nobody waits in.
WaitEntry::Verdict Epoll::Hook::notify(WaitEntry& self, uint32_t events) {
  Item& item = static_cast<Hook&>(self).item;
  if (!(events & item.mask.load(memory_order_seq_cst))) return Verdict::kPass;
  Epoll& epoll = item.epoll();
  bool somebody_waits = epoll.sleepers_.has_waiters();
  epoll.arrived(item);
  return somebody_waits ? Verdict::kKeep : Verdict::kPass;
}

// Who watches this instance is told each time, as by a file: it may look for edges.
void Epoll::arrived(Item& item) {
  if (!item.is_listed.exchange(true, memory_order_seq_cst)) {
    item.next_arrived = arrived_.load(memory_order_relaxed);
    while (!arrived_.compare_exchange_weak(item.next_arrived, &item, memory_order_seq_cst)) {
    }
    sleepers_.wake(kPollIn);
  }
  pollers_.wake(kPollIn | kPollReadNormal);
}

Epoll::Item* Epoll::first_of_locked(const File& file) {
  Item* found = nullptr;
  for (Item* at = items_.root(); at;)
    if (at->file < &file) {
      at = items_.right(*at);
    } else {
      found = at;
      at = items_.left(*at);
    }
  return found && found->file == &file ? found : nullptr;
}

Epoll::Item* Epoll::find_locked(const File& file, uint32_t descriptor) {
  for (Item* at = items_.root(); at;) {
    if (at->file == &file && at->descriptor == descriptor) return at;
    bool is_before = at->file != &file ? at->file < &file : at->descriptor < descriptor;
    at = is_before ? items_.right(*at) : items_.left(*at);
  }
  return nullptr;
}

void Epoll::drop_locked(Item& item) {
  for (Hook& hook : item.hooks)
    if (hook.queue) hook.queue->remove(hook);
  item.file->remove_watch(item);
  collect_locked();
  if (item.is_listed.load(memory_order_relaxed)) ready_.remove(item);
  items_.remove(item);
  account_->give_back();
  slab_delete(&item);
}

// ---------------------------------------------------------------- epoll_ctl

Result<void> Epoll::add_locked(File& file, uint32_t descriptor, const abi::EpollEvent& wanted) {
  if (find_locked(file, descriptor)) return Errno::kEXIST;
  TRY(account_->take());
  Result<Item*> made = slab_new<Item>(*this, file, descriptor, wanted);
  if (!made.ok()) {
    account_->give_back();
    return made.error();
  }
  Item& item = *made.value();
  items_.insert(item);
  file.add_watch(item);
  Registration registration(item);
  if (file.poll(&registration) & item.mask.load(memory_order_relaxed)) arrived(item);
  return {};
}

Result<void> Epoll::add(File& file, uint32_t descriptor, const abi::EpollEvent& wanted) {
  Epoll* inner = file.epoll();
  if (!inner) {
    LockGuard guard(mutex_);
    if (!file_->was_watched()) return add_locked(file, descriptor, wanted);
  }
  Nesting nesting;
  if (inner) TRY(nesting.check_depth(*this, *inner));
  LockGuard guard(mutex_);
  TRY(add_locked(file, descriptor, wanted));
  Result<void> allowed = nesting.check_paths(file);
  if (!allowed.ok()) drop_locked(*find_locked(file, descriptor));
  return allowed;
}

Result<void> Epoll::modify(File& file, uint32_t descriptor, const abi::EpollEvent& wanted) {
  LockGuard guard(mutex_);
  Item* item = find_locked(file, descriptor);
  if (!item) return Errno::kNOENT;
  if (item->is_exclusive()) return Errno::kINVAL;
  item->set_wanted(wanted);
  if (file.poll(nullptr) & item->mask.load(memory_order_relaxed)) arrived(*item);
  return {};
}

Result<void> Epoll::remove(File& file, uint32_t descriptor) {
  LockGuard guard(mutex_);
  Item* item = find_locked(file, descriptor);
  if (!item) return Errno::kNOENT;
  drop_locked(*item);
  return {};
}

void Epoll::file_ends(File& file) {
  LockGuard guard(mutex_);
  while (Item* item = first_of_locked(file)) drop_locked(*item);
}

void Epoll::file_closed() {
  LockGuard guard(mutex_);
  while (Item* item = items_.root()) drop_locked(*item);
}

void Epoll::describe(FormatSink& sink) {
  LockGuard guard(mutex_);
  for (Item* item = items_.first(); item; item = items_.next(*item))
    format(sink, "tfd: {8} events: {8x} data: {16x}  pos:0 ino:{x} sdev:{x}\n", item->descriptor, item->wanted, item->data(),
           item->file->inode_number(), item->file->device());
}

// ---------------------------------------------------------------- scanning

// What arrived comes behind what is there, in order.
[[gnu::always_inline]] inline void Epoll::collect_locked() {
  if (!arrived_.load(memory_order_relaxed)) return;
  has_listed_.store(true, memory_order_seq_cst);
  Item* later = nullptr;
  for (Item* item = arrived_.exchange(nullptr, memory_order_seq_cst); item; item = item->next_arrived) {
    if (later)
      ready_.insert_before(*later, *item);
    else
      ready_.push_back(*item);
    later = item;
  }
}

// Asks the file of the first on the list. From now on what happens to it lists it again, though it is in the list until place_front_locked(). A
// file that ends has nothing to tell any more.
[[gnu::always_inline]] inline uint32_t Epoll::events_of_front_locked(Item& item) {
  item.is_listed.store(false, memory_order_seq_cst);
  if (item.file->reference_count() == 0) return 0;
  return item.file->events_now() & item.mask.load(memory_order_relaxed);
}

// Who arrived again meanwhile is in the other list already.
[[gnu::always_inline]] inline void Epoll::place_front_locked(Item& item, Place place) {
  bool stays = place == Place::kLast && !item.is_listed.exchange(true, memory_order_seq_cst);
  if (stays && ready_.back() == &item) return;
  ready_.remove(item);
  if (stays) ready_.push_back(item);
}

[[gnu::always_inline]] inline void Epoll::scan_ends_locked() {
  bool leaves_some = !ready_.is_empty();
  has_listed_.store(leaves_some, memory_order_seq_cst);
  if (leaves_some) sleepers_.wake(kPollIn);
}

// One round of the list at most.
Result<uint32_t> Epoll::deliver(UserPtr<abi::EpollEvent> events, uint32_t limit) {
  LockGuard guard(mutex_);
  collect_locked();
  uint32_t room = limit;
  bool has_failed = false;
  const Item* const last = ready_.back();
  for (Item* front = ready_.front(); front; front = front == last || room == 0 ? nullptr : ready_.front()) {
    Item& item = *front;
    uint32_t found = events_of_front_locked(item);
    if (found == 0) {
      place_front_locked(item, Place::kOff);
      continue;
    }
    has_failed = !machine::user_store(events.address(), found, item.data_words[0], item.data_words[1]);
    if (has_failed) [[unlikely]] {
      place_front_locked(item, Place::kLast);
      break;
    }
    if (item.wanted & abi::kEpollOneShot) item.mask.store(0, memory_order_seq_cst);
    place_front_locked(item, item.wanted & (abi::kEpollOneShot | abi::kEpollEdge) ? Place::kOff : Place::kLast);
    events = events.at(1);
    room--;
  }
  scan_ends_locked();
  if (has_failed && room == limit) [[unlikely]]
    return Errno::kFAULT;
  return limit - room;
}

// Ready if one of its files is. Who has nothing to tell leaves the list, so that is found out once.
uint32_t Epoll::poll(PollTable* table) {
  if (table) table->register_queue(pollers_);
  if (!has_ready()) return 0;
  LockGuard guard(mutex_);
  collect_locked();
  uint32_t events = 0;
  while (events == 0) {
    Item* item = ready_.front();
    if (!item) break;
    if (events_of_front_locked(*item) != 0) events = kPollIn | kPollReadNormal;
    place_front_locked(*item, events != 0 ? Place::kLast : Place::kOff);
  }
  scan_ends_locked();
  return events;
}

// ---------------------------------------------------------------- waiting

// Leaves the queue when it is woken: what arrives then is the next one's.
class Epoll::Sleeper : public WaitEntry {
 public:
  Sleeper() : WaitEntry(&notify, true), thread_(*current_thread()) {}
  bool was_woken() const { return was_woken_.load(memory_order_acquire); }

 private:
  static Verdict notify(WaitEntry& self, uint32_t) {
    auto& sleeper = static_cast<Sleeper&>(self);
    sleeper.was_woken_.store(true, memory_order_release);
    wake(sleeper.thread_);
    return Verdict::kRemove;
  }
  Thread& thread_;
  Atomic<bool> was_woken_{false};
};

Result<void> Epoll::sleep(Deadline deadline) {
  Sleeper sleeper;
  sleepers_.add(sleeper);
  Result<void> slept;
  while (slept.ok() && !sleeper.was_woken() && !has_ready()) slept = block(SleepKind::kInterruptible, deadline);
  sleepers_.remove(sleeper);
  return slept;
}

// Whose time is up, or who gets a signal, looks once more: a wake-up may have been for it.
Result<uint32_t> Epoll::wait_longer(UserPtr<abi::EpollEvent> events, uint32_t limit, uint64_t nanoseconds) {
  Deadline deadline = nanoseconds == kForEver ? Deadline::never() : deadline_after(nanoseconds);
  for (;;) {
    Result<void> slept = sleep(deadline);
    uint32_t found = has_ready() ? TRY(deliver(events, limit)) : 0;
    if (found != 0) return found;
    if (!slept.ok()) return slept.error() == Errno::kTIMEDOUT ? Result<uint32_t>(0u) : slept.error();
  }
}

// ---------------------------------------------------------------- the open file

namespace {

class EpollFile final : public File {
 public:
  EpollFile(uint32_t flags, Ref<Inode> inode, Ref<Epoll> epoll)
      : File(std::move(inode), kOpenReadWrite | flags), epoll_(std::move(epoll)) {}
  ~EpollFile() override = default;

  Epoll* epoll() override { return epoll_.get(); }
  uint32_t poll(PollTable* table) override { return epoll_->poll(table); }
  Result<size_t> read(IoBuffer&) override { return Errno::kINVAL; }
  Result<size_t> write(IoBuffer&) override { return Errno::kINVAL; }
  Result<size_t> read_at(uint64_t, IoBuffer&) override { return Errno::kSPIPE; }
  Result<size_t> write_at(uint64_t, IoBuffer&) override { return Errno::kSPIPE; }
  Result<void> synchronize(bool) override { return Errno::kINVAL; }
  void describe(FormatSink& sink) const override { sink.put("anon_inode:[eventpoll]"); }
  void describe_state(FormatSink& sink) override { epoll_->describe(sink); }

 private:
  void last_reference_gone() override {
    epoll_->file_closed();
    slab_delete(this);
  }
  Ref<Epoll> epoll_;
};

}  // namespace

void Epoll::last_reference_gone() { slab_delete(this); }

Result<Ref<File>> Epoll::create_file(uint32_t flags, const Credentials& who) {
  Ref<Inode> inode = TRY(anonymous_inode_create(FileType::kSocket, 0600, who));  // a type that cannot be opened through /proc
  Ref<WatchAccount> account = TRY(WatchAccount::of_user(who.uid));
  Ref<Epoll> epoll = Ref<Epoll>::adopt(TRY(slab_new<Epoll>(std::move(account))));
  Ref<File> file = Ref<File>::adopt(TRY(slab_new<EpollFile>(flags, std::move(inode), epoll)));
  epoll->file_ = file.get();
  return file;
}

}  // namespace faultline
