# build/kernel.elf, in two links: the first gives the functions their addresses, the second adds the table of their
# names that the panic backtrace reads. The table is in a section of its own behind the code, so no function moves;
# tools/ksyms checks that.

KERNEL_SOURCES := $(wildcard lib/*.cpp mm/*.cpp fs/*.cpp fs/*/*.cpp drivers/*.cpp drivers/*/*.cpp kernel/*.cpp \
	kernel/*/*.cpp kernel/*/*/*.cpp arch/x86/*.cpp arch/x86/*.S boot/*.S boot/*.cpp)
KERNEL_OBJECTS := $(KERNEL_SOURCES:%=$(BUILD)/kernel/%.o) $(BUILD)/kernel/vdso-image.o $(LWIP_OBJECTS)

# <machine/…> is looked up after the system's own headers: a features.h of ours must not stand in for theirs.
KERNEL_FLAGS := -std=c++20 -m32 -march=i686 -mtune=generic -ffreestanding -fno-exceptions -fno-rtti -fno-threadsafe-statics -fno-pie \
	-fno-stack-protector $(calling_convention) $(stack_alignment) -fno-asynchronous-unwind-tables $(general_registers) $(no_padding) -O2 -g -fno-omit-frame-pointer $(warnings) $(kernel_warnings) \
	-D_GLIBCXX_ASSERTIONS -fcf-protection=none -I. -idirafter arch/x86 $(LWIP_INCLUDES) \
	$(if $(filter 1,$(DEBUG)),-DFAULTLINE_DEBUG=1)
KERNEL_LDFLAGS := -m elf_i386 -nostdlib -static -T linker.ld -z noexecstack -z max-page-size=0x1000 --build-id=none
kernel_link = $(LD) $(KERNEL_LDFLAGS) -o $@ $(KERNEL_OBJECTS) $(filter %ksyms.o %ksyms-empty.o,$^)

kernel: $(BUILD)/kernel.elf

$(eval $(call remember_flags,$(BUILD)/kernel/flags,$(KERNEL_CXX) $(KERNEL_FLAGS)))

$(BUILD)/kernel/%.cpp.o: %.cpp $(BUILD)/kernel/flags | $(LWIP)
	$(say) CXX $<
	$(Q)mkdir -p $(@D)
	$(Q)$(KERNEL_CXX) $(KERNEL_FLAGS) -MD -MP -c -o $@ $<

$(BUILD)/kernel/%.S.o: %.S $(BUILD)/kernel/flags
	$(say) AS $<
	$(Q)mkdir -p $(@D)
	$(Q)$(KERNEL_CXX) $(filter -m32 -march=% -g -D%,$(KERNEL_FLAGS)) -I. -x assembler-with-cpp -MD -MP -c -o $@ $<

# The vDSO (arch/x86/vdso/): a shared object for programs, and an assembly file that embeds it in the kernel and tells the addresses of its
# symbols. As small as it goes, for it is one page.
VDSO_SOURCES := $(wildcard arch/x86/vdso/*.cpp arch/x86/vdso/*.S)
VDSO_OBJECTS := $(VDSO_SOURCES:%=$(BUILD)/%.o)
VDSO_FLAGS := -std=c++20 -m32 -march=i686 -ffreestanding -fno-exceptions -fno-rtti -fPIC -fno-stack-protector $(general_registers) \
	-fasynchronous-unwind-tables -fomit-frame-pointer -fcf-protection=none -O2 -fno-align-functions \
	$(no_padding) $(warnings) -I.
VDSO_LDFLAGS := -m elf_i386 -shared -nostdlib -soname linux-gate.so.1 --hash-style=both -Bsymbolic --eh-frame-hdr -z max-page-size=4096 \
	-z noexecstack --build-id=none -T arch/x86/vdso/vdso.lds

$(eval $(call remember_flags,$(BUILD)/arch/x86/vdso/flags,$(KERNEL_CXX) $(VDSO_FLAGS) $(VDSO_LDFLAGS) $(VDSO_OBJECTS)))

$(BUILD)/arch/x86/vdso/%.o: arch/x86/vdso/% $(BUILD)/arch/x86/vdso/flags
	$(say) VDSO $<
	$(Q)$(KERNEL_CXX) $(if $(filter %.S,$<),-m32 -I. -x assembler-with-cpp,$(VDSO_FLAGS)) -MD -MP -c -o $@ $<

$(BUILD)/arch/x86/vdso/vdso.so: $(VDSO_OBJECTS) arch/x86/vdso/vdso.lds $(BUILD)/arch/x86/vdso/flags
	$(Q)$(LD) $(VDSO_LDFLAGS) -o $@.symbols $(VDSO_OBJECTS)
	$(Q)$(OBJCOPY) -S $@.symbols $@

$(BUILD)/kernel/vdso-image.S: $(BUILD)/arch/x86/vdso/vdso.so arch/x86/vdso/layout.h
	$(Q)mkdir -p $(@D)
	$(Q){ printf '#include "arch/x86/vdso/layout.h"\n.section .rodata\n.globl vdso_image, vdso_image_end\n'; \
	  printf 'vdso_image: .incbin "%s"\nvdso_image_end:\n' $<; \
	  $(NM) $<.symbols | sed -nE 's/^([0-9a-f]+) . _*(kernel_\w+|vdso_(fast_way|sysenter_return))$$/.globl address_of_\2; .set address_of_\2, VDSO_ADDRESS + 0x\1/p'; \
	  printf '.section .note.GNU-stack, "", @progbits\n'; } >$@

$(BUILD)/kernel/vdso-image.o: $(BUILD)/kernel/vdso-image.S
	$(Q)$(KERNEL_CXX) -m32 -I. -x assembler-with-cpp -c -o $@ $<

# Sources that come and go change the list of objects, which the links depend on.
$(eval $(call remember_flags,$(BUILD)/kernel/objects,$(KERNEL_LDFLAGS) $(KERNEL_OBJECTS)))

$(BUILD)/kernel/first.elf: $(KERNEL_OBJECTS) $(BUILD)/kernel/ksyms-empty.o $(BUILD)/kernel/objects linker.ld
	$(Q)$(kernel_link)

$(BUILD)/kernel.elf: $(BUILD)/kernel/first.elf $(BUILD)/kernel/ksyms.o
	$(say) LINK $@
	$(Q)$(kernel_link)
	$(Q)$(NM) $@ | tools/ksyms --check $(BUILD)/kernel/ksyms.S

$(BUILD)/kernel/ksyms-empty.S: tools/ksyms
	$(Q)mkdir -p $(@D)
	$(Q)tools/ksyms </dev/null >$@

$(BUILD)/kernel/ksyms.S: $(BUILD)/kernel/first.elf tools/ksyms
	$(Q)$(NM) $< | tools/ksyms >$@

$(BUILD)/kernel/ksyms%o: $(BUILD)/kernel/ksyms%S
	$(Q)$(KERNEL_CXX) -m32 -c -o $@ $<

-include $(KERNEL_OBJECTS:.o=.d) $(VDSO_OBJECTS:.o=.d)
