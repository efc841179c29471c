// Names to inodes: path walking and every operation on names. See path_resolution(7). All functions sleep; names come from kernel memory.
#pragma once

#include "fs/credentials.h"
#include "fs/file.h"
#include "fs/path.h"

namespace faultline {

class File;

inline constexpr uint32_t kPathLimit = 4096;  // PATH_MAX, its NUL included
inline constexpr uint32_t kNameLimit = 255;
inline constexpr uint32_t kSymlinkLimit = 40;

// What a process has of the tree: its root, its current directory, its umask. Threads may share one (CLONE_FS).
class NameContext final : public RefCounted<NameContext> {
 public:
  static Result<Ref<NameContext>> create(Path root);
  Result<Ref<NameContext>> copy();  // fork; kNOMEM
  static void destroy(NameContext* context);

  Path root();
  Path current();
  void set_root(Path path);
  void set_current(Path path);
  uint32_t umask() const { return umask_.load(memory_order_relaxed); }
  uint32_t set_umask(uint32_t mask) { return umask_.exchange(mask & 0777, memory_order_relaxed); }

 private:
  template <typename T, typename... Arguments>
  friend Result<T*> slab_new(Arguments&&...);
  template <typename T>
  friend void slab_delete(T*);
  explicit NameContext(Path root) : root_(root), current_(std::move(root)) {}
  ~NameContext() = default;
  SpinLock<LockRank::kDescriptors> lock_;
  Path root_ GUARDED_BY(lock_);
  Path current_ GUARDED_BY(lock_);
  Atomic<uint32_t> umask_{022};
};

// Who resolves, and from where: `base` is the directory that relative names start at (openat's descriptor), null for the current one.
struct NameCaller {
  NameContext& names;
  const Credentials& who;
  const Path* base = nullptr;
};

enum class FollowLast : uint8_t { kNo, kYes };

// The place a name leads to; never negative. Errors of path_resolution(7): kNOENT (also for ""), kNOTDIR, kACCES, kLOOP, kNAMETOOLONG, kIO, kNOMEM.
Result<Path> path_resolve(const NameCaller& caller, StringView name, FollowLast follow);

// open(2): `flags` as there (kOpenCloseOnExec is the caller's business), `mode` before umask.
Result<Ref<File>> path_open(const NameCaller& caller, StringView name, uint32_t flags, uint32_t mode);
// Opens what is already found (exec's interpreter, /proc links). Checks permission as open(2).
Result<Ref<File>> path_open_at(const Path& path, const Credentials& who, uint32_t flags);

// Regular, fifo, device, socket; returns its place.
Result<Path> path_make_node(const NameCaller& caller, StringView name, uint32_t mode, DeviceNumber special);
Result<void> path_make_directory(const NameCaller& caller, StringView name, uint32_t mode);
Result<void> path_make_symlink(const NameCaller& caller, StringView target, StringView name);
Result<void> path_link(const Path& target, const NameCaller& caller, StringView name);
Result<void> path_unlink(const NameCaller& caller, StringView name);
Result<void> path_remove_directory(const NameCaller& caller, StringView name);
inline constexpr uint32_t kRenameNoReplace = 1, kRenameExchange = 2, kRenameWhiteout = 4;
Result<void> path_rename(const NameCaller& from, StringView old_name, const NameCaller& to, StringView new_name, uint32_t flags);

void rename_initialize();  // boot
// access(2)'s question about an inode, with the mount's read-only flag (kROFS). `wanted`: kMayRead…, 0 for existence.
Result<void> path_permission(const Path& path, const Credentials& who, uint32_t wanted);
// chmod, chown, utimensat, truncate on a place: the rules of each, then the change. `which` as AttributeChange; times with kSetToNow may be set
// by anyone who may write.
Result<void> path_set_attributes(const Path& path, const Credentials& who, const AttributeChange& change, bool times_are_now = false);
// Target of a symlink, magic ones included; as Inode::read_link.
Result<size_t> path_read_link(const Path& path, std::span<char> buffer);

// The absolute name of a place as seen from `root`, at most `buffer` long and at its end; the view points into the buffer. kNOENT: it has been
// removed or cannot be reached from there (getcwd); kNAMETOOLONG.
Result<StringView> path_text(const Path& path, const Path& root, std::span<char> buffer);
// The same for people: with " (deleted)" and the like instead of errors.
void path_describe(const Path& path, FormatSink& sink);

// The place of an open file; one outside the tree if it has no name (a pipe reached through /proc/PID/fd). kNOMEM; kBADF: it has no inode either.
Result<Path> path_of_file(const File& file);

// The root of the tree: set by the boot; init's NameContext starts with it.
Path root_path();
void set_root_path(Path path);  // boot only

}  // namespace faultline
