// A Multiboot kernel that only ends, in the way that the last word of its command line names: what tools/run must tell
// apart. It speaks the protocol of user/run_agent where that is part of the way.

#define COM1 0x3F8
#define COM2 0x2F8
#define DEBUG_EXIT 0xF4

    .text
    .balign 4
    .long 0x1BADB002, 0, -0x1BADB002

    .globl entry
entry:
    cli
    cld
    movl $stack_top, %esp
    movl 16(%ebx), %esi          // the command line
    movl %esi, %edi
1:  lodsb                        // behind its last space
    testb %al, %al
    jz 2f
    cmpb $' ', %al
    jne 1b
    movl %esi, %edi
    jmp 1b
2:  movl (%edi), %ebp            // four letters are enough

    movl $COM1, %edx
    movl $greeting, %esi
    call say
    cmpl $0x74616562, %ebp       // "beat": leaves before the agent has spoken
    je power_off
    cmpl $0x6b636f6c, %ebp       // "lock": never gets as far as the agent
    je hang
    movl $COM2, %edx
    movl $hello_frame, %esi
    movl $(output_frames - hello_frame), %ecx
    call send
    cmpl $0x696e6170, %ebp       // "panic"
    je panic
    cmpl $0x70697274, %ebp       // "triple"
    je triple_fault
    cmpl $0x65736572, %ebp       // "reset"
    je reset
    cmpl $0x676e6168, %ebp       // "hang"
    je hang
    cmpl $0x65776f70, %ebp       // "power": off, without a status
    je power_off
    movl $output_frames, %esi
    movl $(frames_end - output_frames), %ecx
    call send
power_off:
    movb $0x10, %al
    outb %al, $DEBUG_EXIT
hang:
    hlt
    jmp hang
panic:
    movl $COM1, %edx
    movl $report, %esi
    call say
    movb $0x11, %al
    outb %al, $DEBUG_EXIT
    jmp hang
triple_fault:
    lidt no_table
    int3
reset:                           // by the keyboard controller
    movb $0xFE, %al
    outb %al, $0x64
    jmp hang

say:                             // the string at esi to the port edx
    lodsb
    testb %al, %al
    jz 1f
    outb %al, %dx
    jmp say
1:  ret
send:                            // ecx bytes at esi to the port edx
    lodsb
    outb %al, %dx
    loop send
    ret

    .data
greeting: .asciz "self-test kernel\n"
report: .asciz "PANIC: as asked\n  eip 0x00100010\n"
hello_frame:
    .byte 'H'; .long 0
output_frames:
    .byte 'O'; .long 4; .byte 0, 255, 10, 13
    .byte 'E'; .long 4; .ascii "err\n"
    .byte 'X'; .long 1; .byte 7
frames_end:
no_table: .word 0; .long 0
    .bss
    .space 1024
stack_top:
    .section .note.GNU-stack, "", @progbits
