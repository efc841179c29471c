# lwIP, the protocol engine of kernel/net: Debian's source package, compiled for the kernel. It is foreign code, so it gets our flags without
# our warnings.

LWIP := $(BUILD)/lwip
LWIP_SOURCES := $(addprefix core/,init.c def.c mem.c memp.c netif.c pbuf.c raw.c stats.c tcp.c tcp_in.c tcp_out.c udp.c ip.c inet_chksum.c) \
	$(addprefix core/ipv4/,dhcp.c etharp.c icmp.c ip4.c ip4_addr.c ip4_frag.c) netif/ethernet.c
LWIP_OBJECTS := $(LWIP_SOURCES:%=$(BUILD)/kernel/lwip/%.o)
# For those of our sources that call it.
LWIP_INCLUDES := -isystem kernel/net/lwip/port -isystem $(LWIP)/src/include
LWIP_FLAGS = -x c -std=gnu11 $(filter-out -std=% -fno-rtti -fno-exceptions -fno-threadsafe-statics -D_GLIBCXX% $(warnings) $(kernel_warnings),$(KERNEL_FLAGS)) \
	-isystem kernel/net/lwip/freestanding -w

$(LWIP):
	$(Q)tools/fetch-lwip $@

$(BUILD)/kernel/lwip/%.c.o: $(BUILD)/kernel/flags tools/lwip.mk | $(LWIP)
	$(say) LWIP $*.c
	$(Q)mkdir -p $(@D)
	$(Q)$(KERNEL_CXX) $(LWIP_FLAGS) -MD -MP -c -o $@ $(LWIP)/src/$*.c

-include $(LWIP_OBJECTS:.o=.d)
