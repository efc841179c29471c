# build/kernel.elf, in two links: the first gives the functions their addresses, the second adds the table of their
# names that the panic backtrace reads. The table is in a section of its own behind the code, so no function moves;
# tools/ksyms checks that.

KERNEL_SOURCES := $(wildcard lib/*.cpp mm/*.cpp fs/*.cpp fs/*/*.cpp drivers/*.cpp drivers/*/*.cpp kernel/*.cpp \
	kernel/*/*.cpp arch/x86/*.cpp arch/x86/*.S boot/*.S boot/*.cpp)
KERNEL_OBJECTS := $(KERNEL_SOURCES:%=$(BUILD)/kernel/%.o)

# <machine/…> is looked up after the system's own headers: a features.h of ours must not stand in for theirs.
KERNEL_FLAGS := -std=c++20 -m32 -march=i686 -ffreestanding -fno-exceptions -fno-rtti -fno-threadsafe-statics -fno-pie \
	-fno-stack-protector $(calling_convention) $(stack_alignment) -fno-asynchronous-unwind-tables $(general_registers) -O2 -g -fno-omit-frame-pointer $(warnings) $(kernel_warnings) \
	-D_GLIBCXX_ASSERTIONS -fcf-protection=none -I. -idirafter arch/x86 $(if $(filter 1,$(DEBUG)),-DFAULTLINE_DEBUG=1)
KERNEL_LDFLAGS := -m elf_i386 -nostdlib -static -T linker.ld -z noexecstack -z max-page-size=0x1000 --build-id=none
kernel_link = $(LD) $(KERNEL_LDFLAGS) -o $@ $(KERNEL_OBJECTS) $(filter %ksyms.o %ksyms-empty.o,$^)

kernel: $(BUILD)/kernel.elf

$(eval $(call remember_flags,$(BUILD)/kernel/flags,$(KERNEL_CXX) $(KERNEL_FLAGS)))

$(BUILD)/kernel/%.cpp.o: %.cpp $(BUILD)/kernel/flags
	$(say) CXX $<
	$(Q)mkdir -p $(@D)
	$(Q)$(KERNEL_CXX) $(KERNEL_FLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/kernel/%.S.o: %.S $(BUILD)/kernel/flags
	$(say) AS $<
	$(Q)mkdir -p $(@D)
	$(Q)$(KERNEL_CXX) $(filter -m32 -march=% -g -D%,$(KERNEL_FLAGS)) -I. -x assembler-with-cpp -MMD -MP -c -o $@ $<

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

-include $(KERNEL_OBJECTS:.o=.d)
