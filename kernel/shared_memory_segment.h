// A System V segment and the table of them all, for the files of shared memory.
#pragma once

#include "lib/lock.h"
#include "mm/space.h"

namespace faultline {

inline constexpr uint32_t kMaxSegments = 4096;  // SHMMNI
inline constexpr uint32_t kIdStep = 32768;      // an id is its index plus a multiple of this: old ids are not soon valid again
inline constexpr uint32_t kSegmentDestroyed = 01000, kSegmentLocked = 02000;  // of a segment's mode, beside the permissions
inline constexpr int32_t kPrivateKey = 0;

// Guards the table and all segments.
extern SpinLock<LockRank::kLeaf> segments_lock;

// A segment, and what its regions hold: each is one attachment.
class Segment final : public RegionBacking {
 public:
  explicit Segment(Ref<Object> memory) : object(std::move(memory)) {}

  void acquire() override;
  void release() override;
  void describe(FormatSink& sink) const override { format(sink, "/SYSV{08x} (deleted)", static_cast<uint32_t>(key)); }
  uint32_t device() const override { return 0; }
  Result<void> punch_hole(PageIndex first, uint32_t pages) override { return object->discard(first, pages); }
  uint64_t inode_number() const override { return id; }

  Ref<Object> object;
  uint32_t id = 0, bytes = 0;
  int32_t key = kPrivateKey;
  uint32_t mode = 0, uid = 0, gid = 0, cuid = 0, cgid = 0;
  uint32_t creator = 0, last = 0, attachments = 0;
  uint32_t guests = 0;  // calls at work on it, which are not attachments
  int64_t attached = 0, detached = 0, changed = 0;

  bool is_over() const { return (mode & kSegmentDestroyed) && attachments == 0 && guests == 0; }
};

extern Segment* segments[kMaxSegments] GUARDED_BY(segments_lock);

// By id; null if there is none.
Segment* segment_find_locked(uint32_t id) REQUIRES(segments_lock);
// Takes a segment that is over out of the table, for the caller to finish without the lock.
Segment* segment_take_if_over(Segment& segment) REQUIRES(segments_lock);
// Ends a segment that nobody has or finds any more, or none (null). The lock must not be held: its pages go.
void segment_finish(Segment* segment);

// Whether the caller's permission bits (4 read, 2 write, 1 execute) allow what is wanted.
bool segment_may_use(const Segment& segment, uint32_t wanted);

}  // namespace faultline
