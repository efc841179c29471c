// Thread-local storage through descriptors: see thread_local_storage.h. Format: SDM volume 3, 3.4.5.
#include "kernel/thread_local_storage.h"

#include "kernel/calls.h"

namespace faultline {

namespace {

constexpr uint32_t k32Bit = 1, kReadExecuteOnly = 8, kLimitInPages = 16, kNotPresent = 32, kUseable = 64;
constexpr uint32_t contents_of(uint32_t flags) { return (flags >> 1) & 3; }

bool is_empty(const UserTlsDescriptor& d) {
  return d.base == 0 && d.limit == 0 && (d.flags == (kReadExecuteOnly | kNotPresent) || d.flags == 0);
}

// Always a data or code segment of privilege 3: nothing that a program asks for here can be more.
uint64_t encode(const UserTlsDescriptor& d) {
  if (is_empty(d)) return 0;
  uint32_t low = (d.base & 0xffff) << 16 | (d.limit & 0xffff);
  uint32_t high = (d.base & 0xff000000) | ((d.base >> 16) & 0xff) | (d.limit & 0xf0000);
  high |= (d.flags & kReadExecuteOnly ? 0u : 1u) << 9 | contents_of(d.flags) << 10 | 1u << 12 | 3u << 13;
  high |= (d.flags & kNotPresent ? 0u : 1u) << 15 | (d.flags & kUseable ? 1u : 0u) << 20 | (d.flags & k32Bit ? 1u : 0u) << 22 |
          (d.flags & kLimitInPages ? 1u : 0u) << 23 | 1u << 8;
  return static_cast<uint64_t>(high) << 32 | low;
}

UserTlsDescriptor decode(uint64_t entry, uint32_t number) {
  if (entry == 0) return {number, 0, 0, kReadExecuteOnly | kNotPresent};
  auto low = static_cast<uint32_t>(entry), high = static_cast<uint32_t>(entry >> 32);
  uint32_t flags = ((high >> 22) & 1) | ((high >> 10) & 3) << 1 | (high & 1u << 9 ? 0 : kReadExecuteOnly) |
                   (high & 1u << 23 ? kLimitInPages : 0) | (high & 1u << 15 ? 0 : kNotPresent) | (high & 1u << 20 ? kUseable : 0);
  return {number, low >> 16 | (high & 0xff) << 16 | (high & 0xff000000), (low & 0xffff) | (high & 0xf0000), flags};
}

Result<uint32_t> index_of(uint32_t number) {
  if (number < kFirstTlsEntry || number >= kFirstTlsEntry + kTlsSlots) return Errno::kINVAL;
  return number - kFirstTlsEntry;
}

Result<void> check(const UserTlsDescriptor& d) {
  if (is_empty(d)) return {};
  // 16-bit segments and conforming code would let a program see more than its own half of memory's rules.
  if (!(d.flags & k32Bit) || contents_of(d.flags) > 1) return Errno::kINVAL;
  return {};
}

}  // namespace

Result<void> tls_set(Thread& thread, UserPtr<UserTlsDescriptor> wanted) {
  UserTlsDescriptor descriptor = TRY(user_read(wanted));
  uint32_t index = TRY(index_of(descriptor.entry_number));
  TRY(check(descriptor));
  thread.tls.set(index, encode(descriptor));
  return {};
}

Result<uint32_t> sys_set_thread_area(UserPtr<UserTlsDescriptor> wanted) {
  Thread& self = running_thread();
  UserTlsDescriptor descriptor = TRY(user_read(wanted));
  TRY(check(descriptor));
  uint32_t index;
  if (descriptor.entry_number == ~0u) {
    for (index = 0; index < kTlsSlots && self.tls.entries[index] != 0;) index++;
    if (index == kTlsSlots) return Errno::kSRCH;
    descriptor.entry_number = kFirstTlsEntry + index;
    TRY(user_write(wanted, descriptor));
  } else {
    index = TRY(index_of(descriptor.entry_number));
  }
  self.tls.set(index, encode(descriptor));
  InterruptGuard interrupts_off;
  context_load_tls(self.tls);
  return 0u;
}

Result<uint32_t> sys_get_thread_area(UserPtr<UserTlsDescriptor> wanted) {
  UserTlsDescriptor descriptor = TRY(user_read(wanted));
  uint32_t index = TRY(index_of(descriptor.entry_number));
  TRY(user_write(wanted, decode(running_thread().tls.entries[index], descriptor.entry_number)));
  return 0u;
}

}  // namespace faultline
