// What context_switch() calls, with Context& from in eax and const Context& to in edx: it keeps ebp alone, the compiler what it needs.

    .text
    .globl context_exchange
context_exchange:
    pushl %ebp
    movl %esp, (%eax)
    movl (%edx), %esp
    popl %ebp
    ret

// Where a new context begins: calls what is second on the stack with what is first, under a return address of 0, where backtraces end.
    .globl context_begin
context_begin:
    popl %eax
    popl %edx
    pushl $0
    jmp *%edx

    .section .note.GNU-stack, "", @progbits
