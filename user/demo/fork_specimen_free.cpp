// The process of exercise D5: 2 pages of code, 1 of globals, 2 of heap, 1 of stack, and no C library. It stops itself wherever demo_fork is to
// measure it. Between fork and its last stop nothing may be pushed: the stack's only change is to be the exercise's.
typedef unsigned int u32;

asm(".section .text.filler, \"ax\"\n.skip 4600\n.globl second_page\nsecond_page: ret\n.text");
extern "C" void second_page();

[[gnu::always_inline]] static inline int call(int number, u32 a = 0, u32 b = 0, u32 c = 0) {
  int result;
  asm volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(c) : "memory");
  return result;
}
constexpr int kFork = 2, kWrite = 4, kGetPid = 20, kKill = 37, kBrk = 45, kUnmap = 91, kStop = 19;
[[gnu::always_inline]] static inline void stop() { call(kKill, static_cast<u32>(call(kGetPid)), kStop); }

static volatile u32 g_child = 1;  // the page of globals; written before the fork

extern "C" void _start() {
  volatile u32 on_stack[2] = {1, 2};
  // The arguments may lie in pages of their own above: this program is done with them.
  u32 above = (reinterpret_cast<u32>(&on_stack[0]) | 4095) + 1;
  for (u32 i = 0; i < 16; i++) call(kUnmap, above + i * 4096, 4096);
  u32 heap = (static_cast<u32>(call(kBrk)) + 4095) & ~4095u;
  call(kBrk, heap + 8192);
  auto* bytes = reinterpret_cast<volatile u32*>(heap);
  bytes[0] = 1;
  bytes[1024] = 1;
  g_child = 2;
  second_page();
  stop();
  int child = call(kFork);
  if (child != 0)
    for (;;) stop();
  stop();
  for (u32 i = 0; i < 32; i++) bytes[i] = i;
  on_stack[0] = 3;
  on_stack[1] = 4;
  call(kWrite, 1, reinterpret_cast<u32>(&on_stack[0]), 1);
  for (;;) stop();
}
