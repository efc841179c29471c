// Lecture exercise C4: a 128 KiB array on the stack, one byte written in every 16 KiB. How many pages are allocated?
#include "user/demo/exercise.h"

constexpr int kSize = 128 * 1024, kStep = 16 * 1024;
static long g_faults, g_pages_before, g_pages;  // printing touches memory, too: kept until the end

[[gnu::noinline]] static void touch() {
  alignas(kPage) volatile char array[kSize];
  const auto start = reinterpret_cast<uintptr_t>(&array[0]);
  g_pages_before = static_cast<long>(frames_of(getpid(), start, start + kSize).size());
  g_faults = minor_faults();
  for (int i = kSize - kStep; i >= 0; i -= kStep) array[i] = 1;
  g_faults = minor_faults() - g_faults;
  g_pages = static_cast<long>(frames_of(getpid(), start, start + kSize).size());
}

// Leaves room between what the C library has touched and the array.
[[gnu::noinline]] static void deeper() {
  volatile char gap[128 * 1024];
  touch();
  (void)gap[0];
}

int main() {
  question("C4. A function has a 128 KiB array on its stack and writes one byte in every 16 KiB. What is allocated?");
  deeper();
  expect("pages of the array before the writes", 0, g_pages_before);
  expect("page faults", kSize / kStep, g_faults);
  expect("pages of the array after them", kSize / kStep, g_pages);
  expect("bytes of memory", 32768, g_pages * static_cast<long>(kPage));
  return answer("Stack is given by the page, to the first touch: 8 pages, 32,768 bytes, of 32 pages.");
}
