// ext2 on damaged images: random bytes of the metadata are changed, then everything is read, changed and removed. Any errors are right;
// a crash, an endless loop or a bad access (ASan) is not.
#include <algorithm>
#include <cstdlib>

#include "ext2_support.h"

namespace faultline {

class Ext2Damage : public Ext2Test {
 protected:
  static constexpr uint32_t kMaxVisits = 300;

  std::vector<uint8_t> make_rich_image(const std::string& options);
  void damage(std::vector<uint8_t>& image, uint32_t block, Random& random);
  void read_everything(Inode& inode, uint32_t depth);
  void change_everything(Inode& directory, Random& random);
  void survive(const std::string& options, uint32_t block, uint32_t seed);
  uint32_t visits_ = 0;
};

// A little of everything, so that every kind of structure is there to be damaged.
std::vector<uint8_t> Ext2Damage::make_rich_image(const std::string& options) {
  run_command("mkdir -p " + folder + "/t/a/b/c " + folder + "/t/many; cd " + folder + "/t; seq 1 40000 > big; echo hi > a/small; ln -s a/b ab; " +
              "ln -s $(seq -s / 1 60) long; mkfifo a/pipe; for i in $(seq 1 120); do echo $i > many/name-$i; done; truncate -s 3M hole; echo x >> hole; ln big a/big2");
  return make_image(options, 3000, folder + "/t");
}

// Mostly where metadata is: the first groups of blocks, and blocks that look like directories or pointers.
void Ext2Damage::damage(std::vector<uint8_t>& image, uint32_t block, Random& random) {
  uint32_t changes = 1 + random.below(12);
  for (uint32_t i = 0; i < changes; i++) {
    uint32_t region = random.below(12);
    uint32_t at = region == 0 ? 1024 + random.below(200) : random.below(region < 4 ? static_cast<uint32_t>(image.size()) : 60 * block);
    switch (random.below(4)) {
      case 0: image[at] = static_cast<uint8_t>(random.below(256)); break;
      case 1: image[at] ^= static_cast<uint8_t>(1u << random.below(8)); break;
      case 2: {
        const uint32_t values[] = {0, 1, 2, 7, 11, 12, 0xffffffff, 0x7fffffff, 0x80000000, 0x10000, static_cast<uint32_t>(image.size() / block)};
        uint32_t value = values[random.below(11)];
        memcpy(&image[std::min<size_t>(at & ~3u, image.size() - 4)], &value, 4);
        break;
      }
      default: {  // a copy of another place: pointers that are valid, and wrong
        size_t from = random.below(60 * block) & ~3u, to = std::min<size_t>(at & ~3u, image.size() - 64);
        memmove(&image[to], &image[from], 32);
      }
    }
  }
}

void Ext2Damage::read_everything(Inode& inode, uint32_t depth) {
  if (++visits_ > kMaxVisits || depth > 20) return;
  inode.attributes();
  char target[300];
  ignore_result(inode.read_link(std::span<char>(target)));
  if (Object* object = inode.object()) {
    std::string text(9000, '\0');
    const uint64_t size = inode.attributes().size;
    for (uint64_t at : {uint64_t{0}, size / 2, size - std::min<uint64_t>(size, 100)}) {
      IoBuffer buffer = IoBuffer::kernel(text.data(), text.size());
      ignore_result(object->read(at, buffer));
    }
  }
  if (!inode.is_directory()) return;
  Result<std::vector<std::string>> list = names(inode);
  if (!list.ok()) return;
  EXPECT_LT(list.value().size(), 2000u);
  ignore_result(inode.lookup(".."));
  for (const std::string& name : list.value()) {
    Result<Ref<Inode>> child = inode.lookup(StringView(name.data(), name.size()));
    if (child.ok()) read_everything(*child.value(), depth + 1);
  }
}

void Ext2Damage::change_everything(Inode& directory, Random& random) {
  ignore_result(make_directory(directory, "new-directory"));
  Result<Ref<Inode>> made = create(directory, "new-file");
  if (made.ok()) ignore_result(write(*made.value(), random.below(300'000), std::string(50'000, 'd')));
  made = Errno::kNOENT;
  Result<std::vector<std::string>> list = names(directory);
  if (!list.ok()) return;
  for (const std::string& name : list.value()) {
    if (++visits_ > kMaxVisits) return;
    Result<Ref<Inode>> child = directory.lookup(StringView(name.data(), name.size()));
    if (!child.ok()) continue;
    if (child.value()->is_directory()) {
      if (child.value()->number() != directory.number() && random.below(2)) change_everything(*child.value(), random);
      child = Errno::kNOENT;
      ignore_result(random.below(2) ? remove_directory(directory, name) : rename(directory, name, directory, name + "-moved"));
      continue;
    }
    if (child.value()->object()) {
      ignore_result(write(*child.value(), random.below(400'000), std::string(3000, 'w')));
      ignore_result(truncate(*child.value(), random.below(100'000)));
      ignore_result(child.value()->synchronize(false));
    }
    child = Errno::kNOENT;
    if (random.below(3)) ignore_result(unlink(directory, name));
  }
}

void Ext2Damage::survive(const std::string& options, uint32_t block, uint32_t first_seed) {
  const char* rounds_text = getenv("FAULTLINE_ROUNDS");
  const uint32_t rounds = rounds_text ? static_cast<uint32_t>(atoi(rounds_text)) : 60;
  const std::vector<uint8_t> image = make_rich_image(options);
  uint32_t mounted = 0;
  for (uint32_t seed = first_seed; seed < first_seed + rounds; seed++) {
    SCOPED_TRACE(seed);
    Random random(seed);
    std::vector<uint8_t> copy = image;
    damage(copy, block, random);
    use_image(std::move(copy));
    Result<FileSystem*> result = try_mount();
    if (!result.ok()) continue;
    mounted++;
    file_system = result.value();
    visits_ = 0;
    read_everything(*root(), 0);
    visits_ = 0;
    change_everything(*root(), random);
    ignore_result(file_system->synchronize(WriteBack::kWait));
    EXPECT_TRUE(file_system->statistics().blocks_free <= 3000);
    Result<void> unmounted = file_system->unmount();
    EXPECT_TRUE(unmounted.ok() || unmounted.error() == Errno::kUCLEAN || unmounted.error() == Errno::kIO || unmounted.error() == Errno::kNOSPC)
        << static_cast<int>(unmounted.error());
    file_system = nullptr;
    if (HasFatalFailure() || HasNonfatalFailure()) break;
  }
  EXPECT_GT(mounted, rounds / 3);
}

TEST_F(Ext2Damage, SurvivedWithSmallBlocks) { survive("-t ext2 -b 1024", 1024, 1); }
TEST_F(Ext2Damage, SurvivedWithTwoKilobyteBlocks) { survive("-t ext2 -b 2048", 2048, 5001); }
TEST_F(Ext2Damage, SurvivedWithPageSizedBlocks) { survive("-t ext2 -b 4096", 4096, 9001); }

}  // namespace faultline
