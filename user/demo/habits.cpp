// habits KIND [PAGES]: uses its memory as programs do, one habit in its pure form, for `faults --trace` and tools/replacement.
//
//   tree    a binary search tree of random keys, searched: the top often, the leaves seldom
//   loop    an array summed from front to back, eight times
//   phases  six phases, each at random within another quarter of an array
//   hot     a table in use all the time, and an array read once beside it
//
// Prints a sum that depends on every word that was read. Seeded: the same each time.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <memory>

namespace {

constexpr uint32_t kPage = 4096, kWords = kPage / sizeof(uint32_t);

uint32_t random_state = 1;
uint32_t random_below(uint32_t limit) {
  random_state = random_state * 1664525 + 1013904223;
  return static_cast<uint32_t>(static_cast<uint64_t>(random_state) * limit >> 32);
}

std::unique_ptr<uint32_t[]> numbers(uint32_t pages) {
  std::unique_ptr<uint32_t[]> memory(new uint32_t[pages * kWords]);
  for (uint32_t i = 0; i < pages * kWords; i++) memory[i] = i * 2654435761u;
  return memory;
}

struct Node {
  uint32_t key, left, right;  // children by index; 0: none
};

uint32_t tree(uint32_t pages) {
  const uint32_t nodes = pages * kPage / sizeof(Node);
  std::unique_ptr<Node[]> tree(new Node[nodes]);
  tree[0] = {1u << 31, 0, 0};
  for (uint32_t made = 1; made < nodes; made++) {
    const uint32_t key = random_below(~0u);
    uint32_t* place = nullptr;
    for (uint32_t at = 0;; at = *place) {
      place = key < tree[at].key ? &tree[at].left : &tree[at].right;
      if (*place == 0) break;
    }
    *place = made;
    tree[made] = {key, 0, 0};
  }
  uint32_t sum = 0;
  for (uint32_t search = 0; search < pages * 20; search++) {
    // Some keys are wanted more than others.
    const uint32_t key = tree[random_below(random_below(nodes) + 1)].key;
    for (uint32_t at = 0; tree[at].key != key; at = key < tree[at].key ? tree[at].left : tree[at].right) sum += tree[at].key;
  }
  return sum;
}

uint32_t loop(uint32_t pages) {
  auto memory = numbers(pages);
  uint32_t sum = 0;
  for (uint32_t round = 0; round < 8; round++)
    for (uint32_t i = 0; i < pages * kWords; i += 16) sum += memory[i];
  return sum;
}

uint32_t phases(uint32_t pages) {
  auto memory = numbers(pages);
  uint32_t sum = 0;
  for (uint32_t phase = 0; phase < 6; phase++) {
    const uint32_t first = random_below(pages * 3 / 4);
    for (uint32_t use = 0; use < pages * 10; use++) sum += memory[(first + random_below(pages / 4)) * kWords + random_below(kWords)];
  }
  return sum;
}

uint32_t hot(uint32_t pages) {
  auto table = numbers(pages * 2 / 5), array = numbers(pages - pages * 2 / 5);
  uint32_t sum = 0;
  for (uint32_t round = 0; round < 4; round++)
    for (uint32_t i = 0; i < (pages - pages * 2 / 5) * kWords; i += 64) sum += array[i] + table[random_below(pages * 2 / 5 * kWords)];
  return sum;
}

struct Habit {
  const char* name;
  uint32_t (*run)(uint32_t pages);
};
constexpr Habit kHabits[] = {{"tree", tree}, {"loop", loop}, {"phases", phases}, {"hot", hot}};

}  // namespace

int main(int argc, char** argv) {
  const long pages = argc > 2 ? strtol(argv[2], nullptr, 10) : 200;
  for (const Habit& habit : kHabits) {
    if (argc < 2 || strcmp(habit.name, argv[1]) != 0 || pages < 8 || pages > 100000) continue;
    printf("%s %u\n", habit.name, habit.run(static_cast<uint32_t>(pages)));
    return 0;
  }
  fprintf(stderr, "usage: habits tree|loop|phases|hot [PAGES]   (8 to 100000 pages)\n");
  return 2;
}
