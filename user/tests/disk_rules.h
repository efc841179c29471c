// Rules for a disk that fails or takes its time: /proc/faultline/block_faults (docs/fault-injection.md).
#pragma once
#include "user/tests/harness.h"

inline void rule(const char* text) {
  int fd = CHECK_OK(open("/proc/faultline/block_faults", O_WRONLY));
  if (write(fd, text, strlen(text)) != ssize_t(strlen(text))) FAIL("\"%s\": %s", text, strerrorname_np(errno));
  CHECK_OK(close(fd));
}
inline int struck() {  // by the first rule
  char text[4096] = {};
  int fd = CHECK_OK(open("/proc/faultline/block_faults", O_RDONLY));
  CHECK(read(fd, text, sizeof text - 1) > 0);
  CHECK_OK(close(fd));
  char* at = strstr(text, "struck ");
  CHECK(at);
  return atoi(at + 7);
}
