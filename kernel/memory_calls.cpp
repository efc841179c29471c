// The calls that shape an address space: arguments checked here, the work is mm's.
#include "fs/descriptor_table.h"
#include "kernel/calls.h"
#include "kernel/process.h"

namespace faultline {

namespace {

constexpr uint32_t kMapShared = 1, kMapPrivate = 2, kMapSharedValidate = 3, kMapTypeMask = 0xf, kMapFixed = 0x10, kMapAnonymous = 0x20,
                   kMap32Bit = 0x40, kMapGrowsDown = 0x100, kMapDenyWrite = 0x800, kMapExecutable = 0x1000, kMapLocked = 0x2000,
                   kMapNoReserve = 0x4000, kMapPopulate = 0x8000, kMapNonBlock = 0x10000, kMapStack = 0x20000, kMapHugePages = 0x40000,
                   kMapFixedNoReplace = 0x100000, kMapHugeSize = 0x3f << 26;
// MAP_SHARED_VALIDATE refuses what is not among these.
constexpr uint32_t kMapKnown = kMapTypeMask | kMapFixed | kMapAnonymous | kMap32Bit | kMapGrowsDown | kMapDenyWrite | kMapExecutable |
                               kMapLocked | kMapNoReserve | kMapPopulate | kMapNonBlock | kMapStack | kMapHugePages | kMapFixedNoReplace |
                               kMapHugeSize;
constexpr uint32_t kProtectionMask = kProtRead | kProtWrite | kProtExecute;

Result<void> attach_file(MapRequest& request, File& file) {
  if (!file.is_readable()) return Errno::kACCES;
  if (request.shared && !file.is_writable()) {
    if (request.protection & kProtWrite) return Errno::kACCES;
    request.max_protection = kProtRead | kProtExecute;
  }
  if (request.shared && (request.protection & kProtWrite) && file.inode()) TRY(file.inode()->check_not_swapped_to());
  request.object = TRY(file.map_object_at(request.object_offset));
  if (request.grows_down) return Errno::kINVAL;                    // only private memory of the program's own grows
  if (request.object) request.backing = Ref<RegionBacking>(file);  // a null object stands for anonymous memory (/dev/zero)
  return {};
}

Result<void> attach(MapRequest& request, File* file, uint32_t flags, uint32_t page_offset) {
  uint32_t type = flags & kMapTypeMask;
  if (file) {
    if (type == kMapSharedValidate && (flags & ~kMapKnown)) return Errno::kOPNOTSUPP;
    if (page_offset + pages_for(request.bytes) < page_offset) return Errno::kOVERFLOW;
    return attach_file(request, *file);
  }
  return type == kMapSharedValidate || (request.shared && request.grows_down) ? Result<void>(Errno::kINVAL) : Result<void>();
}

Result<uint32_t> map(uint32_t address, uint32_t bytes, uint32_t protection, uint32_t flags, uint32_t descriptor, uint32_t page_offset) {
  FileHandle file;
  if (!(flags & kMapAnonymous)) {
    file = TRY(current_process().descriptors().get(descriptor));
    if (file->is_path_only()) return Errno::kBADF;
  }
  uint32_t type = flags & kMapTypeMask;
  if (bytes == 0 || (type != kMapShared && type != kMapPrivate && type != kMapSharedValidate)) return Errno::kINVAL;
  if (bytes > kKernelBase) return Errno::kNOMEM;
  bool fixed = flags & (kMapFixed | kMapFixedNoReplace);
  if (fixed && address > kKernelBase - bytes) return Errno::kNOMEM;
  if (fixed && (address & kPageMask)) return Errno::kINVAL;
  if ((flags & kMapLocked) && current_locked_limit() == 0) return Errno::kPERM;
  MapRequest request;
  request.address = VirtAddr(address);
  request.bytes = bytes;
  request.protection = static_cast<Protection>(protection & kProtectionMask);
  request.shared = type != kMapPrivate;
  request.fixed = fixed;
  request.no_replace = flags & kMapFixedNoReplace;
  request.grows_down = flags & kMapGrowsDown;
  request.populate = (flags & (kMapPopulate | kMapNonBlock)) == kMapPopulate;
  request.no_reserve = flags & kMapNoReserve;
  request.lock_mode = flags & kMapLocked ? LockMode::kLocked : LockMode::kNone;
  request.object_offset = PageIndex(page_offset);
  TRY(attach(request, file.get(), flags, page_offset));
  VirtAddr where = TRY(current_process().space().map(request));
  return where.value();
}

Result<uint32_t> done(Result<void> result) {
  if (!result.ok()) return result.error();
  return 0u;
}

AddressSpace& space() { return current_process().space(); }

}  // namespace

Result<uint32_t> sys_mmap2(uint32_t address, uint32_t bytes, uint32_t protection, uint32_t flags, uint32_t descriptor,
                           uint32_t page_offset) {
  return map(address, bytes, protection, flags, descriptor, page_offset);
}

// The old form: six words in memory, the offset in bytes.
Result<uint32_t> sys_old_mmap(UserPtr<OldMapArguments> user) {
  OldMapArguments a = TRY(user_read(user));
  if (a.offset & kPageMask) return Errno::kINVAL;
  return map(a.address, a.bytes, a.protection, a.flags, a.descriptor, a.offset >> kPageShift);
}

Result<uint32_t> sys_munmap(VirtAddr start, uint32_t bytes) { return done(space().unmap(start, bytes)); }

Result<uint32_t> sys_mprotect(VirtAddr start, uint32_t bytes, uint32_t protection) {
  constexpr uint32_t kSemaphores = 8, kGrowsDown = 0x01000000, kGrowsUp = 0x02000000;  // no memory here grows up
  if (protection & ~(kProtectionMask | kSemaphores | kGrowsDown)) [[unlikely]] {
    const bool is_nothing = bytes == 0 && start.is_page_aligned(), is_both = (protection & kGrowsDown) && (protection & kGrowsUp);
    if (is_both || !is_nothing) return Errno::kINVAL;
  }
  using Reach = AddressSpace::Reach;
  return done(space().protect(start, bytes, static_cast<Protection>(protection & kProtectionMask),
                              protection & kGrowsDown ? Reach::kToRegionStart : Reach::kExact));
}

Result<uint32_t> sys_mremap(VirtAddr old_start, uint32_t old_bytes, uint32_t new_bytes, uint32_t flags, VirtAddr new_start) {
  VirtAddr where = TRY(space().remap(old_start, old_bytes, new_bytes, flags, new_start));
  return where.value();
}

Result<uint32_t> sys_brk(VirtAddr wanted) {
  Process& self = current_process();
  return self.space().set_break(wanted, self.limit(Resource::kData)).value();
}

Result<uint32_t> sys_msync(VirtAddr start, uint32_t bytes, uint32_t flags) {
  constexpr uint32_t kAsync = 1, kInvalidate = 2, kSync = 4;
  if (!start.is_page_aligned() || (flags & ~(kAsync | kInvalidate | kSync)) || (flags & (kAsync | kSync)) == (kAsync | kSync))
    return Errno::kINVAL;
  if (bytes == 0) return 0u;
  return done(space().sync(start, bytes, flags));
}

Result<uint32_t> sys_madvise(VirtAddr start, uint32_t bytes, uint32_t advice) { return done(space().advise(start, bytes, advice)); }

Result<uint32_t> sys_mincore(VirtAddr start, uint32_t bytes, VirtAddr vector) {
  if (!start.is_page_aligned()) return Errno::kINVAL;
  if (bytes == 0) return 0u;
  if (bytes > kKernelBase || start.value() > kKernelBase - bytes) return Errno::kNOMEM;
  if (vector.value() > kKernelBase - pages_for(bytes)) return Errno::kFAULT;
  return done(space().in_core(start, bytes, vector));
}

Result<uint32_t> sys_mlock(VirtAddr start, uint32_t bytes) { return done(space().lock_pages(start, bytes, LockMode::kLocked)); }

Result<uint32_t> sys_mlock2(VirtAddr start, uint32_t bytes, uint32_t flags) {
  constexpr uint32_t kOnFault = 1;
  if (flags & ~kOnFault) return Errno::kINVAL;
  return done(space().lock_pages(start, bytes, flags & kOnFault ? LockMode::kOnFault : LockMode::kLocked));
}

Result<uint32_t> sys_munlock(VirtAddr start, uint32_t bytes) { return done(space().lock_pages(start, bytes, LockMode::kNone)); }

Result<uint32_t> sys_mlockall(uint32_t flags) {
  constexpr uint32_t kCurrent = 1, kFuture = 2, kOnFault = 4;
  if (flags == 0 || (flags & ~(kCurrent | kFuture | kOnFault)) || flags == kOnFault) return Errno::kINVAL;
  LockMode mode = flags & kOnFault ? LockMode::kOnFault : LockMode::kLocked;
  auto now = flags & kCurrent ? std::optional<LockMode>(mode) : std::nullopt;
  return done(space().lock_all(now, flags & kFuture ? mode : LockMode::kNone));
}

Result<uint32_t> sys_munlockall() { return done(space().lock_all(LockMode::kNone, LockMode::kNone)); }

}  // namespace faultline
