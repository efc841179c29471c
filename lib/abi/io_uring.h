// Structures and numbers of io_uring. Source: linux/io_uring.h.
#pragma once

#include <cstdint>

namespace faultline::abi {

// What a program asks for: struct io_uring_sqe. Fields have other names for other operations; these are the most common ones.
struct RingSubmission {
  uint8_t operation, flags;
  uint16_t priority;
  int32_t descriptor;
  uint64_t offset;   // or a second address
  uint64_t address;  // of bytes, pieces, a socket address, a time
  uint32_t length;
  uint32_t operation_flags;
  uint64_t user_data;
  uint16_t buffer_index, personality;
  uint32_t file_index;
  uint64_t more[2];
};
static_assert(sizeof(RingSubmission) == 64);

// What became of it: struct io_uring_cqe.
struct RingCompletion {
  uint64_t user_data;
  int32_t result;
  uint32_t flags;
};
static_assert(sizeof(RingCompletion) == 16);

struct RingSubmissionOffsets {
  uint32_t head, tail, mask, entries, flags, dropped, array, reserved[3];
};
struct RingCompletionOffsets {
  uint32_t head, tail, mask, entries, overflow, completions, flags, reserved[3];
};
// struct io_uring_params
struct RingParameters {
  uint32_t submission_entries, completion_entries, flags, thread_cpu, thread_idle, features, workers_descriptor, reserved[3];
  RingSubmissionOffsets submission;
  RingCompletionOffsets completion;
};
static_assert(sizeof(RingParameters) == 120);

// struct io_uring_getevents_arg, struct io_uring_probe and its entries
struct RingWaitArgument {
  uint64_t mask;
  uint32_t mask_bytes, padding;
  uint64_t time;
};
static_assert(sizeof(RingWaitArgument) == 24);
struct RingProbe {
  uint8_t last_operation, count;
  uint16_t reserved;
  uint32_t more[3];
};
struct RingProbeEntry {
  uint8_t operation, reserved;
  uint16_t flags;
  uint32_t more;
};
static_assert(sizeof(RingProbe) == 16 && sizeof(RingProbeEntry) == 8);
inline constexpr uint16_t kRingOperationSupported = 1;

enum RingOperation : uint8_t {
  kRingNop = 0,
  kRingReadPieces = 1,
  kRingWritePieces = 2,
  kRingSynchronize = 3,
  kRingPoll = 6,
  kRingTimeout = 11,
  kRingAccept = 13,
  kRingCancel = 14,
  kRingConnect = 16,
  kRingClose = 19,
  kRingRead = 22,
  kRingWrite = 23,
  kRingSend = 26,
  kRingReceive = 27,
  kRingOperationLimit = 28,
};

// Of submissions.
inline constexpr uint8_t kRingFixedFile = 1, kRingLink = 4, kRingHardLink = 8, kRingAsynchronous = 16;
inline constexpr uint32_t kRingSynchronizeData = 1;
inline constexpr uint32_t kRingTimeoutAbsolute = 1, kRingTimeoutBootClock = 4, kRingTimeoutWallClock = 8, kRingTimeoutIsSuccess = 32;

// Of io_uring_setup.
inline constexpr uint32_t kRingCompletionSize = 8, kRingClamp = 16;
inline constexpr uint32_t kRingSingleMap = 1, kRingNothingDropped = 2, kRingSubmissionsStable = 4, kRingCurrentPosition = 8,
                          kRingFastPoll = 32, kRingPollAllBits = 64, kRingWaitTakesArgument = 256;
// Offsets of mmap.
inline constexpr uint64_t kRingMapSubmissions = 0, kRingMapCompletions = 0x8000000, kRingMapEntries = 0x10000000;
// In the queue of submissions: completions wait for room in theirs.
inline constexpr uint32_t kRingOverflown = 2;
// In the queue of completions, written by the program: no signs on the registered eventfd.
inline constexpr uint32_t kRingEventsDisabled = 1;

// Of io_uring_enter.
inline constexpr uint32_t kRingGetEvents = 1, kRingWakeThread = 2, kRingWaitForThread = 4, kRingExtendedArgument = 8;
// Of io_uring_register.
inline constexpr uint32_t kRingRegisterEvents = 4, kRingUnregisterEvents = 5, kRingRegisterProbe = 8;

}  // namespace faultline::abi
