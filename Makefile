# Faultline: builds the kernel, the user programs and the root image, runs and tests them.
# `make help` lists the targets; the rules themselves are in tools/*.mk, one file for each thing that is built.
#
# Variables, all settable on the command line:
#   V=1           show the commands            BUILD=DIR     where everything that is built goes (default build)
#   DEBUG=1       lock-order and invariant checks in the kernel
#   WERROR=1      warnings are errors (CI sets it)
#   TOOLPREFIX=   cross toolchain prefix (default: i686-elf- if present, else i686-linux-gnu-)
#   TOOLCHAIN=    gcc (default) or clang, for the kernel; CC=clang means the same; with LOCKS=1 clang checks the lock annotations
#   CPUS=2 MEM=256 QEMUEXTRA=   the machine that `make qemu` starts; DISK=my.img keeps its changes across boots,
#   DISKIF=virtio|ide           how that disk is attached; SWAP=MIB adds a disk to swap to; APPEND= is added to the kernel's command line
#   TEST=NAME     only that test, for `make test`
#   NET=1         a network card for `make qemu`; prints which port of this machine leads to port 80 of the guest (or NET=HOSTPORT:GUESTPORT)

MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:
SHELL := /bin/sh

BUILD ?= build
CPUS ?= 2
MEM ?= 256
DISKIF ?= virtio
export BUILD

ifeq ($(V),1)
Q :=
say := @:
else
Q := @
say := @printf '  %-7s %s\n'
endif

.PHONY: all kernel user musl-programs qemu qemu-gdb qemu-iso iso test check host-test debug-test grade bench clean format compile_commands.json deps doctor help
all: kernel user image

include tools/toolchain.mk
include tools/lwip.mk
include tools/kernel.mk
include tools/user.mk
include tools/image.mk
include tools/host_tests.mk
include tools/replacement.mk

help:
	@echo 'Faultline, a small kernel for i386 with real virtual memory.'
	@echo
	@echo '  make deps       install what the build needs (Debian, Ubuntu); make doctor only names what is missing'
	@echo '  make            kernel, user programs and root image, in $(BUILD)/'
	@echo '  make qemu       boot to a shell on this terminal (Ctrl-A x ends it); CPUS= MEM= SWAP= DISK=my.img DISKIF=ide NET=1'
	@echo '  make qemu-gdb   the same, waiting for gdb; prints the command to type in another terminal'
	@echo '  make iso        a GRUB image with the root image inside; make qemu-iso boots it'
	@echo '  make test       everything: layers, headers, host tests, kernel tests (TEST=NAME for one of them)'
	@echo '  make host-test  the GoogleTest suites in 64 and 32 bits, with sanitizers'
	@echo '  make thread-test  memory on real threads under ThreadSanitizer, RUNS=N seeds; make debug-test  what debug kernels report'
	@echo '  make grade      the kernel tests alone, as a score'
	@echo '  make bench      guest instructions per operation, beside Linux'
	@echo '  make format     clang-format over the sources; make compile_commands.json for editors; make clean'
	@echo
	@sed -n 's/^#   /  /p' Makefile

deps:
	$(Q)tools/deps

doctor:
	$(Q)tools/doctor

# The machine. Without DISK the root image is used as a snapshot: it stays as it was built.
qemu_options = --cpus $(CPUS) --mem $(MEM) --disk-interface $(DISKIF) $(if $(DISK),--disk $(DISK)) $(if $(SWAP),--swap $(SWAP)) $(if $(NET),--net $(NET)) \
	$(if $(APPEND),--append '$(APPEND)') -- $(QEMUEXTRA)

qemu: kernel image
	$(Q)tools/qemu $(qemu_options)

qemu-gdb: kernel image
	$(Q)tools/qemu --gdb $(qemu_options)

qemu-iso: iso
	$(Q)tools/qemu --iso $(BUILD)/faultline.iso $(qemu_options)

check: kernel
	$(Q)tools/check-layers
	$(Q)tools/check-headers '$(KERNEL_CXX)' $(KERNEL_FLAGS)

test: all host-test-build musl-programs
	$(Q)KERNEL_CXX='$(KERNEL_CXX)' KERNEL_FLAGS='$(KERNEL_FLAGS)' tools/test $(TEST)

# What debug kernels report of mistakes with locks. By hand: it is a second build of everything.
debug-test:
	$(Q)$(MAKE) BUILD=build-debug DEBUG=1 all
	$(Q)BUILD=build-debug tools/debug-test

grade: all
	$(Q)tools/test --grade $(TEST)

bench: kernel image
	$(Q)tools/bench

format:
	$(Q)git ls-files '*.cpp' '*.h' | xargs clang-format -i

compile_commands.json:
	$(Q)$(MAKE) -B -n -k V=1 kernel user host-test-build 2>/dev/null | tools/compile-commands > $@

clean:
	$(Q)rm -rf '$(BUILD)' compile_commands.json
