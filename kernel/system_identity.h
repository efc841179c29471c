// Who this system says it is: uname(2), /proc/version, /proc/sys/kernel. Programs look at the name and the release to decide what they may
// use, so these name the interface we implement.
#pragma once

#include <span>

#include "lib/result.h"
#include "lib/string.h"

namespace faultline {

inline constexpr StringView kSystemName = "Linux", kSystemRelease = "6.1.0-faultline", kSystemVersion = "#1 SMP Faultline",
                            kSystemMachine = "i686";
inline constexpr size_t kHostNameLimit = 64;  // without a NUL

// sethostname(2)'s and setdomainname(2)'s names. Setting: kINVAL if too long. Copying returns the length; no NUL is added.
Result<void> host_name_set(StringView name);
size_t host_name_copy(std::span<char> buffer);
Result<void> domain_name_set(StringView name);
size_t domain_name_copy(std::span<char> buffer);

}  // namespace faultline
