// Copies between the kernel and user memory (arch/user_copy.h). A fault that mm could not resolve continues at the
// instruction's fix-up, which counts what is missing. Arguments are in eax, edx, ecx (-mregparm=3). Programs cannot name kernel addresses: each call checks first.

#include "arch/x86/user_float.h"

#define KERNEL_BASE 0x80000000
#define WIDE_STRIDE 128
#define WIDE_LEAST 256

    .text

.macro may_fault instruction, target
    .pushsection .fix_up_table, "a"
    .long \instruction, \target
    .popsection
.endm

// 64 bytes from `at`(%edx, %ecx) to `at`(%eax, %ecx).
.macro move_wide at
.irp number, 0, 1, 2, 3
1:  movups \at + 16 * \number(%edx, %ecx), %xmm\number
    may_fault 1b, copy_wide_faulted
.endr
.irp number, 0, 1, 2, 3
1:  movups %xmm\number, \at + 16 * \number(%eax, %ecx)
    may_fault 1b, copy_wide_faulted
.endr
.endm

// Whether %ecx bytes from a user address on lie in user space. If not, leaves by `bad`, with the end in %ecx.
.macro check_range address, bad
    addl \address, %ecx
    jc \bad
    cmpl $KERNEL_BASE, %ecx
    ja \bad
    subl \address, %ecx
.endm

// size_t user_copy_in(void* destination, VirtAddr source, size_t bytes)
    .balign 16
    .globl user_copy_in
user_copy_in:
    check_range %edx, from_refused
    cmpl $4, %ecx
    ja copy_many
    je copy_in_4
    cmpl $1, %ecx
    je copy_in_1
    cmpl $2, %ecx
    jne copy_many
copy_in_2:
    movw (%edx), %dx
    movw %dx, (%eax)
    xorl %eax, %eax
    ret
copy_in_4:
    movl (%edx), %edx
    movl %edx, (%eax)
    xorl %eax, %eax
    ret
copy_in_1:
    movb (%edx), %dl
    movb %dl, (%eax)
    xorl %eax, %eax
    ret
    may_fault copy_in_4, copy_refused
    may_fault copy_in_2, copy_refused
    may_fault copy_in_1, copy_refused

// size_t user_copy_out(VirtAddr destination, const void* source, size_t bytes)
    .balign 16
    .globl user_copy_out
user_copy_out:
    check_range %eax, to_refused
    cmpl $4, %ecx
    ja copy_many
    je copy_out_4
    cmpl $1, %ecx
    je copy_out_1
    cmpl $2, %ecx
    jne copy_many
    movw (%edx), %dx
write_2:
    movw %dx, (%eax)
    xorl %eax, %eax
    ret
copy_out_4:
    movl (%edx), %edx
write_4:
    movl %edx, (%eax)
    xorl %eax, %eax
    ret
copy_out_1:
    movb (%edx), %dl
write_1:
    movb %dl, (%eax)
    xorl %eax, %eax
    ret
    may_fault write_4, copy_refused
    may_fault write_2, copy_refused
    may_fault write_1, copy_refused

from_refused:
    subl %edx, %ecx
    jmp copy_refused
to_refused:
    subl %eax, %ecx
copy_refused:
    movl %ecx, %eax
    ret

// From %edx to %eax, %ecx bytes, one of them in user space.
copy_many:
    cmpl $8, %ecx
    jne copy_any
copy_8:  // a time, a counter
    movl (%edx), %ecx
copy_8_first:
    movl %ecx, (%eax)
copy_8_high:
    movl 4(%edx), %ecx
copy_8_second:
    movl %ecx, 4(%eax)
    xorl %eax, %eax
    ret
copy_8_faulted:
    movl $8, %ecx
copy_any:
    cmpl $WIDE_LEAST, %ecx
    jae copy_wide
copy_narrow:
    pushl %edi
    pushl %esi
    movl %eax, %edi
    movl %edx, %esi
    movl %ecx, %edx
    andl $3, %edx
    shrl $2, %ecx
copy_dwords:
    rep movsl
    movl %edx, %ecx
copy_bytes:
    rep movsb
copy_done:
    movl %ecx, %eax
    popl %esi
    popl %edi
    ret
// The dword that faulted may reach into a page that is there: the rest goes byte by byte, up to the very border.
copy_dwords_faulted:
    leal (%edx, %ecx, 4), %ecx
    jmp copy_bytes
    may_fault copy_8, copy_8_faulted
    may_fault copy_8_first, copy_8_faulted
    may_fault copy_8_high, copy_8_faulted
    may_fault copy_8_second, copy_8_faulted
    may_fault copy_dwords, copy_dwords_faulted
    may_fault copy_bytes, copy_done

// Sixteen bytes at a time, for half the instructions that `rep movsl` counts as. The registers are the program's, so they are put back; a fault may
// sleep meanwhile, for whoever has user memory has its registers kept by a switch. What is less than a stride, or faults, goes the narrow way.
copy_wide:
    cmpb $0, has_wide_registers
    je copy_narrow
    pushl %ebx
    subl $64, %esp
    movups %xmm0, (%esp)
    movups %xmm1, 16(%esp)
    movups %xmm2, 32(%esp)
    movups %xmm3, 48(%esp)
    movl %ecx, %ebx
    andl $-WIDE_STRIDE, %ecx
    andl $WIDE_STRIDE - 1, %ebx
    addl %ecx, %eax
    addl %ecx, %edx
    negl %ecx  // counts up to 0; %ebx is what comes behind
copy_wide_stride:
    .set at, 0
    .rept WIDE_STRIDE / 64
    move_wide at
    .set at, at + 64
    .endr
    addl $WIDE_STRIDE, %ecx
    jnz copy_wide_stride
copy_wide_faulted:
    movups (%esp), %xmm0
    movups 16(%esp), %xmm1
    movups 32(%esp), %xmm2
    movups 48(%esp), %xmm3
    addl $64, %esp
    addl %ecx, %eax
    addl %ecx, %edx
    subl %ecx, %ebx
    movl %ebx, %ecx
    popl %ebx
    jmp copy_narrow

// size_t user_zero(VirtAddr destination, size_t bytes)
    .balign 16
    .globl user_zero
user_zero:
    movl %edx, %ecx
    check_range %eax, to_refused
    pushl %edi
    movl %eax, %edi
    movl %ecx, %edx
    andl $3, %edx
    shrl $2, %ecx
    xorl %eax, %eax
zero_dwords:
    rep stosl
    movl %edx, %ecx
zero_bytes:
    rep stosb
zero_done:
    movl %ecx, %eax
    popl %edi
    ret
zero_dwords_faulted:
    leal (%edx, %ecx, 4), %ecx
    jmp zero_bytes
    may_fault zero_dwords, zero_dwords_faulted
    may_fault zero_bytes, zero_done

// int32_t user_copy_string_in(char* destination, VirtAddr source, size_t limit)
    .balign 16
    .globl user_copy_string_in
user_copy_string_in:
    pushl %edi
    pushl %esi
    pushl %ecx
    movl %eax, %edi
    movl %edx, %esi
    movl $KERNEL_BASE, %edx
    subl %esi, %edx  // bytes up to the border
    jbe string_faulted
    cmpl %ecx, %edx
    jae 1f
    movl %edx, %ecx  // a string that runs into the border is a fault: see below
1:  movl %ecx, %edx
    pushl %ebx
    // Four bytes at a time while none of them is the NUL. A load that reaches into a missing page is done again byte by byte.
string_next_4:
    cmpl $4, %ecx
    jb string_bytes
string_load_4:
    movl (%esi), %eax
    leal -0x01010101(%eax), %ebx
    movl %eax, (%edi)
    notl %eax
    andl %ebx, %eax
    testl $0x80808080, %eax
    jnz string_bytes
    addl $4, %esi
    addl $4, %edi
    subl $4, %ecx
    jmp string_next_4
    may_fault string_load_4, string_bytes
string_bytes:
    popl %ebx
    jecxz string_full
string_next:
    lodsb
    stosb
    testb %al, %al
    jz string_end
    decl %ecx
    jnz string_next
string_full:
    cmpl (%esp), %edx
    jne string_faulted
    movl %edx, %eax
    jmp string_return
string_end:
    subl %ecx, %edx
    movl %edx, %eax
string_return:
    popl %ecx
    popl %esi
    popl %edi
    ret
string_faulted:
    movl $-1, %eax
    jmp string_return
    may_fault string_next, string_faulted

// bool user_load_u32(VirtAddr address, uint32_t& value)
    .balign 16
    .globl user_load_u32
user_load_u32:
    cmpl $KERNEL_BASE - 4, %eax
    ja word_faulted
load_word:
    movl (%eax), %eax
    movl %eax, (%edx)
    movl $1, %eax
    ret
word_faulted:
    xorl %eax, %eax
    ret
    may_fault load_word, word_faulted

// bool user_compare_exchange_u32(VirtAddr address, uint32_t& expected, uint32_t desired): true when memory could be
// touched; `expected` is then what was there.
    .balign 16
    .globl user_compare_exchange_u32
user_compare_exchange_u32:
    cmpl $KERNEL_BASE - 4, %eax
    ja word_faulted
    pushl %ebx
    movl %eax, %ebx
    movl (%edx), %eax
exchange_word:
    lock cmpxchgl %ecx, (%ebx)
    movl %eax, (%edx)
    popl %ebx
    movl $1, %eax
    ret
exchange_faulted:
    popl %ebx
    jmp word_faulted
    may_fault exchange_word, exchange_faulted

// bool user_float_save(VirtAddr where): see float_state.cpp. FSAVE comes behind all that is likely to fault, because it resets what it has
// saved. Hardware sets the upper halves of the control, status and tag words (SDM volume 1, figure 8-9), emulators may not.
    .balign 16
    .globl user_float_save
user_float_save:
    cmpl $KERNEL_BASE - USER_FLOAT_BYTES, %eax
    ja word_faulted
    movl %eax, %edx
save_image:
    fxsave USER_FLOAT_IMAGE(%edx)
    fnstsw %ax
    movzwl %ax, %eax
save_status:
    movl %eax, USER_FLOAT_STATUS(%edx)  // and the magic number 0
save_fsave:
    fnsave (%edx)
save_control_half:
    movw $0xffff, 2(%edx)
save_status_half:
    movw $0xffff, 6(%edx)
save_tag_half:
    movw $0xffff, 10(%edx)
    movl $1, %eax
    ret
    may_fault save_image, word_faulted
    may_fault save_status, word_faulted
    may_fault save_fsave, word_faulted
    may_fault save_control_half, word_faulted
    may_fault save_status_half, word_faulted
    may_fault save_tag_half, word_faulted

// bool user_float_restore(VirtAddr where). FXRSTOR raises a general protection fault for an operand that is not aligned to 16 bytes, and
// for a reserved bit of MXCSR (SDM volume 2, FXRSTOR); emulators may load the latter, so it is looked at beforehand as well.
    .balign 16
    .globl user_float_restore
user_float_restore:
    cmpl $KERNEL_BASE - USER_FLOAT_BYTES, %eax
    ja word_faulted
load_mxcsr:
    testl $0xffff0000, USER_FLOAT_IMAGE + 24(%eax)
    jnz word_faulted
load_image:
    fxrstor USER_FLOAT_IMAGE(%eax)
    movl $1, %eax
    ret
    may_fault load_mxcsr, word_faulted
    may_fault load_image, word_faulted

    .section .note.GNU-stack, "", @progbits
