// The internal file system of files without names, and places for them when /proc leads there.
#include "fs/anonymous.h"

#include "fs/file.h"
#include "fs/namespace.h"
#include "lib/late.h"
#include "mm/slab.h"

namespace faultline {

namespace {

class AnonymousFileSystem final : public FileSystem {
 public:
  StringView type_name() const override { return "anonfs"; }
  Ref<Inode> root() override { return {}; }
  FileSystemStatistics statistics() override { return {.type = 0x50495045}; }
  DeviceNumber device() const override { return device_; }
  Result<void> unmount() override { return {}; }

 private:
  DeviceNumber device_ = anonymous_device_number();
};

class AnonymousInode final : public Inode {
 public:
  AnonymousInode(FileSystem& file_system, uint64_t number, FileType type, uint32_t permissions, const Credentials& who)
      : Inode(file_system, number, type), mode_(permissions | static_cast<uint32_t>(type)), uid_(who.fsuid), gid_(who.fsgid),
        made_(wall_time()) {}
  ~AnonymousInode() override = default;

  Attributes attributes() override {
    return {.inode = number(), .mode = mode_, .links = 1, .uid = uid_, .gid = gid_, .accessed = made_, .modified = made_, .changed = made_};
  }
  Result<void> set_attributes(const AttributeChange& change) override {
    if (change.which & AttributeChange::kMode) mode_ = change.mode;
    if (change.which & AttributeChange::kUid) uid_ = change.uid;
    if (change.which & AttributeChange::kGid) gid_ = change.gid;
    return {};
  }

 private:
  void last_reference_gone() override { slab_delete(this); }
  Atomic<uint32_t> mode_, uid_, gid_;
  Timestamp made_;
};

constinit Late<AnonymousFileSystem> file_system;
constinit Atomic<uint32_t> next_number{1};

}  // namespace

void anonymous_initialize() { file_system.construct(); }

Result<Ref<Inode>> anonymous_inode_create(FileType type, uint32_t permissions, const Credentials& who) {
  uint64_t number = next_number.fetch_add(1, memory_order_relaxed);
  return Ref<Inode>::adopt(TRY(slab_new<AnonymousInode>(*file_system, number, type, permissions, who)));
}

bool is_anonymous(const Inode& inode) { return &inode.file_system() == &*file_system; }

Result<Path> path_of_file(const File& file) {
  if (file.path()) return Path(file.path());
  if (!file.inode()) return Errno::kBADF;
  Ref<Dentry> dentry = TRY(Dentry::create_root(Ref<Inode>(*file.inode())));
  Ref<Mount> place = TRY(Mount::create(*file_system, dentry, "none", 0));
  return Path{std::move(place), std::move(dentry)};
}

}  // namespace faultline
