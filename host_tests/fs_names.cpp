// Names: the rules of path_resolution(7), link(2), rename(2) and mount(2), and a model under random operations.
#include <map>
#include <memory>

#include "fs_support.h"

namespace faultline {

namespace {
constexpr int kExists = 17, kMissing = 2, kNotDirectory = 20, kIsDirectory = 21, kNotEmpty = 39, kInvalid = 22, kBusy = 16, kLoop = 40,
              kTooLong = 36, kDenied = 13, kNotPermitted = 1, kReadOnly = 30, kCrossing = 18, kNoSpace = 28;
}

class Names : public TreeTest {};

TEST_F(Names, EachKindOfWrongPathHasItsError) {
  ASSERT_EQ(make_directory("/d"), 0);
  ASSERT_EQ(create("/d/f"), 0);
  EXPECT_EQ(look(""), kMissing);
  EXPECT_EQ(look("/d/missing"), kMissing);
  EXPECT_EQ(look("/missing/f"), kMissing);
  EXPECT_EQ(look("/d/f/x"), kNotDirectory);
  EXPECT_EQ(look("/d/f/"), kNotDirectory);
  EXPECT_EQ(look("/d/f/."), kNotDirectory);
  EXPECT_EQ(look("/d/"), 0);
  EXPECT_EQ(look("//d///f"), 0);
  EXPECT_EQ(look("/../../d/../d/./f"), 0);
  EXPECT_EQ(look("/" + std::string(255, 'n')), kMissing);
  EXPECT_EQ(look("/" + std::string(256, 'n')), kTooLong);
}

TEST_F(Names, CreatingOverWhatIsThere) {
  ASSERT_EQ(make_directory("d"), 0);
  ASSERT_EQ(create("f"), 0);
  EXPECT_EQ(create("f"), kExists);
  EXPECT_EQ(make_directory("f"), kExists);
  EXPECT_EQ(make_directory("/"), kExists);
  EXPECT_EQ(make_directory("new/"), 0);
  EXPECT_EQ(create("x/"), kIsDirectory);
  EXPECT_EQ(open("d", kOpenWriteOnly), kIsDirectory);
  EXPECT_EQ(open("d", kOpenCreate | kOpenReadOnly), kIsDirectory);
  EXPECT_EQ(open("f", kOpenDirectory), kNotDirectory);
  EXPECT_EQ(unlink("d"), kIsDirectory);
  EXPECT_EQ(remove_directory("f"), kNotDirectory);
  EXPECT_EQ(remove_directory("d/."), kInvalid);
  EXPECT_EQ(remove_directory("d/.."), kNotEmpty);
  EXPECT_EQ(remove_directory("/"), kBusy);
  EXPECT_EQ(remove_directory("d/"), 0);
  EXPECT_EQ(look("d"), kMissing);
}

TEST_F(Names, SymbolicLinksAreFollowedWhereTheyShould) {
  ASSERT_EQ(make_directory("d"), 0);
  put("d/f", "text");
  ASSERT_EQ(symlink("d/f", "to_file"), 0);
  ASSERT_EQ(symlink("/d", "to_directory"), 0);
  ASSERT_EQ(symlink("nowhere", "dangling"), 0);
  ASSERT_EQ(symlink("loop", "loop"), 0);
  EXPECT_EQ(content("to_file"), "text");
  EXPECT_EQ(content("to_directory/f"), "text");
  EXPECT_EQ(content("to_directory/../to_directory/f"), "text");
  EXPECT_EQ(look("dangling"), kMissing);
  EXPECT_EQ(look("dangling", FollowLast::kNo), 0);
  EXPECT_EQ(look("loop"), kLoop);
  EXPECT_EQ(open("to_file", kOpenNoFollow), kLoop);
  EXPECT_EQ(create("dangling"), kExists);
  EXPECT_EQ(open("dangling", kOpenCreate | kOpenWriteOnly), 0);
  EXPECT_EQ(look("nowhere"), 0);
  EXPECT_EQ(remove_directory("to_directory"), kNotDirectory);
  EXPECT_EQ(unlink("to_directory"), 0);
  EXPECT_EQ(look("d/f"), 0);
}

TEST_F(Names, FortyLinksAreTheLimit) {
  put("l0", "x");
  for (int i = 1; i <= 41; i++) ASSERT_EQ(symlink("l" + std::to_string(i - 1), "l" + std::to_string(i)), 0);
  EXPECT_EQ(look("l40"), 0);
  EXPECT_EQ(look("l41"), kLoop);
}

TEST_F(Names, RenamingKeepsTheRules) {
  for (const char* name : {"a", "a/b", "empty", "full", "full/x"}) ASSERT_EQ(make_directory(name), 0);
  put("f", "f");
  put("g", "g");
  EXPECT_EQ(rename("a", "a/b/c"), kInvalid);
  EXPECT_EQ(rename("a/b", "a"), kNotEmpty);
  EXPECT_EQ(rename("a", "f"), kNotDirectory);
  EXPECT_EQ(rename("f", "empty"), kIsDirectory);
  EXPECT_EQ(rename("a", "full"), kNotEmpty);
  EXPECT_EQ(rename("f", "new/"), kNotDirectory);
  EXPECT_EQ(rename("f", "g", kRenameNoReplace), kExists);
  EXPECT_EQ(rename("f", "missing", kRenameExchange), kMissing);
  EXPECT_EQ(rename(".", "x"), kBusy);
  EXPECT_EQ(rename("f", "g", kRenameExchange), 0);
  EXPECT_EQ(content("f"), "g");
  EXPECT_EQ(rename("f", "g"), 0);
  EXPECT_EQ(content("g"), "g");
  EXPECT_EQ(look("f"), kMissing);
  EXPECT_EQ(rename("a", "empty"), 0);
  EXPECT_EQ(look("empty/b"), 0);
  EXPECT_EQ(rename("empty/b", "full/y"), 0);
  EXPECT_EQ(look("full/y/../x"), 0);
}

TEST_F(Names, TwoNamesOfOneFileStayWhenRenamedOntoEachOther) {
  put("one", "same");
  ASSERT_EQ(link("one", "two"), 0);
  EXPECT_EQ(rename("one", "two"), 0);
  EXPECT_EQ(content("one"), "same");
  EXPECT_EQ(content("two"), "same");
}

TEST_F(Names, ARenamedDirectoryKeepsItsUsers) {
  ASSERT_EQ(make_directory("a"), 0);
  ASSERT_EQ(make_directory("a/here"), 0);
  names->set_current(path_resolve(caller(), "a/here", FollowLast::kYes).release_value());
  ASSERT_EQ(rename("/a", "/b"), 0);
  EXPECT_EQ(current_name(), "/b/here");
  ASSERT_EQ(create("file"), 0);
  EXPECT_EQ(look("/b/here/file"), 0);
  ASSERT_EQ(unlink("file"), 0);
  ASSERT_EQ(remove_directory("/b/here"), 0);
  EXPECT_EQ(current_name(), "error 2");
  EXPECT_EQ(create("file"), kMissing);
  EXPECT_EQ(make_directory("d"), kMissing);
  EXPECT_EQ(look(".."), 0);
}

TEST_F(Names, PermissionsAndTheStickyBit) {
  ASSERT_EQ(make_directory("private"), 0);
  AttributeChange mode;
  mode.which = AttributeChange::kMode;
  mode.mode = 0700;
  ASSERT_TRUE(path_set_attributes(path_resolve(caller(), "private", FollowLast::kYes).value(), who, mode).ok());
  put("private/f", "secret");
  ASSERT_EQ(make_directory("shared"), 0);
  mode.mode = 01777;
  ASSERT_TRUE(path_set_attributes(path_resolve(caller(), "shared", FollowLast::kYes).value(), who, mode).ok());
  put("shared/of_root", "");
  who.uid = who.euid = who.fsuid = 1000;
  EXPECT_EQ(look("private/f"), kDenied);
  EXPECT_EQ(look("private/missing"), kDenied);
  EXPECT_EQ(create("private/x"), kDenied);
  EXPECT_EQ(create("shared/mine"), 0);
  EXPECT_EQ(unlink("shared/of_root"), kNotPermitted);
  EXPECT_EQ(rename("shared/of_root", "shared/x"), kNotPermitted);
  EXPECT_EQ(rename("shared/mine", "shared/of_root"), kNotPermitted);
  EXPECT_EQ(unlink("shared/mine"), 0);
}

TEST_F(Names, MountsCoverAndComeOff) {
  ASSERT_EQ(make_directory("m"), 0);
  ASSERT_EQ(create("m/below"), 0);
  auto at = [&] { return path_resolve(caller(), "m", FollowLast::kYes).release_value(); };
  {
    Ref<Mount> mount = mount_create("tmpfs", nullptr, "tmpfs", 0, "size=8k").release_value();
    ASSERT_TRUE(mount->attach(at()).ok());
  }
  EXPECT_EQ(look("m/below"), kMissing);
  EXPECT_EQ(remove_directory("m"), kBusy);
  EXPECT_EQ(rename("m", "n"), kBusy);
  put("m/f", "text");
  EXPECT_EQ(rename("m/f", "f"), kCrossing);
  EXPECT_EQ(link("m/f", "f"), kCrossing);
  EXPECT_EQ(look("m/../m/f"), 0);
  {
    Ref<File> file;
    ASSERT_EQ(open("m/f", kOpenWriteOnly, &file), 0);
    std::string big(20'000, 'x');
    IoBuffer buffer = IoBuffer::kernel(big.data(), big.size());
    EXPECT_EQ(file->write(buffer).release_value(), 8192u);
    IoBuffer more = IoBuffer::kernel(big.data(), big.size());
    EXPECT_EQ(static_cast<int>(file->write(more).error()), kNoSpace);
    EXPECT_EQ(code(at().mount->remount(kMountReadOnly)), kBusy);
    Path path = at();
    EXPECT_EQ(code(path.mount->detach(0)), kBusy);
  }
  EXPECT_EQ(code(at().mount->remount(kMountReadOnly)), 0);
  EXPECT_EQ(create("m/x"), kReadOnly);
  EXPECT_EQ(unlink("m/f"), kReadOnly);
  EXPECT_EQ(open("m/f", kOpenReadWrite), kReadOnly);
  {
    Path path = at();
    EXPECT_EQ(code(path.mount->detach(0)), 0);
  }
  EXPECT_EQ(look("m/below"), 0);
  EXPECT_EQ(remove_directory("m"), kNotEmpty);
}

TEST_F(Names, ReadingADirectoryWhileItIsEmptied) {
  constexpr int kNames = 300;
  for (int i = 0; i < kNames; i++) ASSERT_EQ(create("n" + std::to_string(i)), 0);
  Ref<File> directory;
  ASSERT_EQ(open("/", kOpenReadOnly | kOpenDirectory, &directory), 0);
  struct Few final : DirectorySink {
    std::vector<std::string> names;
    bool put(StringView name, uint64_t, FileType, uint64_t) override {
      if (names.size() == 7) return false;
      names.emplace_back(name.data(), name.size());
      return true;
    }
  };
  int seen = 0;
  for (;;) {
    Few few;
    ASSERT_TRUE(directory->read_directory(few).ok());
    if (few.names.empty()) break;
    for (const std::string& name : few.names) {
      if (name == "." || name == "..") continue;
      seen++;
      EXPECT_EQ(unlink(name), 0);
    }
  }
  EXPECT_EQ(seen, kNames);
}

TEST_F(Names, DeepTreesGoWithoutRecursion) {
  uint32_t before = free_frames();
  std::string place = "/d";
  ASSERT_EQ(make_directory("/m"), 0);
  {
    Ref<Mount> mount = mount_create("tmpfs", nullptr, "tmpfs", 0, "").release_value();
    ASSERT_TRUE(mount->attach(path_resolve(caller(), "/m", FollowLast::kYes).value()).ok());
  }
  names->set_current(path_resolve(caller(), "/m", FollowLast::kYes).release_value());
  for (int i = 0; i < 3000; i++) {
    ASSERT_EQ(make_directory("d"), 0);
    names->set_current(path_resolve(caller(), "d", FollowLast::kYes).release_value());
  }
  names->set_current(names->root());
  {
    Path path = path_resolve(caller(), "/m", FollowLast::kYes).release_value();
    ASSERT_EQ(code(path.mount->detach(0)), 0);
  }
  ASSERT_EQ(remove_directory("/m"), 0);
  EXPECT_EQ(free_frames(), before);
}

// The model: a tree of the same shape, and the errors that the manual promises.
class NamesModel : public TreeTest {
 protected:
  struct Node {
    bool is_directory;
    std::map<std::string, std::shared_ptr<Node>> children;
  };
  struct Place {
    std::shared_ptr<Node> parent, node;  // no parent: some directory on the way is missing (or no directory)
    std::string last;
    int error = 0;
  };
  Place find(const std::string& path) {
    Place place;
    std::shared_ptr<Node> at = root_;
    size_t from = 1;
    for (;;) {
      size_t slash = path.find('/', from);
      place.last = path.substr(from, slash == std::string::npos ? std::string::npos : slash - from);
      if (!at->is_directory) {
        place.error = kNotDirectory;
        return place;
      }
      auto found = at->children.find(place.last);
      std::shared_ptr<Node> child = found == at->children.end() ? nullptr : found->second;
      if (slash == std::string::npos) {
        place.parent = at;
        place.node = child;
        return place;
      }
      if (!child) {
        place.error = kMissing;
        return place;
      }
      at = child;
      from = slash + 1;
    }
  }
  static bool is_below(const Node& node, const Node& top) {
    if (&node == &top) return true;
    for (auto& [name, child] : top.children)
      if (is_below(node, *child)) return true;
    return false;
  }
  std::string any_path() {
    std::string path;
    for (uint32_t depth = 1 + dice_.below(4); depth != 0; depth--) {
      uint32_t number = dice_.below(5);
      path += "/n" + std::string(number == 4 ? 60 : 0, 'x') + std::to_string(number);
    }
    return path;
  }

  int make(const std::string& path, bool is_directory) {
    Place place = find(path);
    if (place.error) return place.error;
    if (place.node) return kExists;
    place.parent->children[place.last] = std::make_shared<Node>(Node{is_directory, {}});
    return 0;
  }
  int remove(const std::string& path, bool wants_directory) {
    Place place = find(path);
    if (place.error) return place.error;
    if (!place.node) return kMissing;
    if (place.node->is_directory != wants_directory) return wants_directory ? kNotDirectory : kIsDirectory;
    if (!place.node->children.empty()) return kNotEmpty;
    place.parent->children.erase(place.last);
    return 0;
  }
  int add_link(const std::string& path, const std::string& to) {
    Place from = find(path);
    if (from.error) return from.error;
    if (!from.node) return kMissing;
    if (from.node->is_directory) return kNotPermitted;
    Place place = find(to);
    if (place.error) return place.error;
    if (place.node) return kExists;
    place.parent->children[place.last] = from.node;
    return 0;
  }
  int move(const std::string& path, const std::string& to) {
    Place from = find(path);
    if (from.error) return from.error;
    Place place = find(to);
    if (place.error) return place.error;
    if (!from.node) return kMissing;
    if (from.node->is_directory && is_below(*place.parent, *from.node)) return kInvalid;
    if (place.node) {
      if (is_below(*from.parent, *place.node)) return kNotEmpty;
      if (from.node->is_directory && !place.node->is_directory) return kNotDirectory;
      if (!from.node->is_directory && place.node->is_directory) return kIsDirectory;
      if (from.node == place.node) return 0;
      if (!place.node->children.empty()) return kNotEmpty;
    }
    std::shared_ptr<Node> node = from.node;
    from.parent->children.erase(from.last);
    place.parent->children[place.last] = node;
    return 0;
  }

  void compare(const std::string& path, const Node& node) {
    struct All final : DirectorySink {
      std::map<std::string, FileType> names;
      bool put(StringView name, uint64_t, FileType type, uint64_t) override {
        names[std::string(name.data(), name.size())] = type;
        return true;
      }
    } all;
    Ref<File> directory;
    ASSERT_EQ(open(path, kOpenDirectory, &directory), 0) << path;
    ASSERT_TRUE(directory->read_directory(all).ok());
    ASSERT_EQ(all.names.size(), node.children.size() + 2) << path;
    uint32_t links = 2;
    for (auto& [name, child] : node.children) {
      ASSERT_EQ(all.names.count(name), 1u) << path << "/" << name;
      EXPECT_EQ(all.names[name] == FileType::kDirectory, child->is_directory);
      if (!child->is_directory) continue;
      links++;
      compare((path == "/" ? "" : path) + "/" + name, *child);
    }
    EXPECT_EQ(directory->inode()->attributes().links, links) << path;
  }

  std::shared_ptr<Node> root_ = std::make_shared<Node>(Node{true, {}});
  Dice dice_{1};
};

TEST_F(NamesModel, RandomOperationsGiveTheModelsTreeAndErrors) {
  uint32_t before = free_frames();
  for (uint32_t step = 0; step < 30'000; step++) {
    std::string path = any_path(), other = any_path();
    SCOPED_TRACE("step " + std::to_string(step) + " " + path + " " + other);
    switch (dice_.below(8)) {
      case 0:
      case 1: EXPECT_EQ(make_directory(path), make(path, true)); break;
      case 2: EXPECT_EQ(create(path), make(path, false)); break;
      case 3: EXPECT_EQ(unlink(path), remove(path, false)); break;
      case 4: EXPECT_EQ(remove_directory(path), remove(path, true)); break;
      case 5: EXPECT_EQ(link(path, other), add_link(path, other)); break;
      case 6: EXPECT_EQ(rename(path, other), move(path, other)); break;
      default: {
        Place place = find(path);
        EXPECT_EQ(look(path), place.error ? place.error : place.node ? 0 : kMissing);
        if (dice_.below(20) == 0) dentries_shrink(dice_.below(100));
      }
    }
    if (step % 1000 == 999) compare("/", *root_);
    if (HasFailure()) return;
  }
  // Everything goes; nothing stays behind.
  while (!root_->children.empty()) {
    std::string path;
    for (std::shared_ptr<Node> at = root_; !at->children.empty(); at = at->children.begin()->second)
      path += "/" + at->children.begin()->first;
    bool is_directory = find(path).node->is_directory;
    ASSERT_EQ(is_directory ? remove_directory(path) : unlink(path), remove(path, is_directory)) << path;
  }
  EXPECT_EQ(free_frames(), before);
}

}  // namespace faultline
