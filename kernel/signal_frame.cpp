// The i386 signal frames: what a handler finds on its stack and what sigreturn takes back. Layouts as programs know them from
// <asm/sigcontext.h> and <asm/ucontext.h>: a plain frame, and one with siginfo and ucontext for SA_SIGINFO.
#include <cstddef>

#include "arch/vdso.h"
#include "kernel/calls.h"
#include "kernel/process.h"
#include "kernel/signal.h"
#include "mm/user_memory.h"

namespace faultline {

namespace {

struct SignalContext {
  uint32_t gs, fs, es, ds, edi, esi, ebp, esp, ebx, edx, ecx, eax, vector, error, eip, cs, eflags, esp_at_signal, ss;
  uint32_t float_state;  // user address of a UserFloatState, or 0
  uint32_t old_mask;     // the mask's first 32 bits
  uint32_t fault_address;
};
static_assert(sizeof(SignalContext) == 88);

struct UserContext {
  uint32_t flags = 0, link = 0;
  uint32_t stack_base, stack_flags, stack_size;
  SignalContext machine;
  uint32_t mask[2];
};
static_assert(sizeof(UserContext) == 116);

// The old FSAVE layout, followed by what FXSAVE wrote: only the latter counts on the way back.
struct UserFloatState {
  uint8_t fsave[kFsaveBytes];
  uint16_t status_again = 0;
  uint16_t magic = 0;  // 0: the FXSAVE image is there
  uint8_t image[512];
};
static_assert(sizeof(UserFloatState) == 624 && offsetof(UserFloatState, image) == 112);

// Both begin with the return address and the handler's arguments. They end with code that calls sigreturn; nobody runs it any more, but
// debuggers know a frame by it.
struct PlainFrame {
  uint32_t return_address;
  uint32_t signal;
  SignalContext context;
  uint8_t unused[624];
  uint32_t more_mask;
  uint8_t code[8] = {0x58, 0xb8, 119, 0, 0, 0, 0xcd, 0x80};  // pop %eax; mov $119, %eax; int $0x80
};
static_assert(offsetof(PlainFrame, context) == 8 && offsetof(PlainFrame, more_mask) == 720);

struct InfoFrame {
  uint32_t return_address;
  uint32_t signal, info_address, context_address;
  SignalInfo info;
  uint8_t info_rest[kUserSignalInfoSize - sizeof(SignalInfo)] = {};
  UserContext context;
  uint8_t code[8] = {0xb8, 173, 0, 0, 0, 0xcd, 0x80, 0};  // mov $173, %eax; int $0x80
};
static_assert(offsetof(InfoFrame, context) == 144);

constexpr uint32_t kUserFlags = 0x50dd5;  // AC RF OF DF TF SF ZF AF PF CF: what a program may set in eflags
constexpr uint32_t kInterruptFlag = 0x200, kDirectionFlag = 0x400, kTrapFlag = 0x100;

void fill_context(SignalContext& context, const TrapFrame& frame, SignalSet mask, uint32_t float_address, uint32_t fault_address) {
  context = {frame.gs,     frame.fs,  frame.es,     frame.ds,  frame.edi, frame.esi,     frame.ebp,
             frame.esp,    frame.ebx, frame.edx,    frame.ecx, frame.eax, frame.vector,  frame.error,
             frame.eip,    frame.cs,  frame.eflags, frame.esp, frame.ss,  float_address, static_cast<uint32_t>(mask),
             fault_address};
}

bool on_alternate_stack(const AlternateStack& stack, uint32_t esp) { return stack.size != 0 && esp - stack.base - 1 < stack.size; }

// Where the frame's bytes and, above them, the float state go; the handler finds esp + 4 aligned to 16.
struct Placement {
  uint32_t frame, float_state;
};
Placement place_frame(const TrapFrame& frame, const SignalAction& action, uint32_t bytes) {
  const AlternateStack& alternate = running_thread().alternate_stack;
  uint32_t top = frame.esp;
  if ((action.flags & SignalAction::kOnStack) && alternate.size != 0 && !on_alternate_stack(alternate, top))
    top = alternate.base + alternate.size;
  uint32_t float_state = (top - static_cast<uint32_t>(sizeof(UserFloatState))) & ~15u;
  return {((float_state - bytes) & ~15u) - 4, float_state};
}

bool push_float_state(uint32_t address) {
  Thread& self = running_thread();
  float_state_save(self.float_state);
  UserFloatState state;
  memcpy(state.image, self.float_state.bytes, sizeof state.image);
  float_state_as_fsave(self.float_state, state.fsave);
  state.status_again = static_cast<uint16_t>(state.fsave[4] | state.fsave[5] << 8);
  return user_copy_out(VirtAddr(address), &state, sizeof state) == 0;
}

void enter_handler(TrapFrame& frame, const SignalAction& action, uint32_t stack, uint32_t signal, uint32_t info, uint32_t context) {
  frame.esp = stack;
  frame.eip = action.handler;
  frame.eax = signal;
  frame.edx = info;
  frame.ecx = context;
  frame.cs = frame.cs | 3;
  frame.ds = frame.es = frame.ss;
  frame.eflags &= ~(kDirectionFlag | kTrapFlag);
  float_state_reset();
}

}  // namespace

uint32_t signal_frame_limit() {
  constexpr uint32_t kPadding = 15 + 15 + 4;  // place_frame()'s
  return sizeof(InfoFrame) + sizeof(UserFloatState) + kPadding;
}

bool signal_frame_push(TrapFrame& frame, const SignalAction& action, const SignalInfo& info, SignalSet saved_mask) {
  bool with_info = action.flags & SignalAction::kSiginfo;
  Placement place = place_frame(frame, action, with_info ? sizeof(InfoFrame) : sizeof(PlainFrame));
  if (!push_float_state(place.float_state)) return false;
  auto number = static_cast<uint32_t>(info.number);
  uint32_t fault_address = info.code > 0 && info.code != kCodeKernel ? info.fields[0] : 0;
  auto return_address = [&action](VirtAddr otherwise) {
    return action.flags & SignalAction::kRestorer ? action.restorer : otherwise.value();
  };
  if (!with_info) {
    PlainFrame plain;
    plain.return_address = return_address(vdso_places().signal_return);
    plain.signal = number;
    fill_context(plain.context, frame, saved_mask, place.float_state, fault_address);
    plain.more_mask = static_cast<uint32_t>(saved_mask >> 32);
    // The unused middle is left as the stack has it.
    if (user_copy_out(VirtAddr(place.frame), &plain, offsetof(PlainFrame, unused)) != 0) return false;
    constexpr uint32_t kTail = offsetof(PlainFrame, more_mask);
    if (user_copy_out(VirtAddr(place.frame + kTail), &plain.more_mask, sizeof plain - kTail) != 0) return false;
    enter_handler(frame, action, place.frame, number, 0, 0);
    return true;
  }
  InfoFrame full;
  full.return_address = return_address(vdso_places().signal_return_with_info);
  full.signal = number;
  full.info_address = place.frame + offsetof(InfoFrame, info);
  full.context_address = place.frame + offsetof(InfoFrame, context);
  full.info = info;
  const AlternateStack& alternate = running_thread().alternate_stack;
  full.context.stack_base = alternate.base;
  full.context.stack_size = alternate.size;
  full.context.stack_flags = alternate.size == 0                        ? AlternateStack::kDisable
                             : on_alternate_stack(alternate, frame.esp) ? AlternateStack::kOnStack
                                                                        : 0;
  fill_context(full.context.machine, frame, saved_mask, place.float_state, fault_address);
  full.context.mask[0] = static_cast<uint32_t>(saved_mask);
  full.context.mask[1] = static_cast<uint32_t>(saved_mask >> 32);
  if (user_copy_out(VirtAddr(place.frame), &full, sizeof full) != 0) return false;
  enter_handler(frame, action, place.frame, number, full.info_address, full.context_address);
  return true;
}

namespace {

// The thread's own image belongs to the switch, which may save the handler's registers over it at any moment: so a local one.
[[nodiscard]] bool restore_float_state(uint32_t address) {
  FloatState state;
  if (address == 0) {
    float_state_initialize(state);
  } else {
    constexpr uint32_t kImage = offsetof(UserFloatState, image);
    if (user_copy_in(state.bytes, VirtAddr(address + kImage), sizeof state.bytes) != 0) return false;
    float_state_sanitize(state);
  }
  float_state_restore(state);
  return true;
}

// The registers as the handler left them in its frame; selectors that make no sense fault on the way out and are dealt with there.
bool restore_context(TrapFrame& frame, const SignalContext& context) {
  if (!restore_float_state(context.float_state)) return false;
  if (frame.vector == kVectorFastCall) running_thread().add_work(kWorkFrame);
  frame.gs = context.gs & 0xffff;
  frame.fs = context.fs & 0xffff;
  frame.es = context.es & 0xffff;
  frame.ds = context.ds & 0xffff;
  frame.edi = context.edi;
  frame.esi = context.esi;
  frame.ebp = context.ebp;
  frame.esp = context.esp;
  frame.ebx = context.ebx;
  frame.edx = context.edx;
  frame.ecx = context.ecx;
  frame.eax = context.eax;
  frame.eip = context.eip;
  frame.cs = (context.cs & 0xffff) | 3;
  frame.ss = (context.ss & 0xffff) | 3;
  frame.eflags = (frame.eflags & ~kUserFlags) | (context.eflags & kUserFlags) | kInterruptFlag;
  return true;
}

Result<uint32_t> bad_frame(const TrapFrame& frame) {
  signal_force(signal_info_of_fault(Signal::kSegmentation, kCodeKernel, 0));
  return frame.eax;
}

}  // namespace

Result<uint32_t> sys_sigreturn() {
  TrapFrame& frame = running_thread().frame();
  UserPtr<PlainFrame> user(frame.esp - 8);  // the return address and the argument have been popped
  PlainFrame plain;
  uint32_t more_mask;
  if (user_copy_in(&plain, user.address(), offsetof(PlainFrame, unused)) != 0 ||
      user_copy_in(&more_mask, user.address() + offsetof(PlainFrame, more_mask), sizeof more_mask) != 0)
    return bad_frame(frame);
  if (!restore_context(frame, plain.context)) return bad_frame(frame);
  signal_set_mask(plain.context.old_mask | static_cast<SignalSet>(more_mask) << 32);
  return frame.eax;
}

Result<uint32_t> sys_rt_sigreturn() {
  Thread& self = running_thread();
  TrapFrame& frame = self.frame();
  UserPtr<InfoFrame> user(frame.esp - 4);
  UserContext context;
  if (user_copy_in(&context, user.address() + offsetof(InfoFrame, context), sizeof context) != 0) return bad_frame(frame);
  if (!restore_context(frame, context.machine)) return bad_frame(frame);
  signal_set_mask(context.mask[0] | static_cast<SignalSet>(context.mask[1]) << 32);
  if (!on_alternate_stack(self.alternate_stack, frame.esp)) {
    if (context.stack_flags & AlternateStack::kDisable)
      self.alternate_stack = {};
    else if (context.stack_size >= AlternateStack::kMinimumSize)
      self.alternate_stack = {context.stack_base, 0, context.stack_size};
  }
  return frame.eax;
}

Result<uint32_t> sys_sigaltstack(UserPtr<AlternateStack> wanted, UserPtr<AlternateStack> old) {
  Thread& self = running_thread();
  bool in_use = on_alternate_stack(self.alternate_stack, self.frame().esp);
  AlternateStack before = self.alternate_stack;
  before.flags = before.size == 0 ? AlternateStack::kDisable : in_use ? AlternateStack::kOnStack : 0;
  if (!wanted.is_null()) {
    AlternateStack stack = TRY(user_read(wanted));
    if (in_use) return Errno::kPERM;
    if (stack.flags & ~(AlternateStack::kDisable | AlternateStack::kOnStack)) return Errno::kINVAL;
    if (stack.flags & AlternateStack::kDisable) {
      self.alternate_stack = {};
    } else {
      if (stack.size < AlternateStack::kMinimumSize) return Errno::kNOMEM;
      self.alternate_stack = {stack.base, 0, stack.size};
    }
  }
  if (!old.is_null()) TRY(user_write(old, before));
  return 0u;
}

}  // namespace faultline
