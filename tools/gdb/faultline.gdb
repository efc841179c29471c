# gdb commands for the kernel; `make qemu-gdb` prints how to start gdb with this file.
#   fl-regs       control registers and the registers of this CPU
#   fl-pte ADDR   the two page-table entries that translate a virtual address, by the CR3 of the stopped CPU
#   fl-walk       every present page-directory entry of the user half
#   fl-cpus       where each CPU is
#   fl-panic      stop where the kernel panics
set confirm off
set pagination off
set disassembly-flavor intel
set print asm-demangle on
set print pretty on

python
import gdb
import re

DIRECT_MAP = 0x80000000  # physical address p is at DIRECT_MAP + p
ADDRESS = 0xfffff000
FLAGS = ((1, "P"), (2, "W"), (4, "U"), (8, "PWT"), (16, "PCD"), (32, "A"), (64, "D"), (128, "PS"), (256, "G"))


def monitor(command):
    return gdb.execute("monitor " + command, to_string=True)


def cr3():
    return int(re.search(r"CR3=([0-9a-f]+)", monitor("info registers"))[1], 16) & ADDRESS


def physical_word(address):
    answer = monitor("xp/1wx 0x%x" % address)
    return int(answer.split(":")[1], 16)


def describe(entry):
    if not entry & 1:
        return "0x%08x not present" % entry
    return "0x%08x -> 0x%08x %s" % (entry, entry & ADDRESS, " ".join(name for bit, name in FLAGS if entry & bit))


class Command(gdb.Command):
    def __init__(self, name, action):
        super().__init__(name, gdb.COMMAND_USER)
        self.action = action

    def invoke(self, argument, from_tty):
        self.action(argument)


def pte(argument):
    address = int(gdb.parse_and_eval(argument)) & 0xffffffff
    directory = cr3()
    index = address >> 22
    pde = physical_word(directory + 4 * index)
    print("CR3 0x%08x\nPDE [%d] %s" % (directory, index, describe(pde)))
    if pde & 1 and not pde & 0x80:
        index = address >> 12 & 1023
        entry = physical_word((pde & ADDRESS) + 4 * index)
        print("PTE [%d] %s" % (index, describe(entry)))


def walk(argument):
    directory = cr3()
    print("CR3 0x%08x" % directory)
    for index in range(512):
        pde = physical_word(directory + 4 * index)
        if pde & 1:
            print("%08x..%08x %s" % (index << 22, ((index + 1) << 22) - 1, describe(pde)))


Command("fl-pte", pte)
Command("fl-walk", walk)
Command("fl-regs", lambda argument: print(monitor("info registers")))
Command("fl-cpus", lambda argument: gdb.execute("thread apply all backtrace 6"))
Command("fl-panic", lambda argument: gdb.execute("rbreak ^faultline::panic"))
end
