// Where the other processors start: copied to TRAMPOLINE_ADDRESS, from real mode to paging in the boot directory, which still
// has the identity map that this needs, and on to cpu_entry() (arch/x86/smp.cpp).

#include "arch/x86/selectors.h"

#define KERNEL_BASE 0x80000000
#define HERE(label) (TRAMPOLINE_ADDRESS + label - trampoline_start)

    .section .rodata
    .balign 16
    .globl trampoline_start, trampoline_end, trampoline_stack
trampoline_start:
    .code16
    cli
    cld
    xorw %ax, %ax
    movw %ax, %ds
    lgdtl HERE(trampoline_gdt_pointer)
    movl %cr0, %eax
    orl $1, %eax  // protected mode
    movl %eax, %cr0
    ljmpl $0x08, $HERE(trampoline_protected)

    .code32
trampoline_protected:
    movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl %cr4, %eax
    orl $0x10, %eax  // PSE
    movl %eax, %cr4
    movl $(boot_directory - KERNEL_BASE), %eax
    movl %eax, %cr3
    movl %cr0, %eax
    andl $0x9FFFFFFF, %eax  // caches on
    orl $0x80010000, %eax   // PG, WP
    movl %eax, %cr0
    movl HERE(trampoline_stack), %esp
    movl 4(%esp), %eax  // cpu_entry()'s argument
    xorl %ebp, %ebp
    movl $cpu_entry, %edx
    jmp *%edx

    .balign 8
trampoline_gdt:
    .quad 0
    .quad 0x00CF9A000000FFFF
    .quad 0x00CF92000000FFFF
trampoline_gdt_pointer:
    .word . - trampoline_gdt - 1
    .long HERE(trampoline_gdt)
// The starting processor's stack pointer: cpu_start_others() sets it.
trampoline_stack:
    .long 0
trampoline_end:

    .section .note.GNU-stack, "", @progbits
