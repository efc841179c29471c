// What the programs of this folder have in common: each is one round of use of one primitive, whose text is the same every time, on any
// number of processors, here and on Linux.
//
//   PROGRAM [-n ROUNDS]      prints the first round's text; a later round with another text is shown, and the status is 1
//
// They are C in all but name (no C++ library, no exceptions), so that any C library's pthreads can be under them.
#pragma once
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// One round, in the program's own file. Only one thread at a time may say() anything.
static void round_of_use();

static char g_text[16384];
static size_t g_length;
__attribute__((format(printf, 1, 2))) static inline void say(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  g_length += (size_t)vsnprintf(g_text + g_length, sizeof g_text - g_length, format, arguments);
  va_end(arguments);
  if (g_length >= sizeof g_text) abort();
}

// An error by name, the same with every C library.
static inline const char* name_of(int error) {
  switch (error) {
    case 0: return "ok";
    case EAGAIN: return "EAGAIN";
    case EBUSY: return "EBUSY";
    case EDEADLK: return "EDEADLK";
    case EINTR: return "EINTR";
    case EINVAL: return "EINVAL";
    case ENOTRECOVERABLE: return "ENOTRECOVERABLE";
    case EOWNERDEAD: return "EOWNERDEAD";
    case EPERM: return "EPERM";
    case ESRCH: return "ESRCH";
    case ETIMEDOUT: return "ETIMEDOUT";
    case ENOENT: return "ENOENT";
    case EEXIST: return "EEXIST";
    case ENOTSUP: return "ENOTSUP";
  }
  return strerror(error);
}
// What must not fail.
#define MUST(call)                                                           \
  do {                                                                       \
    int error_ = (call);                                                     \
    if (error_) {                                                            \
      printf("%s:%d: %s: %s\n", __FILE__, __LINE__, #call, name_of(error_)); \
      fflush(stdout);                                                        \
      _exit(2);                                                              \
    }                                                                        \
  } while (0)

static inline pthread_t start(void* (*body)(void*), void* argument = nullptr) {
  pthread_t id;
  MUST(pthread_create(&id, nullptr, body, argument));
  return id;
}
static inline void* join(pthread_t id) {
  void* result;
  MUST(pthread_join(id, &result));
  return result;
}
static inline int load(int* word) { return __atomic_load_n(word, __ATOMIC_SEQ_CST); }
static inline void store(int* word, int value) { __atomic_store_n(word, value, __ATOMIC_SEQ_CST); }
static inline int add(int* word, int value) { return __atomic_add_fetch(word, value, __ATOMIC_SEQ_CST); }
static inline void wait_until(int* word, int value) {
  while (load(word) != value) sched_yield();
}
static inline void nap(long microseconds) {
  timespec t = {0, microseconds * 1000};
  nanosleep(&t, nullptr);
}
static inline timespec after(clockid_t clock, long microseconds) {
  timespec t;
  clock_gettime(clock, &t);
  t.tv_nsec += microseconds * 1000;
  t.tv_sec += t.tv_nsec / 1000000000;
  t.tv_nsec %= 1000000000;
  return t;
}
static inline bool has_passed(clockid_t clock, timespec end) {
  timespec now;
  clock_gettime(clock, &now);
  return now.tv_sec > end.tv_sec || (now.tv_sec == end.tv_sec && now.tv_nsec >= end.tv_nsec);
}
static inline void* shared_page() {
  void* page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) abort();
  return page;
}
static inline int status_of(pid_t child) {
  int status = -1;
  while (waitpid(child, &status, 0) == -1 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static char** g_arguments;
int main(int count, char** arguments) {
  g_arguments = arguments;
  int rounds = count == 3 && !strcmp(arguments[1], "-n") ? atoi(arguments[2]) : 1;
  static char first[sizeof g_text];
  for (int i = 0; i < rounds; i++) {
    g_length = 0;
    round_of_use();
    if (i == 0) {
      memcpy(first, g_text, g_length + 1);
    } else if (strcmp(first, g_text)) {
      printf("--- the first round\n%s--- round %d\n%s", first, i, g_text);
      return 1;
    }
  }
  fputs(first, stdout);
  return 0;
}
