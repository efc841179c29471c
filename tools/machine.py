"""The virtual machine that the tools start: QEMU's command line, the throw-away root disk, and what an end means."""
import ctypes
import os
import re
import signal
import subprocess

TOOLS = os.path.dirname(os.path.realpath(__file__))
BUILD = os.path.join(os.path.dirname(TOOLS), os.environ.get("BUILD", "build"))  # an absolute BUILD replaces the rest
KERNEL = os.path.join(BUILD, "kernel.elf")
ROOT_IMAGE = os.path.join(BUILD, "root.img")

# isa-debug-exit turns the byte b that the kernel writes into QEMU's exit status 2 * b + 1.
CLEAN_END = 33
PANIC = 35
# Under -no-reboot QEMU ends with 0 on a reset, be it asked for or a triple fault; its log tells which.
RESET = 0

os.environ["PATH"] += ":/sbin:/usr/sbin"  # mke2fs and debugfs, for those who are not root


def i386_runner():
    """What i386 programs need in front of them on this machine: see tools/i386-runner."""
    return subprocess.run([os.path.join(TOOLS, "i386-runner")], stdout=subprocess.PIPE, text=True, check=True).stdout.split()


def base_command(cpus, memory):
    """The machine without its disks, serial ports and kernel."""
    return [os.environ.get("QEMU", "qemu-system-i386"), "-accel", "tcg,thread=single" if cpus == 1 else "tcg",
            "-cpu", "qemu32,+rdrand", "-m", str(memory), "-smp", str(cpus), "-nodefaults", "-no-reboot",
            "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"]


# Guest time is the count of guest instructions, and everything that could differ between two runs is fixed.
REPEATABLE = ["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off", "-seed", "1", "-rtc", "base=2024-01-01,clock=vm"]


def disk_options(path, number, interface="virtio", flags=""):
    """QEMU's options for disk `number`, counted from 0: /dev/vda, vdb, … or /dev/hda, hdb, ….

    `flags` are further ones of -drive, such as ",snapshot=on". An interface "ram" hands over the first disk as a
    Multiboot module.
    """
    if interface == "ram" and number == 0:
        return ["-initrd", path]
    drive = "file=%s,format=raw,if=none,id=disk%d%s" % (path.replace(",", ",,"), number, flags)
    if interface == "ide":
        return ["-drive", drive, "-device", "ide-hd,drive=disk%d,bus=ide.%d,unit=%d" % (number, number // 2, number % 2)]
    return ["-drive", drive, "-device", "virtio-blk-pci,drive=disk%d" % number]


def network_options(host_port, guest_port):
    """QEMU's options for a network card behind its user network, with one TCP port of this machine that leads to one of the guest's."""
    return ["-netdev", "user,id=net0,hostfwd=tcp:127.0.0.1:%s-:%s" % (host_port, guest_port), "-device", "virtio-net-pci,netdev=net0,romfile="]


def make_swap(path, mib):
    """A disk to swap to, as big as it is told."""
    with open(path, "wb") as file:
        file.truncate(mib << 20)
    subprocess.run(["mkswap", path], capture_output=True, check=True)
    return path


def kernel_options(arguments):
    """The kernel and its command line."""
    return ["-kernel", KERNEL, "-append", arguments]


def die_with_parent():
    """To be called in the child between fork and exec: no machine outlives the tool that started it."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def symbolise(text, kernel=None):
    """Appends function, file and line to each line of `text` that names an address in the kernel's code."""
    kernel = kernel or KERNEL
    lines = text.splitlines()
    found = [(number, address) for number, line in enumerate(lines)
             for address in re.findall(r"\b(?:0x)?([89a-f][0-9a-f]{7}|001[0-9a-f]{5})\b", line, re.I)]
    if not found or not os.path.exists(kernel):
        return text
    # A return address may belong to the next line, or to the next function: ask for the byte before it.
    query = "".join("0x%x\n" % (int(address, 16) - (1 if is_return_address(lines[number]) else 0)) for number, address in found)
    for tool in ("i686-linux-gnu-addr2line", "i686-elf-addr2line", "addr2line"):
        try:
            answer = subprocess.run([tool, "-Cfpe", kernel], input=query, capture_output=True, text=True, check=True)
            break
        except (OSError, subprocess.CalledProcessError):
            continue
    else:
        return text
    top = os.path.dirname(TOOLS) + "/"
    notes = {}
    for (number, _), place in zip(found, answer.stdout.splitlines()):
        if not place.startswith("??") and ":?" not in place:
            notes.setdefault(number, place.replace(top, ""))
    return "\n".join(line + ("    <- " + notes[number] if number in notes else "") for number, line in enumerate(lines))


def is_return_address(line):
    """Whether a line of a report is one of the backtrace's, which reads "by ADDRESS FUNCTION"."""
    return re.search(r"\bby [0-9a-f]{8}\b", line) is not None
