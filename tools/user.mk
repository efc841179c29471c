# The programs for user space, all static. A folder of user/ with a main.cpp is one program, named after the folder; in
# any other folder every .cpp is a program of its own. Those of user/bench are free of a C library, so that nothing but
# the kernel is measured, unless their name ends in _libc; elsewhere, those are whose name ends in _free. tools/mkroot says where in the image they go.

user_mains := $(wildcard user/*/main.cpp)
user_singles := $(filter-out $(addsuffix %,$(dir $(user_mains))),$(wildcard user/*/*.cpp))
USER_PROGRAMS := $(patsubst user/%/main.cpp,$(BUILD)/user/%,$(user_mains)) \
	$(user_singles:user/%.cpp=$(BUILD)/user/%)

USER_FLAGS := -std=c++20 -m32 -march=i686 -O2 -g -fno-pie -fno-stack-protector $(warnings) -Wno-format-truncation -fcf-protection=none -I. -Iuser/include
USER_FREE_FLAGS := -ffreestanding -fno-builtin -fno-exceptions -fno-rtti -fno-threadsafe-statics -fno-asynchronous-unwind-tables \
	-mno-sse -mno-mmx -nostdlib -Wl,-z,norelro -Wl,-z,noexecstack
USER_LINK := -static -no-pie -Wl,--build-id=none

user: $(USER_PROGRAMS)

$(eval $(call remember_flags,$(BUILD)/user/.flags,$(USER_CXX) $(USER_FLAGS) $(USER_LINK) $(USER_FREE_FLAGS)))

# $(1) program, as in tests/fork; $(2) sources; $(3) further flags
define user_program
$(BUILD)/user/$(1): $(2) $(BUILD)/user/.flags
	$(say) USER $(1)
	$(Q)mkdir -p $$(@D)
	$(Q)$(USER_CXX) $(USER_FLAGS) $(3) -MD -MP -MF $$@.d -MT $$@ $(USER_LINK) -o $$@.debug $(2)
	$(Q)$(USER_PREFIX)strip -o $$@ $$@.debug
-include $(BUILD)/user/$(1).d
endef

comma := ,
free_flags = $(if $(filter user/bench/%,$(1)),$(if $(filter %_libc.cpp,$(1)),,$(USER_FREE_FLAGS)))\
	$(if $(filter user/pthreads/%,$(1)),-fno-exceptions -fno-rtti) $(if $(filter %_free.cpp,$(1)),$(USER_FREE_FLAGS) -Wl$(comma)-z$(comma)noseparate-code)
# Debian's liburing for user/tests/liburing.cpp: a program's library stands among its sources.
LIBURING := $(BUILD)/liburing
liburing_library := $(LIBURING)/usr/lib/i386-linux-gnu/liburing.a
$(liburing_library):
	$(Q)tools/fetch-liburing $(LIBURING)
user_libraries = $(if $(filter user/tests/liburing.cpp,$(1)),$(liburing_library))
user_includes = $(if $(filter user/tests/liburing.cpp,$(1)),-isystem $(LIBURING)/usr/include)

$(foreach m,$(user_mains),$(eval $(call user_program,$(patsubst user/%/main.cpp,%,$(m)),$(wildcard $(dir $(m))*.cpp))))
$(foreach s,$(user_singles),$(eval $(call user_program,$(s:user/%.cpp=%),$(s) $(call user_libraries,$(s)),$(call free_flags,$(s)) $(call user_includes,$(s)))))

# The programs of user/pthreads once more, with musl's pthreads under them instead of glibc's.
MUSL := $(BUILD)/musl
MUSL_PROGRAMS := $(patsubst user/pthreads/%.cpp,$(BUILD)/user/pthreads-musl/%,$(wildcard user/pthreads/*.cpp))
musl_headers := $(MUSL)/usr/include/i386-linux-musl
musl_library := $(MUSL)/usr/lib/i386-linux-musl

musl-programs: $(MUSL_PROGRAMS)

$(MUSL):
	$(Q)tools/fetch-musl $@

$(BUILD)/user/pthreads-musl/%: user/pthreads/%.cpp $(BUILD)/user/.flags | $(MUSL)
	$(say) USER pthreads-musl/$*
	$(Q)mkdir -p $(@D)
	$(Q)$(USER_CXX) $(USER_FLAGS) -fno-exceptions -fno-rtti -nostdinc -isystem $(musl_headers) -MD -MP $(USER_LINK) -nostdlib -o $@ \
		$(musl_library)/crt1.o $(musl_library)/crti.o $< $(musl_library)/libc.a -lgcc $(musl_library)/crtn.o
-include $(MUSL_PROGRAMS:%=%.d)
