// The Banker's algorithm against exhaustive search on small worlds, its promise, and the work it takes for many processes.
#include "lib/banker.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "host_tests/deadlock_exhaustive.h"
#include "host_tests/large_banks.h"

namespace faultline {
namespace {

using Numbers = std::vector<uint32_t>;

// A bank and the memory for it.
struct Bank {
  Numbers available, claims, held;
  std::vector<Banker::Node> nodes = std::vector<Banker::Node>(claims.size() / available.size());
  Banker banker = Banker({available, claims, held}, nodes);

  bool operator==(const Bank& other) const { return available == other.available && claims == other.claims && held == other.held; }
};

void load(Bank& bank, const BankerWorld& world) {
  for (uint32_t p = 0; p < world.processes; p++) {
    for (uint32_t k = 0; k < world.kinds; k++) {
      bank.available[k] = world.available[k];
      bank.claims[p * world.kinds + k] = world.process[p].claim[k];
      bank.held[p * world.kinds + k] = world.process[p].held[k];
    }
  }
}

BankerAnswer answer_to_request(BankerWorld world, uint32_t process, const Numbers& units) {
  BankerWorld::Process& who = world.process[process];
  for (uint32_t k = 0; k < world.kinds; k++)
    if (who.held[k] + units[k] > who.claim[k]) return BankerAnswer::kNever;
  for (uint32_t k = 0; k < world.kinds; k++)
    if (units[k] > world.available[k]) return BankerAnswer::kUnavailable;
  for (uint32_t k = 0; k < world.kinds; k++) {
    who.held[k] += units[k];
    world.available[k] -= units[k];
  }
  return world.is_safe() ? BankerAnswer::kGrant : BankerAnswer::kUnsafe;
}

uint32_t all_units(const BankerWorld& world, uint32_t kind) {
  uint32_t units = world.available[kind];
  for (uint32_t p = 0; p < world.processes; p++) units += world.process[p].held[kind];
  return units;
}

BankerAnswer answer_to_claim(BankerWorld world, uint32_t process, const Numbers& claim) {
  for (uint32_t k = 0; k < world.kinds; k++)
    if (claim[k] > all_units(world, k) || claim[k] < world.process[process].held[k]) return BankerAnswer::kNever;
  for (uint32_t k = 0; k < world.kinds; k++) world.process[process].claim[k] = claim[k];
  return world.is_safe() ? BankerAnswer::kGrant : BankerAnswer::kUnsafe;
}

bool fit_together(BankerWorld world, uint32_t process, const Numbers& claim) {
  for (uint32_t k = 0; k < world.kinds; k++) {
    uint32_t sum = claim[k];
    for (uint32_t p = 0; p < world.processes; p++) sum += p == process ? 0 : world.process[p].claim[k];
    if (sum > all_units(world, k)) return false;
  }
  return true;
}

TEST(Banker, AgreesWithAllOrdersOfFinishing) {
  Seeds seeds = world_seeds();
  uint64_t safe = 0, requests[4] = {}, claims[4] = {}, fit = 0;
  for (uint64_t seed = seeds.first; seed < seeds.end; seed++) {
    BankerWorld world = BankerWorld::random(seed);
    Bank bank{Numbers(world.kinds), Numbers(world.processes * world.kinds), Numbers(world.processes * world.kinds)};
    load(bank, world);
    Numbers before[] = {bank.available, bank.claims, bank.held};
    auto replay = [&] { return testing::Message() << "FAULTLINE_GRAPH_SEED=" << seed << "\n" << world; };

    ASSERT_EQ(bank.banker.is_safe(), world.is_safe()) << replay();
    safe += world.is_safe();

    SmallRandom random(~seed);
    uint32_t process = random.below(world.processes);
    Numbers units(world.kinds), claim(world.kinds);
    for (uint32_t k = 0; k < world.kinds; k++) {
      uint32_t held = world.process[process].held[k], most = std::min(world.available[k], world.process[process].claim[k] - held);
      units[k] = random.between(0, most + random.percent(10));
      claim[k] = random.between(held - (held > 0 && random.percent(5)), all_units(world, k) + random.percent(5));
    }
    BankerAnswer answer = answer_to_request(world, process, units);
    ASSERT_EQ(bank.banker.decide_request(process, units), answer) << replay() << "request by " << process << testing::PrintToString(units);
    requests[static_cast<int>(answer)]++;
    answer = answer_to_claim(world, process, claim);
    ASSERT_EQ(bank.banker.decide_claim(process, claim), answer) << replay() << "claim by " << process << testing::PrintToString(claim);
    claims[static_cast<int>(answer)]++;
    ASSERT_EQ(bank.banker.claims_fit(process, claim), fit_together(world, process, claim)) << replay();
    fit += fit_together(world, process, claim);
    ASSERT_TRUE(bank.available == before[0] && bank.claims == before[1] && bank.held == before[2]) << replay();
  }
  if (uint64_t count = seeds.end - seeds.first; count >= 1000) {
    EXPECT_GT(safe, count / 5);
    EXPECT_LT(safe, count * 4 / 5);
    for (uint64_t answers : requests) EXPECT_GT(answers, count / 50);
    for (BankerAnswer answer : {BankerAnswer::kGrant, BankerAnswer::kUnsafe, BankerAnswer::kNever})
      EXPECT_GT(claims[static_cast<int>(answer)], count / 50);
    EXPECT_GT(fit, count / 50);
  }
}

// Processes that ask for one unit after the other in any order, up to what they claimed, end even so.
TEST(Banker, WhoIsGrantedOnlyWhatIsSafeNeverComesToAStandstill) {
  Seeds seeds = world_seeds();
  uint64_t put_off = 0;
  for (uint64_t seed = seeds.first; seed < seeds.first + (seeds.end - seeds.first + 19) / 20; seed++) {
    SmallRandom random(seed);
    uint32_t kinds = random.between(1, 4), processes = random.between(2, 8);
    Bank bank{Numbers(kinds), Numbers(processes * kinds), Numbers(processes * kinds)};
    for (uint32_t k = 0; k < kinds; k++) {
      bank.available[k] = random.between(1, 6);
      for (uint32_t p = 0; p < processes; p++) bank.claims[p * kinds + k] = random.between(0, bank.available[k]);
    }
    Numbers all = bank.available;
    for (uint32_t left = processes * 100;; left--) {
      ASSERT_GT(left, 0u) << "FAULTLINE_GRAPH_SEED=" << seed;
      // Who may have one unit more; whoever has all that it claimed ends.
      std::vector<std::pair<uint32_t, uint32_t>> grants;
      for (uint32_t i = 0; i < processes * kinds; i++) {
        if (bank.held[i] == bank.claims[i]) continue;
        Numbers one(kinds);
        one[i % kinds] = 1;
        BankerAnswer answer = bank.banker.decide_request(i / kinds, one);
        if (answer == BankerAnswer::kGrant) grants.emplace_back(i / kinds, i % kinds);
        put_off += answer == BankerAnswer::kUnsafe;
      }
      if (grants.empty()) break;
      auto [process, kind] = grants[random.below(static_cast<uint32_t>(grants.size()))];
      bank.held[process * kinds + kind]++;
      bank.available[kind]--;
      if (!std::equal(&bank.held[process * kinds], &bank.held[process * kinds] + kinds, &bank.claims[process * kinds])) continue;
      for (uint32_t k = 0; k < kinds; k++) {
        bank.available[k] += bank.held[process * kinds + k];
        bank.claims[process * kinds + k] = bank.held[process * kinds + k] = 0;
      }
    }
    ASSERT_EQ(bank.available, all) << "FAULTLINE_GRAPH_SEED=" << seed << ": somebody waits for ever";
  }
  EXPECT_GT(put_off, 0u);
}

TEST(Banker, KeepsTheLastUnitsForWhoCanEndWithThem) {
  // Ten units, of which two are left; still needed are 4, 1 and 7.
  Bank bank{{2}, {8, 3, 9}, {4, 2, 2}};
  EXPECT_TRUE(bank.banker.is_safe());
  EXPECT_EQ(bank.banker.decide_request(0, Numbers{1}), BankerAnswer::kGrant);
  EXPECT_EQ(bank.banker.decide_request(0, Numbers{2}), BankerAnswer::kUnsafe);
  EXPECT_EQ(bank.banker.decide_request(1, Numbers{1}), BankerAnswer::kGrant);
  EXPECT_EQ(bank.banker.decide_request(2, Numbers{1}), BankerAnswer::kUnsafe);
  EXPECT_EQ(bank.banker.decide_request(2, Numbers{3}), BankerAnswer::kUnavailable);
  EXPECT_EQ(bank.banker.decide_request(1, Numbers{2}), BankerAnswer::kNever);
}

TEST(Banker, AClaimThatComesLateMayBeUnsafeAndOneOfWhoHoldsNothingIsNot) {
  Bank bank{{1}, {3, 3, 0}, {2, 1, 0}};
  EXPECT_EQ(bank.banker.decide_claim(2, Numbers{4}), BankerAnswer::kGrant);
  EXPECT_FALSE(bank.banker.claims_fit(2, Numbers{4}));
  EXPECT_EQ(bank.banker.decide_claim(2, Numbers{5}), BankerAnswer::kNever);
  EXPECT_EQ(bank.banker.decide_claim(0, Numbers{4}), BankerAnswer::kUnsafe);
  EXPECT_EQ(bank.banker.decide_claim(1, Numbers{0}), BankerAnswer::kNever);
}

TEST(Banker, NumbersUpToTheLargestDoNotOverflow) {
  constexpr uint32_t kAll = 0xffffffff;
  Bank bank{{kAll - 7}, {kAll, kAll, kAll}, {5, 2, 0}};
  EXPECT_FALSE(bank.banker.is_safe());
  EXPECT_FALSE(bank.banker.claims_fit(1, Numbers{2}));
  EXPECT_EQ(bank.banker.decide_claim(1, Numbers{2}), BankerAnswer::kGrant);
  bank.claims[1] = 2;
  EXPECT_TRUE(bank.banker.is_safe());
}

TEST(Banker, TheWorkIsNearlyLinear) {
  for (const BankShape& shape : kBankShapes) {
    SCOPED_TRACE(shape.name);
    uint64_t before = 0;
    for (uint32_t processes : {1000u, 4000u, 16000u}) {
      LargeBank bank = shape.make(processes, Banker::kMostKinds);
      Banker banker({bank.available, bank.claims, bank.held}, bank.nodes);
      EXPECT_EQ(banker.is_safe(), bank.is_safe);
      if (processes == 1000) {
        EXPECT_LE(banker.work(), 160000u);
      } else {
        EXPECT_LE(banker.work(), before * 5) << processes;
      }
      before = banker.work();
    }
  }
}

}  // namespace
}  // namespace faultline
