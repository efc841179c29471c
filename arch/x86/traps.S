// Trap entry and exit: pushes a TrapFrame (arch/context.h), gives the kernel its segments, calls C++, restores. C++ finds its
// arguments in eax, edx, ecx (-mregparm=3). All gates clear the interrupt flag. SDM volume 3, 6.12 to 6.14.

#include "arch/x86/selectors.h"
#include "arch/x86/vdso/layout.h"

#define FRAME_EDI 16
#define FRAME_EAX 44
#define FRAME_CS 60
#define FRAME_EFLAGS 64
#define FRAME_ESP 68
#define INTERRUPT_FLAG 0x200
#define FIXED_FLAG 2
#define ODD_FLAGS 0x244500  // ID, AC, NT, DF, TF: those that SYSENTER leaves as they are, and the kernel must not run with
#define LAST_USER_WORD 0x7ffffffc
#define EFAULT 14

    .text

// The processor, or a stub, has pushed an error code and the vector.
.macro save_frame
    save_registers
    cld
.endm

.macro save_registers
    pushal
    pushl %ds
    pushl %es
    pushl %fs
    pushl %gs
    movl $SELECTOR_KERNEL_DATA, %edx
    movl %edx, %ds
    movl %edx, %es
    movl $SELECTOR_PER_CPU, %edx
    movl %edx, %gs
.endm

// One stub of 16 bytes for each vector; interrupt_table_initialize() computes their addresses.
    .balign 16
    .globl trap_stubs
trap_stubs:
    .set vector, 0
    .rept 256
    .balign 16
    // These exceptions push an error code themselves (SDM volume 3, table 6-1).
    .if vector != 8 && vector != 10 && vector != 11 && vector != 12 && vector != 13 && vector != 14 && vector != 17 && vector != 21
    pushl $0
    .endif
    pushl $vector
    .if vector == 14
    jmp page_fault_entry
    .elseif vector < 32
    jmp exception_entry
    .else
    jmp interrupt_entry
    .endif
    .set vector, vector + 1
    .endr

exception_entry:
    save_frame
    movl %esp, %eax
    call exception_dispatch
    jmp trap_exit

interrupt_entry:
    save_frame
    movl %esp, %eax
    call interrupt_dispatch
    jmp trap_exit

page_fault_entry:
    save_frame
    movl %esp, %eax
    movl %cr2, %edx
    call page_fault_dispatch

trap_exit:
    cli
    testb $3, FRAME_CS(%esp)
    jnz return_to_user
    // Back to the kernel: pre-empt it if someone more urgent woke and it may be pre-empted here.
    cmpl $0, %gs:PER_CPU_NEED_RESCHEDULE
    je restore_frame
    cmpl $0, %gs:PER_CPU_PREEMPTION_DISABLED
    jne restore_frame
    testl $INTERRUPT_FLAG, FRAME_EFLAGS(%esp)
    jz restore_frame
    call _ZN9faultline7machine19preempt_interruptedEv
    cli
    jmp restore_frame

// Calls the handler of system call eax for the frame at the stack's top, and leaves in eax what the program gets.
.macro call_handler
    cmpl $SYSTEM_CALL_LIMIT, %eax
    jae 2f
1:  movl %esp, %edx
    call *system_call_table(, %eax, 4)
    testl %edx, %edx  // an errno, or 0: eax is a value
    jnz 3f
4:
    .subsection 1
2:  movl $SYSTEM_CALL_LIMIT, %eax  // the row of all numbers that are unknown
    jmp 1b
3:  movl %edx, %eax
    call system_call_failed
    jmp 4b
    .previous
.endm

// SYSENTER, as the vDSO's __kernel_vsyscall uses it (vdso/calls.S): ebp is the program's stack pointer, and points at the sixth argument.
// cs, ss, eip and esp are the kernel's, IF is clear; nothing was saved. (SDM volume 2, SYSENTER; volume 3, 5.8.7.)
//
// With TF set each instruction traps until ODD_FLAGS are cleared, the first of them on the entry stack: exception_dispatch() returns. An
// interrupt may come from pushfl on, while the segments are still the program's: like everywhere, its own entry loads the kernel's.
    .balign 16
    .globl fast_call_entry, fast_call_flags_are_clear
fast_call_entry:
    movl ENTRY_STACK_TO_KERNEL_STACK(%esp), %esp
    pushl $SELECTOR_USER_DATA
    pushl %ebp
    sti
    pushfl
    pushl $SELECTOR_USER_CODE
    pushl $address_of_vdso_sysenter_return
    pushl %eax
    pushl $VECTOR_FAST_CALL
    cmpl $LAST_USER_WORD, %ebp
    ja bad_sixth_argument
load_sixth_argument:
    movl (%ebp), %ebp
    save_registers
    testl $ODD_FLAGS, FRAME_EFLAGS(%esp)
    jnz fast_call_with_odd_flags
    call_handler
    cli
    movl %gs:PER_CPU_CURRENT_THREAD, %ecx
    movl (%ecx), %ecx  // its work word, which a changed frame is noted in as well
    orl %gs:PER_CPU_NEED_RESCHEDULE, %ecx
    jnz fast_call_has_work
    // The handler has kept ebx, esi, edi and ebp; ecx and edx are on the program's stack. Nothing comes between sti and sysexit.
fast_pop_gs:
    popl %gs
fast_pop_fs:
    popl %fs
fast_pop_es:
    popl %es
fast_pop_ds:
    popl %ds
    movl $address_of_vdso_sysenter_return, %edx
    movl FRAME_ESP - FRAME_EDI(%esp), %ecx
    sti
    sysexit

fast_call_has_work:
    movl %eax, FRAME_EAX(%esp)
    jmp return_to_user  // by iret, which gives all flags and registers back

fast_call_with_odd_flags:
    pushl $INTERRUPT_FLAG | FIXED_FLAG
    popfl
    call_handler
    cli
    jmp fast_call_has_work

// Whatever the call was, as on Linux.
bad_sixth_argument:
    save_registers
    movl $-EFAULT, FRAME_EAX(%esp)
    pushl $FIXED_FLAG
    popfl
fast_call_flags_are_clear:  // on all ways
    jmp return_to_user

// int $0x80. The number is kept twice: as eax, which the result replaces, and in the place of the error code.
    .balign 16
    .globl system_call_entry
system_call_entry:
    pushl %eax
    pushl $VECTOR_SYSTEM_CALL
    save_frame
    xorl %ebp, %ebp  // the end of the kernel's backtrace
    sti
    call_handler
    movl %eax, FRAME_EAX(%esp)
    cli

// Interrupts off, the frame at the stack's top.
return_to_user:
    movl %gs:PER_CPU_CURRENT_THREAD, %eax
    movl (%eax), %eax  // its work word
    orl %gs:PER_CPU_NEED_RESCHEDULE, %eax
    jnz user_work

// A program may have put anything into its selectors, and TLS slots go away: each of these five may fault, and does so
// in kernel mode. The fix-up table says where to continue.
restore_frame:
pop_gs:
    popl %gs
pop_fs:
    popl %fs
pop_es:
    popl %es
pop_ds:
    popl %ds
    popal
    addl $8, %esp
return_iret:
    iret

user_work:
    movl %esp, %eax
    call return_to_user_work
    jmp return_to_user

// A selector that cannot be loaded becomes the null selector, which faults when it is used.
bad_gs:
    movl $0, (%esp)
    jmp pop_gs
bad_fs:
    movl $0, (%esp)
    jmp pop_fs
bad_es:
    movl $0, (%esp)
    jmp pop_es
bad_ds:
    movl $0, (%esp)
    jmp pop_ds
// A bad cs, ss or eip: what iret could not load is still on the stack and all other registers hold the user's values, so
// this is what it would look like had the program itself raised the general protection fault.
bad_iret:
    pushl $0
    pushl $13
    jmp exception_entry

// The same after a fast call.
bad_fast_gs:
    movl $0, (%esp)
    jmp fast_pop_gs
bad_fast_fs:
    movl $0, (%esp)
    jmp fast_pop_fs
bad_fast_es:
    movl $0, (%esp)
    jmp fast_pop_es
bad_fast_ds:
    movl $0, (%esp)
    jmp fast_pop_ds

    .section .fix_up_table, "a"
    .long pop_gs, bad_gs, pop_fs, bad_fs, pop_es, bad_es, pop_ds, bad_ds, return_iret, bad_iret
    .long fast_pop_gs, bad_fast_gs, fast_pop_fs, bad_fast_fs, fast_pop_es, bad_fast_es, fast_pop_ds, bad_fast_ds
    .long load_sixth_argument, bad_sixth_argument
    .text

// [[noreturn]] void trap_return_to_user(TrapFrame* frame)
    .globl trap_return_to_user
trap_return_to_user:
    movl %eax, %esp
    jmp return_to_user

// Entered by the task gate with its own stack and an error code of 0 on it; the faulting state is in the main task segment.
    .globl double_fault_entry
double_fault_entry:
    xorl %ebp, %ebp
    call double_fault_report

    .section .note.GNU-stack, "", @progbits
