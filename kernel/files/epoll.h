// epoll(7): an instance, which remembers what its user wants to know of which files and keeps a list of those that may be ready.
//
// Waiting costs what is ready, not what is watched. Each watch (Item) has entries in the wait queues of its file. Their callback, in whatever context
// the file wakes, pushes the item on the stack `arrived_`, unless it is listed already, and wakes one of those who sleep in wait(). Who scans takes
// the stack, appends it to the list `ready_` and asks each file of the list anew: the answer is delivered, and level-triggered items go to the end of
// the list; who has nothing to tell leaves it. `is_listed` says that the item is in one of the two. It is cleared before the file is asked,
// so what happens after the answer lists it again.
//
// Nobody sleeps while something is listed and nobody else is on the way: an item that arrives wakes one sleeper, whoever leaves items behind
// wakes the next, and who stops waiting (time, signal) looks once more.
//
// Lives. The descriptor's file has a reference to its instance; the instance has its items; items hold no reference to the files they watch.
// An item is in its file's list of watches, and what is in it may not be freed: a file that ends first has every instance in its list remove its items
// (file_ends), for which it takes the instance's mutex. So who holds the mutex may follow item.file, even if that file has no users any more. No
// reference to a file is dropped under the mutex, for that could be the last one. An item is removed, by whoever holds the mutex, in this order: out
// of the wait queues (afterwards no callback runs), out of the file's list (afterwards the file may be gone), out of tree and ready list.
//
// Instances in instances (epoll_nesting.cpp). `mutex_` of the outer is held while the inner is asked, so what goes against that order must not be:
// an instance never is in itself, at any distance. Edges between instances are made by who has a Nesting.
#pragma once

#include "fs/file.h"
#include "kernel/files/watch_account.h"
#include "lib/abi/epoll.h"
#include "lib/mutex.h"
#include "lib/tree.h"

namespace faultline {

// Regular files and directories, which are always ready, cannot be watched.
bool epoll_can_watch(File& file);

class Epoll final : public FileWatcher {
 public:
  static Result<Ref<File>> create_file(uint32_t flags, const Credentials& who);  // kNOMEM

  // epoll_ctl(2). The caller holds both files open. kEXIST, kNOSPC, kNOMEM, kLOOP, kINVAL (too many ways to wake up); kNOENT.
  Result<void> add(File& file, uint32_t descriptor, const abi::EpollEvent& wanted);
  Result<void> modify(File& file, uint32_t descriptor, const abi::EpollEvent& wanted);
  Result<void> remove(File& file, uint32_t descriptor);

  // How many events were written, 1 to `limit`; 0 after `nanoseconds()`, which is asked for only if nothing is ready. kINTR, kFAULT.
  static constexpr uint64_t kForEver = ~0ull;
  template <typename Time>
  Result<uint32_t> wait(UserPtr<abi::EpollEvent> events, uint32_t limit, Time nanoseconds) {
    if (has_ready()) [[likely]] {
      uint32_t found = TRY(deliver(events, limit));
      if (found != 0) [[likely]]
        return found;
    }
    uint64_t time = nanoseconds();
    return time == 0 ? Result<uint32_t>(0u) : wait_longer(events, limit, time);
  }

  // Of the instance's own file.
  uint32_t poll(PollTable* table);
  void describe(FormatSink& sink);
  void file_closed();  // removes everything

  void file_ends(File& file) override;

 private:
  struct Item;
  struct ItemOrder;
  struct Hook;
  class Registration;
  class Sleeper;
  friend class Nesting;
  template <typename T, typename... Arguments>
  friend Result<T*> slab_new(Arguments&&...);
  template <typename T>
  friend void slab_delete(T*);
  explicit Epoll(Ref<WatchAccount> account) : account_(std::move(account)) {}
  ~Epoll() override = default;
  void last_reference_gone() override;

  Result<void> add_locked(File& file, uint32_t descriptor, const abi::EpollEvent& wanted) REQUIRES(mutex_);
  Item* find_locked(const File& file, uint32_t descriptor) REQUIRES(mutex_);
  Item* first_of_locked(const File& file) REQUIRES(mutex_);
  void drop_locked(Item& item) REQUIRES(mutex_);
  void collect_locked() REQUIRES(mutex_);
  enum class Place : uint8_t { kOff, kLast };  // of an item in the list, after it was looked at
  uint32_t events_of_front_locked(Item& item) REQUIRES(mutex_);
  void place_front_locked(Item& item, Place place) REQUIRES(mutex_);
  void scan_ends_locked() REQUIRES(mutex_);
  Result<uint32_t> deliver(UserPtr<abi::EpollEvent> events, uint32_t limit);
  Result<uint32_t> wait_longer(UserPtr<abi::EpollEvent> events, uint32_t limit, uint64_t nanoseconds);
  Result<void> sleep(Deadline deadline);
  void arrived(Item& item);
  // False only if who comes to wait now will be woken by what arrives.
  bool has_ready() const { return arrived_.load(memory_order_seq_cst) || has_listed_.load(memory_order_seq_cst); }

  Mutex<LockRank::kEventPoll> mutex_;
  Tree<Item, ItemOrder> items_ GUARDED_BY(mutex_);
  List<Item, Epoll> ready_ GUARDED_BY(mutex_);
  Atomic<bool> has_listed_{false};      // what is in ready_: written under mutex_, true for too long rather than too late
  Atomic<Item*> arrived_{nullptr};      // by next_arrived, the last first
  WaitQueue sleepers_, pollers_;        // in wait(); for those who watch this instance
  const Ref<WatchAccount> account_;     // of who made it
  File* file_ = nullptr;                // its own, until file_closed(); for Nesting's walks up
  uint32_t walk_ = 0, walk_depth_ = 0;  // of Nesting
};

// (item.file, item.descriptor) is unique in an instance: a duplicated descriptor is watched for itself.
struct Epoll::Hook : WaitEntry {
  explicit Hook(Item& whose, bool exclusive) : WaitEntry(&notify, exclusive), item(whose) {}
  static Verdict notify(WaitEntry& self, uint32_t events);
  Item& item;
  WaitQueue* queue = nullptr;
};

struct Epoll::Item final : FileWatch, TreeNode<Item>, ListNode<Epoll> {
  Item(Epoll& epoll, File& f, uint32_t d, const abi::EpollEvent& w);
  Epoll& epoll() const { return static_cast<Epoll&>(watcher()); }
  bool is_exclusive() const { return wanted & abi::kEpollExclusive; }
  void set_wanted(const abi::EpollEvent& event);
  uint64_t data() const { return uint64_t{data_words[1]} << 32 | data_words[0]; }

  File* const file;
  const uint32_t descriptor;
  uint32_t wanted;  // as the program said it
  uint32_t data_words[2];
  Atomic<uint32_t> mask{0};  // what is looked for now: nothing after a one-shot
  Atomic<bool> is_listed{false};
  Item* next_arrived = nullptr;
  Hook hooks[PollTable::kMaxQueues];
};

struct Epoll::ItemOrder {
  static bool less(const Item& a, const Item& b) { return a.file != b.file ? a.file < b.file : a.descriptor < b.descriptor; }
  static bool update(Item&, const Item*, const Item*) { return false; }
};

}  // namespace faultline
