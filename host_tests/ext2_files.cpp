// ext2: files, directories and links on images of every block size, judged by e2fsck, debugfs and a second mount.
#include <machine/planted_bugs.h>

#include "ext2_support.h"
#include "fs/dentry.h"
#include "mm/frames.h"
#include "mm/reclaim.h"
#include "support/process.h"

namespace faultline {

struct Geometry {
  const char* name;
  const char* options;
  uint32_t kibibytes;
};

class Ext2Geometry : public Ext2Test, public ::testing::WithParamInterface<Geometry> {
 protected:
  void SetUp() override {
    use_image(make_image(GetParam().options, GetParam().kibibytes));
    mount();
  }
};

static std::string pattern(uint32_t seed, size_t bytes) {
  std::string text(bytes, '\0');
  Random random(seed);
  for (char& c : text) c = static_cast<char>(random.below(256));
  return text;
}

TEST_P(Ext2Geometry, WhatIsWrittenIsReadAfterRemount) {
  const size_t sizes[] = {0, 1, 1023, 1024, 1025, 4095, 4096, 4097, 12 * 1024 + 1, 300 * 1024 + 77};
  for (size_t size : sizes) {
    Result<Ref<Inode>> file = create(*root(), "f" + std::to_string(size));
    ASSERT_TRUE(file.ok());
    ASSERT_EQ(write(*file.value(), 0, pattern(static_cast<uint32_t>(size), size)).value(), size);
  }
  remount();
  for (size_t size : sizes) {
    std::string name = "f" + std::to_string(size);
    Ref<Inode> file = root()->lookup(StringView(name.data(), name.size())).release_value();
    EXPECT_EQ(read_all(*file), pattern(static_cast<uint32_t>(size), size));
  }
  EXPECT_EQ(debugfs("cat f4097"), pattern(4097, 4097));
  expect_clean();
}

TEST_P(Ext2Geometry, HolesAreZeroAndTakeNoBlocks) {
  Ref<Inode> file = create(*root(), "sparse").release_value();
  ASSERT_TRUE(write(*file, 5'000'000, "end").ok());
  EXPECT_LT(file->attributes().blocks, 64u);
  std::string expected(5'000'000, '\0');
  EXPECT_EQ(read_all(*file), expected + "end");
  ASSERT_TRUE(write(*file, 70'000, "middle").ok());
  file = nullptr;
  remount();
  file = root()->lookup("sparse").release_value();
  expected.replace(70'000, 6, "middle");
  EXPECT_EQ(read_all(*file), expected + "end");
  file = nullptr;
  expect_clean();
}

TEST_P(Ext2Geometry, TruncateFreesExactlyWhatWasAllocated) {
  uint64_t before = file_system->statistics().blocks_free;
  Ref<Inode> file = create(*root(), "f").release_value();
  ASSERT_EQ(write(*file, 0, pattern(1, 600'000)).value(), 600'000u);
  ASSERT_TRUE(truncate(*file, 100'001).ok());
  EXPECT_EQ(read_all(*file), pattern(1, 600'000).substr(0, 100'001));
  ASSERT_TRUE(truncate(*file, 200'000).ok());
  EXPECT_EQ(read_all(*file), pattern(1, 600'000).substr(0, 100'001) + std::string(99'999, '\0'));
  ASSERT_TRUE(truncate(*file, 0).ok());
  EXPECT_EQ(file->attributes().blocks, 0u);
  EXPECT_EQ(file_system->statistics().blocks_free, before);
  file = nullptr;
  expect_clean();
}

TEST_P(Ext2Geometry, DirectoriesOfManyNamesGrowAndEmptyAgain) {
  Ref<Inode> directory = make_directory(*root(), "many").release_value();
  std::vector<std::string> wanted;
  for (int i = 0; i < 400; i++) {
    std::string name = "name-" + std::string(static_cast<size_t>(i % 90), 'x') + std::to_string(i);
    ASSERT_TRUE(create(*directory, name).ok()) << i;
    wanted.push_back(name);
  }
  for (int i = 0; i < 400; i += 2) ASSERT_TRUE(unlink(*directory, wanted[static_cast<size_t>(i)]).ok());
  std::vector<std::string> left;
  for (size_t i = 1; i < 400; i += 2) left.push_back(wanted[i]);
  std::sort(left.begin(), left.end());
  EXPECT_EQ(names(*directory).value(), left);
  EXPECT_EQ(remove_directory(*root(), "many").error(), Errno::kNOTEMPTY);
  directory = nullptr;
  remount();
  directory = root()->lookup("many").release_value();
  EXPECT_EQ(names(*directory).value(), left);
  for (const std::string& name : left) ASSERT_TRUE(unlink(*directory, name).ok());
  ASSERT_TRUE(remove_directory(*root(), "many").ok());
  EXPECT_EQ(create(*directory, "late").error(), Errno::kNOENT);
  directory = nullptr;
  expect_clean();
}

TEST_P(Ext2Geometry, SymlinksShortAndLong) {
  std::string lengths[] = {"x", std::string(59, 'f'), std::string(60, 'g'), std::string(1000, 'h')};
  for (const std::string& target : lengths) {
    std::string name = "l" + std::to_string(target.size());
    Ref<Inode> directory = root();
    ASSERT_TRUE(directory->make_symlink(StringView(name.data(), name.size()), StringView(target.data(), target.size()), who).ok());
  }
  remount();
  for (const std::string& target : lengths) {
    std::string name = "l" + std::to_string(target.size());
    Ref<Inode> link = root()->lookup(StringView(name.data(), name.size())).release_value();
    char buffer[1100];
    ASSERT_EQ(link->read_link(std::span<char>(buffer)).value(), target.size());
    EXPECT_EQ(std::string(buffer, target.size()), target);
  }
  EXPECT_EQ(root()->make_symlink("long", StringView(std::string(5000, 'y').c_str(), 5000), who).error(), Errno::kNAMETOOLONG);
  for (const std::string& target : lengths) ASSERT_TRUE(unlink(*root(), "l" + std::to_string(target.size())).ok());
  expect_clean();
}

TEST_P(Ext2Geometry, RenameMovesReplacesAndKeepsTheParentRight) {
  Ref<Inode> a = make_directory(*root(), "a").release_value(), b = make_directory(*root(), "b").release_value();
  Ref<Inode> moved = make_directory(*a, "child").release_value();
  ASSERT_TRUE(create(*moved, "inside").ok());
  ASSERT_TRUE(rename(*a, "child", *b, "kid").ok());
  EXPECT_EQ(moved->lookup("..").value()->number(), b->number());
  EXPECT_EQ(a->attributes().links, 2u);
  EXPECT_EQ(b->attributes().links, 3u);
  Ref<Inode> one = create(*a, "one").release_value();
  ASSERT_TRUE(create(*a, "two").ok());
  ASSERT_TRUE(rename(*a, "one", *a, "two").ok());
  EXPECT_EQ(names(*a).value(), std::vector<std::string>{"two"});
  EXPECT_EQ(a->lookup("two").value()->number(), one->number());
  Ref<Inode> full = make_directory(*a, "full").release_value();
  ASSERT_TRUE(create(*full, "x").ok());
  EXPECT_EQ(rename(*b, "kid", *a, "full").error(), Errno::kNOTEMPTY);
  ASSERT_TRUE(unlink(*full, "x").ok());
  ASSERT_TRUE(rename(*b, "kid", *a, "full").ok());
  EXPECT_EQ(names(*moved).value(), std::vector<std::string>{"inside"});
  ASSERT_TRUE(a->exchange("full", *root(), "b").ok());
  EXPECT_EQ(moved->lookup("..").value()->number(), root()->number());
  EXPECT_EQ(b->lookup("..").value()->number(), a->number());
  ASSERT_TRUE(a->exchange("two", *root(), "b").ok());
  one = full = moved = b = a = nullptr;
  expect_clean();
}

TEST_P(Ext2Geometry, UnlinkedButOpenFilesLiveUntilTheyAreClosed) {
  uint64_t before = file_system->statistics().blocks_free, inodes = file_system->statistics().files_free;
  Ref<Inode> file = create(*root(), "f").release_value();
  ASSERT_TRUE(write(*file, 0, pattern(3, 50'000)).ok());
  ASSERT_TRUE(unlink(*root(), "f").ok());
  EXPECT_EQ(file->attributes().links, 0u);
  EXPECT_EQ(read_all(*file), pattern(3, 50'000));
  EXPECT_LT(file_system->statistics().blocks_free, before);
  file = nullptr;
  EXPECT_EQ(file_system->statistics().blocks_free, before);
  EXPECT_EQ(file_system->statistics().files_free, inodes);
  expect_clean();
}

TEST_P(Ext2Geometry, HardLinksCountAndStopAtTheLimit) {
  Ref<Inode> file = create(*root(), "f").release_value();
  Ref<Inode> directory = root();
  ASSERT_TRUE(directory->link("g", *file).ok());
  EXPECT_EQ(file->attributes().links, 2u);
  ASSERT_TRUE(unlink(*root(), "f").ok());
  ASSERT_TRUE(write(*file, 0, "still here").ok());
  file = directory = nullptr;
  remount();
  EXPECT_EQ(read_all(*root()->lookup("g").value()), "still here");
  expect_clean();
}

TEST_P(Ext2Geometry, SpecialFilesKeepTheirNumbers) {
  Ref<Inode> directory = root();
  ASSERT_TRUE(directory->create("null", 0020666, {1, 3}, who).ok());
  ASSERT_TRUE(directory->create("big", 0060600, {259, 70000}, who).ok());
  ASSERT_TRUE(directory->create("fifo", 0010644, {}, who).ok());
  ASSERT_TRUE(directory->create("socket", 0140644, {}, who).ok());
  directory = nullptr;
  remount();
  EXPECT_EQ(root()->lookup("null").value()->attributes().special, (DeviceNumber{1, 3}));
  EXPECT_EQ(root()->lookup("big").value()->attributes().special, (DeviceNumber{259, 70000}));
  EXPECT_EQ(root()->lookup("fifo").value()->type(), FileType::kFifo);
  EXPECT_EQ(root()->lookup("socket").value()->type(), FileType::kSocket);
  ASSERT_TRUE(unlink(*root(), "big").ok());
  expect_clean();
}

TEST_P(Ext2Geometry, AFullDiskIsAnErrorAndLosesNothing) {
  Ref<Inode> kept = create(*root(), "kept").release_value();
  ASSERT_TRUE(write(*kept, 0, pattern(9, 10'000)).ok());
  uint64_t before = file_system->statistics().blocks_free;
  Ref<Inode> file = create(*root(), "filler").release_value();
  const std::string piece = pattern(4, 65'536);
  uint64_t offset = 0;
  Result<size_t> written = size_t{0};
  while ((written = write(*file, offset, piece)).ok()) offset += written.value();
  EXPECT_EQ(written.error(), Errno::kNOSPC);
  EXPECT_EQ(make_directory(*root(), "no-room").error(), Errno::kNOSPC);
  ASSERT_TRUE(file->synchronize(false).ok());
  std::string text = read_all(*file);
  EXPECT_EQ(text.size(), offset);
  EXPECT_EQ(text.substr(0, piece.size()), piece);
  ASSERT_TRUE(unlink(*root(), "filler").ok());
  file = nullptr;
  EXPECT_EQ(file_system->statistics().blocks_free, before);
  EXPECT_EQ(read_all(*kept), pattern(9, 10'000));
  kept = nullptr;
  expect_clean();
}

TEST_P(Ext2Geometry, SyncLeavesTheDiskCleanWhileMounted) {
  Ref<Inode> file = create(*root(), "f").release_value();
  ASSERT_TRUE(write(*file, 0, pattern(5, 30'000)).ok());
  ASSERT_TRUE(file_system->synchronize(WriteBack::kWait).ok());
  CommandResult result = fsck();
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_EQ(result.output.find("not cleanly"), std::string::npos);
  ASSERT_TRUE(write(*file, 30'000, pattern(6, 30'000)).ok());
  EXPECT_NE(debugfs("stats").find("not clean"), std::string::npos);
  file = nullptr;
  expect_clean();
}

TEST_P(Ext2Geometry, FsyncReachesTheDisk) {
  Ref<Inode> file = create(*root(), "f").release_value();
  ASSERT_TRUE(file_system->synchronize(WriteBack::kWait).ok());
  ASSERT_TRUE(write(*file, 0, pattern(7, 100'000)).ok());
  uint64_t flushes = disk->flushes;
  ASSERT_TRUE(file->synchronize(true).ok());
  EXPECT_GT(disk->flushes, flushes);
  EXPECT_EQ(debugfs("cat f"), pattern(7, 100'000));
}

INSTANTIATE_TEST_SUITE_P(Images, Ext2Geometry,
                         ::testing::Values(Geometry{"Small1K", "-t ext2 -b 1024", 4096},
                                           Geometry{"Odd1K", "-t ext2 -b 1024 -g 1024 -I 128", 9001},
                                           Geometry{"K2", "-t ext2 -b 2048 -m 0", 6002}, Geometry{"K4", "-t ext2 -b 4096", 16384},
                                           Geometry{"Old", "-t ext2 -b 1024 -r 0 -O none", 5000},
                                           Geometry{"NoTypes", "-t ext2 -b 4096 -O ^filetype,^dir_index", 8192}),
                         [](const auto& instance) { return std::string(instance.param.name); });

TEST_F(Ext2Test, InodesRunOutCleanly) {
  use_image(make_image("-t ext2 -b 1024 -N 32", 2048));
  mount();
  uint32_t made = 0;
  Result<Ref<Inode>> last = Errno::kNOENT;
  while ((last = create(*root(), "f" + std::to_string(made))).ok()) made++;
  EXPECT_EQ(last.error(), Errno::kNOSPC);
  EXPECT_EQ(file_system->statistics().files_free, 0u);
  EXPECT_EQ(make_directory(*root(), "d").error(), Errno::kNOSPC);
  ASSERT_TRUE(unlink(*root(), "f0").ok());
  EXPECT_TRUE(create(*root(), "again").ok());
  last = Errno::kNOENT;
  expect_clean();
}

TEST_F(Ext2Test, ReservedBlocksAreForTheSuperuser) {
  use_image(make_image("-t ext2 -b 1024 -m 20", 2048));
  mount();
  Ref<Inode> file = create(*root(), "f").release_value();
  host::process_is_superuser = false;
  uint64_t offset = 0;
  Result<size_t> written = size_t{0};
  while ((written = write(*file, offset, std::string(8192, 'u'))).ok()) offset += written.value();
  EXPECT_EQ(written.error(), Errno::kNOSPC);
  EXPECT_EQ(file_system->statistics().blocks_available, 0u);
  host::process_is_superuser = true;
  EXPECT_TRUE(write(*file, offset, std::string(8192, 'r')).ok());
  file = nullptr;
  expect_clean();
}

TEST_F(Ext2Test, LargeFilesUseAllThreeLevels) {
  use_image(make_image("-t ext2 -b 1024 -O ^large_file", 8192));
  mount();
  Ref<Inode> file = create(*root(), "huge").release_value();
  const uint64_t places[] = {0, 11 * 1024, 12 * 1024, 268 * 1024, 65'804ull * 1024, 3'000'000'000ull, 16'000'000'000ull};
  for (uint64_t place : places) ASSERT_TRUE(write(*file, place, "at " + std::to_string(place)).ok()) << place;
  EXPECT_EQ(write(*file, 17'247'252'480ull, "past").error(), Errno::kFBIG);
  file = nullptr;
  remount();
  file = root()->lookup("huge").release_value();
  for (uint64_t place : places) {
    std::string expected = "at " + std::to_string(place), got(expected.size(), '?');
    IoBuffer buffer = IoBuffer::kernel(got.data(), got.size());
    EXPECT_EQ(file->object()->read(place, buffer).value(), expected.size());
    EXPECT_EQ(got, expected);
  }
  EXPECT_NE(debugfs("features").find("large_file"), std::string::npos);
  ASSERT_TRUE(truncate(*file, 66'000 * 1024).ok());
  ASSERT_TRUE(truncate(*file, 1).ok());
  EXPECT_EQ(file->attributes().blocks, 2u);
  file = nullptr;
  expect_clean();
}

TEST_F(Ext2Test, LinkCountStopsAt32000) {
  use_image(make_image("-t ext2 -b 4096", 16384));
  mount();
  Ref<Inode> file = create(*root(), "f").release_value(), directory = root();
  for (int i = 1; i < 32000; i++) {
    std::string name = "l" + std::to_string(i);
    ASSERT_TRUE(directory->link(StringView(name.data(), name.size()), *file).ok()) << i;
  }
  EXPECT_EQ(directory->link("one-more", *file).error(), Errno::kMLINK);
  file = directory = nullptr;
  expect_clean();
}

TEST_F(Ext2Test, ATreeMadeByOthersIsRead) {
  run_command("mkdir -p " + folder + "/tree/bin/sub; cd " + folder +
              "/tree; seq 1 50000 > numbers; ln -s ../numbers bin/link; mkfifo bin/fifo; chmod 4755 numbers; touch -d "
              "@1234567890 numbers");
  use_image(make_image("-t ext2 -b 4096", 8192, folder + "/tree"));
  mount();
  Ref<Inode> file = root()->lookup("numbers").release_value();
  std::string text = read_all(*file);
  EXPECT_EQ(text.substr(0, 8), "1\n2\n3\n4\n");
  EXPECT_EQ(text.substr(text.size() - 6), "50000\n");
  EXPECT_EQ(file->attributes().mode, 0104755u);
  EXPECT_EQ(file->attributes().modified.seconds, 1234567890);
  Ref<Inode> bin = root()->lookup("bin").release_value();
  EXPECT_EQ(names(*bin).value(), (std::vector<std::string>{"fifo", "link", "sub"}));
  EXPECT_EQ(bin->lookup("nothing").error(), Errno::kNOENT);
  file = bin = nullptr;
  uint64_t requests = disk->requests;
  remount();
  EXPECT_LT(disk->requests - requests, 12u) << "mounting reads much";
  expect_clean();
}

TEST_F(Ext2Test, UnknownFeaturesAreRefusedOrReadOnly) {
  use_image(make_image("-t ext4 -b 4096", 16384));
  EXPECT_EQ(try_mount().error(), Errno::kINVAL);
  use_image(make_image("-t ext2 -b 4096 -O huge_file", 8192));
  mount();
  EXPECT_TRUE(file_system->is_read_only());
  EXPECT_EQ(create(*root(), "f").error(), Errno::kROFS);
  EXPECT_EQ(file_system->remount(0).error(), Errno::kROFS);
}

TEST_F(Ext2Test, MoreInodesThanTheCacheKeeps) {
  use_image(make_image("-t ext2 -b 4096 -N 9000", 32768));
  mount();
  std::vector<Ref<Inode>> open;
  for (int i = 0; i < 3000; i++) {
    Result<Ref<Inode>> file = create(*root(), "f" + std::to_string(i));
    ASSERT_TRUE(file.ok());
    if (i % 100 == 0) {
      ASSERT_TRUE(write(*file.value(), 0, "file " + std::to_string(i)).ok());
    }
    if (i % 2) open.push_back(file.release_value());
  }
  EXPECT_GT(ext2_inodes_shrink(~0u), 1000u);
  for (int i = 0; i < 3000; i += 100) {
    std::string name = "f" + std::to_string(i);
    EXPECT_EQ(read_all(*root()->lookup(StringView(name.data(), name.size())).value()), "file " + std::to_string(i));
  }
  open.clear();
  expect_clean();
}

// Their memory is what the changed ones need to be written with; without any they stay.
TEST_F(Ext2Test, ChangedInodesOutliveALackOfMemory) {
  use_image(make_image("-t ext2 -b 4096 -N 9000", 32768));
  mount();
  for (int i = 0; i < 500; i++) ASSERT_TRUE(create(*root(), "f" + std::to_string(i)).ok());
  ASSERT_TRUE(static_cast<Ext2FileSystem*>(file_system)->synchronize_metadata().ok());
  objects_drop_clean();
  machine::allocation_failure_rate = 1;
  EXPECT_EQ(ext2_inodes_shrink(~0u), 0u);
  machine::allocation_failure_rate = 0;
  EXPECT_GE(ext2_inodes_shrink(~0u), 500u);
  EXPECT_EQ(names(*root()).value().size(), 500u);
  EXPECT_TRUE(root()->lookup("f499").ok());
  expect_clean();
}

// Names hold inodes, inodes hold slabs: all of it is memory that the reclaimer can have when no page is clean any more.
TEST_F(Ext2Test, NamesAndInodesGiveWayToPages) {
  dentries_initialize();
  ext2_initialize();
  use_image(make_image("-t ext2 -b 4096 -N 9000", 32768));
  mount();
  {
    Ref<Dentry> top = Dentry::create_root(root()).release_value();
    for (int i = 0; i < 2000; i++) {
      std::string name = "f" + std::to_string(i);
      ASSERT_TRUE(
          DentryCache::insert(*top, StringView(name.data(), name.size()), create(*root(), name).release_value(), Caching::kCached).ok());
    }
  }
  const uint32_t names_before = DentryCache::count();
  EXPECT_EQ(names_before, 2000u);
  std::vector<FrameNumber> taken;
  uint32_t rounds = 0;
  do {
    while (true) {
      Result<FrameNumber> frame = frame_allocate(FrameUse::kKernel, Zeroing::kNotNeeded);
      if (!frame.ok()) break;
      taken.push_back(frame.value());
    }
    rounds++;
  } while (reclaim_with_write_back());
  EXPECT_GT(rounds, 3u);
  EXPECT_EQ(DentryCache::count(), 0u);
  for (FrameNumber frame : taken) frame_free(frame);
  expect_clean();
}

}  // namespace faultline
