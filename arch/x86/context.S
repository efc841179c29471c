// void context_switch(Context& from (eax), const Context& to (edx)): the callee-saved registers on the old stack, then the new one.

    .text
    .globl context_switch
context_switch:
    pushl %ebp
    pushl %ebx
    pushl %esi
    pushl %edi
    movl %esp, (%eax)
    movl (%edx), %esp
    popl %edi
    popl %esi
    popl %ebx
    popl %ebp
    ret

// Where a new context begins: calls %esi with %ebx, under a return address of 0, where backtraces end.
    .globl context_begin
context_begin:
    movl %ebx, %eax
    pushl $0
    jmp *%esi

    .section .note.GNU-stack, "", @progbits
