// The page that the kernel gives to every program (vdso(7)): a shared object with a system call and clocks. It is found as C libraries find it,
// its clocks agree with the system calls, and whoever comes by SYSENTER with anything in the registers gets what int $0x80 gives, or a signal.
#include <elf.h>
#include <execinfo.h>
#include <sys/auxv.h>
#include <sys/time.h>
#include <ucontext.h>

#include "user/tests/harness.h"

namespace {

struct Time32 {
  int32_t seconds, nanoseconds;
};
struct Time64 {
  int64_t seconds;
  int32_t nanoseconds, padding;
};

// ---- the shared object

struct Image {
  const char* base = nullptr;
  const Elf32_Dyn* dynamic = nullptr;
  const char* table(int tag) const {
    for (const Elf32_Dyn* entry = dynamic; entry->d_tag != DT_NULL; entry++)
      if (entry->d_tag == tag) return base + entry->d_un.d_ptr;
    FAIL("the dynamic section has no entry %x", tag);
  }
};

Image image() {
  Image found;
  found.base = (const char*)getauxval(AT_SYSINFO_EHDR);
  if (!found.base) SKIP("no vDSO here");
  auto* header = (const Elf32_Ehdr*)found.base;
  auto* segments = (const Elf32_Phdr*)(found.base + header->e_phoff);
  for (int i = 0; i < header->e_phnum; i++)
    if (segments[i].p_type == PT_DYNAMIC) found.dynamic = (const Elf32_Dyn*)(found.base + segments[i].p_vaddr);
  CHECK(found.dynamic != nullptr);
  return found;
}

uint32_t hash_of(const char* name) {
  uint32_t hash = 0;
  for (; *name; name++) {
    hash = (hash << 4) + (unsigned char)*name;
    hash = (hash ^ (hash >> 24 & 0xf0)) & 0x0fffffff;
  }
  return hash;
}
uint32_t gnu_hash_of(const char* name) {
  uint32_t hash = 5381;
  for (; *name; name++) hash = hash * 33 + (unsigned char)*name;
  return hash;
}

const char* version_of(const Image& from, uint32_t symbol) {
  uint16_t index = ((const uint16_t*)from.table(DT_VERSYM))[symbol] & 0x7fff;
  for (auto* definition = (const Elf32_Verdef*)from.table(DT_VERDEF);;
       definition = (const Elf32_Verdef*)((const char*)definition + definition->vd_next)) {
    auto* name = (const Elf32_Verdaux*)((const char*)definition + definition->vd_aux);
    if (definition->vd_ndx == index) return from.table(DT_STRTAB) + name->vda_name;
    CHECK(definition->vd_next != 0);
  }
}

// By the System V table, or by the GNU one.
uint32_t index_of(const Image& from, const char* name, bool by_gnu_table) {
  auto* symbols = (const Elf32_Sym*)from.table(DT_SYMTAB);
  const char* strings = from.table(DT_STRTAB);
  if (!by_gnu_table) {
    auto* words = (const uint32_t*)from.table(DT_HASH);
    uint32_t buckets = words[0];
    for (uint32_t i = words[2 + hash_of(name) % buckets]; i != 0; i = words[2 + buckets + i])
      if (!strcmp(strings + symbols[i].st_name, name)) return i;
    return 0;
  }
  auto* words = (const uint32_t*)from.table(DT_GNU_HASH);
  uint32_t buckets = words[0], first = words[1], bloom = words[2], hash = gnu_hash_of(name);
  const uint32_t *bucket = words + 4 + bloom, *chain = bucket + buckets;
  uint32_t shift = words[3], mask = words[4 + hash / 32 % bloom];
  CHECK((mask >> hash % 32 & 1) && (mask >> (hash >> shift) % 32 & 1));
  for (uint32_t i = bucket[hash % buckets]; i >= first; i++) {
    if ((chain[i - first] | 1) == (hash | 1) && !strcmp(strings + symbols[i].st_name, name)) return i;
    if (chain[i - first] & 1) break;
  }
  return 0;
}

template <typename Function = const char*>
Function symbol(const char* name) {
  Image from = image();
  uint32_t index = index_of(from, name, false);
  CHECK(index != 0);
  return (Function)(from.base + ((const Elf32_Sym*)from.table(DT_SYMTAB))[index].st_value);
}
using Clock32 = int (*)(int, Time32*);
using Clock64 = int (*)(int, Time64*);
Clock32 clock32() { return symbol<Clock32>("__vdso_clock_gettime"); }
Clock64 clock64() { return symbol<Clock64>("__vdso_clock_gettime64"); }

TEST(it_is_a_shared_object_with_all_names_in_both_hash_tables) {
  Image vdso = image();
  auto* header = (const Elf32_Ehdr*)vdso.base;
  CHECK(!memcmp(header->e_ident, ELFMAG, SELFMAG) && header->e_ident[EI_CLASS] == ELFCLASS32);
  CHECK_EQ(header->e_type, ET_DYN);
  CHECK_EQ(header->e_machine, EM_386);
  CHECK_STR(vdso.table(DT_STRTAB) + (vdso.table(DT_SONAME) - vdso.base), "linux-gate.so.1");
  for (const char* name : {"__kernel_vsyscall", "__kernel_sigreturn", "__kernel_rt_sigreturn", "__vdso_clock_gettime",
                           "__vdso_clock_gettime64", "__vdso_gettimeofday", "__vdso_time", "__vdso_clock_getres"}) {
    uint32_t index = index_of(vdso, name, false);
    CHECK(index != 0);
    CHECK_EQ(index_of(vdso, name, true), index);
    CHECK_STR(version_of(vdso, index), strncmp(name, "__kernel", 8) ? "LINUX_2.6" : "LINUX_2.5");
  }
  CHECK_EQ(index_of(vdso, "vdso_fast_way", false), 0);
  CHECK_EQ(getauxval(AT_SYSINFO), symbol<uint32_t>("__kernel_vsyscall"));
}

// ---- clocks

int64_t nanoseconds(Time32 time) { return time.seconds * 1000000000ll + time.nanoseconds; }
int64_t nanoseconds(Time64 time) { return time.seconds * 1000000000ll + time.nanoseconds; }

int64_t asked(int clock) {
  Time64 time;
  CHECK_OK(syscall(403, clock, &time));
  return nanoseconds(time);
}

TEST(clocks_agree_with_the_system_calls) {
  for (int clock = 0; clock < 8; clock++) {
    for (int turn = 0; turn < 50; turn++) {
      int64_t before = asked(clock);
      Time32 short_time;
      CHECK_OK(clock32()(clock, &short_time));
      Time64 long_time{0, 0, 77};
      CHECK_OK(clock64()(clock, &long_time));
      int64_t after = asked(clock);
      CHECK(before <= nanoseconds(short_time) && nanoseconds(short_time) <= nanoseconds(long_time) && nanoseconds(long_time) <= after);
      CHECK(short_time.nanoseconds < 1000000000 && long_time.nanoseconds < 1000000000);
      CHECK_EQ(long_time.padding, 0);
    }
  }
  Time32 resolution = {7, 7};
  CHECK_OK(symbol<Clock32>("__vdso_clock_getres")(CLOCK_MONOTONIC, &resolution));
  CHECK_EQ(nanoseconds(resolution), 1);
  for (int clock : {12, 31, 32, 64, 1000, -100000}) {
    Time64 time;
    CHECK_EQ(clock64()(clock, &time), -EINVAL);
    CHECK_EQ(clock32()(clock, (Time32*)&time), -EINVAL);
  }
}

TEST(gettimeofday_and_time_agree_too) {
  auto gettimeofday_there = symbol<int (*)(int32_t*, int32_t*)>("__vdso_gettimeofday");
  auto time_there = symbol<int32_t (*)(int32_t*)>("__vdso_time");
  for (int turn = 0; turn < 50; turn++) {
    int64_t before = asked(CLOCK_REALTIME) / 1000;
    int32_t micro[2], zone[2] = {5, 5}, seconds = 0;
    CHECK_EQ(gettimeofday_there(micro, zone), 0);
    CHECK_EQ(gettimeofday_there(nullptr, nullptr), 0);
    int32_t now = time_there(&seconds);
    CHECK_EQ(seconds, now);
    CHECK(time_there(nullptr) >= now);
    int64_t after = asked(CLOCK_REALTIME) / 1000, got = micro[0] * 1000000ll + micro[1];
    CHECK(before <= got && got <= after && zone[0] == 0 && zone[1] == 0);
    CHECK(before / 1000000 <= now && now <= after / 1000000);
  }
}

struct Shared {
  volatile int64_t last;
  volatile uint32_t lock, turns;
};

// Whoever reads after another, on whatever processor, reads no less.
TEST(time_does_not_go_back_from_processor_to_processor) {
  auto* shared = (Shared*)map_pages(1, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
  Clock64 read = clock64();
  auto run = [&](int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    sched_setaffinity(0, sizeof set, &set);
    for (int i = 0; i < scale(20000); i++) {
      while (__atomic_exchange_n(&shared->lock, 1, __ATOMIC_ACQUIRE)) sched_yield();
      Time64 now;
      read(CLOCK_MONOTONIC, &now);
      bool back = nanoseconds(now) < shared->last;
      shared->last = nanoseconds(now);
      __atomic_store_n(&shared->lock, 0, __ATOMIC_RELEASE);
      CHECK(!back);
      if (i % 64 == 0) CHECK(asked(CLOCK_MONOTONIC) >= nanoseconds(now));
    }
  };
  pid_t children[4];
  for (int i = 0; i < 4; i++) children[i] = in_child([&] { run(i % sysconf(_SC_NPROCESSORS_ONLN)); });
  for (pid_t child : children) CHECK_EXIT(child, 0);
}

// The wall clock jumps between two settings while others read: each reading is of one or the other.
TEST(a_clock_that_is_set_is_seen_at_once_and_whole) {
  if (geteuid() != 0) SKIP("needs root");
  if (!on_faultline()) SKIP("leaves the clock of this machine alone");
  constexpr int64_t kJump = 5'000'000'000'123'456'789;
  Clock64 read = clock64();
  auto wall_minus_monotonic = [&](int64_t& slack) {
    Time64 before, wall, after;
    read(CLOCK_MONOTONIC, &before);
    read(CLOCK_REALTIME, &wall);
    read(CLOCK_MONOTONIC, &after);
    slack = nanoseconds(after) - nanoseconds(before);
    return nanoseconds(wall) - nanoseconds(before);
  };
  int64_t slack, offset = wall_minus_monotonic(slack);
  auto set_offset = [&](int64_t to) {
    int64_t now = asked(CLOCK_MONOTONIC) + to;
    Time64 time{now / 1000000000, int32_t(now % 1000000000), 0};
    CHECK_OK(syscall(404, CLOCK_REALTIME, &time));
  };
  auto* stop = (volatile int*)map_pages(1, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
  pid_t readers[3];
  for (pid_t& reader : readers)
    reader = in_child([&] {
      while (!*stop) {
        int64_t mine, seen = wall_minus_monotonic(mine);
        // What the setter loses between its two calls stays well below a jump.
        constexpr int64_t kLoss = 600'000'000'000;
        bool is_first = seen >= offset - kLoss && seen <= offset + mine + kLoss;
        bool is_second = seen >= offset + kJump - kLoss && seen <= offset + kJump + mine + kLoss;
        CHECK(is_first || is_second);
      }
    });
  for (int i = 0; i < scale(2000); i++) {
    set_offset(i % 2 ? offset : offset + kJump);
    Time64 time;
    read(CLOCK_REALTIME, &time);
    CHECK((nanoseconds(time) > offset + kJump / 2) == (i % 2 == 0));
  }
  *stop = 1;
  for (pid_t reader : readers) CHECK_EXIT(reader, 0);
  // Seconds that need more than 32 bits in nanoseconds' upper word, and what 32 bits cannot hold.
  Time64 far{8'000'000'000, 5, 0}, time;
  CHECK_OK(syscall(404, CLOCK_REALTIME, &far));
  CHECK_OK(read(CLOCK_REALTIME, &time));
  CHECK(time.seconds >= far.seconds && time.seconds < far.seconds + 600);
  set_offset(offset);
}

// ---- system calls

uint32_t g_call;  // AT_SYSINFO

struct Registers {
  uint32_t eax, ebx, ecx, edx, esi, edi, ebp;
};
// All registers in, all registers out.
void call_with(Registers& registers) {
  g_call = symbol<uint32_t>("__kernel_vsyscall");
  asm volatile(
      "pushl %%ebp\n\t"
      "pushl %0\n\t"
      "movl %0, %%ebp\n\t"
      "movl 0(%%ebp), %%eax\n\t"
      "movl 4(%%ebp), %%ebx\n\t"
      "movl 8(%%ebp), %%ecx\n\t"
      "movl 12(%%ebp), %%edx\n\t"
      "movl 16(%%ebp), %%esi\n\t"
      "movl 20(%%ebp), %%edi\n\t"
      "movl 24(%%ebp), %%ebp\n\t"
      "call *%1\n\t"
      "xchgl %%ebp, (%%esp)\n\t"
      "movl %%eax, 0(%%ebp)\n\t"
      "movl %%ebx, 4(%%ebp)\n\t"
      "movl %%ecx, 8(%%ebp)\n\t"
      "movl %%edx, 12(%%ebp)\n\t"
      "movl %%esi, 16(%%ebp)\n\t"
      "movl %%edi, 20(%%ebp)\n\t"
      "popl 24(%%ebp)\n\t"
      "popl %%ebp"
      :
      : "a"(&registers), "m"(g_call)
      : "ebx", "ecx", "edx", "esi", "edi", "memory", "cc");
}

uint32_t call(uint32_t number) {
  Registers registers = {number, 1, 2, 3, 4, 5, 6};
  call_with(registers);
  return registers.eax;
}

TEST(all_registers_but_eax_are_kept) {
  Registers registers = {SYS_getppid, 0x11111111, 0x22222222, 0x33333333, 0x44444444, 0x55555555, 0x66666666};
  call_with(registers);
  CHECK_EQ(registers.eax, getppid());
  CHECK(registers.ebx == 0x11111111 && registers.ecx == 0x22222222 && registers.edx == 0x33333333 && registers.esi == 0x44444444 &&
        registers.edi == 0x55555555 && registers.ebp == 0x66666666);
  for (uint32_t number : {222u, 0x1bfu, 0x1c0u, 0x7fffffffu, 0xffffffffu}) {
    Registers unknown = {number, 1, 2, 3, 4, 5, 6};
    call_with(unknown);
    CHECK_EQ((int)unknown.eax, -ENOSYS);
    CHECK(unknown.ebx == 1 && unknown.ebp == 6);
  }
}

TEST(the_sixth_argument_arrives) {
  char page[2 * kPage];
  memset(page, 'a', kPage);
  memset(page + kPage, 'b', kPage);
  int fd = make_file("two-pages", page, sizeof page);
  Registers registers = {SYS_mmap2, 0, kPage, PROT_READ, MAP_PRIVATE, (uint32_t)fd, 1};
  call_with(registers);
  CHECK(registers.eax < 0xfffff000u);
  CHECK_EQ(*(char*)registers.eax, 'b');
  CHECK_EQ(registers.ebp, 1);
}

// SYSENTER comes back behind the int $0x80 of __kernel_vsyscall.
const char* return_place() {
  const char* code = symbol("__kernel_vsyscall");
  for (int i = 0; i < 32; i++)
    if ((uint8_t)code[i] == 0xcd && (uint8_t)code[i + 1] == 0x80) return code + i + 2;
  FAIL("__kernel_vsyscall has no int $0x80");
}
bool has_sysenter() { return !memcmp(return_place() - 4, "\x0f\x34", 2); }

uint32_t g_landing, g_result, g_stack_there;
sigjmp_buf g_jump;

// With nonsense for a stack pointer the kernel reads no sixth argument, says so in eax, and the program falls over its own stack.
TEST(a_bad_stack_is_the_programs_own_fault) {
  g_landing = (uint32_t)return_place();
  if (!has_sysenter()) SKIP("no sysenter here");
  char* closed = map_pages(2, PROT_NONE);
  static char stack[16384];
  stack_t alternate = {};
  alternate.ss_sp = stack;
  alternate.ss_size = sizeof stack;
  CHECK_OK(sigaltstack(&alternate, nullptr));
  struct sigaction action = {};
  action.sa_sigaction = [](int, siginfo_t*, void* context) {
    auto* registers = ((ucontext_t*)context)->uc_mcontext.gregs;
    g_result = registers[REG_EAX];
    g_stack_there = registers[REG_ESP];
    CHECK_EQ(registers[REG_EIP], g_landing);
    CHECK_EQ(registers[REG_ESI], 0x1234567);
    siglongjmp(g_jump, 1);
  };
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  for (int number : {SIGSEGV, SIGBUS}) CHECK_OK(sigaction(number, &action, nullptr));
  for (uint32_t ebp : {0u, 1u, 0xfffu, 0x7ffffffdu, 0x7fffffffu, 0x80000000u, 0x80100000u, 0xc0000000u, 0xfffffffcu, 0xffffffffu,
                       (uint32_t)closed, (uint32_t)closed + kPage - 2}) {
    g_result = 0;
    if (sigsetjmp(g_jump, 1) == 0) {
      asm volatile("movl %0, %%ebp\n\tsysenter" : : "r"(ebp), "a"(SYS_getpid), "S"(0x1234567) : "memory");
      __builtin_unreachable();
    }
    CHECK_EQ((int)g_result, -EFAULT);
    CHECK_EQ(g_stack_there, ebp);
  }
}

uint32_t flags_around_call(uint32_t set, uint32_t& result) {
  g_call = symbol<uint32_t>("__kernel_vsyscall");
  uint32_t flags;
  asm volatile(
      "pushfl\n\t"
      "pushfl\n\t"
      "orl %2, (%%esp)\n\t"
      "popfl\n\t"
      "call *%3\n\t"
      "pushfl\n\t"
      "popl %1\n\t"
      "popfl"
      : "=a"(result), "=&r"(flags)
      : "r"(set), "m"(g_call), "0"(SYS_getppid)
      : "memory", "cc");
  return flags;
}

volatile int g_steps;

TEST(flags_that_the_entry_does_not_clear_do_not_reach_the_kernel_and_come_back) {
  constexpr uint32_t kDirection = 0x400, kNested = 0x4000, kAlignment = 0x40000, kIdentification = 0x200000;
  for (uint32_t flag : {kDirection, kNested, kIdentification, kDirection | kNested, kAlignment | kNested | kIdentification}) {
    for (int turn = 0; turn < 100; turn++) {
      uint32_t result = 0;
      CHECK_EQ(flags_around_call(flag, result) & flag, flag);
      CHECK_EQ(result, getppid());
    }
  }
  uint32_t result = 0;
  CHECK_EQ(flags_around_call(0, result) & (kDirection | kNested | kAlignment | kIdentification | 0x100), 0);
}

TEST(a_program_steps_through_a_call) {
  struct sigaction action = {};
  action.sa_handler = [](int) { g_steps = g_steps + 1; };
  CHECK_OK(sigaction(SIGTRAP, &action, nullptr));
  for (int turn = 0; turn < 20; turn++) {
    g_steps = 0;
    uint32_t result = 0;
    CHECK_EQ(flags_around_call(0x100, result) & 0x100, 0x100);
    CHECK_EQ(result, getppid());
    // call, three pushes, mov; three pops, ret; pushf, pop, popf. The way into the kernel may or may not count, or be four nops.
    CHECK(g_steps >= 10 && g_steps <= 18);
  }
}

// Whatever the segments are: the kernel uses its own, and gives them back.
TEST(segments_are_nobodys_business) {
  g_call = symbol<uint32_t>("__kernel_vsyscall");
  struct {
    uint32_t entry, base, limit, flags;
  } odd = {~0u, 0x5000, 0x10, 0x51};  // 32 bits, byte limit, usable: small, and somewhere else
  CHECK_OK(syscall(SYS_set_thread_area, &odd));
  uint32_t small = odd.entry * 8 + 3;
  for (uint32_t selector : {0u, small, 0x7bu}) {
    for (int turn = 0; turn < 50; turn++) {
      uint32_t result, kept;
      asm volatile(
          "movl %%ss, %%edx\n\t"
          "movl %%gs, %%esi\n\t"
          "movl %%fs, %%edi\n\t"
          "movl %2, %%ds\n\t"
          "movl %2, %%es\n\t"
          "movl %2, %%fs\n\t"
          "movl %2, %%gs\n\t"
          "call *%3\n\t"
          "xorl %1, %1\n\t"
          "movl %%ds, %%ecx\n\t"
          "cmpl %2, %%ecx\n\t"
          "jne 1f\n\t"
          "movl %%es, %%ecx\n\t"
          "cmpl %2, %%ecx\n\t"
          "jne 1f\n\t"
          "movl %%fs, %%ecx\n\t"
          "cmpl %2, %%ecx\n\t"
          "jne 1f\n\t"
          "movl %%gs, %%ecx\n\t"
          "cmpl %2, %%ecx\n\t"
          "jne 1f\n\t"
          "incl %1\n"
          "1:\n\t"
          "movl %%edx, %%ds\n\t"
          "movl %%edx, %%es\n\t"
          "movl %%esi, %%gs\n\t"
          "movl %%edi, %%fs"
          : "=&a"(result), "=&b"(kept)
          : "r"(selector), "1"(g_call), "0"(SYS_getppid)
          : "ecx", "edx", "esi", "edi", "memory", "cc");
      CHECK_EQ(result, getppid());
      CHECK_EQ(kept, 1);
    }
  }
}

// ---- signals, and the calls that do not come back as they went

int g_pipe[2];

TEST(an_interrupted_call_is_made_again_with_its_registers) {
  CHECK_OK(pipe(g_pipe));
  for (int flags : {SA_RESTART, 0}) {
    struct sigaction action = {};
    action.sa_handler = [](int) { CHECK_EQ(write(g_pipe[1], "x", 1), 1); };
    action.sa_flags = flags;
    CHECK_OK(sigaction(SIGUSR1, &action, nullptr));
    pid_t self = getpid(), child = in_child([&] {
                             for (int i = 0; i < 20; i++) {
                               char state[] = "S";
                               wait_state(self, state);
                               kill(self, SIGUSR1);
                               usleep(2000);
                             }
                             _exit(0);
                           });
    char byte = 0;
    for (int i = 0; i < 20; i++) {
      Registers registers = {SYS_read, (uint32_t)g_pipe[0], (uint32_t)&byte, 1, 0x44444444, 0x55555555, 0x66666666};
      call_with(registers);
      if (registers.eax != 1) CHECK(flags == 0 && (int)registers.eax == -EINTR);
      CHECK(registers.ebx == (uint32_t)g_pipe[0] && registers.ecx == (uint32_t)&byte && registers.edx == 1 && registers.esi == 0x44444444 &&
            registers.edi == 0x55555555 && registers.ebp == 0x66666666);
      if (registers.eax != 1) CHECK_EQ(read(g_pipe[0], &byte, 1), 1);
    }
    int status;
    while (waitpid(child, &status, 0) < 0) CHECK_EQ(errno, EINTR);
    CHECK_EQ(status, 0);
  }
}

TEST(children_and_programs_are_started_through_it) {
  for (int i = 0; i < 20; i++) {
    pid_t child = (pid_t)call(SYS_fork);
    if (child == 0) _exit(call(SYS_getpid) == (uint32_t)getpid() ? 7 : 1);
    CHECK_EXIT(child, 7);
    Registers clone = {SYS_clone, SIGCHLD, 0, 0, 0, 0, 0x66666666};
    call_with(clone);
    if (clone.eax == 0) _exit(clone.ebp == 0x66666666 && clone.ebx == SIGCHLD ? 8 : 1);
    CHECK_EXIT((pid_t)clone.eax, 8);
  }
  pid_t child = in_child([] {
    char name[] = "/bin/sh", option[] = "-c", text[] = "exit 9";
    char *arguments[] = {name, option, text, nullptr}, *none[] = {nullptr};
    Registers exec = {SYS_execve, (uint32_t)name, (uint32_t)arguments, (uint32_t)none, 4, 5, 6};
    call_with(exec);
  });
  CHECK_EXIT(child, 9);
}

// rt_sigreturn by SYSENTER gives back all registers, also those in which SYSEXIT would return.
asm("return_by_sysenter:\n\tmovl $173, %eax\n\tmovl %esp, %ebp\n\tsysenter\n");
extern "C" const char return_by_sysenter[];

struct KernelAction {
  void (*handler)(int);
  unsigned long flags;
  const void* restorer;
  uint32_t mask[2];
};

TEST(sigreturn_by_sysenter_gives_all_registers_back) {
  if (!has_sysenter()) SKIP("no sysenter here");
  KernelAction action = {[](int) {}, SA_SIGINFO | 0x04000000, return_by_sysenter, {0, 0}};
  CHECK_OK(syscall(SYS_rt_sigaction, SIGUSR1, &action, nullptr, 8));
  for (int i = 0; i < 50; i++) {
    uint32_t ecx = 0x22222222, edx = 0x33333333, esi = 0x44444444, edi = 0x55555555, eax = SYS_kill;
    asm volatile("pushl %%ebx\n\tmovl %5, %%ebx\n\tpushl %%ecx\n\tmovl $10, %%ecx\n\tint $0x80\n\tpopl %%ecx\n\tpopl %%ebx"
                 : "+a"(eax), "+c"(ecx), "+d"(edx), "+S"(esi), "+D"(edi)
                 : "m"(*new pid_t(getpid()))
                 : "memory", "cc");
    CHECK_EQ(eax, 0);
    CHECK(ecx == 0x22222222 && edx == 0x33333333 && esi == 0x44444444 && edi == 0x55555555);
  }
}

uint32_t g_return_address;

TEST(a_handler_without_a_restorer_returns_through_it) {
  for (unsigned long flags : {0ul, (unsigned long)SA_SIGINFO}) {
    g_return_address = 0;
    KernelAction action = {[](int) { g_return_address = (uint32_t)__builtin_return_address(0); }, flags, nullptr, {0, 0}};
    CHECK_OK(syscall(SYS_rt_sigaction, SIGUSR1, &action, nullptr, 8));
    CHECK_OK(raise(SIGUSR1));
    CHECK_EQ(g_return_address, symbol<uint32_t>(flags ? "__kernel_rt_sigreturn" : "__kernel_sigreturn"));
  }
}

void* g_frames[64];
int g_frame_count;
[[gnu::noinline]] void interrupted() {
  raise(SIGUSR1);
  asm volatile("" ::: "memory");
}

// The unwinder finds its way from a handler, over the signal frame and through __kernel_vsyscall, to who was interrupted.
TEST(a_backtrace_goes_through_the_signal_frame) {
  image();
  void* warm_up[4];
  backtrace(warm_up, 4);
  for (unsigned long flags : {0ul, (unsigned long)SA_SIGINFO}) {
    g_frame_count = 0;
    KernelAction action = {[](int) { g_frame_count = backtrace(g_frames, 64); }, flags, nullptr, {0, 0}};
    CHECK_OK(syscall(SYS_rt_sigaction, SIGUSR1, &action, nullptr, 8));
    interrupted();
    bool found = false;
    for (int i = 0; i < g_frame_count; i++)
      found |= (char*)g_frames[i] > (char*)interrupted && (char*)g_frames[i] < (char*)interrupted + 64;
    CHECK(found);
  }
}

// ---- the pages as memory

void* page_of(const void* address) { return (void*)((uintptr_t)address & ~(uintptr_t)(kPage - 1)); }
char* time_page() { return (char*)page_of(image().base) - kPage; }

TEST(the_times_cannot_be_written_and_a_copy_of_the_code_is_ones_own) {
  char* times = time_page();
  CHECK_FAULT(*(volatile char*)times = 1, SIGSEGV, SEGV_ACCERR, times);
  CHECK_ERR(mprotect(times, kPage, PROT_READ | PROT_WRITE), EACCES);
  auto* code = (volatile char*)image().base;
  CHECK_FAULT(*code = 1, SIGSEGV, SEGV_ACCERR, (void*)code);
  CHECK_EXIT(in_child([&] {
               CHECK_OK(mprotect((void*)code, kPage, PROT_READ | PROT_WRITE | PROT_EXEC));
               code[1] = 'X';
               CHECK_OK(syscall(SYS_getppid));
             }),
             0);
  CHECK_EQ(code[1], 'E');
  CHECK_OK(madvise((void*)code, kPage, MADV_DONTNEED));
  CHECK_EQ(code[1], 'E');
  CHECK_EQ(call(SYS_getppid), getppid());
}

int call_by_int(int number) {
  int result;
  asm volatile("int $0x80" : "=a"(result) : "0"(number), "b"(0), "c"(0), "d"(0) : "memory");
  return result;
}

// What this also shows: the C library's calls and clocks go through these pages.
TEST(a_program_without_the_pages_lives_by_int_0x80) {
  char* times = time_page();
  auto* code = (char*)page_of(image().base);
  auto without_times = [&] {
    CHECK_OK(munmap(times, kPage));
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
  };
  CHECK_SIGNAL(in_child(without_times), SIGSEGV);
  auto without_both = [&] {
    asm volatile("int $0x80" : : "a"(SYS_munmap), "b"(times), "c"(2 * kPage) : "memory");
    bool works = call_by_int(SYS_getpid) > 0 && call_by_int(SYS_getppid) > 0;
    asm volatile("int $0x80" : : "a"(SYS_exit), "b"(works ? 5 : 1) : "memory");
  };
  CHECK_EXIT(in_child(without_both), 5);
  auto moved_away = [&] {
    int moved;
    char* away = map_pages(2);
    asm volatile("int $0x80" : "=a"(moved) : "0"(SYS_mremap), "b"(code), "c"(kPage), "d"(kPage), "S"(3), "D"(away) : "memory");
    bool works = moved == (int)away && away[1] == 'E' && call_by_int(SYS_getpid) > 0;
    asm volatile("int $0x80" : : "a"(SYS_exit), "b"(works ? 6 : 1) : "memory");
  };
  CHECK_EXIT(in_child(moved_away), 6);
}

TEST(maps_names_both) {
  image();
  FILE* maps = fopen("/proc/self/maps", "r");
  char line[256];
  int found = 0;
  while (fgets(line, sizeof line, maps)) {
    if (strstr(line, "[vdso]")) found += strstr(line, "r-xp") ? 1 : 100;
    if (strstr(line, "[vvar]")) found += strstr(line, "r--p") ? 10 : 100;
  }
  fclose(maps);
  CHECK_EQ(found, 11);
}

}  // namespace

#include "user/tests/harness_main.h"
