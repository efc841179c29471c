// A generator in the "fast key erasure" form: each use makes a block from the key, keeps half of it as the next key and hands the other
// half out as a key of the caller's own. Block function: ChaCha20 of RFC 8439, section 2.3.
#include "fs/devfs/random.h"

#include <bit>

#include "arch/clock.h"
#include "arch/cpu.h"
#include "lib/lock.h"
#include "lib/string.h"

namespace faultline {

namespace {

struct Key {
  uint32_t words[8];
};
struct Block {
  uint32_t words[16];
};

void quarter_round(uint32_t& a, uint32_t& b, uint32_t& c, uint32_t& d) {
  a += b;
  d = std::rotl(d ^ a, 16);
  c += d;
  b = std::rotl(b ^ c, 12);
  a += b;
  d = std::rotl(d ^ a, 8);
  c += d;
  b = std::rotl(b ^ c, 7);
}

void make_block(const Key& key, uint32_t counter, Block& out) {
  const uint32_t start[16] = {0x61707865,
                              0x3320646e,
                              0x79622d32,
                              0x6b206574,
                              key.words[0],
                              key.words[1],
                              key.words[2],
                              key.words[3],
                              key.words[4],
                              key.words[5],
                              key.words[6],
                              key.words[7],
                              counter,
                              0,
                              0,
                              0};
  uint32_t(&x)[16] = out.words;
  memcpy(x, start, sizeof start);
  for (int i = 0; i < 10; i++) {
    quarter_round(x[0], x[4], x[8], x[12]);
    quarter_round(x[1], x[5], x[9], x[13]);
    quarter_round(x[2], x[6], x[10], x[14]);
    quarter_round(x[3], x[7], x[11], x[15]);
    quarter_round(x[0], x[5], x[10], x[15]);
    quarter_round(x[1], x[6], x[11], x[12]);
    quarter_round(x[2], x[7], x[8], x[13]);
    quarter_round(x[3], x[4], x[9], x[14]);
  }
  for (int i = 0; i < 16; i++) x[i] += start[i];
}

constinit SpinLock<LockRank::kDevice> key_lock;
constinit Key master GUARDED_BY(key_lock) = {};
constinit bool is_seeded GUARDED_BY(key_lock) = false;

Key take_key() {
  LockGuard guard(key_lock);
  if (!is_seeded) {
    for (uint32_t& word : master.words) word = cpu_random_seed() ^ std::rotl(static_cast<uint32_t>(clock_cycles()), 7);
    is_seeded = true;
  }
  master.words[0] ^= static_cast<uint32_t>(clock_cycles());
  Block block;
  make_block(master, 0, block);
  memcpy(&master, block.words, sizeof master);
  Key key;
  memcpy(&key, block.words + 8, sizeof key);
  return key;
}

}  // namespace

void random_fill(void* destination, size_t bytes) {
  Key key = take_key();
  auto* out = static_cast<uint8_t*>(destination);
  for (uint32_t counter = 0; bytes != 0; counter++) {
    Block block;
    make_block(key, counter, block);
    size_t piece = bytes < sizeof block ? bytes : sizeof block;
    memcpy(out, &block, piece);
    out += piece;
    bytes -= piece;
  }
}

uint32_t random_u32() {
  uint32_t value;
  random_fill(&value, sizeof value);
  return value;
}

Result<size_t> random_read(IoBuffer& buffer) {
  Key key = take_key();
  size_t total = 0;
  for (uint32_t counter = 0; buffer.remaining() != 0; counter++) {
    Block block;
    make_block(key, counter, block);
    Result<size_t> moved = buffer.put(&block, sizeof block);
    if (!moved.ok()) return total != 0 ? Result<size_t>(total) : moved;
    total += moved.value();
    if (moved.value() == 0) break;
  }
  return total;
}

}  // namespace faultline
