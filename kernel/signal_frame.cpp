// The i386 signal frames: what a handler finds on its stack and what sigreturn takes back. Layouts as programs know them from
// <asm/sigcontext.h> and <asm/ucontext.h>: a plain frame, and one with siginfo and ucontext for SA_SIGINFO.
#include <machine/user_inline.h>

#include <bit>
#include <cstddef>

#include "arch/vdso.h"
#include "kernel/calls.h"
#include "kernel/process.h"
#include "kernel/signal_internal.h"
#include "mm/user_memory.h"

namespace faultline {

namespace {

struct SignalContext {
  uint32_t gs, fs, es, ds, edi, esi, ebp, esp, ebx, edx, ecx, eax, vector, error, eip, cs, eflags, esp_at_signal, ss;
  uint32_t float_state;  // user address of the x87 and SSE state, or 0
  uint32_t old_mask;     // the mask's first 32 bits
  uint32_t fault_address;
};
static_assert(sizeof(SignalContext) == 88);

struct UserContext {
  uint32_t flags, link;
  uint32_t stack_base, stack_flags, stack_size;
  SignalContext machine;
  uint32_t mask[2];
};
static_assert(sizeof(UserContext) == 116);

// Both begin with the return address and the handler's arguments. They end with code that calls sigreturn; nobody runs it any more, but
// debuggers know a frame by it.
struct PlainFrame {
  uint32_t return_address;
  uint32_t signal;
  SignalContext context;
  uint8_t unused[624];  // left as the stack has it
  uint32_t more_mask;
  uint32_t code[2];
};
static_assert(offsetof(PlainFrame, context) == 8 && offsetof(PlainFrame, more_mask) == 720);
constexpr uint32_t kPlainCode[2] = {0x0077b858, 0x80cd0000};  // pop %eax; mov $119, %eax; int $0x80

struct InfoFrame {
  uint32_t return_address;
  uint32_t signal, info_address, context_address;
  SignalInfo info;
  uint8_t info_rest[kUserSignalInfoSize - sizeof(SignalInfo)];  // zero
  UserContext context;
  uint32_t code[2];
};
static_assert(offsetof(InfoFrame, context) == 144);
constexpr uint32_t kInfoCode[2] = {0x0000adb8, 0x0080cd00};  // mov $173, %eax; int $0x80

constexpr uint32_t kUserFlags = 0x50dd5;  // AC RF OF DF TF SF ZF AF PF CF: what a program may set in eflags
constexpr uint32_t kInterruptFlag = 0x200, kDirectionFlag = 0x400, kTrapFlag = 0x100;

bool on_alternate_stack(const AlternateStack& stack, uint32_t esp) { return stack.size != 0 && esp - stack.base - 1 < stack.size; }

uint32_t flags_of(const AlternateStack& stack, uint32_t esp) {
  if (stack.size == 0) return AlternateStack::kDisable;
  return on_alternate_stack(stack, esp) ? AlternateStack::kOnStack : 0;
}

// Where the frame's bytes and, above them, the float state go; the handler finds esp + 4 aligned to 16.
struct Placement {
  VirtAddr frame, float_state;
};
Placement place_frame(const TrapFrame& frame, const SignalAction& action, uint32_t bytes) {
  const AlternateStack& alternate = running_thread().alternate_stack;
  uint32_t top = frame.esp;
  if ((action.flags & SignalAction::kOnStack) && alternate.size != 0 && !on_alternate_stack(alternate, top))
    top = alternate.base + alternate.size;
  uint32_t float_state = (top - kUserFloatBytes) & ~15u;
  return {VirtAddr(((float_state - bytes) & ~15u) - 4), VirtAddr(float_state)};
}

uint32_t return_address(const SignalAction& action, VirtAddr VdsoPlaces::*otherwise) {
  return action.flags & SignalAction::kRestorer ? action.restorer : (vdso_places().*otherwise).value();
}

uint32_t number_of(const CaughtSignal& caught) { return static_cast<uint32_t>(caught.info.number); }
uint32_t mask_word(const CaughtSignal& caught, uint32_t which) { return static_cast<uint32_t>(caught.mask >> 32 * which); }

// The float state goes last: where that fails, it alone has to be put back.
bool push_context(VirtAddr where, const TrapFrame& frame, const CaughtSignal& caught, VirtAddr float_state) {
  const SignalInfo& info = caught.info;
  uint32_t fault_address = info.code > 0 && info.code != kCodeKernel ? info.fields[0] : 0;
  return machine::user_store(where, frame.gs, frame.fs, frame.es, frame.ds, frame.edi, frame.esi, frame.ebp, frame.esp, frame.ebx,
                             frame.edx, frame.ecx, frame.eax, frame.vector, frame.error, frame.eip, frame.cs, frame.eflags, frame.esp,
                             frame.ss, float_state.value(), mask_word(caught, 0), fault_address) &&
         float_state_save_to_user(float_state);
}

void enter_handler(TrapFrame& frame, const CaughtSignal& caught, VirtAddr stack, uint32_t info, uint32_t context) {
  frame.esp = stack.value();
  frame.eip = caught.action.handler;
  frame.eax = number_of(caught);
  frame.edx = info;
  frame.ecx = context;
  frame.cs = frame.cs | 3;
  frame.ds = frame.es = frame.ss;
  frame.eflags &= ~(kDirectionFlag | kTrapFlag);
  float_state_reset();
}

bool push_plain(TrapFrame& frame, const CaughtSignal& caught) {
  auto [base, float_state] = place_frame(frame, caught.action, sizeof(PlainFrame));
  if (!machine::user_store(base, return_address(caught.action, &VdsoPlaces::signal_return), number_of(caught)) ||
      !machine::user_store(base + offsetof(PlainFrame, more_mask), mask_word(caught, 1), kPlainCode[0], kPlainCode[1]) ||
      !push_context(base + offsetof(PlainFrame, context), frame, caught, float_state))
    return false;
  enter_handler(frame, caught, base, 0, 0);
  return true;
}

bool push_with_info(TrapFrame& frame, const CaughtSignal& caught) {
  auto [base, float_state] = place_frame(frame, caught.action, sizeof(InfoFrame));
  VirtAddr info = base + offsetof(InfoFrame, info), context = base + offsetof(InfoFrame, context);
  const AlternateStack& stack = running_thread().alternate_stack;
  uint32_t link = 0, flags = 0;
  if (!machine::user_store(base, return_address(caught.action, &VdsoPlaces::signal_return_with_info), number_of(caught), info.value(),
                           context.value()) ||
      user_copy_out(info, &caught.info, sizeof caught.info) != 0 ||
      user_zero(base + offsetof(InfoFrame, info_rest), sizeof(InfoFrame::info_rest)) != 0 ||
      !machine::user_store(context, flags, link, stack.base, flags_of(stack, frame.esp), stack.size) ||
      !machine::user_store(context + offsetof(UserContext, mask), mask_word(caught, 0), mask_word(caught, 1), kInfoCode[0], kInfoCode[1]) ||
      !push_context(context + offsetof(UserContext, machine), frame, caught, float_state))
    return false;
  enter_handler(frame, caught, base, info.value(), context.value());
  return true;
}

}  // namespace

uint32_t signal_frame_limit() {
  constexpr uint32_t kPadding = 15 + 15 + 4;  // place_frame()'s
  return sizeof(InfoFrame) + kUserFloatBytes + kPadding;
}

bool signal_frame_push(TrapFrame& frame, const CaughtSignal& caught) {
  return caught.action.flags & SignalAction::kSiginfo ? push_with_info(frame, caught) : push_plain(frame, caught);
}

namespace {

// The registers as the handler left them in its frame; selectors that make no sense fault on the way out and are dealt with there. Both
// ends of the context are read before anything changes: a frame that is not there leaves all as it is.
bool restore_context(TrapFrame& frame, VirtAddr from, uint32_t& old_mask) {
  uint32_t first, ss, float_state;
  if (!machine::user_load(from, first) || !machine::user_load(from + offsetof(SignalContext, ss), ss, float_state, old_mask)) return false;
  if (float_state == 0)
    float_state_reset();
  else if (!float_state_restore_from_user(VirtAddr(float_state)))
    return false;
  if (frame.vector == kVectorFastCall) running_thread().add_work(kWorkFrame);
  uint32_t vector, error, cs, flags;
  if (!machine::user_load(from, frame.gs, frame.fs, frame.es, frame.ds, frame.edi, frame.esi, frame.ebp, frame.esp, frame.ebx, frame.edx,
                          frame.ecx, frame.eax, vector, error, frame.eip, cs, flags))
    return false;
  constexpr uint32_t kSelector = 0xffff;
  frame.gs &= kSelector;
  frame.fs &= kSelector;
  frame.es &= kSelector;
  frame.ds &= kSelector;
  frame.cs = (cs & kSelector) | 3;
  frame.ss = (ss & kSelector) | 3;
  frame.eflags = (frame.eflags & ~kUserFlags) | (flags & kUserFlags) | kInterruptFlag;
  return true;
}

Result<uint32_t> bad_frame(const TrapFrame& frame) {
  signal_force(signal_info_of_fault(Signal::kSegmentation, kCodeKernel, 0));
  return frame.eax;
}

}  // namespace

Result<uint32_t> sys_sigreturn() {
  TrapFrame& frame = running_thread().frame();
  VirtAddr user(frame.esp - 8);  // the return address and the argument have been popped
  VirtAddr context = user + offsetof(PlainFrame, context);
  uint32_t mask[2];
  if (!machine::user_load(user + offsetof(PlainFrame, more_mask), mask[1]) || !restore_context(frame, context, mask[0]))
    return bad_frame(frame);
  signal_set_mask(std::bit_cast<SignalSet>(mask));
  return frame.eax;
}

Result<uint32_t> sys_rt_sigreturn() {
  Thread& self = running_thread();
  TrapFrame& frame = self.frame();
  VirtAddr context = VirtAddr(frame.esp - 4) + offsetof(InfoFrame, context);
  uint32_t old_mask, mask[2];  // the mask is found twice
  AlternateStack stack;
  if (!machine::user_load(context + offsetof(UserContext, stack_base), stack.base, stack.flags, stack.size) ||
      !machine::user_load(context + offsetof(UserContext, mask), mask[0], mask[1]) ||
      !restore_context(frame, context + offsetof(UserContext, machine), old_mask))
    return bad_frame(frame);
  signal_set_mask(std::bit_cast<SignalSet>(mask));
  if (!on_alternate_stack(self.alternate_stack, frame.esp)) {
    if (stack.flags & AlternateStack::kDisable)
      self.alternate_stack = {};
    else if (stack.size >= AlternateStack::kMinimumSize)
      self.alternate_stack = {stack.base, 0, stack.size};
  }
  return frame.eax;
}

Result<uint32_t> sys_sigaltstack(UserPtr<AlternateStack> wanted, UserPtr<AlternateStack> old) {
  Thread& self = running_thread();
  AlternateStack before = self.alternate_stack;
  before.flags = flags_of(before, self.frame().esp);
  if (!wanted.is_null()) {
    AlternateStack stack = TRY(user_read(wanted));
    if (before.flags & AlternateStack::kOnStack) return Errno::kPERM;
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
