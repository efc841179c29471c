// How many files a user's epoll instances and rings watch, and the pages of rings by their size: kernel memory that no other limit bounds.
// /proc/sys/fs/epoll/max_user_watches.
#pragma once

#include "lib/ref.h"
#include "lib/result.h"

namespace faultline {

// Of one user, as long as the user has instances.
class WatchAccount : public RefCounted<WatchAccount> {
 public:
  static Result<Ref<WatchAccount>> of_user(uint32_t uid);  // kNOMEM
  static void destroy(WatchAccount* account);

  Result<void> take(uint32_t count = 1);  // kNOSPC
  void give_back(uint32_t count = 1) { watches_.fetch_sub(count, memory_order_relaxed); }

  static uint32_t limit();
  static uint32_t watches_in(uint32_t bytes);  // that take as much memory
  static void set_limit(uint32_t watches);

 private:
  template <typename T, typename... Arguments>
  friend Result<T*> slab_new(Arguments&&...);
  template <typename T>
  friend void slab_delete(T*);
  explicit WatchAccount(uint32_t uid) : uid_(uid) {}
  ~WatchAccount() = default;
  static WatchAccount* find_locked(uint32_t uid);

  const uint32_t uid_;
  WatchAccount* next_ = nullptr;  // of another user, guarded by accounts_lock
  Atomic<uint32_t> watches_{0};
};

}  // namespace faultline
