// A file of /proc shows one moment: its text is made when it is read from the start, and further reads go on in the same text.
#include "fs/proc/proc_file.h"

#include "mm/slab.h"

namespace faultline {

namespace {

constexpr size_t kFirstText = 1024, kLongestText = 128 * 1024, kLongestCommand = 4096;

class ProcFile final : public File {
 public:
  ProcFile(Ref<Inode> inode, uint32_t flags, const ProcNode& node, const ProcContext& context)
      : File(std::move(inode), flags), node_(node), context_(context) {}
  ~ProcFile() override = default;

  bool is_seekable() const override { return true; }

  // Sequential reads hold the position lock, which guards the text too; so does this one.
  Result<size_t> read(IoBuffer& buffer) override {
    LockGuard guard(position_lock_);
    size_t moved = TRY(read_locked(position_, buffer));
    position_ += moved;
    return moved;
  }
  Result<size_t> read_at(uint64_t offset, IoBuffer& buffer) override {
    LockGuard guard(position_lock_);
    return read_locked(offset, buffer);
  }

  Result<size_t> write(IoBuffer& buffer) override { return write_at(0, buffer); }
  Result<size_t> write_at(uint64_t, IoBuffer& buffer) override {
    if (!node_.store) return Errno::kIO;
    size_t bytes = buffer.remaining();
    if (bytes > kLongestCommand) return Errno::kINVAL;
    Buffer<char> text = TRY(Buffer<char>::create(bytes + 1));
    TRY(buffer.take_all(text.data(), bytes));
    size_t length = bytes != 0 && text[bytes - 1] == '\n' ? bytes - 1 : bytes;
    TRY(node_.store(context_, {text.data(), length}));
    return bytes;
  }

 private:
  Result<size_t> read_locked(uint64_t offset, IoBuffer& buffer) REQUIRES(position_lock_) {
    if (node_.read_at) return node_.read_at(context_, offset, buffer);
    if (!node_.show) return Errno::kINVAL;
    if (offset == 0 || !has_text_) TRY(make_text());
    if (offset >= length_) return size_t{0};
    return buffer.put(text_.data() + offset, length_ - static_cast<size_t>(offset));
  }

  // Makes the text again in a larger buffer until it fits.
  Result<void> make_text() REQUIRES(position_lock_) {
    size_t size = text_.size() != 0 ? text_.size() : kFirstText;
    for (;;) {
      if (text_.size() < size) text_ = TRY(Buffer<char>::create(size));
      BufferSink sink({text_.data(), text_.size()});
      TRY(node_.show(context_, sink));
      has_text_ = true;
      length_ = sink.text().size();
      if (sink.needed() <= text_.size() || text_.size() == kLongestText) return {};
      size = sink.needed() + sink.needed() / 4;
      if (size > kLongestText) size = kLongestText;
    }
  }

  void last_reference_gone() override { slab_delete(this); }

  const ProcNode& node_;
  const ProcContext context_;
  bool has_text_ GUARDED_BY(position_lock_) = false;
  size_t length_ GUARDED_BY(position_lock_) = 0;
  Buffer<char> text_ GUARDED_BY(position_lock_);
};

}  // namespace

Result<Ref<File>> proc_file_open(Ref<Inode> inode, const ProcNode& node, const ProcContext& context, uint32_t flags) {
  return Ref<File>::adopt(TRY(slab_new<ProcFile>(std::move(inode), flags, node, context)));
}

}  // namespace faultline
