// See watch_account.h.
#include "kernel/files/watch_account.h"

#include "lib/lock.h"
#include "mm/frames.h"
#include "mm/slab.h"

namespace faultline {

namespace {

constinit SpinLock<LockRank::kFileWatches> accounts_lock;
constinit WatchAccount* first_account GUARDED_BY(accounts_lock) = nullptr;

constexpr uint32_t kNotSet = ~0u;
constinit Atomic<uint32_t> chosen_limit{kNotSet};
// As on Linux: a twenty-fifth of memory, if a watch takes so many bytes.
constexpr uint32_t kShare = 25, kBytesPerWatch = 160;

}  // namespace

// One that is ending is not there any more, though it may still be in the list.
WatchAccount* WatchAccount::find_locked(uint32_t uid) NO_THREAD_SAFETY_ANALYSIS {
  for (WatchAccount* account = first_account; account; account = account->next_)
    if (account->uid_ == uid && account->try_acquire()) return account;
  return nullptr;
}

Result<Ref<WatchAccount>> WatchAccount::of_user(uint32_t uid) {
  {
    LockGuard guard(accounts_lock);
    if (WatchAccount* found = find_locked(uid)) return Ref<WatchAccount>::adopt(found);
  }
  Ref<WatchAccount> made = Ref<WatchAccount>::adopt(TRY(slab_new<WatchAccount>(uid)));
  WatchAccount* found;
  {
    LockGuard guard(accounts_lock);
    found = find_locked(uid);
    made->next_ = first_account;
    first_account = made.get();
  }
  // If somebody was faster, ours goes at once.
  return found ? Ref<WatchAccount>::adopt(found) : made;
}

void WatchAccount::destroy(WatchAccount* account) {
  {
    LockGuard guard(accounts_lock);
    WatchAccount** link = &first_account;
    while (*link != account) link = &(*link)->next_;
    *link = account->next_;
  }
  slab_delete(account);
}

Result<void> WatchAccount::take(uint32_t count) {
  const uint32_t before = watches_.fetch_add(count, memory_order_relaxed), most = limit();
  if (before < most && count <= most - before) return {};
  give_back(count);
  return Errno::kNOSPC;
}

uint32_t WatchAccount::limit() {
  uint32_t chosen = chosen_limit.load(memory_order_relaxed);
  if (chosen != kNotSet) return chosen;
  chosen = frame_statistics().total / kShare * (kPageSize / kBytesPerWatch);
  chosen_limit.store(chosen, memory_order_relaxed);
  return chosen;
}

uint32_t WatchAccount::watches_in(uint32_t bytes) { return (bytes + kBytesPerWatch - 1) / kBytesPerWatch; }

void WatchAccount::set_limit(uint32_t watches) { chosen_limit.store(watches, memory_order_relaxed); }

}  // namespace faultline
