# Finds the compilers. The kernel needs only a freestanding C++ compiler for i386; the user programs need a
# whole cross toolchain with a static C library.

ifeq ($(filter clang clang++ clang-%,$(notdir $(CC) $(TOOLCHAIN))),)
TOOLCHAIN := gcc
else
TOOLCHAIN := clang
endif

# An i686-elf- without the C++ headers is of no use here, so the probe compiles something.
hash := \#
probe = $(shell echo '$(hash)include <optional>' 2>/dev/null | $(1)g++ -std=c++20 -m32 -ffreestanding -x c++ -fsyntax-only - 2>/dev/null && echo $(1))
ifndef TOOLPREFIX
TOOLPREFIX := $(firstword $(call probe,i686-elf-) $(call probe,i686-linux-gnu-))
endif

OBJCOPY := $(TOOLPREFIX)objcopy
LD := $(TOOLPREFIX)ld
NM := $(TOOLPREFIX)nm
AR := ar

warnings := -Wall -Wextra -Wshadow $(if $(filter 1,$(WERROR)),-Werror)

# A trap finds the kernel's stack on any word, so functions must not count on more, and align what needs it themselves.
ifeq ($(TOOLCHAIN),clang)
CLANGXX := $(firstword $(shell command -v clang++ clang++-19 clang++-18 clang++-17 clang++-16 clang++-15 clang++-14 2>/dev/null))
# clang takes libstdc++'s headers from the cross GCC that it finds by its target. Its -mgeneral-regs-only
# refuses libstdc++'s mere mention of long double, so the vector units are ruled out one by one instead.
KERNEL_CXX := $(CLANGXX) --target=i686-linux-gnu
general_registers := -mno-mmx -mno-sse
no_padding :=
stack_alignment := -mstack-alignment=4
# LOCKS=1 checks the annotations of lib/annotations.h: which lock guards what, and who must hold it.
kernel_warnings := $(if $(filter 1,$(LOCKS)),-Wthread-safety)
else
KERNEL_CXX := $(TOOLPREFIX)g++
general_registers := -mgeneral-regs-only
# What a processor's decoder would like costs the emulator, which runs the padding.
no_padding := -fno-align-loops -fno-align-jumps
stack_alignment := -mpreferred-stack-boundary=2
endif

# Arguments and small structures (a Result of a number, an address) in registers. libgcc passes them on the stack, hence
# arch/x86/compiler_calls.cpp.
calling_convention := -mregparm=3 -freg-struct-return

# Programs for user space, and the host tests in 32 bits.
USER_PREFIX ?= i686-linux-gnu-
USER_CXX := $(USER_PREFIX)g++

# Objects depend on this file: it changes when the compiler or its flags do, and only then.
define remember_flags
$(1): FORCE
	@mkdir -p $$(@D); echo '$(2)' | cmp -s - $$@ || echo '$(2)' > $$@
endef
.PHONY: FORCE
