// A tree of tmpfs under the real path walking, for tests of names, files and descriptors.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "fs/descriptor_table.h"
#include "fs/namespace.h"

namespace faultline {

inline StringView view(const std::string& text) { return {text.data(), text.size()}; }

// A small generator: the same numbers on every machine.
class Dice {
 public:
  explicit Dice(uint32_t seed) : state_(seed * 2654435761u + 1) {}
  uint32_t below(uint32_t limit) {
    state_ = state_ * 1664525u + 1013904223u;
    return static_cast<uint32_t>(uint64_t{state_ >> 8} * limit >> 24);
  }

 private:
  uint32_t state_;
};

class TreeTest : public ::testing::Test {
 protected:
  TreeTest();
  ~TreeTest() override;

  NameCaller caller() { return {*names, who}; }
  static int code(const Result<void>& result) { return result.ok() ? 0 : static_cast<int>(result.error()); }
  int make_directory(const std::string& name) { return code(path_make_directory(caller(), view(name), 0777)); }
  int remove_directory(const std::string& name) { return code(path_remove_directory(caller(), view(name))); }
  int unlink(const std::string& name) { return code(path_unlink(caller(), view(name))); }
  int rename(const std::string& from, const std::string& to, uint32_t flags = 0) {
    return code(path_rename(caller(), view(from), caller(), view(to), flags));
  }
  int symlink(const std::string& target, const std::string& name) { return code(path_make_symlink(caller(), view(target), view(name))); }
  int link(const std::string& from, const std::string& to);
  int open(const std::string& name, uint32_t flags, Ref<File>* file = nullptr);
  int create(const std::string& name) { return open(name, kOpenCreate | kOpenExclusive | kOpenWriteOnly); }
  int look(const std::string& name, FollowLast follow = FollowLast::kYes);  // the error of stat, or 0
  std::string current_name();
  std::string content(const std::string& name);
  void put(const std::string& name, const std::string& text);
  uint32_t free_frames();  // with the caches empty

  Ref<NameContext> names;
  Credentials who;
};

}  // namespace faultline
