// What a program may not do to the machine: each attempt ends in the right signal, code and address, and nothing else.
#include "user/tests/harness.h"
#include <sys/ucontext.h>

TEST(wild_addresses) {
  for (uintptr_t a : {0x0u, 0x1u, 0xfffu, 0x1000u, 0x10000u, 0x40000000u, 0x7f000000u}) {
    CHECK_FAULT(peek(a), SIGSEGV, SEGV_MAPERR, a);
    CHECK_FAULT(poke(a, 1), SIGSEGV, SEGV_MAPERR, a);
  }
}

// xv6: kernmem; every 50 kB or so of the kernel's half. Linux says MAPERR on 64 bits and ACCERR or MAPERR on 32.
TEST(the_kernels_memory_cannot_be_touched) {
  for (uintptr_t a : {0x80000000u, 0x80000001u, 0x80100000u, 0x80101234u, 0x80400000u, 0x81000000u, 0x90000000u, 0xa0000000u, 0xb0000000u,
                      0xc0000000u, 0xd0000000u, 0xe0000000u, 0xfffff000u, 0xffffffffu}) {
    for (bool write : {false, true}) {
      Fault fault = fault_of([=] {
        if (write)
          poke(a, 1);
        else
          peek(a);
      });
      CHECK_EQ(fault.signal, SIGSEGV);
      if (fault.code == SEGV_MAPERR || fault.code == SEGV_ACCERR) CHECK_EQ(fault.address, a);
    }
  }
  pid_t child = in_child([] { peek(0x80100000); });
  CHECK_SIGNAL(child, SIGSEGV);
}
TEST(jumps_into_nothing) {
  for (uintptr_t a : {0x0u, 0x1000u, 0x70000000u}) {
    Fault fault = fault_of([=] { ((void (*)())a)(); });
    CHECK_EQ(fault.signal, SIGSEGV);
    CHECK_EQ(fault.address, a);
  }
  CHECK_EQ(fault_of([] { ((void (*)())0x80100000)(); }).signal, SIGSEGV);
}

// xv6: pgbug, textwrite; MIT: write to code; Pintos: pt-write-code
static const char g_constant[] = "constant";
TEST(code_and_constants_are_read_only) {
  uintptr_t code = (uintptr_t)&stat, data = (uintptr_t)g_constant;
  CHECK_FAULT(poke(code, 1), SIGSEGV, SEGV_ACCERR, code);
  CHECK_FAULT(poke(data, 1), SIGSEGV, SEGV_ACCERR, data);
  int fd = make_file("f", "xxxx", 4);
  CHECK_ERR(pread(fd, (void*)code, 4, 0), EFAULT);  // not by way of the kernel either
  CHECK_ERR(pread(fd, (void*)data, 4, 0), EFAULT);
  CHECK_EXIT(in_child([=] { CHECK_EQ(fault_of([=] { poke(code, 1); }).signal, SIGSEGV); }), 0);  // nor in a child, copy-on-write or not
}

#define INSTRUCTION(text) fault_of([] { asm volatile(text : : : "memory", "eax", "ecx", "edx"); })
static void privileged(const char* what, Fault fault) {
  if (fault.signal != SIGSEGV) FAIL("%s: signal %d", what, fault.signal);
}
#define PRIVILEGED(text) privileged(text, INSTRUCTION(text))
static uint32_t g_table[2];

TEST(privileged_instructions) {
  PRIVILEGED("hlt");
  PRIVILEGED("cli");
  PRIVILEGED("sti");
  PRIVILEGED("mov %%cr0, %%eax");
  PRIVILEGED("mov %%eax, %%cr0");
  PRIVILEGED("mov %%cr3, %%eax");
  PRIVILEGED("mov %%eax, %%cr3");
  PRIVILEGED("mov %%eax, %%cr4");
  PRIVILEGED("mov %%eax, %%dr7");
  PRIVILEGED("clts");
  PRIVILEGED("invd");
  PRIVILEGED("wbinvd");
  PRIVILEGED("rdmsr");
  PRIVILEGED("wrmsr");
  PRIVILEGED("lmsw %%ax");
  PRIVILEGED("ltr %%ax");
  PRIVILEGED("lldt %%ax");
  PRIVILEGED("invlpg (%%esp)");
  privileged("lgdt", fault_of([] { asm volatile("lgdt %0" : : "m"(g_table)); }));
  privileged("lidt", fault_of([] { asm volatile("lidt %0" : : "m"(g_table)); }));
}

// Ports belong to the kernel.
TEST(input_and_output_ports) {
  PRIVILEGED("mov $0x60, %%edx\n\t in %%dx, %%al");
  PRIVILEGED("in $0x71, %%al");
  PRIVILEGED("mov $0xf4, %%edx\n\t mov $0x10, %%al\n\t out %%al, %%dx");  // would end the emulator
  PRIVILEGED("mov $0x3f8, %%edx\n\t out %%al, %%dx");
  PRIVILEGED("mov $0x70, %%edx\n\t out %%eax, %%dx");
  PRIVILEGED("mov $0xffff, %%edx\n\t in %%dx, %%eax");
  PRIVILEGED("mov $0x60, %%edx\n\t rep insb");
}

TEST(software_interrupts_other_than_the_system_call) {
  PRIVILEGED("int $0x20");
  PRIVILEGED("int $0x81");
  PRIVILEGED("int $0xe");
  PRIVILEGED("int $0xd");
  PRIVILEGED("int $0x8");
  PRIVILEGED("int $0xff");
  PRIVILEGED("int $0x40");
  PRIVILEGED("int $0xfe");
  CHECK_EQ(INSTRUCTION("int3").signal, SIGTRAP);
  CHECK_EQ(INSTRUCTION("int $3").signal, SIGTRAP);
  CHECK_EQ(INSTRUCTION("mov $0x7fffffff, %%eax\n\t add $1, %%eax\n\t into").signal, SIGSEGV);
}

TEST(exceptions_become_their_signals) {
  Fault fault = INSTRUCTION("xor %%ecx, %%ecx\n\t mov $1, %%eax\n\t cltd\n\t idiv %%ecx");
  CHECK_EQ(fault.signal, SIGFPE);
  CHECK_EQ(fault.code, FPE_INTDIV);
  CHECK_EQ(INSTRUCTION("mov $-1, %%ecx\n\t mov $0x80000000, %%eax\n\t cltd\n\t idiv %%ecx").signal, SIGFPE);
  fault = INSTRUCTION("ud2");
  CHECK_EQ(fault.signal, SIGILL);
  CHECK_EQ(fault.code, ILL_ILLOPN);
  static const uint32_t bounds[2] = {5, 10};
  CHECK_EQ(fault_of([] { asm volatile("bound %0, %1" : : "r"(50), "m"(bounds)); }).signal, SIGSEGV);
  CHECK_SIGNAL(in_child([] { asm volatile("ud2"); }), SIGILL);
  CHECK_SIGNAL(in_child([] { asm volatile("int3"); }), SIGTRAP);
  CHECK_SIGNAL(in_child([] { asm volatile("xor %%ecx, %%ecx\n\t div %%ecx" : : : "eax", "ecx", "edx"); }), SIGFPE);
  CHECK_SIGNAL(in_child([] { asm volatile("hlt"); }), SIGSEGV);
}

TEST(segment_registers) {
  for (int selector : {0x08, 0x10, 0x1000, 0xfff8, 0xfffc, 0x4}) {
    CHECK_EQ(fault_of([=] { asm volatile("mov %0, %%es" : : "r"(selector)); }).signal, SIGSEGV);
    CHECK_EQ(fault_of([=] { asm volatile("mov %0, %%fs" : : "r"(selector)); }).signal, SIGSEGV);
    CHECK_EQ(fault_of([=] { asm volatile("mov %0, %%ss" : : "r"(selector)); }).signal, SIGSEGV);
  }
  // A null data segment may be loaded; using it faults; and the kernel still works with it.
  CHECK_EQ(fault_of([] {
             asm volatile("push %%es\n\t push $0\n\t pop %%es\n\t mov $20, %%eax\n\t int $0x80\n\t pop %%es" : : : "eax");
           }).signal,
           0);
  CHECK_EQ(fault_of([] {
             asm volatile("push %%ds\n\t push $0\n\t pop %%ds\n\t mov $20, %%eax\n\t int $0x80\n\t pop %%ds" : : : "eax", "memory");
           }).signal,
           0);
  CHECK_EQ(fault_of([] { asm volatile("ljmp $0x08, $0"); }).signal, SIGSEGV);
  CHECK_EQ(fault_of([] { asm volatile("lcall $0x10, $0"); }).signal, SIGSEGV);
}

// Flags that are the kernel's: popf leaves them as they are.
TEST(popf_changes_neither_interrupts_nor_privilege) {
  uint32_t flags;
  asm volatile("pushf\n\t pushf\n\t andl $~0x200, (%%esp)\n\t orl $0x3000, (%%esp)\n\t popf\n\t pushf\n\t pop %0\n\t popf"
               : "=r"(flags)
               :
               : "memory", "cc");
  CHECK(flags & 0x200);
  CHECK_EQ(flags & 0x3000, 0);
}

// A program's direction, alignment and nested-task flags must not reach the kernel, nor be lost.
TEST(odd_flags_across_system_calls) {
  uint32_t flags;
  struct stat st;
  memset(&st, 0, sizeof st);
  long result;
  asm volatile("std\n\t int $0x80\n\t pushf\n\t pop %1\n\t cld"
               : "=a"(result), "=r"(flags)
               : "0"(SYS_stat64), "b"("/"), "c"(&st)
               : "memory", "cc");
  CHECK_EQ(result, 0);
  CHECK(flags & 0x400);
  CHECK(S_ISDIR(st.st_mode));
  asm volatile("pushf\n\t orl $0x4000, (%%esp)\n\t popf\n\t mov %2, %%eax\n\t int $0x80\n\t pushf\n\t andl $~0x4000, (%%esp)\n\t popf"
               : "=a"(result), "=r"(flags)
               : "i"(SYS_getpid)
               : "memory", "cc");
  CHECK_EQ(result, getpid());
  asm volatile("pushf\n\t orl $0x40000, (%%esp)\n\t popf\n\t int $0x80\n\t pushf\n\t andl $~0x40000, (%%esp)\n\t popf"
               : "=a"(result)
               : "0"(SYS_stat64), "b"("/"), "c"((char*)&st)
               : "memory", "cc");
  CHECK_EQ(result, 0);
}
TEST(misalignment_under_the_alignment_check_flag) {
  static char bytes[8];
  Fault fault = fault_of([] { asm volatile("pushf\n\t orl $0x40000, (%%esp)\n\t popf\n\t movl $1, 1(%0)" : : "r"(bytes) : "memory"); });
  asm volatile("pushf\n\t andl $~0x40000, (%%esp)\n\t popf" : : : "cc");
  if (fault.signal == 0) SKIP("this processor does not check alignment");  // QEMU's TCG does not
  CHECK_EQ(fault.signal, SIGBUS);
  CHECK_EQ(fault.code, BUS_ADRALN);
}

static volatile int g_steps;
TEST(single_steps_trap) {
  struct sigaction action = {};
  action.sa_flags = SA_SIGINFO;
  action.sa_sigaction = [](int, siginfo_t*, void*) { g_steps = g_steps + 1; };
  sigaction(SIGTRAP, &action, nullptr);
  asm volatile("pushf\n\t orl $0x100, (%%esp)\n\t popf\n\t nop\n\t nop\n\t nop\n\t pushf\n\t andl $~0x100, (%%esp)\n\t popf"
               :
               :
               : "memory", "cc");
  if (g_steps < 5 || g_steps > 7) FAIL("%d steps", g_steps);
}

TEST(registers_survive_a_system_call) {
  uint32_t b = 1, c = 2, d = 3, S = 4, D = 5, result;
  asm volatile("int $0x80" : "=a"(result), "+b"(b), "+c"(c), "+d"(d), "+S"(S), "+D"(D) : "0"(SYS_getpid) : "memory");
  CHECK_EQ(result, getpid());
  CHECK(b == 1 && c == 2 && d == 3 && S == 4 && D == 5);
}
TEST(unknown_system_calls_are_enosys) {
  for (long n : {222L, 251L, 500L, 1023L, 0x7000L, 0x7fffffffL, -1L, long(0x80000000)}) {
    long result;
    asm volatile("int $0x80" : "=a"(result) : "0"(n), "b"(0), "c"(0), "d"(0), "S"(0), "D"(0) : "memory");
    if (result != -ENOSYS) FAIL("call %ld gave %ld", n, result);
  }
}
// For kill-message.sh: the line that the kernel prints has a shape.
HELPER(writes_0x800444) { poke(0x800444, 1); }

// A fault in the child must not disturb the parent (xv6: killstatus, stacktest ...).
TEST(a_hundred_dying_children) {
  for (int i = 0; i < scale(100); i++) {
    pid_t child = in_child([=] {
      switch (i % 5) {
        case 0: poke(0x80100000, 1); break;
        case 1: asm volatile("hlt"); break;
        case 2: asm volatile("mov $0, %esp\n\t push %eax"); break;
        case 3: ((void (*)())0x123)(); break;
        case 4: asm volatile("mov $0x80200000, %esp\n\t int $0x80\n\t pop %eax"); break;
      }
    });
    CHECK_SIGNAL(child, SIGSEGV);
  }
}
