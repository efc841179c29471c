// What lwIP's C needs of <stdlib.h>: the number in an interface's name.
#pragma once

static inline int atoi(const char* text) {
  int number = 0;
  for (; *text >= '0' && *text <= '9' && number < 100000; text++) number = number * 10 + (*text - '0');
  return number;
}
