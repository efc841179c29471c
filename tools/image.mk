# The root image (ext2, made from a directory tree) and the bootable GRUB image.

.PHONY: image
image: $(BUILD)/root.img

ROOT_MIB ?= 160
ROOT_FILES := $(shell find user/root -type f 2>/dev/null)
TEST_SCRIPTS := $(wildcard user/tests/*.sh)
PATTERNS := $(wildcard user/messages/patterns/*.rle)

$(BUILD)/busybox:
	$(Q)tools/fetch-busybox $@

$(BUILD)/root.img: $(BUILD)/busybox $(USER_PROGRAMS) $(TEST_SCRIPTS) $(PATTERNS) $(ROOT_FILES) tools/mkroot
	$(say) IMAGE $@
	$(Q)tools/mkroot --size $(ROOT_MIB) --busybox $(BUILD)/busybox --tree user/root --output $@ $(USER_PROGRAMS) $(TEST_SCRIPTS) $(PATTERNS)

iso: $(BUILD)/faultline.iso

$(BUILD)/faultline.iso: $(BUILD)/kernel.elf $(BUILD)/root.img boot/grub.cfg
	$(say) ISO $@
	$(Q)tools/mkiso $(BUILD)/kernel.elf $(BUILD)/root.img boot/grub.cfg $@
