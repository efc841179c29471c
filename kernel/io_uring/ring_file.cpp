// The open file of a ring: what io_uring_setup's descriptor is.
#include "fs/anonymous.h"
#include "kernel/io_uring/ring.h"

namespace faultline {

namespace {

class RingFile final : public File {
 public:
  RingFile(Ref<Inode> inode, Ref<Ring> ring) : File(std::move(inode), kOpenReadWrite), ring_(std::move(ring)) {}
  ~RingFile() override = default;

  Ring* ring() override { return ring_.get(); }
  uint32_t poll(PollTable* table) override { return ring_->poll(table); }
  Result<Ref<Object>> map_object_at(PageIndex& first) override { return ring_->map_object_at(first); }
  Result<size_t> read(IoBuffer&) override { return Errno::kINVAL; }
  Result<size_t> write(IoBuffer&) override { return Errno::kINVAL; }
  Result<size_t> read_at(uint64_t, IoBuffer&) override { return Errno::kSPIPE; }
  Result<size_t> write_at(uint64_t, IoBuffer&) override { return Errno::kSPIPE; }
  Result<void> synchronize(bool) override { return Errno::kINVAL; }
  void describe(FormatSink& sink) const override { sink.put("anon_inode:[io_uring]"); }

 private:
  void last_reference_gone() override {
    ring_->file_closed();
    slab_delete(this);
  }
  Ref<Ring> ring_;
};

}  // namespace

Result<Ref<File>> Ring::create_file(uint32_t submissions, uint32_t completions, const Credentials& who) {
  Ref<WatchAccount> account = TRY(WatchAccount::of_user(who.uid));
  Ref<Ring> ring = Ref<Ring>::adopt(TRY(slab_new<Ring>(submissions, completions, std::move(account))));
  TRY(ring->initialize());
  Ref<Inode> inode = TRY(anonymous_inode_create(FileType::kSocket, 0600, who));  // a type that cannot be opened through /proc
  return Ref<File>::adopt(TRY(slab_new<RingFile>(std::move(inode), std::move(ring))));
}

}  // namespace faultline
