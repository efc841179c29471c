// A page zeroed or copied sixteen bytes at a time: a third of the instructions (half, for a copy) that `rep stosl` and `rep movsl` count as.
// The registers used are the running program's, so they are put back; preemption is off, or a switch would not keep ours. (SDM volume 1,
// 10.4: these instructions raise no floating-point exceptions.)

#define PAGE_SIZE 4096
#define STRIDE 512

    .text

// void page_zero_wide(void* page)
    .balign 16
    .globl page_zero_wide
page_zero_wide:
    subl $16, %esp
    movups %xmm0, (%esp)
    xorps %xmm0, %xmm0
    movl $PAGE_SIZE / STRIDE, %edx
1:
    .set at, 0
    .rept STRIDE / 16
    movaps %xmm0, at(%eax)
    .set at, at + 16
    .endr
    addl $STRIDE, %eax
    decl %edx
    jnz 1b
    movups (%esp), %xmm0
    addl $16, %esp
    ret

// void page_copy_wide(void* destination, const void* source)
    .balign 16
    .globl page_copy_wide
page_copy_wide:
    subl $32, %esp
    movups %xmm0, (%esp)
    movups %xmm1, 16(%esp)
    movl $PAGE_SIZE / STRIDE, %ecx
1:
    .set at, 0
    .rept STRIDE / 32
    movaps at(%edx), %xmm0
    movaps at + 16(%edx), %xmm1
    movaps %xmm0, at(%eax)
    movaps %xmm1, at + 16(%eax)
    .set at, at + 32
    .endr
    addl $STRIDE, %eax
    addl $STRIDE, %edx
    decl %ecx
    jnz 1b
    movups (%esp), %xmm0
    movups 16(%esp), %xmm1
    addl $32, %esp
    ret
