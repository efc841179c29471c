// x87 and SSE state (SDM volume 1, chapters 8, 10 and 13): FXSAVE where there is SSE, else FSAVE, whose 108 bytes fit as well.
#include "arch/context.h"
#include "arch/x86/features.h"

namespace faultline {

namespace {

// Offsets in FXSAVE's image (SDM volume 2, FXSAVE).
constexpr uint32_t kControl = 0, kStatus = 2, kTags = 4, kInstruction = 8, kOperand = 16, kMxcsr = 24, kRegisters = 32;
constexpr uint32_t kRegisterBytes = 10, kRegisterStep = 16;
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

// FSAVE's two bits for a register that is not empty: valid, zero, or special (not normal, infinite, not a number).
uint32_t full_tag(const uint8_t* value) {
  uint32_t exponent = word_at(value + 8) & 0x7fff;
  bool is_zero = exponent == 0;
  for (uint32_t i = 0; i < 8; i++) is_zero &= value[i] == 0;
  if (is_zero) return 1;
  return exponent == 0 || exponent == 0x7fff || !(value[7] & 0x80) ? 2 : 0;
}

// FXSAVE keeps a bit for each physical register, and the values in stack order.
uint32_t full_tags(const uint8_t* image) {
  uint32_t top = word_at(image + kStatus) >> 11 & 7, tags = 0;
  for (uint32_t physical = 0; physical < 8; physical++) {
    uint32_t place = (physical - top) & 7;
    bool is_used = image[kTags] & 1u << physical;
    tags |= (is_used ? full_tag(image + kRegisters + kRegisterStep * place) : 3) << 2 * physical;
  }
  return tags;
}

}  // namespace

void float_state_save(FloatState& state) {
  if (cpu_has(CpuFeature::kFxsr)) {
    asm volatile("fxsave %0" : "=m"(state));
  } else {
    asm volatile("fnsave %0" : "=m"(state));  // which leaves the unit reset
    asm volatile("frstor %0" : : "m"(state));
  }
}

void float_state_restore(const FloatState& state) {
  if (cpu_has(CpuFeature::kFxsr)) {
    asm volatile("fxrstor %0" : : "m"(state));
  } else {
    asm volatile("frstor %0" : : "m"(state));
  }
}

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

void float_state_sanitize(FloatState& state) {
  // Loading an MXCSR with a bit set that this processor does not know is a general protection fault (SDM volume 1, 11.6.6).
  constexpr uint32_t kKnownBits = 0xffbf;  // all but denormals-are-zero, which not all have
  if (!cpu_has(CpuFeature::kFxsr)) return;
  state.bytes[kMxcsr] &= kKnownBits & 0xff;
  state.bytes[kMxcsr + 1] &= kKnownBits >> 8;
  state.bytes[kMxcsr + 2] = state.bytes[kMxcsr + 3] = 0;
}

void float_state_as_fsave(const FloatState& state, uint8_t (&bytes)[kFsaveBytes]) {
  const uint8_t* image = state.bytes;
  if (!cpu_has(CpuFeature::kFxsr)) {
    __builtin_memcpy(bytes, image, sizeof bytes);
    return;
  }
  put32(bytes, 0xffff0000 | word_at(image + kControl));
  put32(bytes + 4, 0xffff0000 | word_at(image + kStatus));
  put32(bytes + 8, 0xffff0000 | (image[kTags] == 0 ? 0xffff : full_tags(image)));
  __builtin_memcpy(bytes + 12, image + kInstruction, 8);
  __builtin_memcpy(bytes + 20, image + kOperand, 8);
  for (uint32_t i = 0; i < 8; i++)
    __builtin_memcpy(bytes + 28 + i * kRegisterBytes, image + kRegisters + i * kRegisterStep, kRegisterBytes);
}

uint32_t float_exceptions(uint32_t vector) {
  FloatState state;
  float_state_save(state);
  constexpr uint32_t kX87Error = 16, kAll = 0x3f, kMaskShift = 7;
  if (!cpu_has(CpuFeature::kFxsr)) return word_at(state.bytes + 4) & ~word_at(state.bytes) & kAll;
  if (vector == kX87Error) return word_at(state.bytes + kStatus) & ~word_at(state.bytes + kControl) & kAll;
  uint32_t mxcsr = word_at(state.bytes + kMxcsr);
  return mxcsr & ~(mxcsr >> kMaskShift) & kAll;
}

}  // namespace faultline
