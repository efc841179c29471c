// The replacement policy against what it promises: lists that hold together, victims that come, and each of its three ideas (the bit cleared
// between the halves of probation, promotion, ghosts) doing what it is there for.
#include "mm/replacement.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <vector>

namespace faultline {
namespace {

struct Record {
  uint32_t next = kNoPage, previous = kNoPage;
  PageQueue queue = PageQueue::kNone;
  bool accessed = false;
};

struct TestPages {
  std::vector<Record>* records = nullptr;
  uint32_t* asked = nullptr;
  uint32_t& next(uint32_t page) { return records->at(page).next; }
  uint32_t& previous(uint32_t page) { return records->at(page).previous; }
  PageQueue queue(uint32_t page) { return records->at(page).queue; }
  void set_queue(uint32_t page, PageQueue queue) { records->at(page).queue = queue; }
  bool take_accessed(uint32_t page) {
    ++*asked;
    return std::exchange(records->at(page).accessed, false);
  }
};

constexpr PageQueue kQueues[] = {PageQueue::kYoung, PageQueue::kOld, PageQueue::kMain};

class Queues {
 public:
  explicit Queues(uint32_t pages, Policy policy = Policy::kTwoQueues)
      : records(pages), ghosts(pages), replacement(TestPages{&records, &asked}) {
    replacement.initialize(policy, ghosts);
  }

  // As a fault does it: the page comes, and the access that asked for it sets its bit.
  void bring(uint32_t page, Arrival arrival = Arrival::kNew) {
    replacement.insert(page, arrival);
    records[page].accessed = arrival != Arrival::kReadAhead;
  }

  uint32_t choose() {
    for (uint32_t calls = 0; calls <= 4 * records.size(); calls++)
      if (uint32_t page = replacement.choose(); page != kNoPage) return page;
    return kNoPage;
  }

  uint32_t evict() {
    uint32_t page = choose();
    if (page != kNoPage) replacement.evict(page, page);
    return page;
  }

  // Every list forwards and backwards, with the right marks and counts; every queued page in exactly one.
  void check() {
    std::set<uint32_t> seen;
    for (PageQueue queue : kQueues) {
      uint32_t previous = kNoPage, length = 0;
      for (uint32_t page = replacement.first(queue); page != kNoPage; page = records[page].next) {
        ASSERT_TRUE(seen.insert(page).second) << "page " << page << " is queued twice";
        ASSERT_EQ(records[page].queue, queue);
        ASSERT_EQ(records[page].previous, previous);
        previous = page;
        length++;
      }
      ASSERT_EQ(replacement.count(queue), length);
    }
    for (uint32_t page = 0; page < records.size(); page++) ASSERT_EQ(records[page].queue != PageQueue::kNone, seen.contains(page));
    ASSERT_EQ(replacement.count(), seen.size());
  }

  std::vector<Record> records;
  std::vector<uint32_t> ghosts;
  uint32_t asked = 0;
  Replacement<TestPages> replacement;
};

TEST(Replacement, ListsHoldTogetherUnderRandomOperations) {
  for (Policy policy : {Policy::kTwoQueues, Policy::kClock, Policy::kFifo}) {
    for (uint32_t seed = 1; seed <= 10; seed++) {
      std::mt19937 random(seed);
      Queues queues(60, policy);
      std::set<uint32_t> model;  // the pages that are queued
      for (int step = 0; step < 3000; step++) {
        const uint32_t page = random() % 60;
        switch (random() % 6) {
          case 0:
          case 1:
            if (model.insert(page).second) queues.bring(page, random() % 4 == 0 ? Arrival::kReadAhead : queues.replacement.arrival(page));
            break;
          case 2:
            if (model.erase(page)) queues.replacement.remove(page);
            break;
          case 3:
            if (model.contains(page)) queues.records[page].accessed = true;
            break;
          case 4:
            if (model.contains(page) && random() % 4 == 0) queues.replacement.hasten(page);
            break;
          case 5: {
            const uint32_t victim = queues.choose();
            ASSERT_EQ(victim != kNoPage, !model.empty());
            if (victim == kNoPage) break;
            ASSERT_TRUE(model.contains(victim));
            if (random() % 2) {
              queues.replacement.keep(victim);
            } else {
              queues.replacement.evict(victim, victim);
              model.erase(victim);
            }
          }
        }
        ASSERT_EQ(queues.replacement.count(), model.size());
        if (step % 16 == 0) queues.check();
        if (HasFatalFailure()) FAIL() << "seed " << seed << " step " << step;
      }
    }
  }
}

TEST(Replacement, EveryPageIsChosenWhenNobodyUsesAny) {
  for (Policy policy : {Policy::kTwoQueues, Policy::kClock, Policy::kFifo}) {
    for (uint32_t count : {1u, 2u, 3u, 4u, 5u, 17u, 1000u}) {
      Queues queues(count, policy);
      for (uint32_t page = 0; page < count; page++) queues.bring(page, page % 3 == 0 ? Arrival::kReturning : Arrival::kNew);
      std::set<uint32_t> chosen;
      for (uint32_t step = 0; step < count; step++) chosen.insert(queues.evict());
      EXPECT_EQ(chosen.size(), count);
      EXPECT_FALSE(chosen.contains(kNoPage));
      EXPECT_EQ(queues.choose(), kNoPage);
    }
  }
}

TEST(Replacement, PagesThatMustStayKeepNobodyFromBeingChosen) {
  for (Policy policy : {Policy::kTwoQueues, Policy::kClock, Policy::kFifo}) {
    for (uint32_t returning : {0u, 50u, 100u}) {
      Queues queues(100, policy);
      for (uint32_t page = 0; page < 100; page++) queues.bring(page, page < returning ? Arrival::kReturning : Arrival::kNew);
      std::set<uint32_t> chosen;
      for (uint32_t step = 0; step < 400; step++) {
        const uint32_t page = queues.choose();
        ASSERT_NE(page, kNoPage);
        chosen.insert(page);
        queues.replacement.keep(page);
      }
      EXPECT_EQ(chosen.size(), 100u);
    }
  }
}

TEST(Replacement, ACallLooksAtABoundedNumberOfPages) {
  for (Policy policy : {Policy::kTwoQueues, Policy::kClock}) {
    Queues queues(1000, policy);
    for (uint32_t page = 0; page < 1000; page++) queues.bring(page);
    uint32_t calls = 1;
    while (queues.replacement.choose() == kNoPage) {
      EXPECT_LE(queues.asked, Replacement<TestPages>::kMaxLooks * calls);
      ASSERT_LE(++calls, 2000 / Replacement<TestPages>::kMaxLooks + 1) << "two looks at each page find one that is unused";
    }
  }
}

TEST(Replacement, FifoAsksForNoBits) {
  Queues queues(10, Policy::kFifo);
  for (uint32_t page = 0; page < 10; page++) queues.bring(page);
  for (uint32_t page = 0; page < 10; page++) EXPECT_EQ(queues.evict(), page);
  EXPECT_EQ(queues.asked, 0u);
}

TEST(Replacement, ClockGivesASecondChance) {
  Queues queues(4, Policy::kClock);
  for (uint32_t page = 0; page < 4; page++) queues.bring(page);
  EXPECT_EQ(queues.evict(), 0u) << "all were used: the hand goes round once";
  queues.records[1].accessed = true;
  EXPECT_EQ(queues.evict(), 2u);
  EXPECT_EQ(queues.evict(), 3u);
  EXPECT_EQ(queues.evict(), 1u);
}

// 40 pages come; then each new page takes the place of a victim, and is used again, if at all, after `reused_after` more have come.
void scan(Queues& queues, uint32_t steps, uint32_t reused_after) {
  for (uint32_t page = 0; page < 40; page++) queues.bring(page);
  for (uint32_t step = 0; step < steps; step++) {
    queues.evict();
    queues.bring(40 + step);
    const uint32_t again = 40 + step - reused_after;
    if (queues.records[again].queue != PageQueue::kNone) queues.records[again].accessed = true;
  }
}

TEST(Replacement, UsesInTheFirstHalfOfProbationAreOneUse) {
  Queues queues(400);
  scan(queues, 300, 10);  // of 40 pages, one is young while 20 others come
  EXPECT_EQ(queues.replacement.count(PageQueue::kMain), 0u);
}

TEST(Replacement, AUseInTheSecondHalfPromotes) {
  Queues queues(400);
  scan(queues, 300, 30);
  EXPECT_GE(queues.replacement.count(PageQueue::kMain), 8u);
}

TEST(Replacement, AScanDoesNotPushOutWhatIsUsedAgainAndAgain) {
  // 30 hot pages, used once in 25 new ones; a CLOCK of 40 pages would lose some of them in each turn.
  Queues queues(4000);
  for (uint32_t page = 0; page < 40; page++) queues.bring(page);
  uint32_t hot_faults = 0;
  std::vector<bool> resident(4000);
  for (uint32_t page = 0; page < 40; page++) resident[page] = true;
  auto touch = [&](uint32_t page) {
    if (!resident[page]) {
      resident[queues.evict()] = false;
      queues.bring(page, queues.replacement.arrival(page));
      resident[page] = true;
      return true;
    }
    queues.records[page].accessed = true;
    return false;
  };
  for (uint32_t step = 0; step < 3000; step++) {
    touch(100 + step);
    if (bool fault = touch(step % 25); fault && step >= 300) hot_faults++;
  }
  EXPECT_EQ(hot_faults, 0u);
}

TEST(Replacement, WhoComesBackSoonGoesToMain) {
  Queues queues(100);
  for (uint32_t page = 0; page < 20; page++) queues.bring(page);
  const uint32_t first = queues.evict();
  for (uint32_t step = 0; step < 10; step++) queues.bring(20 + step), queues.evict();
  EXPECT_EQ(queues.replacement.arrival(first), Arrival::kReturning);
  EXPECT_EQ(queues.replacement.arrival(first), Arrival::kNew) << "a ghost is asked once";
  queues.bring(first, Arrival::kReturning);
  EXPECT_EQ(queues.records[first].queue, PageQueue::kMain);
}

TEST(Replacement, WhoComesBackLateIsNew) {
  Queues queues(1000);
  for (uint32_t page = 0; page < 20; page++) queues.bring(page);
  const uint32_t first = queues.evict();
  for (uint32_t step = 0; step < 100; step++) queues.bring(20 + step), queues.evict();
  EXPECT_EQ(queues.replacement.arrival(first), Arrival::kNew);
}

// A memory of `frames` in front of pages that are touched by number: how many of the touches after the first `warm_up` fault.
struct SmallMemory {
  SmallMemory(uint32_t frames_, uint32_t pages) : queues(pages), frames(frames_), resident(pages) {}
  bool touch(uint32_t page) {
    queues.records[page].accessed = true;
    if (resident[page]) return false;
    if (queues.replacement.count() == frames) resident[queues.evict()] = false;
    queues.bring(page, queues.replacement.arrival(page));
    return resident[page] = true;
  }
  Queues queues;
  uint32_t frames;
  std::vector<bool> resident;
};

TEST(Replacement, ALoopOverMoreThanFitsKeepsMostOfItself) {
  SmallMemory memory(200, 250);
  uint32_t faults = 0;
  for (uint32_t step = 0; step < 40 * 250; step++) faults += memory.touch(step % 250) && step >= 10 * 250;
  EXPECT_LT(faults, 30 * 250 / 2);  // a CLOCK faults each time, the best possible policy one time in five
}

TEST(Replacement, ALoopThatNearlyFillsMemoryIsNotSqueezedByPagesUsedOnce) {
  SmallMemory memory(100, 3000);
  uint32_t faults = 0;
  for (uint32_t step = 0; step < 200 * 90; step++) {
    const bool fault = memory.touch(step % 90);
    faults += fault && step >= 50 * 90;
    if (step % 45 == 0) memory.touch(1000 + step / 45 % 2000);
  }
  EXPECT_LT(faults, 150u);  // two pages in a round of 90 that nobody needs again
}

// Ten pages are used often enough to be in main, and never again, while others, too many to fit, go round.
TEST(Replacement, WhatHasGoneOutOfUseLeavesMainToALoopThatDoesNotFit) {
  SmallMemory memory(100, 3000);
  for (uint32_t step = 0; step < 6000; step++) memory.touch(1000 + step % 80), memory.touch(2000 + step % 1000);
  uint32_t faults = 0;
  for (uint32_t step = 0; step < 60 * 110; step++) {
    const bool fault = memory.touch(step % 110);
    faults += fault && step >= 40 * 110;
  }
  EXPECT_LT(faults, 20u * 20u);  // ten of each round's 110 find no place; with main's idle pages in the way twice as many
}

// The reclaimer keeps its victims until it knows that they can go. That must not change what their ghosts say, and with it the shares.
TEST(Replacement, AVictimKeptForAWhileGoesAsIfItHadNotBeen) {
  for (uint32_t seed = 1; seed <= 5; seed++) {
    std::mt19937 random(seed);
    Queues at_once(300), later(300);
    std::set<uint32_t> resident;
    for (uint32_t step = 0; step < 20000; step++) {
      const uint32_t page = random() % 3 ? random() % 60 : random() % 300;
      at_once.records[page].accessed = later.records[page].accessed = true;
      if (resident.contains(page)) continue;
      if (resident.size() == 80) {
        const uint32_t victim = later.choose();
        const PageQueue from = later.records[victim].queue;
        later.replacement.keep(victim);
        later.replacement.put_back(victim, from);
        later.replacement.evict(victim, victim);
        ASSERT_EQ(at_once.evict(), victim) << "seed " << seed << " step " << step;
        resident.erase(victim);
      }
      for (Queues* queues : {&at_once, &later}) queues->bring(page, queues->replacement.arrival(page));
      resident.insert(page);
    }
  }
}

TEST(Replacement, PagesReadAheadInVainGoFirst) {
  Queues queues(200);
  for (uint32_t page = 0; page < 100; page++) queues.bring(page, page % 10 == 7 ? Arrival::kReadAhead : Arrival::kNew);
  // When probation is aged for the first time half of it becomes old: 7, 17, ... 47 are in that half.
  std::set<uint32_t> gone;
  for (uint32_t step = 0; step < 5; step++) gone.insert(queues.evict());
  EXPECT_EQ(gone, (std::set<uint32_t>{7, 17, 27, 37, 47}));
}

TEST(Replacement, WhatWasKeptForItsWriteBackGoesWhenThatIsOver) {
  for (Policy policy : {Policy::kTwoQueues, Policy::kClock}) {
    Queues queues(50, policy);
    for (uint32_t page = 0; page < 50; page++) queues.bring(page);
    const uint32_t dirty = queues.choose();
    queues.replacement.keep(dirty);
    EXPECT_NE(queues.evict(), dirty);
    queues.replacement.hasten(dirty);
    EXPECT_EQ(queues.evict(), dirty);
  }
}

TEST(Ghosts, TheLastOnesAreRememberedWithTheirAgeAndMark) {
  for (uint32_t words : {1u, 5u, 8u, 100u, 5000u, 20000u}) {
    std::vector<uint32_t> table(words);
    Ghosts ghosts;
    ghosts.initialize(table);
    constexpr uint32_t kNames = 100000;
    for (uint32_t name = 0; name < kNames; name++) ghosts.remember(name, name % 3 == 0);
    const uint32_t span = words / 2 + 1, step = words / 4096 + 1;
    uint32_t known = 0, wrong = 0;
    for (uint32_t back = 1; back <= span; back++) {
      const std::optional<Ghost> ghost = ghosts.recall(kNames - back, span);
      if (!ghost) continue;
      const bool is_right = ghost->age <= back + step && back <= ghost->age + step && ghost->is_marked == ((kNames - back) % 3 == 0);
      (is_right ? known : wrong)++;
    }
    EXPECT_GE(known, span - span / 20) << words << " words";
    EXPECT_LE(wrong, span / 1000) << words << " words";  // fingerprints that agree
    for (uint32_t name = 0; name < 1000; name++) wrong += ghosts.recall(name, span).has_value();
    EXPECT_LE(wrong, span / 1000 + 1);
  }
}

TEST(Ghosts, AnEmptyTableRemembersNobody) {
  Ghosts ghosts;
  ghosts.initialize({});
  ghosts.remember(1, false);
  EXPECT_FALSE(ghosts.recall(1, 10));
}

}  // namespace
}  // namespace faultline
