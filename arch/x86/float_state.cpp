// x87 and SSE state (SDM volume 1, chapters 8, 10 and 13): FXSAVE where there is SSE, else FSAVE, whose 108 bytes fit as well.
#include "arch/context.h"
#include "arch/user_copy.h"
#include "arch/x86/features.h"
#include "arch/x86/user_float.h"

namespace faultline {

// user_copy.S. False if it could not be done, perhaps after a part.
extern "C" {
bool user_float_save(VirtAddr where);     // leaves the x87 unit reset
bool user_float_restore(VirtAddr where);  // also if the state is misplaced, or one that the processor refuses
}

namespace {

// Offsets in FXSAVE's image (SDM volume 2, FXSAVE).
constexpr uint32_t kControl = 0, kStatus = 2, kMxcsr = 24;
constexpr uint32_t kFsaveStatus = 4;
constexpr uint16_t kCleanControl = 0x037f;  // all exceptions masked, extended precision
constexpr uint16_t kCleanMxcsr = 0x1f80;

// What Linux gives a new program; all registers are zero.
struct CleanState {
  FloatState state = {};
  constexpr CleanState() {
    state.bytes[kControl] = kCleanControl & 0xff;
    state.bytes[kControl + 1] = kCleanControl >> 8;
    state.bytes[kMxcsr] = kCleanMxcsr & 0xff;
    state.bytes[kMxcsr + 1] = kCleanMxcsr >> 8;
  }
};
constexpr CleanState kClean;

uint32_t word_at(const uint8_t* bytes) { return bytes[0] | bytes[1] << 8; }
void put32(uint8_t* bytes, uint32_t value) {
  for (uint32_t i = 0; i < 4; i++) bytes[i] = static_cast<uint8_t>(value >> 8 * i);
}

// What a signal frame holds: FSAVE's layout, where the status word is found once more, and what FXSAVE wrote, which alone counts on the
// way back.
struct UserFloatState {
  uint8_t fsave[USER_FLOAT_STATUS];
  uint16_t status_again;
  uint16_t magic;  // 0: the FXSAVE image is there
  FloatState image;
};
static_assert(offsetof(UserFloatState, status_again) == USER_FLOAT_STATUS && offsetof(UserFloatState, image) == USER_FLOAT_IMAGE &&
              sizeof(UserFloatState) == kUserFloatBytes && kUserFloatBytes == USER_FLOAT_BYTES);

void sanitize(FloatState& state) {
  // Loading an MXCSR with a bit set that this processor does not know is a general protection fault (SDM volume 1, 11.6.6).
  constexpr uint32_t kKnownBits = 0xffbf;  // all but denormals-are-zero, which not all have
  if (!cpu_has(CpuFeature::kFxsr)) return;
  state.bytes[kMxcsr] &= kKnownBits & 0xff;
  state.bytes[kMxcsr + 1] &= kKnownBits >> 8;
  state.bytes[kMxcsr + 2] = state.bytes[kMxcsr + 3] = 0;
}

bool copy_to_user(VirtAddr where, const FloatState& state) {
  UserFloatState user = {};
  __builtin_memcpy(user.fsave, state.bytes, sizeof user.fsave);
  user.status_again = static_cast<uint16_t>(word_at(state.bytes + kFsaveStatus));
  user.image = state;
  return user_copy_out(where, &user, sizeof user) == 0;
}

bool copy_from_user(VirtAddr where) {
  FloatState state;
  if (user_copy_in(state.bytes, where + USER_FLOAT_IMAGE, sizeof state.bytes) != 0) return false;
  sanitize(state);
  float_state_restore(state);
  return true;
}

}  // namespace

void float_state_initialize(FloatState& state) {
  state = kClean.state;
  if (cpu_has(CpuFeature::kFxsr)) return;
  state = {};
  put32(state.bytes, 0xffff0000 | kCleanControl);
  put32(state.bytes + 8, 0xffffffff);  // all empty
}

void float_state_reset() {
  if (cpu_has(CpuFeature::kFxsr))
    float_state_restore(kClean.state);
  else
    asm volatile("fninit");
}

bool float_state_save_to_user(VirtAddr where) {
  FloatState state;
  float_state_save(state);
  if (!cpu_has(CpuFeature::kFxsr)) return copy_to_user(where, state);
  bool is_saved = user_float_save(where);
  if (!is_saved) float_state_restore(state);  // it may have been reset already
  return is_saved;
}

bool float_state_restore_from_user(VirtAddr where) {
  if (cpu_has(CpuFeature::kFxsr) && user_float_restore(where)) return true;
  if (copy_from_user(where)) return true;
  float_state_reset();  // a part may have been loaded
  return false;
}

uint32_t float_exceptions(uint32_t vector) {
  FloatState state;
  float_state_save(state);
  constexpr uint32_t kX87Error = 16, kAll = 0x3f, kMaskShift = 7;
  if (!cpu_has(CpuFeature::kFxsr)) return word_at(state.bytes + kFsaveStatus) & ~word_at(state.bytes) & kAll;
  if (vector == kX87Error) return word_at(state.bytes + kStatus) & ~word_at(state.bytes + kControl) & kAll;
  uint32_t mxcsr = word_at(state.bytes + kMxcsr);
  return mxcsr & ~(mxcsr >> kMaskShift) & kAll;
}

}  // namespace faultline
