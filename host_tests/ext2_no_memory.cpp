// ext2 when memory runs out: at every allocation of every operation, for once or for long. An operation fails whole or succeeds, and when there is
// memory again the disk has nothing that e2fsck would find: above all no block that belongs to nobody.
#include <machine/planted_bugs.h>

#include <functional>

#include "ext2_support.h"
#include "fs/mount.h"

namespace faultline {

namespace {

constexpr uint32_t kForEver = ~0u;
// In pieces of blocks of 1 KiB: the first of each kind of pointer (direct, indirect, double, triple), so that truncation walks all of them.
constexpr uint64_t kPlaces[] = {0, 11, 12, 267, 268, 600, 65803, 65804, 66100};

}  // namespace

class Ext2WithoutMemory : public Ext2Test {
 protected:
  // Before each operation: a/file with blocks below every kind of pointer, a/small, an empty directory b.
  void SetUp() override {
    use_image(make_image("-t ext2 -b 1024 -N 64 -O ^resize_inode", 1024));
    mount();
    Ref<Inode> a = make_directory(*root(), "a").release_value();
    ASSERT_TRUE(make_directory(*root(), "b").ok());
    Ref<Inode> file = create(*a, "file").release_value(), small = create(*a, "small").release_value();
    for (uint64_t place : kPlaces) ASSERT_TRUE(write(*file, place * 1024, "somewhere").ok());
    ASSERT_TRUE(write(*small, 0, "small").ok());
    for (int i = 0; i < 11 * 4; i++)  // the directory's next block needs an indirect one
      ASSERT_TRUE(create(*a, "link" + std::to_string(i) + std::string(230, 'n')).ok());
    a = file = small = nullptr;
    unmount();
    prepared_ = disk->bytes();
  }

  Result<Ref<Inode>> find(const std::string& directory, const std::string& name = "") {
    Ref<Inode> found = TRY(root()->lookup(StringView(directory.data(), directory.size())));
    if (name.empty()) return found;
    return found->lookup(StringView(name.data(), name.size()));
  }

  // One attempt, in which allocation `nth` and all that follow, up to `failures`, fail. True if it had so many.
  bool attempt(const std::function<Result<void>()>& operation, uint32_t nth, uint32_t failures) {
    use_image(prepared_);
    mount();
    EXPECT_TRUE(find("a", "file").ok() && find("b").ok());
    objects_drop_clean();
    machine::allocations_before_failure = nth, machine::allocation_failures = failures;
    Result<void> result = operation();
    const bool has_failed = machine::allocation_failures != failures;
    machine::allocations_before_failure = machine::allocation_failures = 0;
    EXPECT_TRUE(result.ok() || (has_failed && result.error() == Errno::kNOMEM)) << nth << ": " << static_cast<int>(result.error());
    failed_ += !result.ok();
    made_good_ += has_failed && result.ok();
    expect_clean();
    return has_failed;
  }

  // Everywhere; fails unless there was an allocation that could.
  void sweep(const std::function<Result<void>()>& operation) {
    for (uint32_t failures : {1u, kForEver})
      for (uint32_t nth = 0; attempt(operation, nth, failures) && !HasFailure(); nth++) ASSERT_LT(nth, 1000u);
    EXPECT_GT(failed_ + made_good_, 0);
  }

  std::vector<uint8_t> prepared_;
  int failed_ = 0, made_good_ = 0;
};

TEST_F(Ext2WithoutMemory, UnlinkOfTheLastName) {
  sweep([&]() -> Result<void> { return unlink(*TRY(find("a")), "file"); });
}

TEST_F(Ext2WithoutMemory, TruncationOfEverything) {
  sweep([&]() -> Result<void> { return truncate(*TRY(find("a", "file")), 0); });
}

TEST_F(Ext2WithoutMemory, TruncationOfAPart) {
  for (uint64_t blocks : {13, 300, 65900})
    sweep([&]() -> Result<void> {
      Ref<Inode> file = TRY(find("a", "file"));
      Result<void> result = truncate(*file, blocks * 1024 - 100);
      EXPECT_TRUE(!result.ok() || file->attributes().size == blocks * 1024 - 100);
      return result;
    });
}

TEST_F(Ext2WithoutMemory, RenameOver) {
  sweep([&]() -> Result<void> {
    Ref<Inode> directory = TRY(find("a"));
    return rename(*directory, "small", *directory, "file");
  });
}

TEST_F(Ext2WithoutMemory, RemovalOfADirectory) {
  sweep([&] { return remove_directory(*root(), "b"); });
}

TEST_F(Ext2WithoutMemory, CreationInADirectoryThatGrows) {
  const std::string name(240, 'x');
  sweep([&]() -> Result<void> {
    Ref<Inode> directory = TRY(find("a"));
    TRY(create(*directory, name));
    return {};
  });
  sweep([&]() -> Result<void> {
    Ref<Inode> directory = TRY(find("a"));
    TRY(make_directory(*directory, name));
    return {};
  });
  sweep([&]() -> Result<void> {
    Ref<Inode> directory = TRY(find("a"));
    LockGuard guard(directory->content_lock());
    TRY(directory->make_symlink(StringView(name.data(), name.size()), StringView(name.data(), name.size()), who));
    return {};
  });
}

TEST_F(Ext2WithoutMemory, WritesIntoHolesAndPastTheEnd) {
  for (uint64_t place : {20, 5000, 66200})
    sweep([&]() -> Result<void> {
      Ref<Inode> file = TRY(find("a", "file"));
      TRY(write(*file, place * 1024, std::string(5000, 'w')));
      return {};
    });
}

// What a truncation had to leave behind may hold anybody's old bytes, and a file that grows must not show them.
TEST_F(Ext2WithoutMemory, AFileThatGrowsAgainShowsZeroes) {
  for (uint32_t nth = 0;; nth++) {
    use_image(prepared_);
    mount();
    bool has_failed;
    {
      Ref<Inode> file = find("a", "file").release_value();
      objects_drop_clean();
      machine::allocations_before_failure = nth, machine::allocation_failures = kForEver;
      Result<void> truncated = truncate(*file, 0);
      has_failed = machine::allocation_failures != kForEver;
      Result<void> grown = truncated.ok() ? truncate(*file, 300 * 1024) : truncated;
      machine::allocations_before_failure = machine::allocation_failures = 0;
      if (truncated.ok() && !grown.ok()) {
        EXPECT_EQ(file->attributes().size, 0u);
        EXPECT_TRUE(truncate(*file, 300 * 1024).ok());
      }
      EXPECT_TRUE(!truncated.ok() || read_all(*file) == std::string(300 * 1024, '\0')) << nth;
    }
    expect_clean();
    if (!has_failed || HasFailure()) break;
  }
}

// The room of a file whose deletion had no memory is there for who needs it, without a sync.
TEST_F(Ext2WithoutMemory, DeletedFilesMakeRoomOnAFullDisk) {
  use_image(prepared_);
  mount();
  Ref<Inode> rest = create(*root(), "rest").release_value();
  for (uint64_t at = 0; write(*rest, at, std::string(1024, 'r')).ok(); at += 1024) {
  }
  while (create(*root(), "f" + std::to_string(file_system->statistics().files_free)).ok()) {
  }
  ASSERT_EQ(file_system->statistics().files_free, 0u);
  ASSERT_EQ(file_system->statistics().blocks_free, 0u);
  ASSERT_TRUE(file_system->synchronize(WriteBack::kWait).ok());
  {
    Ref<Inode> directory = find("a").release_value();
    ASSERT_TRUE(directory->lookup("file").ok());
    objects_drop_clean();
    ASSERT_TRUE(directory->lookup("file").ok());  // its block is in memory, its indirect blocks are not
    machine::allocation_failures = kForEver;
    EXPECT_TRUE(unlink(*directory, "file").ok());
    machine::allocation_failures = 0;
  }
  EXPECT_EQ(file_system->statistics().files_free, 0u);  // or this test tests nothing
  EXPECT_TRUE(create(*root(), "new").ok());
  EXPECT_TRUE(write(*root()->lookup("new").value(), 0, "fits").ok());
  rest = nullptr;
  expect_clean();
}

TEST_F(Ext2WithoutMemory, ADiskWithAnUnlinkedOpenFileStaysWritable) {
  use_image(prepared_);
  mount();
  Ref<Inode> open = find("a", "small").release_value();
  ASSERT_TRUE(unlink(*find("a").value(), "small").ok());
  EXPECT_EQ(file_system->remount(kMountReadOnly).error(), Errno::kBUSY);
  open = nullptr;
  EXPECT_TRUE(file_system->remount(kMountReadOnly).ok());
  expect_clean();
}

}  // namespace faultline
