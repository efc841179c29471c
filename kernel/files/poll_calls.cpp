// poll(2) and ppoll(2).
#include "kernel/files/calls.h"
#include "kernel/files/poll_call.h"
#include "kernel/files/support.h"

namespace faultline {

namespace {

constexpr uint32_t kAlways = kPollError | kPollHangUp | kPollInvalid;

Result<void> tell(UserPtr<abi::PollEntry> user, uint32_t index, abi::PollEntry& entry, int16_t returned) {
  if (entry.returned == returned) return {};
  entry.returned = returned;
  return user_write_bytes(user.at(index).address() + offsetof(abi::PollEntry, returned), &returned, sizeof returned);
}

Result<uint32_t> poll(UserPtr<abi::PollEntry> user, uint32_t count, const PollLimit& limit) {
  if (count > descriptor_limit() && count > 1024) return Errno::kINVAL;
  constexpr uint32_t kOnStack = 32;
  abi::PollEntry on_stack[kOnStack];
  Buffer<abi::PollEntry> memory;
  abi::PollEntry* entries = on_stack;
  if (count > kOnStack) {
    memory = TRY(Buffer<abi::PollEntry>::create(count));
    entries = memory.data();
  }
  TRY(user_read_bytes(entries, user.address(), count * sizeof(abi::PollEntry)));
  // `entries` stays what the program's array holds: only what changes is written back.
  auto look_at_all = [entries, user, count](PollWaiter* waiter) -> Result<uint32_t> {
    PollLook look(current_process().descriptors(), waiter);
    uint32_t found = 0;
    for (abi::PollEntry *entry = entries, *const end = entries + count; entry != end; entry++) {
      uint32_t events = look.events_of(static_cast<uint32_t>(entry->descriptor));
      auto returned = static_cast<int16_t>(events & (static_cast<uint16_t>(entry->events) | kAlways));
      if ((entry->returned | returned) == 0) [[likely]]
        continue;
      TRY(tell(user, static_cast<uint32_t>(entry - entries), *entry, returned));
      if (returned == 0) continue;
      found++;
      look.has_found();
    }
    return found;
  };
  return poll_call(limit, look_at_all);
}

template <typename Time>
Result<uint32_t> poll_with_mask(UserPtr<abi::PollEntry> entries, uint32_t count, UserPtr<Time> time, UserPtr<SignalSet> set,
                                uint32_t set_bytes) {
  PollLimit limit = TRY(poll_limit_read(time));
  CallMask mask;
  TRY(mask.apply(set, set_bytes));
  Result<uint32_t> found = poll(entries, count, limit);
  poll_limit_write_rest(time, limit, 1);
  return mask.after(found);
}

}  // namespace

Result<uint32_t> sys_poll(UserPtr<abi::PollEntry> entries, uint32_t count, int32_t milliseconds) {
  return poll(entries, count, milliseconds < 0 ? PollLimit{} : poll_limit_of(static_cast<uint64_t>(milliseconds) * 1'000'000));
}
Result<uint32_t> sys_ppoll(UserPtr<abi::PollEntry> entries, uint32_t count, UserPtr<abi::Time32> time, UserPtr<SignalSet> mask,
                           uint32_t bytes) {
  return poll_with_mask(entries, count, time, mask, bytes);
}
Result<uint32_t> sys_ppoll_time64(UserPtr<abi::PollEntry> entries, uint32_t count, UserPtr<abi::Time64> time, UserPtr<SignalSet> mask,
                                  uint32_t bytes) {
  return poll_with_mask(entries, count, time, mask, bytes);
}

}  // namespace faultline
