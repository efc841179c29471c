# The host tests: GoogleTest over lib, mm, fs and the pure parts of kernel, unchanged, compiled for the host in 64 and in
# 32 bits with the address and undefined-behaviour sanitizers. The code under test goes into an archive, so a test
# links what it uses and nothing else.

HOST_CXX ?= g++
GTEST ?= /usr/src/googletest/googletest
# The parts of kernel/ that need neither a scheduler nor a machine.
HOST_KERNEL_CODE := kernel/frame_ranges.cpp
# The parts of drivers that touch no device.
HOST_DRIVER_CODE := drivers/keyboard_decoder.cpp $(wildcard drivers/terminal/line_*.cpp drivers/terminal/ansi_*.cpp) drivers/terminal/output_processor.cpp
# tools/replacement's parts.
HOST_TOOL_CODE := $(filter-out %/main.cpp,$(wildcard tools/replacement_simulator/*.cpp))
HOST_CODE := $(wildcard lib/*.cpp mm/*.cpp fs/*.cpp fs/*/*.cpp host_tests/support/*.cpp) $(HOST_KERNEL_CODE) $(HOST_DRIVER_CODE) $(HOST_TOOL_CODE)
HOST_TESTS := $(wildcard host_tests/*.cpp)
# What the tests share, models and workloads, is as hot as the code under test.
HOST_HOT_TESTS := $(shell grep -LE '^TEST' $(HOST_TESTS))
HOST_FLAGS := -std=c++20 -O1 -g -fno-omit-frame-pointer $(warnings) -D_GLIBCXX_ASSERTIONS -DFAULTLINE_DEBUG=1 -fno-sanitize-recover=all -I. -idirafter host_tests/support -isystem $(GTEST)/include -isystem $(GTEST)

# And memory on real threads under ThreadSanitizer, which wants all of what it looks at compiled for it.
HOSTthread_CXX := $(HOST_CXX)
HOSTthread_SANITIZE := -fsanitize=thread
HOSTthread_CODE := $(wildcard lib/*.cpp mm/*.cpp host_tests/support/*.cpp)
HOSTthread_TESTS := $(addprefix host_tests/,mm_threads.cpp mm_workload.cpp mm_worker.cpp slow_store.cpp)
HOST64_CODE := $(HOST_CODE)
HOST32_CODE := $(HOST_CODE)
HOST64_TESTS := $(HOST_TESTS)
HOST32_TESTS := $(HOST_TESTS)

HOST64_CXX := $(HOST_CXX)
HOST32_CXX := $(USER_CXX)
HOST64_SANITIZE := -fsanitize=address,undefined
comma := ,
# A Linux without IA-32 emulation runs the 32-bit tests under qemu-i386, which has no room for the address sanitizer's shadow.
HOST32_RUN := $(shell tools/i386-runner)
HOST32_SANITIZE := -fsanitize=$(if $(HOST32_RUN),undefined,address$(comma)undefined)
# The 32-bit tests run without a foreign architecture on the machine: the cross toolchain's own loader and C library.
HOST32_LINK := -static-libasan -static-libubsan -static-libgcc -static-libstdc++ \
	-Wl,--dynamic-linker=/usr/i686-linux-gnu/lib/ld-linux.so.2 -Wl,-rpath,/usr/i686-linux-gnu/lib

# $(1) is 64, 32 or thread
define host_tests
$(eval dir := $(BUILD)/host$(1))
$(call remember_flags,$(dir)/flags,$(HOST$(1)_CXX) $(HOST_FLAGS) $(HOST$(1)_SANITIZE))

$(dir)/%.o: %.cpp $(dir)/flags
	$(say) HOST$(1) $$<
	$(Q)mkdir -p $$(@D)
	$(Q)$(HOST$(1)_CXX) $(HOST_FLAGS) $$(HOST_OPTIMISATION) $(HOST$(1)_SANITIZE) -MD -MP -c -o $$@ $$<

# A file of tests runs each of its lines once or so, and costs more to optimise than to run; not where an emulator runs it.
$(if $(HOST$(1)_RUN),,$(filter-out $(HOST_HOT_TESTS:%.cpp=$(dir)/%.o),$(HOST$(1)_TESTS:%.cpp=$(dir)/%.o)): HOST_OPTIMISATION := -O0)

# Two processors, and a few nanoseconds between them.
$(dir)/host_tests/lib_wait_queue.o: HOST_OPTIMISATION := -O2

$(dir)/gtest.o: $(dir)/flags
	$(say) HOST$(1) gtest
	$(Q)$(HOST$(1)_CXX) -std=c++20 -O1 -isystem $(GTEST)/include -isystem $(GTEST) -c -o $$@ $(GTEST)/src/gtest-all.cc
$(dir)/gtest_main.o: $(dir)/flags
	$(Q)$(HOST$(1)_CXX) -std=c++20 -O1 -isystem $(GTEST)/include -c -o $$@ $(GTEST)/src/gtest_main.cc

$(call remember_flags,$(dir)/objects,$(HOST$(1)_CODE) $(HOST$(1)_TESTS))

$(dir)/code.a: $(HOST$(1)_CODE:%.cpp=$(dir)/%.o) $(dir)/objects
	$(Q)rm -f $$@ && $(AR) rcsP $$@ $$(filter %.o,$$^)

$(dir)/tests: $(HOST$(1)_TESTS:%.cpp=$(dir)/%.o) $(dir)/gtest.o $(dir)/gtest_main.o $(dir)/code.a
	$(say) LINK $$@
	$(Q)$(HOST$(1)_CXX) $(HOST$(1)_SANITIZE) $(HOST$(1)_LINK) -o $$@ $$^ -pthread

-include $(patsubst %.cpp,$(dir)/%.d,$(HOST$(1)_CODE) $(HOST$(1)_TESTS))
endef
$(eval $(call host_tests,64))
$(eval $(call host_tests,32))
$(eval $(call host_tests,thread))

.PHONY: host-test-build
host-test-build: $(BUILD)/host64/tests $(BUILD)/host32/tests

host-test: host-test-build
	$(Q)$(BUILD)/host64/tests --gtest_brief=1
	$(Q)$(HOST32_RUN) $(BUILD)/host32/tests --gtest_brief=1

# By hand, for it is a third build: as many seeds as RUNS says.
.PHONY: thread-test
thread-test: $(BUILD)/hostthread/tests
	$(Q)FAULTLINE_THREAD_RUNS=$(or $(RUNS),200) $(BUILD)/hostthread/tests
