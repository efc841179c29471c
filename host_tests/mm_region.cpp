// The set of regions against a map of them: neighbours, the gaps between, and the highest gap of a size.
#include "mm/region.h"

#include <map>
#include <memory>
#include <random>

#include <gtest/gtest.h>

namespace faultline {
namespace {

using RegionTree = Tree<Region, RegionTraits>;

VirtAddr page(uint32_t number) { return VirtAddr(number << kPageShift); }

class RandomRegions : public testing::TestWithParam<int> {
 protected:
  RandomRegions() : random_(static_cast<uint32_t>(GetParam())) {}
  ~RandomRegions() override {
    while (!model_.empty()) remove(model_.begin());
  }

  using Model = std::map<uint32_t, std::unique_ptr<Region>>;  // by first page
  uint32_t below(uint32_t limit) { return random_() % limit; }
  Model::iterator any() { return std::next(model_.begin(), below(static_cast<uint32_t>(model_.size()))); }
  static uint32_t first_page(const Region& region) { return region.start.value() >> kPageShift; }
  static uint32_t end_page(const Region& region) { return region.end.value() >> kPageShift; }

  void insert(uint32_t from, uint32_t to) {
    auto region = std::make_unique<Region>();
    region->start = page(from);
    region->end = page(to);
    set_.insert(*region);
    model_[from] = std::move(region);
  }
  void remove(Model::iterator at) {
    set_.remove(*at->second);
    model_.erase(at);
  }
  void resize(Model::iterator at) {
    uint32_t low = at == model_.begin() ? 1 : end_page(*std::prev(at)->second);
    uint32_t high = std::next(at) == model_.end() ? kPages : std::next(at)->first;
    uint32_t from = low + below(high - low), to = from + 1 + below(high - from);
    auto region = std::move(at->second);
    model_.erase(at);
    if (from > region->end.value() >> kPageShift) {
      set_.move_end(*region, page(to));  // first, for no moment empty
      set_.move_start(*region, page(from));
    } else {
      set_.move_start(*region, page(from));
      set_.move_end(*region, page(to));
    }
    model_[from] = std::move(region);
  }
  void split(Model::iterator at) {
    if (at->second->pages() < 2) return;
    uint32_t from = at->first + 1 + below(at->second->pages() - 1);
    auto upper = std::make_unique<Region>(*at->second);
    set_.split(*at->second, page(from), *upper);
    model_[from] = std::move(upper);
  }
  void absorb(Model::iterator at) {
    auto next = std::next(at);
    if (next == model_.end() || next->second->start != at->second->end) return;
    set_.absorb_next(*at->second, *next->second);
    model_.erase(next);
  }
  uint32_t highest_gap(uint32_t pages, uint32_t low, uint32_t high) const {
    uint32_t top = high, best = 0;
    auto consider = [&](uint32_t from, uint32_t to) {
      from = std::max(from, low), to = std::min(to, high);
      if (to >= from && to - from >= pages && to - pages > best) best = to - pages;
    };
    for (auto at = model_.rbegin(); at != model_.rend(); ++at) {
      consider(end_page(*at->second), top);
      top = first_page(*at->second);
    }
    consider(0, top);
    return best;
  }
  // Returns the largest gap of the subtree.
  uint32_t check(const Region* node) {
    if (!node) return 0;
    uint32_t largest = std::max({node->gap_below, check(RegionTree::left(*node)), check(RegionTree::right(*node))});
    EXPECT_GE(node->subtree_gap, largest);
    for (const Region* child : {RegionTree::left(*node), RegionTree::right(*node)}) {
      if (!child) continue;
      EXPECT_GE(node->subtree_gap, child->subtree_gap);
    }
    return largest;
  }
  void check_all() {
    ASSERT_EQ(set_.count(), model_.size());
    Region* region = set_.first();
    VirtAddr end(0);
    for (auto& [from, expected] : model_) {
      ASSERT_EQ(region, expected.get());
      ASSERT_EQ(region->gap_below, region->start - end);
      end = region->end;
      region = RegionSet::next(*region);
    }
    check(set_.root());
  }

  static constexpr uint32_t kPages = 600;
  struct Set : RegionSet {
    Region* root() const { return tree_.root(); }
  };
  std::mt19937 random_;
  Set set_;
  Model model_;
};

TEST_P(RandomRegions, KeepsItsGapsAndFindsTheHighest) {
  for (int step = 0; step < 20000; step++) {
    uint32_t pages = 1 + below(1 + below(40)), low = 1 + below(40), high = kPages - below(below(2) ? 5 : 300);
    auto [found, above] = set_.find_gap(pages << kPageShift, page(low), page(high));
    ASSERT_EQ(found, page(highest_gap(pages, low, high))) << step;
    if (found != VirtAddr(0)) {
      ASSERT_EQ(above, set_.first_after(found)) << step;
    }
    uint32_t what = below(model_.size() > 60 ? 12 : 9);
    if (model_.empty() || what < 4) {
      if (found != VirtAddr(0)) insert(found.value() >> kPageShift, (found.value() >> kPageShift) + 1 + below(pages));
    } else if (what == 4) {
      resize(any());
    } else if (what == 5) {
      split(any());
    } else if (what == 6) {
      absorb(any());
    } else {
      remove(any());
    }
    if (step % 20 == 0) check_all();
    uint32_t address = below(kPages);
    auto at = model_.upper_bound(address);
    if (at != model_.begin() && end_page(*std::prev(at)->second) > address) --at;
    ASSERT_EQ(set_.first_after(page(address)), at == model_.end() ? nullptr : at->second.get());
    if (below(3) != 0) continue;
    ASSERT_EQ(set_.find(page(address)), at != model_.end() && at->first <= address ? at->second.get() : nullptr);
  }
}
INSTANTIATE_TEST_SUITE_P(Seeds, RandomRegions, testing::Range(1, 5));

}  // namespace
}  // namespace faultline
