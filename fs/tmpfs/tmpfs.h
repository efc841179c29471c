// tmpfs: a file system in memory. Directories are lists, regular files anonymous objects. devfs is an instance of it.
#pragma once

#include "fs/file.h"
#include "fs/mount.h"
#include "fs/path.h"
#include "lib/list.h"

namespace faultline {

class TmpfsInode;

class TmpfsFileSystem final : public FileSystem {
 public:
  // `page_limit`: pages of file data; `type` shows in /proc/mounts; `inode_limit` 0: as many as memory has pages. kNOMEM.
  static Result<TmpfsFileSystem*> create(StringView type, uint64_t page_limit, uint32_t root_mode, uint64_t inode_limit = 0);

  StringView type_name() const override { return type_; }
  Ref<Inode> root() override;
  FileSystemStatistics statistics() override;
  DeviceNumber device() const override { return device_; }
  Result<void> unmount() override;

  // A new inode without a name. `mode` has the type. kNOSPC, kNOMEM.
  Result<Ref<TmpfsInode>> make_inode(uint32_t mode, DeviceNumber special, const Credentials& who);
  void charge(uint32_t pages);
  void uncharge(uint32_t pages);
  uint64_t pages_available() const;

 private:
  friend class TmpfsInode;
  template <typename T, typename... Arguments>
  friend Result<T*> slab_new(Arguments&&...);
  template <typename T>
  friend void slab_delete(T*);
  TmpfsFileSystem(StringView type, uint64_t page_limit, uint64_t inode_limit)
      : type_(type), page_limit_(page_limit), inode_limit_(inode_limit) {}
  ~TmpfsFileSystem() = default;

  StringView type_;
  DeviceNumber device_ = anonymous_device_number();
  uint64_t page_limit_, inode_limit_;
  Atomic<uint32_t> next_number_{1}, inodes_{0}, pages_{0};
  TmpfsInode* root_ = nullptr;  // one reference
};

// A name in a directory. Guarded by the directory's content lock.
struct TmpfsEntry : ListNode<> {
  uint32_t cursor;  // grows: read_directory's position
  uint32_t hash;
  Ref<TmpfsInode> inode;
  TmpfsEntry* next_in_bucket = nullptr;
  uint8_t length;
  char name[];
};

class TmpfsInode final : public Inode {
 public:
  TmpfsInode(TmpfsFileSystem& file_system, uint64_t number, uint32_t mode, DeviceNumber special, const Credentials& who);
  ~TmpfsInode() override;

  Attributes attributes() override;
  AccessAttributes access_attributes() override {
    return {mode_.load(memory_order_relaxed), uid_.load(memory_order_relaxed), gid_.load(memory_order_relaxed)};
  }
  Result<void> set_attributes(const AttributeChange& change) override;
  Result<Ref<Inode>> lookup(StringView name) override;
  Result<Ref<Inode>> create(StringView name, uint32_t mode, DeviceNumber special, const Credentials& who) override;
  Result<Ref<Inode>> make_directory(StringView name, uint32_t mode, const Credentials& who) override;
  Result<Ref<Inode>> make_symlink(StringView name, StringView target, const Credentials& who) override;
  Result<void> link(StringView name, Inode& target) override;
  Result<void> unlink(StringView name, Inode& target) override;
  Result<void> remove_directory(StringView name, Inode& target) override;
  Result<void> rename(StringView old_name, Inode& moved, Inode& new_directory, StringView new_name, Inode* replaced) override;
  Result<void> exchange(StringView name, Inode& other_directory, StringView other_name) override;
  Result<void> read_directory(uint64_t cursor, DirectorySink& sink) override;
  Result<size_t> read_link(std::span<char> buffer) override;
  Object* object() override { return object_.get(); }
  Result<void> allocate_range(uint32_t mode, uint64_t offset, uint64_t bytes) override;
  Result<size_t> write_data(uint64_t offset, IoBuffer& buffer) override;
  void touch_accessed() override { accessed_ = wall_time(); }
  void touch_modified() override;
  void has_no_names() { links_.store(0, memory_order_relaxed); }

 private:
  friend class TmpfsFileSystem;
  static constexpr uint32_t kBucketsAtFirst = 16;
  TmpfsFileSystem& tmpfs() { return static_cast<TmpfsFileSystem&>(file_system()); }
  TmpfsEntry* find(StringView name);
  Result<TmpfsEntry*> make_entry(StringView name, Ref<TmpfsInode> inode);
  void add_entry(TmpfsEntry& entry);
  static void free_entry(TmpfsEntry& entry);
  Result<Ref<TmpfsInode>> add_new(StringView name, uint32_t mode, DeviceNumber special, const Credentials& who);
  void lost_name();
  void grow_buckets();
  void remove_entry(TmpfsEntry& entry);  // frees it
  void settle_charge();
  Result<void> check_room(uint64_t offset, uint64_t end);
  void changed_names();
  void last_reference_gone() override { slab_delete(this); }

  Atomic<uint32_t> mode_, uid_, gid_, links_{1};
  DeviceNumber special_;
  Timestamp accessed_, modified_, changed_;  // torn reads are harmless: they are only shown
  Ref<Object> object_;                       // regular files
  uint32_t charged_pages_ = 0;
  Buffer<char> target_;       // symlinks
  List<TmpfsEntry> entries_;  // directories: in the order they were made
  Buffer<TmpfsEntry*> buckets_;
  uint32_t entry_count_ = 0;
  uint32_t next_cursor_ = 2;      // 0 and 1 are "." and ".."
  TmpfsInode* parent_ = nullptr;  // no reference: a directory's parent outlives it while it has a name
};

// The file system type "tmpfs"; options "size=N[kmg%]", "nr_inodes=N[kmg]", "mode=OCTAL".
void tmpfs_initialize();
// A regular file without a name, for memfd_create. kNOMEM.
Result<Ref<File>> tmpfs_anonymous_file(uint32_t flags, uint32_t permissions, const Credentials& who);

}  // namespace faultline
