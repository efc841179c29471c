// The kernel's log: lines to the console (as log= allows) and to the ring that /dev/kmsg shows. Any context.
#pragma once

#include "lib/format.h"

namespace faultline {

enum class LogLevel : uint8_t { kError = 3, kWarning = 4, kNotice = 5, kInfo = 6, kDebug = 7 };

// One whole line, without its newline. Lines longer than 255 characters are cut.
void log_arguments(LogLevel level, StringView pattern, std::span<const FormatArgument> arguments);

template <typename... Arguments>
void log(LogLevel level, StringView pattern, const Arguments&... arguments) {
  const FormatArgument list[] = {FormatArgument(arguments)..., FormatArgument('\0')};
  log_arguments(level, pattern, std::span<const FormatArgument>(list, sizeof...(arguments)));
}

}  // namespace faultline
