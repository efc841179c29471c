// An inode: a file of any type as a file system keeps it. Names live in directories (fs/dentry.h caches them), open files in fs/file.h.
// File systems derive from Inode; the defaults answer what the type does not support.
#pragma once

#include <cstdint>

#include "fs/credentials.h"
#include "lib/lock.h"
#include "lib/mutex.h"
#include "lib/ref.h"
#include "lib/result.h"
#include "lib/string.h"
#include "mm/object.h"

namespace faultline {

class File;
class FileSystem;
class BlockDevice;
class FileLocks;
class Pipe;
struct Path;

// st_mode's type bits, as in inode(7).
enum class FileType : uint16_t {
  kFifo = 0010000,
  kCharacterDevice = 0020000,
  kDirectory = 0040000,
  kBlockDevice = 0060000,
  kRegular = 0100000,
  kSymlink = 0120000,
  kSocket = 0140000,
};
inline constexpr uint32_t kTypeMask = 0170000, kModeMask = 07777;

struct Timestamp {
  int64_t seconds = 0;
  uint32_t nanoseconds = 0;
};
// Wall time now, at clock resolution. kernel/time.cpp implements it.
Timestamp wall_time();

// A device number as Linux packs it for 16 bits and more: 12-bit major, 20-bit minor.
struct DeviceNumber {
  uint32_t major = 0, minor = 0;
  constexpr uint64_t encode() const {
    return (minor & 0xff) | static_cast<uint64_t>(major & 0xfff) << 8 | static_cast<uint64_t>(minor & 0xfff00) << 12;
  }
  static constexpr DeviceNumber decode(uint32_t packed) { return {packed >> 8 & 0xfff, (packed & 0xff) | (packed >> 12 & 0xfff00)}; }
  constexpr bool operator==(const DeviceNumber&) const = default;
};

// What stat(2) tells. `blocks` is in 512-byte units.
struct Attributes {
  uint64_t inode = 0;
  uint32_t mode = 0;  // type and permission bits
  uint32_t links = 0;
  uint32_t uid = 0, gid = 0;
  DeviceNumber special{};  // for device nodes
  uint64_t size = 0;
  uint32_t block_size = 4096;
  uint64_t blocks = 0;
  Timestamp accessed{}, modified{}, changed{};
};

// What a permission check needs.
struct AccessAttributes {
  uint32_t mode = 0, uid = 0, gid = 0;
};

// What chmod, chown, utimensat and truncate change; only the fields whose bit is set.
struct AttributeChange {
  static constexpr uint32_t kMode = 1, kUid = 2, kGid = 4, kSize = 8, kAccessed = 16, kModified = 32;
  uint32_t which = 0;
  uint32_t mode = 0, uid = 0, gid = 0;
  uint64_t size = 0;
  Timestamp accessed, modified;
};

// Receives directory entries. Returns false when it is full: the entry was not taken.
class DirectorySink {
 public:
  virtual bool put(StringView name, uint64_t inode, FileType type, uint64_t next_cursor) = 0;

 protected:
  ~DirectorySink() = default;
};

class Inode : public RefCounted<Inode> {
 public:
  Inode(FileSystem& file_system, uint64_t number, FileType type) : file_system_(file_system), number_(number), type_(type) {}
  static void destroy(Inode* inode) { inode->last_reference_gone(); }

  FileSystem& file_system() const { return file_system_; }
  uint64_t number() const { return number_; }
  FileType type() const { return type_; }
  bool is_directory() const { return type_ == FileType::kDirectory; }

  virtual Attributes attributes() = 0;
  // The part of attributes() that path walking asks of each directory; file systems that can answer faster do.
  virtual AccessAttributes access_attributes() {
    Attributes all = attributes();
    return {all.mode, all.uid, all.gid};
  }
  // A directory whose names the dentry cache may keep. /proc's come and go by themselves.
  virtual bool names_are_stable() const { return true; }
  // Permission has been checked by the caller. kSize is truncate: regular files only; takes the content lock itself. kROFS, kIO, kNOSPC, kFBIG.
  virtual Result<void> set_attributes(const AttributeChange& change) = 0;

  // Directories. The caller (fs/namespace) has checked permissions, name length and holds this directory's content lock (both, in
  // rename). `name` is never "", "." or ".." except for lookup of ".." (which returns the parent). All may do I/O.
  virtual Result<Ref<Inode>> lookup(StringView name) { return (void)name, Errno::kNOTDIR; }
  // Regular, fifo, socket, device: a new inode with these attributes (mode without umask's bits already).
  virtual Result<Ref<Inode>> create(StringView name, uint32_t mode, DeviceNumber special, const Credentials& who);
  virtual Result<Ref<Inode>> make_directory(StringView name, uint32_t mode, const Credentials& who);
  virtual Result<Ref<Inode>> make_symlink(StringView name, StringView target, const Credentials& who);
  virtual Result<void> link(StringView name, Inode& target);
  virtual Result<void> unlink(StringView name, Inode& target);            // not a directory
  virtual Result<void> remove_directory(StringView name, Inode& target);  // kNOTEMPTY
  // Replaces new_name if it exists (`replaced` is its inode, or null); types and loops were checked by the caller.
  virtual Result<void> rename(StringView old_name, Inode& moved, Inode& new_directory, StringView new_name, Inode* replaced);
  virtual Result<void> exchange(StringView name, Inode& other_directory, StringView other_name);  // RENAME_EXCHANGE; kINVAL
  // Calls the sink for the entries from `cursor` on (0: the start), "." and ".." included. kIO.
  virtual Result<void> read_directory(uint64_t cursor, DirectorySink& sink);

  // The target's length, copied to `buffer` as far as it fits. kINVAL unless a symlink.
  virtual Result<size_t> read_link(std::span<char> buffer);
  // Magic links of /proc (exe, cwd, fd/N): where they lead without any text; null for ordinary symlinks.
  virtual bool is_magic_link() const { return false; }
  virtual Result<void> follow_magic_link(Path& target) { return (void)target, Errno::kINVAL; }

  // Regular files: the page cache of this file. Null for others.
  virtual Object* object() { return nullptr; }
  // write(2)'s bytes into object(), with the content lock held; mtime and ctime follow. As Object::write, and kNOSPC.
  virtual Result<size_t> write_data(uint64_t offset, IoBuffer& buffer);
  // fallocate(2): `mode` as there. The content lock is held, the range does not wrap. kOPNOTSUPP, kNOSPC, kFBIG, kROFS.
  static constexpr uint32_t kAllocateKeepSize = 1, kAllocatePunchHole = 2;
  virtual Result<void> allocate_range(uint32_t mode, uint64_t offset, uint64_t bytes) {
    return (void)mode, (void)offset, (void)bytes, Errno::kOPNOTSUPP;
  }
  // A new open file of this inode, by type: the standard regular file and directory, a pipe's end, the device's own. Only /proc and its like
  // override it. May wait (fifos).
  virtual Result<Ref<File>> open(uint32_t flags);
  // Data (and metadata unless `data_only`) is on stable storage, the device flushed. kIO.
  virtual Result<void> synchronize(bool data_only) { return (void)data_only, Result<void>(); }
  // Where the file's data lies: the sectors from `sector` of it on, as far as they are in one piece. For who will move data without asking the
  // file system again. kINVAL: a hole, the end, or no file on a disk.
  struct DiskRun {
    BlockDevice* device;
    uint64_t sector;
    uint64_t sectors;
  };
  virtual Result<DiskRun> locate(uint64_t sector) { return (void)sector, Errno::kINVAL; }
  virtual void touch_accessed() {}  // read(2) happened
  virtual void touch_modified() {}  // write(2) happened: mtime, ctime, and set-id bits go

  Mutex<LockRank::kInodeContent>& content_lock() { return content_lock_; }

  // State that any type of file system's inodes may have, made when first needed and gone with the inode.
  Result<Pipe*> fifo();                                             // the buffer of a fifo: fs/pipe.cpp
  FileLocks* locks() { return locks_.load(memory_order_acquire); }  // null: nobody has ever locked it: fs/file_locks.cpp
  Result<FileLocks*> locks_or_new();

  // A file is written or run, never both (ETXTBSY): each side says when it begins, and is refused while the other is there.
  bool begin_writing() { return begin_use(+1); }
  void end_writing() { uses_.fetch_sub(1, memory_order_release); }
  bool begin_running() { return begin_use(-1); }
  void end_running() { uses_.fetch_add(1, memory_order_release); }

  // While memory is swapped to a file, nobody changes its data or shortens it (kTXTBSY), and it keeps its names (kPERM). False: it is already.
  bool begin_swapping() { return !swapped_to_.exchange(true, memory_order_seq_cst); }
  void end_swapping() { swapped_to_.store(false, memory_order_seq_cst); }
  bool is_swapped_to() const { return swapped_to_.load(memory_order_seq_cst); }
  Result<void> check_not_swapped_to() const { return is_swapped_to() ? Result<void>(Errno::kTXTBSY) : Result<void>(); }

 protected:
  virtual ~Inode();
  // With the content lock held: writes zeroes to object() from one offset up to another, or to the parts of pages at both ends of a hole
  // that is about to be; then the whole pages in between are the file system's to drop. `end` is at most the end of the last page.
  Result<void> write_zeroes(uint64_t from, uint64_t to);
  struct WholePages {
    PageIndex first;
    uint32_t count;
  };
  Result<WholePages> zero_around_hole(uint64_t offset, uint64_t end);
  // The count reached zero. A file system that keeps inodes in a cache decides here to keep or delete (no links: free its blocks).
  virtual void last_reference_gone() = 0;

 private:
  FileSystem& file_system_;
  const uint64_t number_;
  const FileType type_;
  Atomic<Pipe*> fifo_{nullptr};
  Atomic<FileLocks*> locks_{nullptr};
  Atomic<bool> swapped_to_{false};
  Atomic<int32_t> uses_{0};  // files open for writing, or minus the programs that run it
  bool begin_use(int32_t step) {
    int32_t uses = uses_.load(memory_order_relaxed);
    do {
      if (step > 0 ? uses < 0 : uses > 0) return false;
    } while (!uses_.compare_exchange_weak(uses, uses + step, memory_order_acquire));
    return true;
  }
  Mutex<LockRank::kInodeContent> content_lock_;  // writers, truncate, directory changes
};

struct FileSystemStatistics {  // statfs(2)
  uint32_t type = 0;           // the magic number
  uint32_t block_size = 4096;
  uint64_t blocks = 0, blocks_free = 0, blocks_available = 0, files = 0, files_free = 0;
  uint32_t name_length = 255;
};

// A mounted file system's instance.
class FileSystem {
 public:
  virtual StringView type_name() const = 0;  // "ext2", "tmpfs", …
  virtual Ref<Inode> root() = 0;
  virtual FileSystemStatistics statistics() = 0;
  virtual DeviceNumber device() const = 0;  // st_dev
  virtual bool is_read_only() const { return false; }
  // Everything dirty is on the device (kWait), or on its way.
  virtual Result<void> synchronize(WriteBack mode) { return (void)mode, Result<void>(); }
  // remount with other flags (MS_RDONLY): kROFS, kIO, kINVAL. To read-only: everything is written and the disk is marked clean.
  virtual Result<void> remount(uint32_t flags) { return (void)flags, Result<void>(); }
  // Last call: no inode is in use. Writes the clean state. Frees the object.
  virtual Result<void> unmount() = 0;

  // Mounts and other users that keep the instance; fs/mount.cpp counts.
  Atomic<uint32_t> mount_count{0};

 protected:
  virtual ~FileSystem() = default;
};

// A type that mount(2) knows. `device` is null for file systems without one. Registered at boot.
struct FileSystemType {
  StringView name;
  bool needs_device;
  Result<FileSystem*> (*mount)(BlockDevice* device, uint32_t flags, StringView options);
};
Result<void> file_system_register(const FileSystemType& type);
// A device number for a file system without a device (major 0).
DeviceNumber anonymous_device_number();

}  // namespace faultline
