// Random bytes: see random.h.
#include "kernel/random.h"

#include <array>
#include <bit>

#include "arch/clock.h"
#include "arch/cpu.h"
#include "lib/lock.h"
#include "lib/string.h"

namespace faultline {

namespace {

using State = std::array<uint32_t, 16>;

constinit SpinLock<LockRank::kLeaf> lock;
constinit State state GUARDED_BY(lock) = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
constinit bool is_seeded GUARDED_BY(lock) = false;

constexpr void quarter_round(State& s, size_t a, size_t b, size_t c, size_t d) {
  s[a] += s[b], s[d] = std::rotl(s[d] ^ s[a], 16);
  s[c] += s[d], s[b] = std::rotl(s[b] ^ s[c], 12);
  s[a] += s[b], s[d] = std::rotl(s[d] ^ s[a], 8);
  s[c] += s[d], s[b] = std::rotl(s[b] ^ s[c], 7);
}

constexpr State block_of(const State& input) {
  State work = input;
  for (int round = 0; round < 10; round++) {
    for (size_t i = 0; i < 4; i++) quarter_round(work, i, 4 + i, 8 + i, 12 + i);
    for (size_t i = 0; i < 4; i++) quarter_round(work, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4);
  }
  for (size_t i = 0; i < 16; i++) work[i] += input[i];
  return work;
}

void seed_locked() REQUIRES(lock) {
  for (size_t i = 4; i < 16; i++) state[i] ^= cpu_random_seed() ^ static_cast<uint32_t>(clock_cycles());
  is_seeded = true;
}

}  // namespace

void random_fill(void* destination, size_t bytes) {
  auto* out = static_cast<uint8_t*>(destination);
  LockGuard guard(lock);
  if (!is_seeded) seed_locked();
  while (bytes != 0) {
    State block = block_of(state);
    state[12]++;
    size_t piece = bytes < sizeof block ? bytes : sizeof block;
    memcpy(out, block.data(), piece);
    out += piece;
    bytes -= piece;
  }
  // What was given out cannot be computed from what is left behind.
  State next = block_of(state);
  for (size_t i = 4; i < 12; i++) state[i] = next[i];
  state[13] ^= static_cast<uint32_t>(clock_cycles());
}

}  // namespace faultline
