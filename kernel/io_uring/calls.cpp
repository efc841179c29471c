// io_uring_setup(2), io_uring_enter(2), io_uring_register(2): arguments, and what is announced.
#include "kernel/io_uring/calls.h"

#include <bit>

#include "kernel/files/support.h"
#include "kernel/io_uring/request.h"
#include "kernel/time.h"

namespace faultline {

namespace {

constexpr uint32_t kFeatures = abi::kRingSingleMap | abi::kRingNothingDropped | abi::kRingSubmissionsStable | abi::kRingCurrentPosition |
                               abi::kRingFastPoll | abi::kRingPollAllBits | abi::kRingWaitTakesArgument;

// A power of two, at most `most`, if that is not an error. kINVAL.
Result<uint32_t> entries_for(uint32_t wanted, uint32_t most, uint32_t flags) {
  if (wanted == 0) return Errno::kINVAL;
  if (wanted > most) {
    if (!(flags & abi::kRingClamp)) return Errno::kINVAL;
    wanted = most;
  }
  return std::bit_ceil(wanted);
}

Result<FileHandle> ring_file(int32_t descriptor) {
  FileHandle file = TRY(descriptor_file(descriptor));
  if (!file->ring()) return Errno::kOPNOTSUPP;
  return file;
}

}  // namespace

Result<uint32_t> sys_io_uring_setup(uint32_t entries, UserPtr<abi::RingParameters> user_parameters) {
  abi::RingParameters parameters = TRY(user_read(user_parameters));
  for (uint32_t word : parameters.reserved)
    if (word != 0) return Errno::kINVAL;
  if (parameters.flags & ~(abi::kRingCompletionSize | abi::kRingClamp)) return Errno::kINVAL;
  const uint32_t submissions = TRY(entries_for(entries, Ring::kMostSubmissions, parameters.flags));
  uint32_t completions = 2 * submissions;
  if (parameters.flags & abi::kRingCompletionSize)
    completions = TRY(entries_for(parameters.completion_entries, Ring::kMostCompletions, parameters.flags));
  if (completions < submissions) return Errno::kINVAL;
  TRY(RingUser::current());
  Ref<File> file = TRY(Ring::create_file(submissions, completions, caller_credentials()));
  parameters.features = kFeatures;
  file->ring()->describe(parameters);
  TRY(user_write(user_parameters, parameters));
  return current_process().descriptors().add(std::move(file), CloseOnExec::kYes, descriptor_limit());
}

namespace {

struct Wait {
  UserPtr<SignalSet> mask;
  uint32_t mask_bytes = 0;
  Deadline deadline = Deadline::never();
};

// The argument is a signal mask, or says where one and a time are.
Result<Wait> wait_of(uint32_t flags, VirtAddr argument, uint32_t bytes) {
  if (!(flags & abi::kRingExtendedArgument)) return Wait{UserPtr<SignalSet>(argument), bytes};
  abi::RingWaitArgument read;
  if (bytes != sizeof read) return Errno::kINVAL;
  read = TRY(user_read(UserPtr<abi::RingWaitArgument>(argument)));
  if (read.padding != 0) return Errno::kINVAL;
  Wait wait{UserPtr<SignalSet>(static_cast<uint32_t>(read.mask)), read.mask_bytes};
  const UserPtr<Timespec64> time(static_cast<uint32_t>(read.time));
  if (!time.is_null()) {
    const Timespec64 limit = TRY(user_read(time));
    wait.deadline = deadline_after(TRY(nanoseconds_of(limit)));
  }
  return wait;
}

Result<void> wait_for_completions(Ring& ring, RingUser& user, uint32_t wanted, const Wait& wait) {
  if (!wait.mask.is_null()) {
    if (wait.mask_bytes != sizeof(SignalSet)) return Errno::kINVAL;
    signal_set_temporary_mask(TRY(user_read(wait.mask)));
  }
  return ring.wait(user, wanted, wait.deadline);
}

}  // namespace

Result<uint32_t> sys_io_uring_enter(int32_t descriptor, uint32_t submissions, uint32_t wanted, uint32_t flags, VirtAddr argument,
                                    uint32_t bytes) {
  // Rings without a kernel's thread ignore what is said to it.
  constexpr uint32_t kKnown = abi::kRingGetEvents | abi::kRingWakeThread | abi::kRingWaitForThread | abi::kRingExtendedArgument;
  if (flags & ~kKnown) return Errno::kINVAL;
  RingUser& user = *TRY(RingUser::current());
  FileHandle file = TRY(ring_file(descriptor));
  Ring& ring = *file->ring();
  uint32_t submitted = 0;
  if (submissions != 0) submitted = TRY(ring.submit(user, submissions));
  // Who submitted less than it meant to does not wait for completions that will not come.
  if (submitted != submissions || !(flags & abi::kRingGetEvents)) return submitted;
  // What was submitted counts, whatever becomes of the rest.
  auto waited = [&]() -> Result<void> { return wait_for_completions(ring, user, wanted, TRY(wait_of(flags, argument, bytes))); }();
  if (!waited.ok() && submitted == 0) return waited.error();
  return submitted;
}

namespace {

Result<uint32_t> write_probe(VirtAddr to, uint32_t count) {
  if (count > 256) return Errno::kINVAL;
  if (count > abi::kRingOperationLimit) count = abi::kRingOperationLimit;
  const abi::RingProbe probe{abi::kRingOperationLimit - 1, static_cast<uint8_t>(count), 0, {}};
  TRY(user_write(UserPtr<abi::RingProbe>(to), probe));
  UserPtr<abi::RingProbeEntry> entries(to + static_cast<uint32_t>(sizeof probe));
  for (uint32_t i = 0; i < count; i++)
    TRY(user_write(entries.at(i), {static_cast<uint8_t>(i), 0, ring_operation(i) ? abi::kRingOperationSupported : uint16_t{0}, 0}));
  return 0u;
}

Result<uint32_t> register_events(Ring& ring, VirtAddr argument, uint32_t count) {
  if (count != 1) return Errno::kINVAL;
  const int32_t descriptor = TRY(user_read(UserPtr<int32_t>(argument)));
  FileHandle file = TRY(descriptor_file(descriptor));
  if (!file->counts_events()) return Errno::kINVAL;
  TRY(ring.set_event_file(file.share()));
  return 0u;
}

}  // namespace

Result<uint32_t> sys_io_uring_register(int32_t descriptor, uint32_t operation, VirtAddr argument, uint32_t count) {
  FileHandle file = TRY(ring_file(descriptor));
  switch (operation) {
    case abi::kRingRegisterProbe: return write_probe(argument, count);
    case abi::kRingRegisterEvents: return register_events(*file->ring(), argument, count);
    case abi::kRingUnregisterEvents:
      if (argument.value() != 0 || count != 0) return Errno::kINVAL;
      TRY(file->ring()->clear_event_file());
      return 0u;
    default: return Errno::kINVAL;
  }
}

}  // namespace faultline
