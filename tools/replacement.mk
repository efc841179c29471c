# tools/replacement's program: the policies over traces, on the machine that builds. Nothing else needs it, so it is built when it is asked for.

SIMULATOR_SOURCES := $(wildcard tools/replacement_simulator/*.cpp)
SIMULATOR_FLAGS := -std=c++20 -O2 -g $(warnings) -I.

$(eval $(call remember_flags,$(BUILD)/simulator/flags,$(HOST_CXX) $(SIMULATOR_FLAGS) $(SIMULATOR_SOURCES)))

$(BUILD)/simulator/%.o: tools/replacement_simulator/%.cpp $(BUILD)/simulator/flags
	$(say) HOST $<
	$(Q)mkdir -p $(@D)
	$(Q)$(HOST_CXX) $(SIMULATOR_FLAGS) -MD -MP -c -o $@ $<

$(BUILD)/replacement: $(SIMULATOR_SOURCES:tools/replacement_simulator/%.cpp=$(BUILD)/simulator/%.o)
	$(say) LINK $@
	$(Q)$(HOST_CXX) -o $@ $^

-include $(wildcard $(BUILD)/simulator/*.d)
