// Runs that may end the process are made in one of their own; and numbers from the environment, for replaying them.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace faultline::host {

inline uint32_t environment(const char* name, uint32_t otherwise) {
  const char* text = getenv(name);
  return text ? static_cast<uint32_t>(strtoul(text, nullptr, 10)) : otherwise;
}

enum class Output : uint8_t { kShown, kDiscarded };

// True if `body` ends well in a process of its own. What it prints goes to standard error, or nowhere.
template <typename Body>
bool ends_well(Output output, Body body) {
  fflush(nullptr);
  pid_t child = ::fork();
  if (child == 0) {
    if (output == Output::kDiscarded && !freopen("/dev/null", "w", stderr)) _exit(3);
    body();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace faultline::host
