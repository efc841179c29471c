// The vDSO's ways into the kernel, with the unwind tables of hand-written code. The names are Linux's: C libraries, debuggers and unwinders
// look for them. System V ABI, i386; DWARF 4, 6.4.

    .text

// A system call, with the registers of int $0x80. SYSENTER saves nothing and SYSEXIT takes ecx and edx: what is on the stack is for both, and
// the kernel finds the sixth argument and the stack through ebp. A call that is to be made again begins at the int, with all registers as they
// were. On a processor without SYSENTER the kernel turns the two instructions before the int into nops.
    .balign 16
    .globl __kernel_vsyscall
    .type __kernel_vsyscall, @function
__kernel_vsyscall:
    .cfi_startproc
    pushl %ecx
    .cfi_adjust_cfa_offset 4
    .cfi_rel_offset %ecx, 0
    pushl %edx
    .cfi_adjust_cfa_offset 4
    .cfi_rel_offset %edx, 0
    pushl %ebp
    .cfi_adjust_cfa_offset 4
    .cfi_rel_offset %ebp, 0
    .globl vdso_fast_way
vdso_fast_way:
    movl %esp, %ebp
    sysenter
    int $0x80
    .globl vdso_sysenter_return
vdso_sysenter_return:
    popl %ebp
    .cfi_adjust_cfa_offset -4
    .cfi_restore %ebp
    popl %edx
    .cfi_adjust_cfa_offset -4
    .cfi_restore %edx
    popl %ecx
    .cfi_adjust_cfa_offset -4
    .cfi_restore %ecx
    ret
    .cfi_endproc
    .size __kernel_vsyscall, . - __kernel_vsyscall

// Where handlers return to (kernel/signal_frame.cpp has the frames). To an unwinder this is the caller of the handler, and its caller is the
// interrupted code, all of whose registers are in a struct sigcontext `at` bytes above esp.
#define LEB(value) (((value) & 0x7f) | 0x80), ((value) >> 7)
.macro saved_register number, offset
    .cfi_escape 0x10, \number, 3, 0x74, LEB(\offset)  // DW_CFA_expression: at esp + offset
.endm
.macro sigcontext_at at
    .cfi_escape 0x0f, 4, 0x74, LEB(\at + 28), 0x06  // DW_CFA_def_cfa_expression: what esp was
    saved_register 0, (\at + 44)
    saved_register 1, (\at + 40)
    saved_register 2, (\at + 36)
    saved_register 3, (\at + 32)
    saved_register 5, (\at + 24)
    saved_register 6, (\at + 20)
    saved_register 7, (\at + 16)
    saved_register 8, (\at + 56)
.endm

// Unwinders look up the byte before a return address, so the tables begin one earlier.
    .balign 16
    .cfi_startproc simple
    .cfi_signal_frame
    sigcontext_at 4
    nop
    .globl __kernel_sigreturn
    .type __kernel_sigreturn, @function
__kernel_sigreturn:
    popl %eax
    sigcontext_at 0
    movl $119, %eax
    int $0x80
    .cfi_endproc
    .size __kernel_sigreturn, . - __kernel_sigreturn

    .balign 16
    .cfi_startproc simple
    .cfi_signal_frame
    sigcontext_at 160
    nop
    .globl __kernel_rt_sigreturn
    .type __kernel_rt_sigreturn, @function
__kernel_rt_sigreturn:
    movl $173, %eax
    int $0x80
    .cfi_endproc
    .size __kernel_rt_sigreturn, . - __kernel_rt_sigreturn

    .section .note.GNU-stack, "", @progbits
