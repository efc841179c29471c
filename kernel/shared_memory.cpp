// System V shared memory: see shared_memory.h. A segment is an anonymous object that regions map; each region counts as an attachment,
// so fork, munmap, exec and exit need no code here. shmctl(2) is in shared_memory_control.cpp.
#include "fs/inode.h"
#include "kernel/calls.h"
#include "kernel/process.h"
#include "kernel/shared_memory_segment.h"
#include "mm/slab.h"

namespace faultline {

constinit SpinLock<LockRank::kLeaf> segments_lock;
constinit Segment* segments[kMaxSegments] = {};

namespace {

constexpr uint32_t kCreate = 01000, kExclusive = 02000, kHugePages = 04000, kNoReserve = 010000;  // shmget's flags
constexpr uint32_t kReadOnly = 010000, kRound = 020000, kRemap = 040000, kExecute = 0100000;      // shmat's flags

constinit uint32_t next_sequence = 0;

uint32_t caller_pid() { return running_thread().is_kernel_thread() ? 0 : current_process().pid(); }

// A segment kept in the table while a call works on it.
class Guest {
 public:
  explicit Guest(Segment& segment) : segment_(segment) {}
  Guest(const Guest&) = delete;
  ~Guest() {
    Segment* over;
    {
      LockGuard guard(segments_lock);
      segment_.guests--;
      over = segment_take_if_over(segment_);
    }
    segment_finish(over);
  }

 private:
  Segment& segment_;
};

Result<uint32_t> use_existing(Segment& segment, uint32_t bytes, uint32_t flags) REQUIRES(segments_lock) {
  if ((flags & (kCreate | kExclusive)) == (kCreate | kExclusive)) return Errno::kEXIST;
  if (bytes > segment.bytes) return Errno::kINVAL;
  if (!segment_may_use(segment, flags >> 6 | flags >> 3 | flags)) return Errno::kACCES;
  return segment.id;
}

Result<uint32_t> enter(Segment& made) REQUIRES(segments_lock) {
  for (uint32_t index = 0; index < kMaxSegments; index++) {
    if (segments[index]) continue;
    made.id = index + next_sequence * kIdStep;
    next_sequence = (next_sequence + 1) % (0x7fffffff / kIdStep);
    segments[index] = &made;
    return made.id;
  }
  return Errno::kNOSPC;
}

Result<uint32_t> find_or_create(int32_t key, uint32_t bytes, uint32_t flags, Segment* fresh) REQUIRES(segments_lock) {
  for (uint32_t i = 0; key != kPrivateKey && i < kMaxSegments; i++)
    if (segments[i] && segments[i]->key == key && !(segments[i]->mode & kSegmentDestroyed)) return use_existing(*segments[i], bytes, flags);
  if (key != kPrivateKey && !(flags & kCreate)) return Errno::kNOENT;
  if (!fresh) return Errno::kAGAIN;  // one has to be made first
  return enter(*fresh);
}

Result<Segment*> create(int32_t key, uint32_t bytes, uint32_t flags) {
  if (bytes == 0 || bytes > kKernelBase || (flags & kHugePages)) return Errno::kINVAL;
  const bool is_asked_for = !(flags & kNoReserve) || commit_mode() == Overcommit::kNever;
  Ref<Object> memory =
      TRY(Object::create_anonymous(align_up(bytes, kPageSize), is_asked_for ? SharedPromise::kWhole : SharedPromise::kByPage));
  Segment* made = TRY(slab_new<Segment>(std::move(memory)));
  const Credentials& who = current_process().credentials();
  made->key = key;
  made->bytes = bytes;
  made->mode = flags & 0777;
  made->uid = made->cuid = who.euid;
  made->gid = made->cgid = who.egid;
  made->creator = current_process().pid();
  made->changed = wall_time().seconds;
  return made;
}

// The lowest region at or above `base` that an attachment at `base` has left, of that segment if one is named.
struct Attachment {
  VirtAddr base;
  const RegionBacking* segment = nullptr;
  VirtAddr start{}, end{};
};
bool find_attachment(const RegionView& region, void* context) {
  auto& wanted = *static_cast<Attachment*>(context);
  bool is_part =
      region.kind == RegionKind::kSegment && region.start >= wanted.base && region.object_offset.byte() == region.start - wanted.base;
  if (!is_part || (wanted.segment && wanted.segment != region.backing)) return true;
  wanted = {wanted.base, region.backing, region.start, region.end};
  return false;
}

}  // namespace

void Segment::acquire() {
  int64_t now = wall_time().seconds;
  LockGuard guard(segments_lock);
  attachments++;
  attached = now;
  last = caller_pid();
}

void Segment::release() {
  int64_t now = wall_time().seconds;
  Segment* over;
  {
    LockGuard guard(segments_lock);
    attachments--;
    detached = now;
    last = caller_pid();
    over = segment_take_if_over(*this);
  }
  segment_finish(over);
}

Segment* segment_take_if_over(Segment& segment) {
  if (!segment.is_over()) return nullptr;
  segments[segment.id % kIdStep] = nullptr;
  return &segment;
}

void segment_finish(Segment* segment) {
  if (segment) slab_delete(segment);
}

Segment* segment_find_locked(uint32_t id) {
  Segment* segment = id % kIdStep < kMaxSegments ? segments[id % kIdStep] : nullptr;
  return segment && segment->id == id ? segment : nullptr;
}

// The class of the caller's permission bits that counts, and root's way past them (ipc(7)).
bool segment_may_use(const Segment& segment, uint32_t wanted) {
  const Credentials& who = current_process().credentials();
  uint32_t granted = segment.mode;
  if (who.euid == segment.uid || who.euid == segment.cuid)
    granted >>= 6;
  else if (who.is_member(segment.gid) || who.is_member(segment.cgid))
    granted >>= 3;
  return who.is_superuser() || (wanted & ~granted & 7) == 0;
}

Result<uint32_t> sys_shmget(int32_t key, uint32_t bytes, uint32_t flags) {
  {
    LockGuard guard(segments_lock);
    auto found = find_or_create(key, bytes, flags, nullptr);
    if (found.ok() || found.error() != Errno::kAGAIN) return found;
  }
  Segment* fresh = TRY(create(key, bytes, flags));
  Result<uint32_t> id = Errno::kAGAIN;
  bool is_entered;
  {
    LockGuard guard(segments_lock);
    id = find_or_create(key, bytes, flags, fresh);
    is_entered = id.ok() && segment_find_locked(id.value()) == fresh;
  }
  if (!is_entered) segment_finish(fresh);  // somebody else made one with this key meanwhile
  return id;
}

Result<uint32_t> sys_shmat(uint32_t id, uint32_t address, uint32_t flags) {
  MapRequest request;
  request.protection = static_cast<Protection>(kProtRead | (flags & kReadOnly ? 0 : kProtWrite) | (flags & kExecute ? kProtExecute : 0));
  if ((address & kPageMask) && !(flags & kRound)) return Errno::kINVAL;
  address &= ~kPageMask;
  if (address == 0 && (flags & kRemap)) return Errno::kINVAL;
  Segment* segment;
  {
    LockGuard guard(segments_lock);
    segment = static_cast<int32_t>(id) < 0 ? nullptr : segment_find_locked(id);
    if (!segment) return Errno::kINVAL;
    uint32_t wanted = 4u | (flags & kReadOnly ? 0 : 2) | (flags & kExecute ? 1 : 0);
    if (!segment_may_use(*segment, wanted)) return Errno::kACCES;
    segment->guests++;
  }
  Guest guest(*segment);
  request.bytes = align_up(segment->bytes, kPageSize);
  if (address != 0 && address > kKernelBase - request.bytes) return Errno::kINVAL;
  request.address = VirtAddr(address);
  request.shared = true;
  request.fixed = address != 0;
  request.no_replace = address != 0 && !(flags & kRemap);
  request.max_protection = flags & kReadOnly ? kProtRead | kProtExecute : kProtRead | kProtWrite | kProtExecute;
  request.kind = RegionKind::kSegment;
  request.object = segment->object;
  request.lent_backing = segment;
  auto where = current_process().space().map(request);
  if (!where.ok()) return where.error() == Errno::kEXIST ? Errno::kINVAL : where.error();
  return where.value().value();
}

Result<uint32_t> sys_shmdt(VirtAddr address) {
  AddressSpace& space = current_process().space();
  Attachment attachment{.base = address};
  if (!address.is_page_aligned()) return Errno::kINVAL;
  for (;;) {
    attachment.end = VirtAddr(0);
    space.for_each_region(&find_attachment, &attachment);
    if (attachment.end == VirtAddr(0)) return attachment.segment ? Result<uint32_t>(0u) : Errno::kINVAL;
    TRY(space.unmap(attachment.start, attachment.end - attachment.start));
  }
}

}  // namespace faultline
