// The permission questions of credentials.h. See path_resolution(7), "Permissions" and "Bypassing permission checks".
#include "fs/credentials.h"

#include "fs/inode.h"

namespace faultline {

bool Credentials::is_member(uint32_t group) const {
  if (group == fsgid) return true;
  for (uint32_t i = 0; i < group_count; i++)
    if (groups[i] == group) return true;
  return false;
}

Result<void> permission_check(const Credentials& who, uint32_t mode, uint32_t uid, uint32_t gid, uint32_t wanted) {
  if (who.fsuid == 0) {
    bool is_directory = (mode & kTypeMask) == static_cast<uint32_t>(FileType::kDirectory);
    if ((wanted & kMayExecute) && !is_directory && (mode & 0111) == 0) return Errno::kACCES;
    return {};
  }
  // Exactly one of the three classes counts, even if another would allow more.
  uint32_t bits = who.fsuid == uid ? mode >> 6 : who.is_member(gid) ? mode >> 3 : mode;
  if (wanted & ~bits & 7) return Errno::kACCES;
  return {};
}

}  // namespace faultline
