// Open regular files and directories.
#include "fs/standard_files.h"

#include "fs/hooks.h"

namespace faultline {

namespace {

// The largest offset: page indices have 32 bits, and mmap2 counts pages too.
constexpr uint64_t kMaximumFileSize = (1ull << 43) - 1;

class RegularFile final : public File {
 public:
  using File::File;
  ~RegularFile() override = default;

  Result<size_t> read_at(uint64_t offset, IoBuffer& buffer) override {
    size_t moved = TRY(inode()->object()->read(offset, buffer));
    if (!(flags() & kOpenNoAccessTime) && moved != 0) inode()->touch_accessed();
    return moved;
  }

  Result<size_t> write_at(uint64_t offset, IoBuffer& buffer) override {
    LockGuard guard(inode()->content_lock());
    if (flags() & kOpenAppend) offset = inode()->object()->size();  // pwrite(2), "Bugs": appends whatever the offset
    return write_locked(offset, buffer);
  }

  Result<size_t> write(IoBuffer& buffer) override {
    LockGuard guard(position_lock_);
    LockGuard content(inode()->content_lock());
    if (flags() & kOpenAppend) position_ = inode()->object()->size();
    size_t moved = TRY(write_locked(position_, buffer));
    position_ += moved;
    return moved;
  }

  bool is_seekable() const override { return true; }

  // Regular files are always ready.
  Result<Ref<Object>> map_object() override {
    Object* object = inode()->object();
    if (!object) return Errno::kNODEV;
    return Ref<Object>(*object);
  }

 private:
  Result<size_t> write_locked(uint64_t offset, IoBuffer& buffer) REQUIRES(inode()->content_lock()) {
    if (buffer.remaining() == 0) return size_t{0};
    uint64_t limit = current_file_size_limit();
    if (offset >= limit) {
      signal_file_size_exceeded();
      return Errno::kFBIG;
    }
    if (limit > kMaximumFileSize) limit = kMaximumFileSize;
    if (offset >= limit) return Errno::kFBIG;
    if (buffer.remaining() > limit - offset) buffer.shrink_to(static_cast<size_t>(limit - offset));
    size_t moved = TRY(inode()->write_data(offset, buffer));
    if (flags() & (kOpenSync & ~kOpenDataSync)) {
      TRY(inode()->synchronize(false));
    } else if (flags() & kOpenDataSync) {
      TRY(inode()->synchronize(true));
    }
    return moved;
  }

  void last_reference_gone() override { slab_delete(this); }
};

// Its position is the directory's cursor, which names the next entry even if others come and go.
class DirectoryFile final : public File {
 public:
  using File::File;
  ~DirectoryFile() override = default;

  Result<size_t> read(IoBuffer&) override { return Errno::kISDIR; }
  Result<size_t> read_at(uint64_t, IoBuffer&) override { return Errno::kISDIR; }
  bool is_seekable() const override { return true; }

  Result<void> read_directory(DirectorySink& sink) override {
    LockGuard guard(position_lock_);
    Advancing advancing(sink, position_);
    if (path().dentry && path().dentry->is_deleted()) return Errno::kNOENT;
    LockGuard content(inode()->content_lock());
    TRY(inode()->read_directory(position_, advancing));
    if (!(flags() & kOpenNoAccessTime)) inode()->touch_accessed();
    return {};
  }

 private:
  // Moves the position behind each entry that was taken.
  class Advancing final : public DirectorySink {
   public:
    Advancing(DirectorySink& sink, uint64_t& position) : sink_(sink), next_(position) {}
    bool put(StringView name, uint64_t inode, FileType type, uint64_t next_cursor) override {
      if (!sink_.put(name, inode, type, next_cursor)) return false;
      next_ = next_cursor;
      return true;
    }

   private:
    DirectorySink& sink_;
    uint64_t& next_;
  };

  void last_reference_gone() override { slab_delete(this); }
};

}  // namespace

Result<Ref<File>> open_regular_file(Ref<Inode> inode, uint32_t flags) {
  return Ref<File>::adopt(TRY(slab_new<RegularFile>(std::move(inode), flags)));
}

Result<Ref<File>> open_directory_file(Ref<Inode> inode, uint32_t flags) {
  return Ref<File>::adopt(TRY(slab_new<DirectoryFile>(std::move(inode), flags)));
}

}  // namespace faultline
