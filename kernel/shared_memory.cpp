// System V shared memory: see shared_memory.h. A segment is an anonymous object that regions map; each region counts as an attachment,
// so fork, munmap, exec and exit need no code here.
#include "kernel/shared_memory.h"

#include "fs/inode.h"
#include "kernel/calls.h"
#include "kernel/process.h"
#include "mm/slab.h"

namespace faultline {

namespace {

constexpr uint32_t kMaxSegments = 4096;  // SHMMNI
constexpr uint32_t kIdStep = 32768;      // an id is its index plus a multiple of this: old ids are not soon valid again
constexpr uint32_t kCreate = 01000, kExclusive = 02000, kHugePages = 04000, kDestroyed = 01000, kLocked = 02000;
constexpr uint32_t kReadOnly = 010000, kRound = 020000, kRemap = 040000, kExecute = 0100000;  // shmat's flags
constexpr int32_t kPrivateKey = 0;

// Guards the table and all segments.
constinit SpinLock<LockRank::kLeaf> lock;

// IPC_64's structures, i386.
struct UserPermissions {
  int32_t key;
  uint32_t uid, gid, cuid, cgid, mode;
  uint16_t sequence, pad;
  uint32_t unused[2];
};
struct UserSegment {
  UserPermissions permissions;
  uint32_t bytes;
  uint32_t attached_low, attached_high, detached_low, detached_high, changed_low, changed_high;
  uint32_t creator, last, attachments, unused[2];
};
static_assert(sizeof(UserPermissions) == 36 && sizeof(UserSegment) == 84);
struct UserLimits {  // IPC_INFO
  uint32_t largest, smallest, segments, per_process, pages, unused[4];
};
struct UserTotals {  // SHM_INFO
  int32_t segments;
  uint32_t pages, resident, swapped, attempts, successes;
};

// A segment, and what its regions hold: each is one attachment.
class Segment final : public RegionBacking {
 public:
  explicit Segment(Ref<Object> memory) : object(std::move(memory)) {}

  void acquire() override;
  void release() override;
  void describe(FormatSink& sink) const override { format(sink, "/SYSV{08x} (deleted)", static_cast<uint32_t>(key)); }
  uint32_t device() const override { return 0; }
  uint64_t inode_number() const override { return id; }

  Ref<Object> object;
  uint32_t id = 0, bytes = 0;
  int32_t key = kPrivateKey;
  uint32_t mode = 0, uid = 0, gid = 0, cuid = 0, cgid = 0;
  uint32_t creator = 0, last = 0, attachments = 0;
  uint32_t guests = 0;  // calls at work on it, which are not attachments
  int64_t attached = 0, detached = 0, changed = 0;

  UserSegment view() const;
  bool is_over() const { return (mode & kDestroyed) && attachments == 0 && guests == 0; }
};

constinit Segment* segments[kMaxSegments] = {};
constinit uint32_t next_sequence = 0;

uint32_t caller_pid() { return running_thread().is_kernel_thread() ? 0 : current_process().pid(); }

void Segment::acquire() {
  int64_t now = wall_time().seconds;
  LockGuard guard(lock);
  attachments++;
  attached = now;
  last = caller_pid();
}

// Ends a segment that nobody has or finds any more. The lock must not be held: its pages go.
void finish(Segment* segment) {
  if (segment) slab_delete(segment);
}

// Takes a segment that is over out of the table, for the caller to finish without the lock.
Segment* take_if_over(Segment& segment) REQUIRES(lock) {
  if (!segment.is_over()) return nullptr;
  segments[segment.id % kIdStep] = nullptr;
  return &segment;
}

void Segment::release() {
  int64_t now = wall_time().seconds;
  Segment* over;
  {
    LockGuard guard(lock);
    attachments--;
    detached = now;
    last = caller_pid();
    over = take_if_over(*this);
  }
  finish(over);
}

UserSegment Segment::view() const {
  auto high = [](int64_t time) { return static_cast<uint32_t>(time >> 32); };
  UserSegment user = {};
  user.permissions = {key, uid, gid, cuid, cgid, mode, static_cast<uint16_t>(id / kIdStep), 0, {}};
  user.bytes = bytes;
  user.attached_low = static_cast<uint32_t>(attached), user.attached_high = high(attached);
  user.detached_low = static_cast<uint32_t>(detached), user.detached_high = high(detached);
  user.changed_low = static_cast<uint32_t>(changed), user.changed_high = high(changed);
  user.creator = creator, user.last = last, user.attachments = attachments;
  return user;
}

// A segment kept in the table while a call works on it.
class Guest {
 public:
  explicit Guest(Segment& segment) : segment_(segment) {}
  Guest(const Guest&) = delete;
  ~Guest() {
    Segment* over;
    {
      LockGuard guard(lock);
      segment_.guests--;
      over = take_if_over(segment_);
    }
    finish(over);
  }

 private:
  Segment& segment_;
};

Segment* find_locked(uint32_t id) REQUIRES(lock) {
  Segment* segment = id % kIdStep < kMaxSegments ? segments[id % kIdStep] : nullptr;
  return segment && segment->id == id ? segment : nullptr;
}

// The class of the caller's permission bits that counts, and root's way past them (ipc(7)).
bool may_use(const Segment& segment, uint32_t wanted) {
  const Credentials& who = current_process().credentials();
  uint32_t granted = segment.mode;
  if (who.euid == segment.uid || who.euid == segment.cuid)
    granted >>= 6;
  else if (who.is_member(segment.gid) || who.is_member(segment.cgid))
    granted >>= 3;
  return who.is_superuser() || (wanted & ~granted & 7) == 0;
}
bool may_change(const Segment& segment) {
  const Credentials& who = current_process().credentials();
  return who.is_superuser() || who.euid == segment.uid || who.euid == segment.cuid;
}

Result<uint32_t> use_existing(Segment& segment, uint32_t bytes, uint32_t flags) REQUIRES(lock) {
  if ((flags & (kCreate | kExclusive)) == (kCreate | kExclusive)) return Errno::kEXIST;
  if (bytes > segment.bytes) return Errno::kINVAL;
  if (!may_use(segment, flags >> 6 | flags >> 3 | flags)) return Errno::kACCES;
  return segment.id;
}

Result<uint32_t> enter(Segment& made) REQUIRES(lock) {
  for (uint32_t index = 0; index < kMaxSegments; index++) {
    if (segments[index]) continue;
    made.id = index + next_sequence * kIdStep;
    next_sequence = (next_sequence + 1) % (0x7fffffff / kIdStep);
    segments[index] = &made;
    return made.id;
  }
  return Errno::kNOSPC;
}

Result<uint32_t> find_or_create(int32_t key, uint32_t bytes, uint32_t flags, Segment* fresh) REQUIRES(lock) {
  for (uint32_t i = 0; key != kPrivateKey && i < kMaxSegments; i++)
    if (segments[i] && segments[i]->key == key && !(segments[i]->mode & kDestroyed))
      return use_existing(*segments[i], bytes, flags);
  if (key != kPrivateKey && !(flags & kCreate)) return Errno::kNOENT;
  if (!fresh) return Errno::kAGAIN;  // one has to be made first
  return enter(*fresh);
}

Result<Segment*> create(int32_t key, uint32_t bytes, uint32_t flags) {
  if (bytes == 0 || bytes > kKernelBase || (flags & kHugePages)) return Errno::kINVAL;
  Ref<Object> memory = TRY(Object::create_anonymous(align_up(bytes, kPageSize)));
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

Result<uint32_t> copy_out(uint32_t id, VirtAddr buffer, uint32_t wanted, uint32_t result) {
  UserSegment user;
  {
    LockGuard guard(lock);
    Segment* segment = find_locked(id);
    if (!segment) return Errno::kINVAL;
    if (!may_use(*segment, wanted)) return Errno::kACCES;
    user = segment->view();
  }
  TRY(user_write(UserPtr<UserSegment>(buffer), user));
  return result;
}

// SHM_STAT: by index, and the answer is the id.
Result<uint32_t> copy_out_indexed(uint32_t index, VirtAddr buffer, uint32_t wanted) {
  uint32_t id;
  {
    LockGuard guard(lock);
    if (index >= kMaxSegments || !segments[index]) return Errno::kINVAL;
    id = segments[index]->id;
  }
  return copy_out(id, buffer, wanted, id);
}

Result<uint32_t> change(uint32_t id, VirtAddr buffer) {
  UserSegment user = TRY(user_read(UserPtr<UserSegment>(buffer)));
  int64_t now = wall_time().seconds;
  LockGuard guard(lock);
  Segment* segment = find_locked(id);
  if (!segment) return Errno::kINVAL;
  if (!may_change(*segment)) return Errno::kPERM;
  segment->uid = user.permissions.uid;
  segment->gid = user.permissions.gid;
  segment->mode = (segment->mode & ~0777u) | (user.permissions.mode & 0777);
  segment->changed = now;
  return 0u;
}

// IPC_RMID, SHM_LOCK and SHM_UNLOCK (nothing is swapped, so the mark is all there is to it).
Result<uint32_t> mark(uint32_t id, uint32_t clear, uint32_t set) {
  Segment* over;
  {
    LockGuard guard(lock);
    Segment* segment = find_locked(id);
    if (!segment) return Errno::kINVAL;
    if (!may_change(*segment)) return Errno::kPERM;
    segment->mode = (segment->mode & ~clear) | set;
    if (set & kDestroyed) segment->key = kPrivateKey;
    over = take_if_over(*segment);
  }
  finish(over);
  return 0u;
}

struct Totals {
  UserTotals user = {};
  uint32_t highest = 0;
};
Totals totals() {
  Totals sum;
  LockGuard guard(lock);
  for (uint32_t i = 0; i < kMaxSegments; i++) {
    if (!segments[i]) continue;
    sum.user.segments++;
    sum.user.pages += pages_for(segments[i]->bytes);
    sum.highest = i;
  }
  return sum;
}

Result<uint32_t> control(uint32_t id, uint32_t command, VirtAddr buffer) {
  constexpr uint32_t kRemove = 0, kSet = 1, kStat = 2, kInfo = 3, kLock = 11, kUnlock = 12, kStatIndex = 13, kTotals = 14,
                     kStatAny = 15, kMayRead = 4;
  if (static_cast<int32_t>(id) < 0) return Errno::kINVAL;
  switch (command) {
    case kRemove:
      return mark(id, 0, kDestroyed);
    case kLock:
      return mark(id, 0, kLocked);
    case kUnlock:
      return mark(id, kLocked, 0);
    case kSet:
      return change(id, buffer);
    case kStat:
      return copy_out(id, buffer, kMayRead, 0);
    case kStatIndex:
      return copy_out_indexed(id, buffer, kMayRead);
    case kStatAny:
      return copy_out_indexed(id, buffer, 0);
    case kInfo: {
      constexpr uint32_t kMany = ~0u - (1u << 24);
      TRY(user_write(UserPtr<UserLimits>(buffer), {kMany, 1, kMaxSegments, kMaxSegments, kMany, {}}));
      return totals().highest;
    }
    case kTotals: {
      Totals sum = totals();
      TRY(user_write(UserPtr<UserTotals>(buffer), sum.user));
      return sum.highest;
    }
    default:
      return Errno::kINVAL;
  }
}

// The lowest region at or above `base` that an attachment at `base` has left, of that segment if one is named.
struct Attachment {
  VirtAddr base;
  const RegionBacking* segment = nullptr;
  VirtAddr start{}, end{};
};
bool find_attachment(const RegionView& region, void* context) {
  auto& wanted = *static_cast<Attachment*>(context);
  bool is_part = region.kind == RegionKind::kSegment && region.start >= wanted.base &&
                 region.object_offset.byte() == region.start - wanted.base;
  if (!is_part || (wanted.segment && wanted.segment != region.backing)) return true;
  wanted = {wanted.base, region.backing, region.start, region.end};
  return false;
}

}  // namespace

Result<uint32_t> sys_shmget(int32_t key, uint32_t bytes, uint32_t flags) {
  {
    LockGuard guard(lock);
    auto found = find_or_create(key, bytes, flags, nullptr);
    if (found.ok() || found.error() != Errno::kAGAIN) return found;
  }
  Segment* fresh = TRY(create(key, bytes, flags));
  Result<uint32_t> id = Errno::kAGAIN;
  bool is_entered;
  {
    LockGuard guard(lock);
    id = find_or_create(key, bytes, flags, fresh);
    is_entered = id.ok() && find_locked(id.value()) == fresh;
  }
  if (!is_entered) finish(fresh);  // somebody else made one with this key meanwhile
  return id;
}

Result<uint32_t> sys_shmat(uint32_t id, uint32_t address, uint32_t flags) {
  MapRequest request;
  request.protection =
      static_cast<Protection>(kProtRead | (flags & kReadOnly ? 0 : kProtWrite) | (flags & kExecute ? kProtExecute : 0));
  if ((address & kPageMask) && !(flags & kRound)) return Errno::kINVAL;
  address &= ~kPageMask;
  if (address == 0 && (flags & kRemap)) return Errno::kINVAL;
  Segment* segment;
  {
    LockGuard guard(lock);
    segment = static_cast<int32_t>(id) < 0 ? nullptr : find_locked(id);
    if (!segment) return Errno::kINVAL;
    uint32_t wanted = 4u | (flags & kReadOnly ? 0 : 2) | (flags & kExecute ? 1 : 0);
    if (!may_use(*segment, wanted)) return Errno::kACCES;
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

Result<uint32_t> sys_shmctl(uint32_t id, uint32_t command, VirtAddr buffer) { return control(id, command, buffer); }

// What the direct calls were before they were direct. Of shmctl only the form with 32-bit ids (IPC_64) moves structures.
Result<uint32_t> sys_ipc(uint32_t call, uint32_t first, uint32_t second, uint32_t third, uint32_t pointer, uint32_t) {
  constexpr uint32_t kShmAt = 21, kShmDetach = 22, kShmGet = 23, kShmControl = 24, kWideIds = 0x100, kRemove = 0;
  switch (call & 0xffff) {
    case kShmAt: {
      if (call >> 16 == 1) return Errno::kINVAL;  // iBCS2's
      uint32_t where = TRY(sys_shmat(first, pointer, second));
      TRY(user_write(UserPtr<uint32_t>(third), where));
      return 0u;
    }
    case kShmDetach:
      return sys_shmdt(VirtAddr(pointer));
    case kShmGet:
      return sys_shmget(static_cast<int32_t>(first), second, third);
    case kShmControl:
      if (!(second & kWideIds) && second != kRemove) return Errno::kINVAL;
      return control(first, second & ~kWideIds, VirtAddr(pointer));
    default:
      return Errno::kNOSYS;
  }
}

void shared_memory_describe(FormatSink& sink) {
  sink.put(
      "       key      shmid perms       size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      dtime      ctime        "
      "rss       swap\n");
  for (uint32_t i = 0; i < kMaxSegments; i++) {
    UserSegment user;
    uint32_t id;
    {
      LockGuard guard(lock);
      if (!segments[i]) continue;
      user = segments[i]->view();
      id = segments[i]->id;
    }
    const UserPermissions& who = user.permissions;
    format(sink, "{10} {10}  {4o} {10} {5} {5}  {5} {5} {5} {5} {5} {10} {10} {10} {10} {10}\n", who.key, id, who.mode,
           user.bytes, user.creator, user.last, user.attachments, who.uid, who.gid, who.cuid, who.cgid, user.attached_low,
           user.detached_low, user.changed_low, uint64_t{pages_for(user.bytes)} << kPageShift, 0);
  }
}

}  // namespace faultline
