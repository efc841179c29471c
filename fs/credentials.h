// Who asks: user and group ids of a process, and the permission questions. See credentials(7).
#pragma once

#include <array>
#include <cstdint>

#include "lib/result.h"

namespace faultline {

struct Credentials {
  uint32_t uid = 0, euid = 0, suid = 0, fsuid = 0;
  uint32_t gid = 0, egid = 0, sgid = 0, fsgid = 0;
  static constexpr uint32_t kMaxGroups = 32;
  uint32_t group_count = 0;
  std::array<uint32_t, kMaxGroups> groups{};

  bool is_superuser() const { return euid == 0; }
  bool is_member(uint32_t group) const;
};

// Wanted access, as the bits of access(2).
inline constexpr uint32_t kMayExecute = 1, kMayWrite = 2, kMayRead = 4;

// Owner, group and other bits of `mode`, with root's exceptions (root may execute only what somebody may). kACCES.
Result<void> permission_check(const Credentials& who, uint32_t mode, uint32_t uid, uint32_t gid, uint32_t wanted);

}  // namespace faultline
