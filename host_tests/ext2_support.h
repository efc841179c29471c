// A disk in the test's memory with a real ext2 on it: made by mke2fs, mounted by the kernel's code, judged by e2fsck and debugfs.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "fs/block_device.h"
#include "fs/ext2/file_system.h"
#include "fs/ext2/inode.h"

namespace faultline {

// Requests are served when somebody waits, in order. Can be told to fail.
class MemoryDisk final : public BlockDevice {
 public:
  explicit MemoryDisk(std::vector<uint8_t> bytes, bool read_only = false)
      : BlockDevice("mem0", DeviceNumber{240, 0}, bytes.size() / kSectorSize, read_only), bytes_(std::move(bytes)) {}
  ~MemoryDisk() { object().drop_all(); }
  void submit(BlockRequest& request) override;

  std::vector<uint8_t>& bytes() { return bytes_; }
  uint64_t requests = 0, flushes = 0, failures = 0;
  uint64_t most_requests = ~0ull;                                // more are a loop without end: the test is ended
  uint64_t fail_writes_after = ~0ull, fail_reads_after = ~0ull;  // as many succeed, then none

 private:
  void serve(BlockRequest& request);
  std::vector<uint8_t> bytes_;
};

struct CommandResult {
  int status;
  std::string output;
};
CommandResult run_command(const std::string& command);

class Ext2Test : public ::testing::Test {
 protected:
  Ext2Test();
  ~Ext2Test() override;

  // An image of `kibibytes`, made by mke2fs with these options ("-b 1024 -t ext2"), holding the tree at `from` if given.
  std::vector<uint8_t> make_image(const std::string& options, uint32_t kibibytes, const std::string& from = "");
  void use_image(std::vector<uint8_t> bytes);
  // The file that make_image and debugfs left, as it is now.
  std::vector<uint8_t> image_file();
  // The file system, or the mount's error.
  Result<FileSystem*> try_mount(uint32_t flags = 0);
  void mount(uint32_t flags = 0);
  void unmount();
  void remount() {
    unmount();
    mount();
  }

  // Everything released, unmounted, and nothing for e2fsck to say.
  void expect_clean();
  CommandResult fsck();
  // The output of a debugfs command on the disk as it is now.
  std::string debugfs(const std::string& command);

  // The small part of fs/namespace that the tests need; names are one component, errors are given back.
  Ref<Inode> root() { return file_system->root(); }
  Result<Ref<Inode>> create(Inode& directory, const std::string& name);
  Result<Ref<Inode>> make_directory(Inode& directory, const std::string& name);
  Result<void> unlink(Inode& directory, const std::string& name);
  Result<void> remove_directory(Inode& directory, const std::string& name);
  Result<void> rename(Inode& from, const std::string& name, Inode& to, const std::string& new_name);
  Result<size_t> write(Inode& file, uint64_t offset, const std::string& text);
  std::string read_all(Inode& file);
  Result<std::vector<std::string>> names(Inode& directory);  // without ., .. and lost+found
  Result<void> truncate(Inode& file, uint64_t bytes);

  std::unique_ptr<MemoryDisk> disk;
  FileSystem* file_system = nullptr;
  std::string folder;  // of this test's own files on the host
  Credentials who;     // root
};

// Deterministic numbers.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 2 + 1) {}
  uint32_t below(uint32_t limit) {
    state_ = state_ * 6364136223846793005ull + 1442695040888963407ull;
    return static_cast<uint32_t>((state_ >> 33) % limit);
  }

 private:
  uint64_t state_;
};

}  // namespace faultline
