// shmctl(2), ipc(2)'s share of shared memory, and /proc/sysvipc/shm: segments seen and changed from outside.
#include "fs/inode.h"
#include "kernel/calls.h"
#include "kernel/process.h"
#include "kernel/shared_memory_segment.h"

namespace faultline {

namespace {

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

UserSegment view(const Segment& segment) REQUIRES(segments_lock) {
  auto low = [](int64_t time) { return static_cast<uint32_t>(time); };
  auto high = [](int64_t time) { return static_cast<uint32_t>(time >> 32); };
  UserSegment user = {};
  user.permissions = {
      segment.key, segment.uid, segment.gid, segment.cuid, segment.cgid, segment.mode, static_cast<uint16_t>(segment.id / kIdStep), 0, {}};
  user.bytes = segment.bytes;
  user.attached_low = low(segment.attached), user.attached_high = high(segment.attached);
  user.detached_low = low(segment.detached), user.detached_high = high(segment.detached);
  user.changed_low = low(segment.changed), user.changed_high = high(segment.changed);
  user.creator = segment.creator, user.last = segment.last, user.attachments = segment.attachments;
  return user;
}

bool may_change(const Segment& segment) {
  const Credentials& who = current_process().credentials();
  return who.is_superuser() || who.euid == segment.uid || who.euid == segment.cuid;
}

Result<uint32_t> copy_out(uint32_t id, VirtAddr buffer, uint32_t wanted, uint32_t result) {
  UserSegment user;
  {
    LockGuard guard(segments_lock);
    Segment* segment = segment_find_locked(id);
    if (!segment) return Errno::kINVAL;
    if (!segment_may_use(*segment, wanted)) return Errno::kACCES;
    user = view(*segment);
  }
  TRY(user_write(UserPtr<UserSegment>(buffer), user));
  return result;
}

// SHM_STAT: by index, and the answer is the id.
Result<uint32_t> copy_out_indexed(uint32_t index, VirtAddr buffer, uint32_t wanted) {
  uint32_t id;
  {
    LockGuard guard(segments_lock);
    if (index >= kMaxSegments || !segments[index]) return Errno::kINVAL;
    id = segments[index]->id;
  }
  return copy_out(id, buffer, wanted, id);
}

Result<uint32_t> change(uint32_t id, VirtAddr buffer) {
  UserSegment user = TRY(user_read(UserPtr<UserSegment>(buffer)));
  int64_t now = wall_time().seconds;
  LockGuard guard(segments_lock);
  Segment* segment = segment_find_locked(id);
  if (!segment) return Errno::kINVAL;
  if (!may_change(*segment)) return Errno::kPERM;
  segment->uid = user.permissions.uid;
  segment->gid = user.permissions.gid;
  segment->mode = (segment->mode & ~0777u) | (user.permissions.mode & 0777);
  segment->changed = now;
  return 0u;
}

// IPC_RMID, SHM_LOCK and SHM_UNLOCK.
Result<uint32_t> mark(uint32_t id, uint32_t clear, uint32_t set) {
  Segment* over;
  {
    LockGuard guard(segments_lock);
    Segment* segment = segment_find_locked(id);
    if (!segment) return Errno::kINVAL;
    if (!may_change(*segment)) return Errno::kPERM;
    segment->mode = (segment->mode & ~clear) | set;
    if (set & kSegmentDestroyed) segment->key = kPrivateKey;
    if ((set | clear) & kSegmentLocked) segment->object->set_stays_in_memory(set & kSegmentLocked);
    over = segment_take_if_over(*segment);
  }
  segment_finish(over);
  return 0u;
}

struct Totals {
  UserTotals user = {};
  uint32_t highest = 0;
};
Totals totals() {
  Totals sum;
  LockGuard guard(segments_lock);
  for (uint32_t i = 0; i < kMaxSegments; i++) {
    if (!segments[i]) continue;
    sum.user.segments++;
    sum.user.pages += pages_for(segments[i]->bytes);
    sum.highest = i;
  }
  return sum;
}

Result<uint32_t> control(uint32_t id, uint32_t command, VirtAddr buffer) {
  constexpr uint32_t kRemove = 0, kSet = 1, kStat = 2, kInfo = 3, kLock = 11, kUnlock = 12, kStatIndex = 13, kTotals = 14, kStatAny = 15,
                     kMayRead = 4;
  if (static_cast<int32_t>(id) < 0) return Errno::kINVAL;
  switch (command) {
    case kRemove: return mark(id, 0, kSegmentDestroyed);
    case kLock: return mark(id, 0, kSegmentLocked);
    case kUnlock: return mark(id, kSegmentLocked, 0);
    case kSet: return change(id, buffer);
    case kStat: return copy_out(id, buffer, kMayRead, 0);
    case kStatIndex: return copy_out_indexed(id, buffer, kMayRead);
    case kStatAny: return copy_out_indexed(id, buffer, 0);
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
    default: return Errno::kINVAL;
  }
}

}  // namespace

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
    case kShmDetach: return sys_shmdt(VirtAddr(pointer));
    case kShmGet: return sys_shmget(static_cast<int32_t>(first), second, third);
    case kShmControl:
      if (!(second & kWideIds) && second != kRemove) return Errno::kINVAL;
      return sys_shmctl(first, second & ~kWideIds, VirtAddr(pointer));
    default: return Errno::kNOSYS;
  }
}

void shared_memory_describe(FormatSink& sink) {
  sink.put(
      "       key      shmid perms       size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      dtime      ctime        "
      "rss       swap\n");
  for (uint32_t i = 0; i < kMaxSegments; i++) {
    UserSegment user;
    uint32_t id;
    Ref<Object> memory;
    {
      LockGuard guard(segments_lock);
      if (!segments[i]) continue;
      user = view(*segments[i]);
      id = segments[i]->id;
      memory = segments[i]->object;
    }
    auto bytes = [](uint32_t pages) { return uint64_t{pages} << kPageShift; };
    const UserPermissions& who = user.permissions;
    format(sink, "{10} {10}  {4o} {10} {5} {5}  {5} {5} {5} {5} {5} {10} {10} {10} {10} {10}\n", who.key, id, who.mode, user.bytes,
           user.creator, user.last, user.attachments, who.uid, who.gid, who.cuid, who.cgid, user.attached_low, user.detached_low,
           user.changed_low, bytes(memory->resident_pages()), bytes(memory->swapped_pages()));
  }
}

}  // namespace faultline
