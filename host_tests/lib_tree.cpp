// The balanced tree against a sorted set: order, balance and augmentation through random insertions and removals.
#include "lib/tree.h"

#include <memory>
#include <random>
#include <set>
#include <vector>

#include <gtest/gtest.h>

namespace faultline {
namespace {

struct Item : TreeNode<Item> {
  uint32_t key = 0;
  uint32_t sum = 0;  // of the keys of the subtree
};
struct ItemTraits {
  static bool less(const Item& a, const Item& b) { return a.key < b.key; }
  static bool update(Item& node, const Item* left, const Item* right) {
    uint32_t before = node.sum;
    node.sum = node.key + (left ? left->sum : 0) + (right ? right->sum : 0);
    return node.sum != before;
  }
};
using ItemTree = Tree<Item, ItemTraits>;

uint32_t check_balance(const Item* node) {
  if (!node) return 0;
  uint32_t l = check_balance(ItemTree::left(*node)), r = check_balance(ItemTree::right(*node));
  EXPECT_LE(l > r ? l - r : r - l, 1u);
  return (l > r ? l : r) + 1;
}

uint32_t check_sums(const Item* node) {
  if (!node) return 0;
  uint32_t sum = node->key + check_sums(ItemTree::left(*node)) + check_sums(ItemTree::right(*node));
  EXPECT_EQ(node->sum, sum);
  return sum;
}

TEST(Tree, StaysSortedBalancedAndSummedThroughRandomChanges) {
  std::mt19937 random(1);
  std::vector<Item> items(300);
  for (uint32_t i = 0; i < items.size(); i++) items[i].key = i * 3;
  ItemTree tree;
  std::set<uint32_t> model;
  for (int step = 0; step < 6000; step++) {
    Item& item = items[random() % items.size()];
    if (item.is_linked()) {
      tree.remove(item);
      model.erase(item.key);
    } else {
      auto place = model.insert(item.key).first;
      if (step % 2)
        tree.insert(item);
      else
        tree.insert_after(place == model.begin() ? nullptr : &items[*std::prev(place) / 3], item);
    }
    if (step % 50) continue;
    uint32_t sum = 0;
    Item* at = tree.first();
    for (uint32_t key : model) {
      ASSERT_TRUE(at);
      EXPECT_EQ(at->key, key);
      sum += key;
      at = ItemTree::next(*at);
    }
    EXPECT_EQ(at, nullptr);
    EXPECT_EQ(tree.root() ? tree.root()->sum : 0, sum);
    at = tree.last();
    for (auto key = model.rbegin(); key != model.rend(); ++key, at = ItemTree::previous(*at)) EXPECT_EQ(at->key, *key);
    check_balance(tree.root());
    check_sums(tree.root());
  }
  tree.clear([](Item&) {});
}

TEST(Tree, CopiesItsShapeAndReportsAFailedCopyWithWhatWasMade) {
  std::vector<Item> items(20), copies(20);
  ItemTree tree, copy;
  for (uint32_t i = 0; i < 20; i++) {
    items[i].key = copies[i].key = i;
    tree.insert(items[i]);
  }
  ASSERT_TRUE(copy.copy_shape(tree, [&](const Item& item) { return &copies[item.key]; }));
  EXPECT_EQ(copy.root()->sum, tree.root()->sum);
  EXPECT_EQ(copy.first()->key, 0u);
  int made = 0;
  copy.clear([](Item&) {});
  EXPECT_FALSE(copy.copy_shape(tree, [&](const Item& item) { return made++ < 7 ? &copies[item.key] : nullptr; }));
  int cleared = 0;
  copy.clear([&](Item& item) {
    cleared++;
    EXPECT_FALSE(item.is_linked());
  });
  EXPECT_EQ(cleared, 7);
  tree.clear([](Item&) {});
}

}  // namespace
}  // namespace faultline
