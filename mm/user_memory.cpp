// User strings; the rest of user_memory.h is inline over arch/user_copy.h.
#include "mm/user_memory.h"

namespace faultline {

Result<StringView> user_read_string(std::span<char> buffer, UserPtr<const char> source) {
  int32_t length = user_copy_string_in(buffer.data(), source.address(), buffer.size());
  if (length < 0) return Errno::kFAULT;
  if (static_cast<size_t>(length) == buffer.size()) return Errno::kNAMETOOLONG;
  return StringView(buffer.data(), static_cast<size_t>(length));
}

}  // namespace faultline
