// Copies between the kernel and user memory (arch/user_copy.h). A fault that mm could not resolve continues at the
// instruction's fix-up, which counts what is missing. Programs cannot name kernel addresses: each call checks first.

#define KERNEL_BASE 0x80000000

    .text

.macro may_fault instruction, target
    .pushsection .fix_up_table, "a"
    .long \instruction, \target
    .popsection
.endm

// %edx: user address, %ecx: bytes. Leaves by `bad` when they reach past user space; uses %eax.
.macro check_range bad
    movl %edx, %eax
    addl %ecx, %eax
    jc \bad
    cmpl $KERNEL_BASE, %eax
    ja \bad
.endm

// size_t user_copy_in(void* destination, VirtAddr source, size_t bytes)
    .balign 16
    .globl user_copy_in
user_copy_in:
    movl 8(%esp), %edx
    movl 12(%esp), %ecx
    check_range copy_refused
    cmpl $4, %ecx
    ja copy_in_many
    je copy_in_4
    cmpl $1, %ecx
    je copy_in_1
    cmpl $2, %ecx
    je copy_in_2
copy_in_many:
    movl 4(%esp), %eax
    jmp copy_many
copy_in_4:
    movl (%edx), %eax
    movl 4(%esp), %edx
    movl %eax, (%edx)
    xorl %eax, %eax
    ret
copy_in_2:
    movw (%edx), %ax
    movl 4(%esp), %edx
    movw %ax, (%edx)
    xorl %eax, %eax
    ret
copy_in_1:
    movb (%edx), %al
    movl 4(%esp), %edx
    movb %al, (%edx)
    xorl %eax, %eax
    ret
    may_fault copy_in_4, copy_refused
    may_fault copy_in_2, copy_refused
    may_fault copy_in_1, copy_refused

// size_t user_copy_out(VirtAddr destination, const void* source, size_t bytes)
    .balign 16
    .globl user_copy_out
user_copy_out:
    movl 4(%esp), %edx
    movl 12(%esp), %ecx
    check_range copy_refused
    movl 8(%esp), %eax
    cmpl $4, %ecx
    ja copy_out_many
    je copy_out_4
    cmpl $1, %ecx
    je copy_out_1
    cmpl $2, %ecx
    je copy_out_2
copy_out_many:
    xchgl %eax, %edx
    jmp copy_many
copy_out_4:
    movl (%eax), %eax
write_4:
    movl %eax, (%edx)
    xorl %eax, %eax
    ret
copy_out_2:
    movw (%eax), %ax
write_2:
    movw %ax, (%edx)
    xorl %eax, %eax
    ret
copy_out_1:
    movb (%eax), %al
write_1:
    movb %al, (%edx)
    xorl %eax, %eax
    ret
    may_fault write_4, copy_refused
    may_fault write_2, copy_refused
    may_fault write_1, copy_refused

copy_refused:
    movl %ecx, %eax
    ret

// From %edx to %eax, %ecx bytes, one of them in user space.
copy_many:
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
    may_fault copy_dwords, copy_dwords_faulted
    may_fault copy_bytes, copy_done

// size_t user_zero(VirtAddr destination, size_t bytes)
    .balign 16
    .globl user_zero
user_zero:
    movl 4(%esp), %edx
    movl 8(%esp), %ecx
    check_range copy_refused
    pushl %edi
    movl %edx, %edi
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
    movl 12(%esp), %edi
    movl 16(%esp), %esi
    movl 20(%esp), %ecx
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
    cmpl 20(%esp), %edx
    jne string_faulted
    movl %edx, %eax
    jmp string_return
string_end:
    subl %ecx, %edx
    movl %edx, %eax
string_return:
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
    movl 4(%esp), %edx
    cmpl $KERNEL_BASE - 4, %edx
    ja word_faulted
load_word:
    movl (%edx), %eax
    movl 8(%esp), %edx
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
    movl 4(%esp), %edx
    cmpl $KERNEL_BASE - 4, %edx
    ja word_faulted
    movl 8(%esp), %ecx
    movl (%ecx), %eax
    movl 12(%esp), %ecx
exchange_word:
    lock cmpxchgl %ecx, (%edx)
    movl 8(%esp), %ecx
    movl %eax, (%ecx)
    movl $1, %eax
    ret
    may_fault exchange_word, word_faulted

    .section .note.GNU-stack, "", @progbits
