// ext2 against a model: random operations on names and contents, then everything is compared, and e2fsck has the last word.
#include <cstdlib>
#include <map>

#include "ext2_support.h"

namespace faultline {

namespace {

struct Node;
using Children = std::map<std::string, std::shared_ptr<Node>>;
struct Node {
  bool is_directory = false;
  std::string content;
  Children children;
  std::weak_ptr<Node> parent;
};

}  // namespace

class Ext2Model : public Ext2Test {
 protected:
  using Path = std::vector<std::string>;

  // A directory of the model and its inode, by a random walk.
  std::pair<std::shared_ptr<Node>, Ref<Inode>> any_directory() {
    std::shared_ptr<Node> node = model_;
    Ref<Inode> inode = root();
    while (random_.below(3) != 0) {
      Path below;
      for (auto& [name, child] : node->children) {
        if (child->is_directory) below.push_back(name);
      }
      if (below.empty()) break;
      const std::string& name = below[random_.below(static_cast<uint32_t>(below.size()))];
      inode = lookup(*inode, name).release_value();
      node = node->children[name];
    }
    return {node, inode};
  }
  static Result<Ref<Inode>> lookup(Inode& directory, const std::string& name) {
    return directory.lookup(StringView(name.data(), name.size()));
  }
  std::string any_name() {
    uint32_t number = random_.below(40);
    return "n" + std::to_string(number) + std::string(number * number % 200, 'a');
  }
  std::string any_text() {
    std::string text(random_.below(20) == 0 ? random_.below(200'000) : random_.below(9000), '\0');
    char first = static_cast<char>(random_.below(256));
    for (size_t i = 0; i < text.size(); i++) text[i] = static_cast<char>(first + i * 7);
    return text;
  }
  std::string* any_file(Node& directory, std::string& name) {
    name = any_name();
    auto found = directory.children.find(name);
    return found == directory.children.end() || found->second->is_directory ? nullptr : &found->second->content;
  }

  void step();
  void make_something();
  void change_a_file();
  void remove_something();
  void move_something();
  void compare(const Node& node, Inode& inode);
  void run(uint32_t steps);

  std::shared_ptr<Node> model_ = std::make_shared<Node>(Node{true, {}, {}, {}});
  Random random_{1};
};

void Ext2Model::make_something() {
  auto [node, inode] = any_directory();
  std::string name = any_name();
  if (node->children.count(name) != 0) return;
  bool directory = random_.below(4) == 0;
  Result<Ref<Inode>> made = directory ? make_directory(*inode, name) : create(*inode, name);
  if (!made.ok() && made.error() == Errno::kNOSPC) return;
  ASSERT_TRUE(made.ok()) << static_cast<int>(made.error());
  node->children[name] = std::make_shared<Node>(Node{directory, {}, {}, node});
}

void Ext2Model::change_a_file() {
  auto [node, inode] = any_directory();
  std::string name;
  std::string* content = any_file(*node, name);
  if (!content) return;
  Ref<Inode> file = lookup(*inode, name).release_value();
  uint32_t size = static_cast<uint32_t>(content->size());
  if (random_.below(4) == 0) {
    uint32_t bytes = random_.below(size + 10'000);
    Result<void> done = truncate(*file, bytes);
    if (!done.ok()) {
      EXPECT_EQ(done.error(), Errno::kNOSPC);
      return;
    }
    content->resize(bytes);
  } else {
    std::string text = any_text();
    uint32_t at = random_.below(3) == 0 ? size : random_.below(size + 20'000);
    Result<size_t> done = write(*file, at, text);
    if (!done.ok()) {
      EXPECT_TRUE(done.error() == Errno::kNOSPC || text.empty()) << static_cast<int>(done.error());
      return;
    }
    if (done.value() == 0) return;
    if (at + done.value() > content->size()) content->resize(at + done.value());
    content->replace(at, done.value(), text, 0, done.value());
  }
  if (random_.below(10) == 0) {
    EXPECT_TRUE(file->synchronize(false).ok());
  }
  if (random_.below(5) == 0) file->object()->drop_clean();
}

void Ext2Model::remove_something() {
  auto [node, inode] = any_directory();
  std::string name = any_name();
  auto found = node->children.find(name);
  if (found == node->children.end()) return;
  if (!found->second->is_directory) {
    EXPECT_TRUE(unlink(*inode, name).ok());
  } else {
    Result<void> removed = remove_directory(*inode, name);
    EXPECT_EQ(removed.ok(), found->second->children.empty());
    if (!removed.ok()) return;
  }
  node->children.erase(name);
}

void Ext2Model::move_something() {
  auto [from, from_inode] = any_directory();
  auto [to, to_inode] = any_directory();
  std::string name = any_name(), new_name = any_name();
  auto found = from->children.find(name);
  if (found == from->children.end()) return;
  std::shared_ptr<Node> moved = found->second, replaced = to->children.count(new_name) ? to->children[new_name] : nullptr;
  // What fs/namespace checks: no directory into itself, no mixing of types.
  for (std::shared_ptr<Node> up = to; up; up = up->parent.lock())
    if (up == moved) return;
  if (replaced && replaced->is_directory != moved->is_directory) return;
  for (std::shared_ptr<Node> up = from; up; up = up->parent.lock())
    if (up == replaced) return;
  if (moved == replaced) return;
  Result<void> done = rename(*from_inode, name, *to_inode, new_name);
  if (!done.ok()) {
    EXPECT_TRUE(done.error() == Errno::kNOSPC || (replaced && !replaced->children.empty())) << static_cast<int>(done.error());
    return;
  }
  EXPECT_TRUE(!replaced || replaced->children.empty());
  from->children.erase(name);
  to->children[new_name] = moved;
  moved->parent = to;
}

void Ext2Model::step() {
  switch (random_.below(100)) {
    case 0: remount(); break;
    case 1: EXPECT_TRUE(file_system->synchronize(random_.below(2) ? WriteBack::kWait : WriteBack::kStart).ok()); break;
    case 2: ext2_inodes_shrink(random_.below(20)); break;
    case 3: EXPECT_TRUE(objects_write_back_all(WriteBack::kStart).ok()); break;
    default:
      switch (random_.below(8)) {
        case 0:
        case 1:
        case 2: make_something(); break;
        case 3:
        case 4:
        case 5: change_a_file(); break;
        case 6: remove_something(); break;
        default: move_something();
      }
  }
}

void Ext2Model::compare(const Node& node, Inode& inode) {
  if (!node.is_directory) {
    ASSERT_EQ(inode.attributes().size, node.content.size());
    ASSERT_TRUE(read_all(inode) == node.content);
    return;
  }
  std::vector<std::string> expected;
  for (auto& [name, child] : node.children) expected.push_back(name);
  ASSERT_EQ(names(inode).value(), expected);
  for (auto& [name, child] : node.children) compare(*child, *lookup(inode, name).value());
}

void Ext2Model::run(uint32_t steps) {
  mount();
  for (uint32_t i = 0; i < steps && !HasFailure(); i++) step();
  compare(*model_, *root());
  remount();
  compare(*model_, *root());
  expect_clean();
}

// FAULTLINE_SEED= and FAULTLINE_STEPS= make longer or other runs.
static uint32_t from_environment(const char* name, uint32_t otherwise) {
  const char* value = getenv(name);
  return value ? static_cast<uint32_t>(atoi(value)) : otherwise;
}
static uint32_t steps() { return from_environment("FAULTLINE_STEPS", 1500); }

TEST_F(Ext2Model, RandomOperationsWithSmallBlocks) {
  random_ = Random(from_environment("FAULTLINE_SEED", 11));
  use_image(make_image("-t ext2 -b 1024 -g 2048", 12'345));
  run(steps());
}

TEST_F(Ext2Model, RandomOperationsWithPageSizedBlocks) {
  random_ = Random(from_environment("FAULTLINE_SEED", 12));
  use_image(make_image("-t ext2 -b 4096", 24'000));
  run(steps());
}

TEST_F(Ext2Model, RandomOperationsOnADiskThatIsOftenFull) {
  random_ = Random(from_environment("FAULTLINE_SEED", 13));
  use_image(make_image("-t ext2 -b 2048 -N 64", 1500));
  run(steps());
}

}  // namespace faultline
