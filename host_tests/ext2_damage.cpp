// ext2 on damaged images: the metadata of what mke2fs made is changed at random, then everything is read, changed and removed. Any errors
// are right; a crash, an endless loop, an access outside the disk or outside memory (the sanitizers) is not.
//
// FAULTLINE_ROUNDS says how many images of each kind; a failure names the kind and the seed, FAULTLINE_SEED begins with one.
#include <sanitizer/common_interface_defs.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "ext2_support.h"

namespace faultline {

struct Kind {
  const char* name;
  const char* options;  // of mke2fs
  uint32_t block;
};

// What is being tried, for the sanitizers' reports, which end the program.
static const char* current_kind = "";
static uint32_t current_seed = 0;
static void name_the_seed() { fprintf(stderr, "damaged image: %s, FAULTLINE_SEED=%u\n", current_kind, current_seed); }

// Where an undamaged image has its metadata.
class Anatomy {
 public:
  Anatomy(const std::vector<uint8_t>& image, uint32_t block) : image_(image), block_(block) {
    memcpy(&super_, &image[kExt2SuperblockOffset], sizeof super_);
    inode_size_ = super_.revision == 0 ? kExt2BaseInodeSize : super_.inode_size;
    const uint32_t groups = (super_.blocks_count - super_.first_data_block + super_.blocks_per_group - 1) / super_.blocks_per_group;
    const uint32_t descriptors = kExt2SuperblockOffset / block + 1;
    add(descriptors);
    for (uint32_t i = 0; i < groups; i++) {
      Ext2GroupDescriptor group;
      memcpy(&group, &image[descriptors * block + i * sizeof group], sizeof group);
      add(group.block_bitmap);
      add(group.inode_bitmap);
      for (uint32_t at = 0; at < super_.inodes_per_group; at++) add_inode(group.inode_table * block + at * inode_size_);
    }
  }

  // A place in a structure of a random sort: a superblock, an inode in use, a block of other metadata or of a directory.
  uint32_t place(Random& random) const {
    switch (random.below(4)) {
      case 0: return kExt2SuperblockOffset + random.below(264);
      case 1: return inodes_[random.below(static_cast<uint32_t>(inodes_.size()))] + random.below(kExt2BaseInodeSize);
      default: return block(random) + random.below(random.below(2) ? 64 : block_);
    }
  }
  // The first byte of a block of metadata.
  uint32_t block(Random& random) const { return blocks_[random.below(static_cast<uint32_t>(blocks_.size()))] * block_; }

 private:
  void add(uint32_t block) {
    if (block != 0) blocks_.push_back(block);
  }
  void add_inode(uint32_t at) {
    Ext2RawInode inode;
    memcpy(&inode, &image_[at], kExt2BaseInodeSize);
    if (inode.links == 0 || inode.mode == 0) return;
    inodes_.push_back(at);
    const auto type = static_cast<FileType>(inode.mode & kTypeMask);
    if (type == FileType::kDirectory) add(inode.block[0]);
    if (type != FileType::kDirectory && type != FileType::kRegular) return;
    for (uint32_t i = kExt2DirectBlocks; i < kExt2Pointers; i++) add(inode.block[i]);
  }

  const std::vector<uint8_t>& image_;
  const uint32_t block_;
  uint32_t inode_size_;
  Ext2Superblock super_;
  std::vector<uint32_t> inodes_, blocks_;
};

class Ext2Damage : public Ext2Test, public ::testing::WithParamInterface<Kind> {
 protected:
  static constexpr uint32_t kMaxVisits = 300, kKibibytes = 3000;

  std::vector<uint8_t> make_rich_image(const std::string& options);
  void damage(std::vector<uint8_t>& image, const Anatomy& anatomy, Random& random);
  void damage_block(std::vector<uint8_t>& image, const Anatomy& anatomy, Random& random);
  void read_everything(Inode& inode, uint32_t depth);
  void change_everything(Inode& directory, Random& random);
  void change_file(Inode& file, Random& random);
  void change_name(Inode& directory, const std::string& name, Random& random);
  void survive_one(std::vector<uint8_t> image, Random& random);
  uint32_t visits_ = 0, mounted_ = 0;
};

// A little of everything, so that every kind of structure is there to be damaged.
std::vector<uint8_t> Ext2Damage::make_rich_image(const std::string& options) {
  run_command("mkdir -p " + folder + "/t/a/b/c " + folder + "/t/many; cd " + folder +
              "/t; seq 1 40000 > big; echo hi > a/small; ln -s a/b ab; ln -s $(seq -s / 1 60) long; mkfifo a/pipe; "
              "for i in $(seq 1 120); do echo $i > many/name-$i; done; truncate -s 3M hole; echo x >> hole; ln big a/big2");
  return make_image(options, kKibibytes, folder + "/t");
}

void Ext2Damage::damage_block(std::vector<uint8_t>& image, const Anatomy& anatomy, Random& random) {
  const uint32_t bytes = GetParam().block, at = anatomy.block(random);
  switch (random.below(4)) {
    case 0: memset(&image[at], 0, bytes); break;
    case 1: memset(&image[at], 0xff, bytes); break;
    case 2: memmove(&image[at], &image[anatomy.block(random)], bytes); break;  // pointers that are valid, and wrong
    default:
      for (uint32_t i = 0; i < bytes; i++) image[at + i] = static_cast<uint8_t>(random.below(256));
  }
}

void Ext2Damage::damage(std::vector<uint8_t>& image, const Anatomy& anatomy, Random& random) {
  const uint32_t values[] = {
      0, 1, 2, 7, 11, 12, ~0u, 0x7fffffff, 0x80000000, 0x10000, static_cast<uint32_t>(image.size() / GetParam().block)};
  if (random.below(8) == 0) damage_block(image, anatomy, random);
  for (uint32_t changes = 1 + random.below(8); changes != 0; changes--) {
    const uint32_t at = std::min<uint32_t>(anatomy.place(random), static_cast<uint32_t>(image.size()) - 64), word = at & ~3u;
    switch (random.below(5)) {
      case 0: image[at] = static_cast<uint8_t>(random.below(256)); break;
      case 1: image[at] ^= static_cast<uint8_t>(1u << random.below(8)); break;
      case 2: memcpy(&image[word], &values[random.below(11)], 4); break;
      case 3: {
        uint32_t block = random.below(kKibibytes * 1024 / GetParam().block);
        memcpy(&image[word], &block, 4);
        break;
      }
      default: memmove(&image[word], &image[anatomy.place(random) & ~3u], 32);
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

void Ext2Damage::change_file(Inode& file, Random& random) {
  ignore_result(write(file, random.below(400'000), std::string(3000, 'w')));
  {
    LockGuard guard(file.content_lock());
    const uint32_t mode = random.below(2) ? Inode::kAllocateKeepSize | Inode::kAllocatePunchHole : 0;
    ignore_result(file.allocate_range(mode, random.below(300'000), 1 + random.below(100'000)));
  }
  ignore_result(truncate(file, random.below(100'000)));
  ignore_result(file.synchronize(false));
}

// Links, moves or removes a name.
void Ext2Damage::change_name(Inode& directory, const std::string& name, Random& random) {
  Result<Ref<Inode>> child = directory.lookup(StringView(name.data(), name.size()));
  if (!child.ok()) return;
  const bool is_directory = child.value()->is_directory();
  Ref<Inode> top = root();
  switch (random.below(is_directory ? 4 : 6)) {
    case 0: ignore_result(rename(directory, name, directory, name + "-moved")); break;
    case 1:
      if (!is_directory) ignore_result(rename(directory, name, *top, "from-below-" + name));
      break;
    case 2: ignore_result(directory.exchange(StringView(name.data(), name.size()), directory, "new-file")); break;
    case 3:
      child = Errno::kNOENT;
      ignore_result(is_directory ? remove_directory(directory, name) : unlink(directory, name));
      break;
    case 4: ignore_result(directory.link("another-name", *child.value())); break;
    default: child = Errno::kNOENT; ignore_result(unlink(directory, name));
  }
}

void Ext2Damage::change_everything(Inode& directory, Random& random) {
  ignore_result(make_directory(directory, "new-directory"));
  ignore_result(directory.make_symlink("new-link", "somewhere", who));
  if (Result<Ref<Inode>> made = create(directory, "new-file"); made.ok())
    ignore_result(write(*made.value(), random.below(300'000), std::string(50'000, 'd')));
  Result<std::vector<std::string>> list = names(directory);
  if (!list.ok()) return;
  for (const std::string& name : list.value()) {
    if (++visits_ > kMaxVisits) return;
    if (Result<Ref<Inode>> child = directory.lookup(StringView(name.data(), name.size())); child.ok()) {
      if (child.value()->object()) change_file(*child.value(), random);
      if (child.value()->is_directory() && child.value()->number() != directory.number() && random.below(2))
        change_everything(*child.value(), random);
    }
    change_name(directory, name, random);
  }
}

void Ext2Damage::survive_one(std::vector<uint8_t> image, Random& random) {
  use_image(std::move(image));
  disk->most_requests = 200'000;
  Result<FileSystem*> result = try_mount();
  if (!result.ok()) {
    EXPECT_TRUE(result.error() == Errno::kUCLEAN || result.error() == Errno::kINVAL) << static_cast<int>(result.error());
    return;
  }
  mounted_++;
  file_system = result.value();
  visits_ = 0;
  read_everything(*root(), 0);
  visits_ = 0;
  change_everything(*root(), random);
  ignore_result(file_system->synchronize(WriteBack::kWait));
  EXPECT_LE(file_system->statistics().blocks_free, kKibibytes * 1024ull / GetParam().block);
  Result<void> unmounted = file_system->unmount();
  EXPECT_TRUE(unmounted.ok() || unmounted.error() == Errno::kUCLEAN || unmounted.error() == Errno::kNOSPC)
      << static_cast<int>(unmounted.error());
  file_system = nullptr;
}

TEST_P(Ext2Damage, IsSurvived) {
  const char* rounds_text = getenv("FAULTLINE_ROUNDS");
  const char* seed_text = getenv("FAULTLINE_SEED");
  const uint32_t rounds = rounds_text ? static_cast<uint32_t>(atoi(rounds_text)) : 30;
  const uint32_t first = seed_text ? static_cast<uint32_t>(atoi(seed_text)) : 1;
  const std::vector<uint8_t> image = make_rich_image(GetParam().options);
  const Anatomy anatomy(image, GetParam().block);
  current_kind = GetParam().name;
  __sanitizer_set_death_callback(name_the_seed);
  for (uint32_t seed = first; seed < first + rounds && !HasFailure(); seed++) {
    current_seed = seed;
    SCOPED_TRACE(seed);
    Random random(seed);
    std::vector<uint8_t> copy = image;
    damage(copy, anatomy, random);
    survive_one(std::move(copy), random);
  }
  __sanitizer_set_death_callback(nullptr);
  if (!seed_text) {
    EXPECT_GT(mounted_, rounds / 4);
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, Ext2Damage,
                         ::testing::Values(Kind{"Blocks1K", "-t ext2 -b 1024", 1024}, Kind{"Blocks2K", "-t ext2 -b 2048", 2048},
                                           Kind{"Blocks4K", "-t ext2 -b 4096", 4096},
                                           Kind{"NoFileTypes", "-t ext2 -b 1024 -O ^filetype,^dir_index", 1024},
                                           Kind{"NoSparseSuper", "-t ext2 -b 1024 -g 1024 -O ^sparse_super,^resize_inode", 1024},
                                           Kind{"NoLargeFiles", "-t ext2 -b 2048 -O ^large_file,^resize_inode -I 128", 2048},
                                           Kind{"Revision0", "-t ext2 -b 1024 -r 0 -O none", 1024}),
                         [](const auto& kind) { return kind.param.name; });

}  // namespace faultline
