// Counting descriptors in flight, and the collector. unix_in_flight.h explains it.
#include "kernel/net/unix_in_flight.h"

#include "kernel/net/unix_socket.h"
#include "kernel/process.h"
#include "lib/late.h"

namespace faultline {

namespace {

// Descriptors in flight by owner; users whose numbers end alike share a limit.
constexpr uint32_t kOwnerSlots = 256;
constinit uint32_t sent_by_owner[kOwnerSlots] GUARDED_BY(unix_lock) = {};
constinit Atomic<uint32_t> sent_in_flight{0}, sockets_in_flight{0};  // written under unix_lock
constinit Atomic<uint32_t> suspicions{0};                            // since the collector last ran

constinit Late<List<UnixEndpoint, InFlightTag>> endpoints_in_flight GUARDED_BY(unix_lock);

}  // namespace

// A thread that is closing what bundles held. What it comes to drop meanwhile is added here, instead of being closed on top.
class UnixInFlight::Draining : public ListNode<> {
 public:
  explicit Draining(Thread* thread) : thread_(thread) {}

  static Draining* of_this_thread_locked() REQUIRES(unix_lock) {
    for (Draining& other : *all_)
      if (other.thread_ == current_thread()) return &other;
    return nullptr;
  }
  void begin_locked() REQUIRES(unix_lock) { all_->push_back(*this); }
  void add_locked(FileBundle& bundle) REQUIRES(unix_lock) { bundles_.push_back(bundle); }
  void ask_for_collection_locked() REQUIRES(unix_lock) { wants_collection_ = true; }

  // Until nothing is left.
  void run() {
    for (;;) {
      FileBundle* bundle;
      {
        LockGuard guard(unix_lock);
        if (std::exchange(wants_collection_, false)) {
          mark_locked();
          sweep_locked(*this);
        }
        bundle = bundles_.pop_front();
        if (!bundle) {
          all_->remove(*this);
          return;
        }
      }
      bundle->close_files();
      if (bundle->reference_count() == 0) {
        slab_delete(bundle);
      } else {
        bundle->release();
      }
    }
  }

 private:
  friend class UnixInFlight;
  static inline constinit Late<List<Draining>> all_ GUARDED_BY(unix_lock);
  Thread* const thread_;
  List<FileBundle, BundleTag> bundles_ GUARDED_BY(unix_lock);
  bool wants_collection_ GUARDED_BY(unix_lock) = false;
};

void UnixInFlight::initialize() {
  LockGuard guard(unix_lock);
  endpoints_in_flight.construct();
  Draining::all_.construct();
}

void UnixInFlight::discard(FileBundle& bundle) {
  Draining draining(current_thread());
  {
    LockGuard guard(unix_lock);
    if (Draining* outer = Draining::of_this_thread_locked()) {
      outer->add_locked(bundle);
      return;
    }
    draining.begin_locked();
    draining.add_locked(bundle);
  }
  draining.run();
}

void UnixInFlight::suspect() {
  constexpr uint32_t kSocketsPerSuspicion = 16;
  uint32_t events = suspicions.fetch_add(1, memory_order_relaxed) + 1;
  if (events >= sockets_in_flight.load(memory_order_relaxed) / kSocketsPerSuspicion) collect();
}

void UnixInFlight::collect() {
  suspicions.store(0, memory_order_relaxed);
  if (sent_in_flight.load(memory_order_acquire) == 0) return;
  Draining draining(current_thread());
  {
    LockGuard guard(unix_lock);
    if (Draining* outer = Draining::of_this_thread_locked()) {
      outer->ask_for_collection_locked();
      return;
    }
    draining.begin_locked();
    draining.ask_for_collection_locked();
  }
  draining.run();
}

Result<void> UnixInFlight::check_limit() {
  const Process& caller = current_process();
  if (caller.credentials().is_superuser()) return {};
  LockGuard guard(unix_lock);
  if (sent_by_owner[caller.credentials().uid % kOwnerSlots] > caller.limit(Resource::kOpenFiles)) return Errno::kTOOMANYREFS;
  return {};
}

void UnixInFlight::count_locked(FileBundle& bundle, int change) {
  if (bundle.owner() != FileBundle::kNobody) {
    uint32_t files = bundle.count() * static_cast<uint32_t>(change);
    sent_by_owner[bundle.owner() % kOwnerSlots] += files;
    sent_in_flight.fetch_add(files, memory_order_acq_rel);
  }
  for (uint32_t i = 0; i < bundle.count(); i++) {
    UnixEndpoint* sent = unix_endpoint_of(bundle.file(i));
    if (!sent) continue;
    uint32_t before = sent->in_flight_.fetch_add(static_cast<uint32_t>(change), memory_order_acq_rel);
    if (before == 0) {
      endpoints_in_flight->push_back(*sent);
      sockets_in_flight.fetch_add(1, memory_order_relaxed);
    } else if (before == 1 && change < 0) {
      endpoints_in_flight->remove(*sent);
      sockets_in_flight.fetch_sub(1, memory_order_relaxed);
    }
  }
}

void UnixInFlight::enter_locked(FileBundle& bundle, UnixEndpoint& holder) {
  bundle.holder_ = &holder;
  holder.bundles_.push_back(bundle);
  count_locked(bundle, 1);
}

void UnixInFlight::leave_locked(FileBundle& bundle) {
  if (!bundle.holder_) return;
  bundle.holder_->bundles_.remove(bundle);
  bundle.holder_ = nullptr;
  count_locked(bundle, -1);
}

void UnixInFlight::leave(FileBundle& bundle) {
  LockGuard guard(unix_lock);
  leave_locked(bundle);
}

namespace {

// Does `visit(socket)` for what lies in the queues of a socket.
template <typename Visit>
void for_each_held(UnixEndpoint& holder, Visit visit) REQUIRES(unix_lock) {
  for (FileBundle& bundle : holder.bundles_)
    for (uint32_t i = 0; i < bundle.count(); i++)
      if (UnixEndpoint* held = unix_endpoint_of(bundle.file(i))) visit(*held);
}

}  // namespace

void UnixInFlight::mark_locked() {
  List<UnixEndpoint, InFlightTag>& all = *endpoints_in_flight;
  for (UnixEndpoint& endpoint : all) endpoint.inner_ = 0, endpoint.is_reached_ = false;
  for (UnixEndpoint& endpoint : all) for_each_held(endpoint, [](UnixEndpoint& held) { held.inner_++; });
  List<UnixEndpoint, ReachedTag> reached;
  auto reach = [&reached](UnixEndpoint& endpoint) {
    if (std::exchange(endpoint.is_reached_, true)) return;
    reached.push_back(endpoint);
  };
  for (UnixEndpoint& endpoint : all)
    if (endpoint.file_->reference_count() != endpoint.inner_) reach(endpoint);
  while (UnixEndpoint* endpoint = reached.pop_front()) for_each_held(*endpoint, reach);
}

// Each bundle is held until it is emptied: its message may still name it. They are counted out last, for the list of sockets in flight must not
// change while it is walked.
void UnixInFlight::sweep_locked(Draining& into) {
  List<FileBundle, BundleTag> garbage;
  for (UnixEndpoint& endpoint : *endpoints_in_flight) {
    if (endpoint.is_reached_) continue;
    while (FileBundle* bundle = endpoint.bundles_.pop_front()) {
      bundle->acquire();
      bundle->holder_ = nullptr;
      garbage.push_back(*bundle);
    }
  }
  while (FileBundle* bundle = garbage.pop_front()) {
    count_locked(*bundle, -1);
    into.add_locked(*bundle);
  }
}

}  // namespace faultline
