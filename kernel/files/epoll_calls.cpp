// epoll_create(2), epoll_ctl(2), epoll_wait(2) and their newer forms.
#include "kernel/files/calls.h"
#include "kernel/files/epoll.h"
#include "kernel/files/epoll_nesting.h"
#include "kernel/files/poll_call.h"
#include "kernel/files/support.h"
#include "kernel/time.h"

namespace faultline {

Result<uint32_t> sys_epoll_create1(uint32_t flags) {
  if (flags & ~kOpenCloseOnExec) return Errno::kINVAL;
  Ref<File> file = TRY(Epoll::create_file(0, caller_credentials()));
  return current_process().descriptors().add(std::move(file), close_on_exec_of(flags), descriptor_limit());
}

// The size was a hint once.
Result<uint32_t> sys_epoll_create(int32_t size) {
  if (size <= 0) return Errno::kINVAL;
  return sys_epoll_create1(0);
}

namespace {

bool is_valid_exclusive(uint32_t operation, File& file, uint32_t events) {
  constexpr uint32_t kAllowed = kPollIn | kPollOut | kPollError | kPollHangUp | abi::kEpollWakeUp | abi::kEpollEdge | abi::kEpollExclusive;
  return operation == abi::kEpollAdd && !file.epoll() && !(events & ~kAllowed);
}

}  // namespace

Result<uint32_t> sys_epoll_ctl(int32_t instance, uint32_t operation, int32_t descriptor, UserPtr<abi::EpollEvent> user) {
  abi::EpollEvent event{};
  if (operation != abi::kEpollDelete) event = TRY(user_read(user));
  // Both before any lock is taken: the last references may be dropped at the end.
  FileHandle own = TRY(descriptor_file(instance));
  FileHandle file = TRY(descriptor_file(descriptor));
  if (!epoll_can_watch(*file)) return Errno::kPERM;
  Epoll* epoll = own->epoll();
  if (!epoll || own.get() == file.get()) return Errno::kINVAL;
  if (operation != abi::kEpollDelete && (event.events & abi::kEpollExclusive) && !is_valid_exclusive(operation, *file, event.events))
    return Errno::kINVAL;
  auto number = static_cast<uint32_t>(descriptor);
  switch (operation) {
    case abi::kEpollAdd: TRY(epoll->add(*file, number, event)); break;
    case abi::kEpollModify: TRY(epoll->modify(*file, number, event)); break;
    case abi::kEpollDelete: TRY(epoll->remove(*file, number)); break;
    default: return Errno::kINVAL;
  }
  return 0u;
}

namespace {

template <typename Time>
[[gnu::always_inline]] inline Result<uint32_t> wait_for_events(int32_t instance, UserPtr<abi::EpollEvent> events, int32_t limit,
                                                               Time nanoseconds) {
  constexpr int32_t kMostEvents = INT32_MAX / static_cast<int32_t>(sizeof(abi::EpollEvent));
  if (limit <= 0 || limit > kMostEvents) return Errno::kINVAL;
  uint32_t bytes = static_cast<uint32_t>(limit) * static_cast<uint32_t>(sizeof(abi::EpollEvent));
  if (events.address().value() > kKernelBase - bytes) return Errno::kFAULT;
  FileHandle file = TRY(current_process().descriptors().get(static_cast<uint32_t>(instance)));
  Epoll* epoll = file->epoll();
  if (!epoll) return file->is_path_only() ? Errno::kBADF : Errno::kINVAL;
  return epoll->wait(events, static_cast<uint32_t>(limit), nanoseconds);
}

auto milliseconds_of(int32_t milliseconds) {
  return [milliseconds] { return milliseconds < 0 ? Epoll::kForEver : static_cast<uint64_t>(milliseconds) * 1'000'000; };
}

}  // namespace

Result<uint32_t> sys_epoll_wait(int32_t instance, UserPtr<abi::EpollEvent> events, int32_t limit, int32_t milliseconds) {
  return wait_for_events(instance, events, limit, milliseconds_of(milliseconds));
}

Result<uint32_t> sys_epoll_pwait(int32_t instance, UserPtr<abi::EpollEvent> events, int32_t limit, int32_t milliseconds,
                                 UserPtr<SignalSet> set, uint32_t bytes) {
  CallMask mask;
  TRY(mask.apply(set, bytes));
  return mask.after(wait_for_events(instance, events, limit, milliseconds_of(milliseconds)));
}

Result<uint32_t> sys_epoll_pwait2(int32_t instance, UserPtr<abi::EpollEvent> events, int32_t limit, UserPtr<Timespec64> time,
                                  UserPtr<SignalSet> set, uint32_t bytes) {
  uint64_t nanoseconds = Epoll::kForEver;
  if (!time.is_null()) {
    Timespec64 wanted = TRY(user_read(time));
    nanoseconds = TRY(nanoseconds_of(wanted));
  }
  CallMask mask;
  TRY(mask.apply(set, bytes));
  return mask.after(wait_for_events(instance, events, limit, [nanoseconds] { return nanoseconds; }));
}

}  // namespace faultline
