// From the boot loader to kernel_main: the Multiboot 1 header, our own GDT, early paging, the higher half.
// Runs at 1 MiB, where it is linked, until paging is on (Multiboot 0.6.96, SDM volume 3 sections 4.3 and 9.8).

#define MULTIBOOT_HEADER_MAGIC 0x1BADB002
#define MULTIBOOT_LOADER_MAGIC 0x2BADB002
#define MULTIBOOT_FLAGS 0x3  // modules on page borders, memory information wanted

#define KERNEL_BASE 0x80000000
#define PHYSICAL(symbol) (symbol - KERNEL_BASE)
#define DIRECT_MAP_SLOTS 480     // 1,920 MiB in pages of 4 MiB
#define LARGE_PAGE 0x83          // present, writable, 4 MiB
#define CODE_SELECTOR 0x08
#define DATA_SELECTOR 0x10

#define COM1 0x3F8
#define DEBUG_EXIT 0xF4
#define DEBUG_EXIT_PANIC 0x11

    .section .boot, "ax"
    .balign 4
    .long MULTIBOOT_HEADER_MAGIC, MULTIBOOT_FLAGS, -(MULTIBOOT_HEADER_MAGIC + MULTIBOOT_FLAGS)

    .globl boot_entry
boot_entry:
    cli
    cld
    // The loader's descriptor table may be gone or never have been one: nothing may load a segment before this.
    lgdt boot_gdt_pointer
    ljmp $CODE_SELECTOR, $1f
1:  movl $DATA_SELECTOR, %ecx
    movl %ecx, %ds
    movl %ecx, %es
    movl %ecx, %ss
    movl $PHYSICAL(boot_stack_top), %esp
    movl %eax, %ebp

    // Until traps_initialize() any exception ends in boot_trap.
    movl $boot_trap, %eax
    movl %eax, %edx
    andl $0xFFFF, %eax
    orl $(CODE_SELECTOR << 16), %eax
    andl $0xFFFF0000, %edx
    orl $0x8E00, %edx
    movl $boot_idt, %edi
    movl $32, %ecx
2:  movl %eax, (%edi)
    movl %edx, 4(%edi)
    addl $8, %edi
    loop 2b
    lidt boot_idt_pointer

    movl $message_loader, %esi
    cmpl $MULTIBOOT_LOADER_MAGIC, %ebp
    jne boot_fail

    // 4 MiB pages (PSE) and a time stamp counter: every processor since the Pentium has them.
    movl %ebx, %ebp
    movl $1, %eax
    cpuid
    movl $message_processor, %esi
    andl $0x18, %edx
    cmpl $0x18, %edx
    jne boot_fail

    // The first 4 MiB where they are and all of the direct map, writable for now; mmu_initialize() makes the real thing.
    movl $PHYSICAL(boot_directory), %edi
    movl $LARGE_PAGE, (%edi)
    leal (KERNEL_BASE >> 20)(%edi), %edi
    movl $LARGE_PAGE, %eax
    movl $DIRECT_MAP_SLOTS, %ecx
3:  stosl
    addl $0x400000, %eax
    loop 3b
    movl %cr4, %eax
    orl $0x10, %eax  // PSE
    movl %eax, %cr4
    movl $PHYSICAL(boot_directory), %eax
    movl %eax, %cr3
    movl %cr0, %eax
    andl $0x9FFFFFFF, %eax  // caches on
    orl $0x80010000, %eax   // PG, WP
    movl %eax, %cr0

    movl $boot_stack_top, %esp
    movl %ebp, %eax   // kernel_main's argument: where the loader's block lies
    xorl %ebp, %ebp   // the end of every backtrace
    pushl $0
    movl $kernel_main, %edx
    jmp *%edx

// An exception before there is anything to report it with.
boot_trap:
    movl $message_trap, %esi

// Says %esi on the first serial port, then ends as panic() does. No stack, no memory needed.
boot_fail:
    movl $(COM1 + 5), %edx
    movl $100000, %ecx
4:  inb %dx, %al
    testb $0x20, %al
    loopz 4b
    lodsb
    testb %al, %al
    jz 5f
    movl $COM1, %edx
    outb %al, %dx
    jmp boot_fail
5:  movb $DEBUG_EXIT_PANIC, %al
    outb %al, $DEBUG_EXIT
6:  hlt
    jmp 6b

message_loader:
    .asciz "panic: not started by a Multiboot 1 loader\r\n"
message_processor:
    .asciz "panic: this processor lacks 4 MiB pages or a time stamp counter\r\n"
message_trap:
    .asciz "panic: an exception in the boot code, before the kernel could report it\r\n"

    .balign 8
boot_gdt:
    .quad 0
    .quad 0x00CF9A000000FFFF  // code: base 0, 4 GiB, ring 0
    .quad 0x00CF92000000FFFF  // data
boot_gdt_pointer:
    .word . - boot_gdt - 1
    .long boot_gdt
boot_idt_pointer:
    .word 32 * 8 - 1
    .long PHYSICAL(boot_idt_high)
    .equ boot_idt, PHYSICAL(boot_idt_high)

    .section .bss.pages, "aw", @nobits
    .balign 4096
    // Also what another processor starts on, for the identity map in its first slot.
    .globl boot_directory
boot_directory:
    .skip 4096
    // mmu_initialize() leaves the guard page out: an overflow of the boot stack is a double fault with a name.
    .globl boot_stack_guard, boot_stack_top
boot_stack_guard:
    .skip 4096
    .skip 8192
boot_stack_top:

    .bss
    .balign 8
boot_idt_high:
    .skip 32 * 8

    .section .note.GNU-stack, "", @progbits
