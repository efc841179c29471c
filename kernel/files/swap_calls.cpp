// swapon(2), swapoff(2).
#include "fs/swap_area.h"
#include "kernel/files/calls.h"
#include "kernel/files/support.h"
#include "kernel/out_of_memory.h"

namespace faultline {

namespace {

Result<Ref<File>> open_for_swap(UserPtr<const char> user_name) {
  UserPath name;
  TRY(name.read(user_name));
  return path_open(name_caller(), name.text(), kOpenReadWrite | kOpenLargeFile, 0);
}

}  // namespace

Result<uint32_t> sys_swapon(UserPtr<const char> name, uint32_t flags) {
  constexpr uint32_t kPriorityMask = 0x7fff, kPrefer = 0x8000, kDiscard = 0x10000, kDiscardOnce = 0x20000, kDiscardPages = 0x40000;
  // Discarding is a hint to devices that forget; ours have nothing to gain from it.
  if (flags & ~(kPriorityMask | kPrefer | kDiscard | kDiscardOnce | kDiscardPages)) return Errno::kINVAL;
  if (!caller_credentials().is_superuser()) return Errno::kPERM;
  std::optional<int32_t> priority;
  if (flags & kPrefer) priority = static_cast<int32_t>(flags & kPriorityMask);
  Ref<File> file = TRY(open_for_swap(name));
  TRY(swap_on(std::move(file), priority));
  return 0u;
}

Result<uint32_t> sys_swapoff(UserPtr<const char> name) {
  if (!caller_credentials().is_superuser()) return Errno::kPERM;
  Ref<File> file = TRY(open_for_swap(name));
  if (!file->inode()) return Errno::kINVAL;
  MemoryEater eater;
  TRY(swap_off(*file->inode()));
  return 0u;
}

}  // namespace faultline
