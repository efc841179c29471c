// ext2 when the disk fails, is used twice, or says what cannot be: errors, and nothing half done.
#include "ext2_support.h"

namespace faultline {

TEST_F(Ext2Test, AFailingDiskIsAnErrorNotACrash) {
  for (uint64_t writes : {0ull, 1ull, 2ull, 5ull, 9ull, 20ull}) {
    use_image(make_image("-t ext2 -b 1024", 4096));
    mount();
    disk->fail_writes_after = writes;
    Result<Ref<Inode>> file = create(*root(), "f");
    if (file.ok()) {
      ignore_result(write(*file.value(), 0, std::string(200'000, 'x')));
      bool synchronized = file.value()->synchronize(false).ok();
      EXPECT_EQ(synchronized, disk->failures == 0) << writes;
    }
    file = Errno::kNOENT;
    disk->fail_writes_after = ~0ull;
    ignore_result(file_system->unmount());
    file_system = nullptr;
    disk.reset();
  }
}

// The moved directory's own block, which has its "..", is one of those that must be read.
TEST_F(Ext2Test, ARenameThatCannotReadTheDiskChangesNothing) {
  run_command("mkdir -p " + folder + "/t/from/moved " + folder + "/t/to/moved");
  const std::vector<uint8_t> image = make_image("-t ext2 -b 1024", 4096, folder + "/t");
  for (bool exchange : {false, true}) {
    for (uint64_t reads = 0; reads < 6; reads++) {
      use_image(image);
      mount();
      {
        Ref<Inode> from = root()->lookup("from").release_value(), to = root()->lookup("to").release_value();
        Ref<Inode> moved = from->lookup("moved").release_value(), replaced = to->lookup("moved").release_value();
        objects_drop_clean();
        disk->fail_reads_after = reads;
        Result<void> result =
            exchange ? from->exchange("moved", *to, "moved") : from->rename("moved", *moved, *to, "moved", replaced.get());
        disk->fail_reads_after = ~0ull;
        EXPECT_TRUE(result.ok() || result.error() == Errno::kIO);
      }
      expect_clean();
    }
  }
}

TEST_F(Ext2Test, ADiskIsMountedOnce) {
  use_image(make_image("-t ext2 -b 4096", 4096));
  mount();
  EXPECT_EQ(try_mount().error(), Errno::kBUSY);
  unmount();
  mount();
}

TEST_F(Ext2Test, ADirectoryIsNotLargerThanTheDisk) {
  run_command("mkdir -p " + folder + "/t/d");
  std::vector<uint8_t> image = make_image("-t ext2 -b 4096", 4096, folder + "/t");
  use_image(image);
  debugfs("stat d");  // writes the image's file
  run_command("for field in 'size 1073741824' 'blocks 2097152'; do debugfs -w -R \"sif d $field\" " + folder + "/image; done");
  use_image(image_file());
  mount();
  EXPECT_EQ(root()->lookup("d").error(), Errno::kUCLEAN);
  ignore_result(file_system->unmount());
  file_system = nullptr;
}

}  // namespace faultline
