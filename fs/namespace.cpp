// What a process has of the tree, and names of places: getcwd(2), /proc's links.
#include "fs/namespace.h"

#include "lib/format.h"
#include "lib/late.h"
#include "mm/slab.h"

namespace faultline {

Result<Ref<NameContext>> NameContext::create(Path root) { return Ref<NameContext>::adopt(TRY(slab_new<NameContext>(std::move(root)))); }

Result<Ref<NameContext>> NameContext::copy() {
  Ref<NameContext> made = Ref<NameContext>::adopt(TRY(slab_new<NameContext>(root())));
  made->set_current(current());
  made->set_umask(umask());
  return made;
}

void NameContext::destroy(NameContext* context) { slab_delete(context); }

Path NameContext::root() {
  LockGuard guard(lock_);
  return root_;
}

Path NameContext::current() {
  LockGuard guard(lock_);
  return current_;
}

// The old place is dropped after the lock: that may sleep.
void NameContext::set_root(Path path) {
  LockGuard guard(lock_);
  std::swap(root_.mount, path.mount);
  std::swap(root_.dentry, path.dentry);
}

void NameContext::set_current(Path path) {
  LockGuard guard(lock_);
  std::swap(current_.mount, path.mount);
  std::swap(current_.dentry, path.dentry);
}

namespace {

// Collects components from the last to the first at the end of a buffer.
class BackwardText {
 public:
  explicit BackwardText(std::span<char> buffer) : buffer_(buffer), begin_(buffer.size()) {}
  bool prepend(StringView text) {
    if (text.size() > begin_) return false;
    begin_ -= text.size();
    memcpy(buffer_.data() + begin_, text.data(), text.size());
    return true;
  }
  StringView text() const { return {buffer_.data() + begin_, buffer_.size() - begin_}; }

 private:
  std::span<char> buffer_;
  size_t begin_;
};

enum class Removed : uint8_t { kIsError, kIsShown };

Result<StringView> text_of(const Path& path, const Path& root, std::span<char> buffer, Removed removed) {
  BackwardText text(buffer);
  Path at = path;
  if (at.dentry->is_deleted()) {
    if (removed == Removed::kIsError) return Errno::kNOENT;
    if (!text.prepend(" (deleted)")) return Errno::kNAMETOOLONG;
  }
  bool is_empty = true;
  while (!(at == root)) {
    if (at.dentry == at.mount->root()) {
      Path below = at.mount->attached_to();
      if (!below) {
        if (at == root_path()) return Errno::kNOENT;  // outside a chroot
        break;
      }
      at = std::move(below);
      continue;
    }
    char name[256];
    BufferSink sink(name);
    DentryCache::copy_name(*at.dentry, sink);
    if (!text.prepend(sink.text()) || !text.prepend("/")) return Errno::kNAMETOOLONG;
    is_empty = false;
    at.dentry = at.dentry->parent();
  }
  if (is_empty && !text.prepend("/")) return Errno::kNAMETOOLONG;
  return text.text();
}

}  // namespace

Result<StringView> path_text(const Path& path, const Path& root, std::span<char> buffer) {
  return text_of(path, root, buffer, Removed::kIsError);
}

void path_describe(const Path& path, FormatSink& sink) {
  if (!path) return;
  Result<Buffer<char>> buffer = Buffer<char>::create(kPathLimit);
  if (!buffer.ok()) return;
  Result<StringView> text = text_of(path, root_path(), {buffer.value().data(), kPathLimit}, Removed::kIsShown);
  if (text.ok()) sink.put(text.value());
}

Result<size_t> path_read_link(const Path& path, std::span<char> buffer) { return path.inode()->read_link(buffer); }

namespace {
constinit Late<Path> tree_root;  // constant once the root is mounted
}  // namespace

void set_root_path(Path path) { tree_root.construct(std::move(path)); }

Path root_path() { return *tree_root; }

}  // namespace faultline
