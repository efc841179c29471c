// Segment selectors and vector numbers, for C++ and assembly alike. The numbers of the user's segments and TLS slots are
// Linux's on i386, which debuggers and signal frames show.
#pragma once

#define GDT_ENTRIES 20
#define SELECTOR_KERNEL_CODE 0x60
#define SELECTOR_KERNEL_DATA 0x68
#define SELECTOR_USER_CODE 0x73
#define SELECTOR_USER_DATA 0x7B
#define SELECTOR_TASK 0x80
#define SELECTOR_DOUBLE_FAULT_TASK 0x88
#define SELECTOR_PER_CPU 0x90

// %gs: in the kernel, see machine::CpuAreaHead
#define PER_CPU_PREEMPTION_DISABLED 8
#define PER_CPU_CURRENT_THREAD 12
#define PER_CPU_NEED_RESCHEDULE 16

// From the top of a CPU's entry stack to its TaskState's esp0; see CpuArea.
#define ENTRY_STACK_TO_KERNEL_STACK 4

// System-call numbers that the table reaches
#define SYSTEM_CALL_LIMIT 0x1c0

#define VECTOR_DEBUG 1
#define VECTOR_NMI 2
#define VECTOR_DOUBLE_FAULT 8
#define VECTOR_FIRST_INTERRUPT 0x20  // + the global interrupt number
#define VECTOR_SYSTEM_CALL 0x80
#define VECTOR_FAST_CALL 0x100  // none: a system call by SYSENTER
#define VECTOR_TIMER 0xF0
#define VECTOR_KICK 0xF1
#define VECTOR_SHOOTDOWN 0xF2
#define VECTOR_CALL 0xF3
#define VECTOR_SPURIOUS 0xFF

// The page below 640 KiB at which other processors start in real mode; boot/multiboot.cpp keeps it free.
#define TRAMPOLINE_ADDRESS 0x8000
