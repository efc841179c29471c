// Banks of many processes, of the shapes that the search for a safe order might be slow at: to count its work on.
#pragma once

#include <utility>
#include <vector>

#include "host_tests/deadlock_exhaustive.h"
#include "lib/banker.h"

namespace faultline {

struct LargeBank {
  std::vector<uint32_t> available, claims, held;
  bool is_safe;
  std::vector<Banker::Node> nodes = {};
};

struct BankShape {
  const char* name;
  LargeBank (*make)(uint32_t processes, uint32_t kinds);
};

// Each holds one unit of each kind, of which one is left, and of kind k the process with rank r still needs need(r, k). Ranks are mixed.
template <typename Need>
LargeBank make_bank(uint32_t processes, uint32_t kinds, bool is_safe, Need need) {
  LargeBank bank{std::vector<uint32_t>(kinds, 1), {}, std::vector<uint32_t>(processes * kinds, 1), is_safe};
  SmallRandom random(processes);
  std::vector<uint32_t> ranks(processes);
  for (uint32_t p = 0; p < processes; p++) {
    ranks[p] = p;
    std::swap(ranks[p], ranks[random.below(p + 1)]);
  }
  for (uint32_t p = 0; p < processes; p++)
    for (uint32_t k = 0; k < kinds; k++) bank.claims.push_back(1 + need(ranks[p], k));
  bank.nodes.resize(processes);
  return bank;
}

inline const BankShape kBankShapes[] = {
    {"one after the other",
     [](uint32_t processes, uint32_t kinds) {
       return make_bank(processes, kinds, true, [](uint32_t rank, uint32_t) { return rank + 1; });
     }},
    {"each waits for one kind after the other",
     [](uint32_t processes, uint32_t kinds) {
       return make_bank(processes, kinds, true,
                        [=](uint32_t rank, uint32_t kind) { return rank + 1 < kinds ? 1 : rank + 2 + kind - kinds; });
     }},
    {"the same, in large steps",
     [](uint32_t processes, uint32_t kinds) {
       return make_bank(processes, kinds, true, [=](uint32_t rank, uint32_t kind) {
         return rank + 1 < processes / 2 ? 1 : rank + 2 - processes / 2 + kind * (processes / 2) / kinds;
       });
     }},
    {"at random, and one that needs too much",
     [](uint32_t processes, uint32_t kinds) {
       return make_bank(processes, kinds, false, [=](uint32_t rank, uint32_t kind) {
         SmallRandom random(rank * 16 + kind);
         return rank == processes - 1 ? processes + 2 : rank == 0 ? 1 : random.between(0, rank) + (kind % 2);
       });
     }},
};

}  // namespace faultline
