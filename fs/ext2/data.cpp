// The page source of a file's data: pages to blocks of 1, 2 or 4 KiB and back, neighbours in one request. Called with the frames busy and no
// lock of mm held; the end of file is the object's size.
#include <algorithm>

#include "arch/mmu.h"
#include "fs/block_batch.h"
#include "fs/ext2/inode.h"

namespace faultline {

namespace {

// A range of the file's blocks that the given pages cover, and where each block lies in memory.
class PageBlocks {
 public:
  PageBlocks(PageIndex first, std::span<const FrameNumber> frames, uint32_t block_shift)
      : frames_(frames), block_shift_(block_shift), per_page_(kPageSize >> block_shift),
        first_(static_cast<uint64_t>(first.value()) * per_page_) {}

  uint64_t first() const { return first_; }
  uint64_t end() const { return first_ + frames_.size() * per_page_; }
  PhysAddr address(uint64_t logical) const {
    uint32_t at = static_cast<uint32_t>(logical - first_);
    return PhysAddr::of(frames_[at / per_page_]) + (at % per_page_ << block_shift_);
  }
  void zero(uint64_t logical) const {
    PhysAddr place = address(logical);
    memset(direct_map_bytes(place.frame()) + (place.value() & kPageMask), 0, size_t{1} << block_shift_);
  }
  // Adds the neighbouring blocks `run` for the file's blocks from `logical` on.
  void add(BlockBatch& batch, uint64_t logical, Ext2Run run) const {
    uint64_t sectors = (uint64_t{1} << block_shift_) / kSectorSize;
    for (uint32_t i = 0; i < run.count; i++) batch.add((uint64_t{run.first} + i) * sectors, address(logical + i), 1u << block_shift_);
  }

 private:
  std::span<const FrameNumber> frames_;
  uint32_t block_shift_, per_page_;
  uint64_t first_;
};

// The last page's bytes past the end of file.
void zero_tail(PageIndex first, std::span<const FrameNumber> frames, uint64_t size) {
  uint64_t end = first.byte() + frames.size() * uint64_t{kPageSize};
  if (size >= end || size <= first.byte() || size % kPageSize == 0) return;
  uint32_t page = static_cast<uint32_t>((size - first.byte()) >> kPageShift), from = static_cast<uint32_t>(size & kPageMask);
  memset(direct_map_bytes(frames[page]) + from, 0, kPageSize - from);
}

}  // namespace

Result<void> Ext2Inode::read_pages(PageIndex first, std::span<const FrameNumber> frames) {
  PageBlocks blocks(first, frames, fs_.block_shift());
  const uint64_t size = data_.size(), file_end = (size + fs_.block_size() - 1) >> fs_.block_shift();
  BlockBatch batch(fs_.block_device(), BlockOperation::kRead);
  uint64_t logical = blocks.first();
  while (logical < blocks.end()) {
    Ext2Run run{0, static_cast<uint32_t>(blocks.end() - logical)};
    if (logical < file_end)
      run = TRY(map_run(static_cast<uint32_t>(logical), static_cast<uint32_t>(std::min(blocks.end(), file_end) - logical)));
    if (run.first != 0)
      blocks.add(batch, logical, run);
    else
      for (uint32_t i = 0; i < run.count; i++) blocks.zero(logical + i);
    logical += run.count;
  }
  TRY(batch.finish());
  zero_tail(first, frames, size);
  return {};
}

Result<void> Ext2Inode::write_pages(PageIndex first, std::span<const FrameNumber> frames) {
  PageBlocks blocks(first, frames, fs_.block_shift());
  const uint64_t end = std::min(blocks.end(), (data_.size() + fs_.block_size() - 1) >> fs_.block_shift());
  BlockBatch batch(fs_.block_device(), BlockOperation::kWrite);
  uint64_t logical = blocks.first();
  while (logical < end) {
    Ext2Run run = TRY(map_run(static_cast<uint32_t>(logical), static_cast<uint32_t>(end - logical)));
    if (run.first == 0) {
      // prepare_write() gave this page its blocks; one trimmed since as past the end of file, which has grown again, is made up for here.
      TRY(allocate_run(static_cast<uint32_t>(logical), run.count, Ext2Reserve::kMayUse));
      continue;
    }
    blocks.add(batch, logical, run);
    logical += run.count;
  }
  return batch.finish();
}

// A hole inside the file is about to get blocks, whose old contents must never be seen: its page is made (of zeroes) before, and is
// written whatever becomes of the write.
Result<void> Ext2Inode::fill_hole_pages(uint32_t logical, uint32_t count) {
  const uint32_t shift = kPageShift - fs_.block_shift();
  for (uint32_t at = logical; at < logical + count;) {
    const uint32_t page_end = ((at >> shift) + 1) << shift, here = std::min(page_end, logical + count) - at;
    PageIndex index(at >> shift);
    PinnedFrame page = TRY(data_.page(index));
    TRY(allocate_run(at, here, fs_.callers_reserve()));
    data_.mark_dirty(index);
    at += here;
  }
  return {};
}

Result<void> Ext2Inode::prepare_write(PageIndex first, uint32_t pages) {
  if (fs_.is_read_only()) return Errno::kROFS;
  TRY(check_not_swapped_to());
  const uint32_t shift = kPageShift - fs_.block_shift();
  const uint64_t begin = static_cast<uint64_t>(first.value()) << shift, end = begin + (static_cast<uint64_t>(pages) << shift);
  if (first.byte() >= fs_.max_file_size() || end > ~0u) return Errno::kFBIG;
  if (first.byte() + static_cast<uint64_t>(pages) * kPageSize > 0x7fffffff) TRY(fs_.allow_large_file());
  Result<void> prepared = prepare_blocks(begin, end);
  // A fault does not hold the content lock: a truncation that came meanwhile has not seen these blocks. They go when the inode is written.
  if (end > blocks_for(data_.size())) note_excess(end);
  return prepared;
}

Result<void> Ext2Inode::prepare_blocks(uint64_t begin, uint64_t end) {
  const uint32_t file_end = blocks_for(data_.size());
  // Blocks past the end of file that an earlier write did not use must not become part of a gap.
  if (begin > file_end) TRY(trim());
  for (uint64_t logical = begin; logical < std::min<uint64_t>(end, file_end);) {
    Ext2Run run = TRY(map_run(static_cast<uint32_t>(logical), static_cast<uint32_t>(std::min<uint64_t>(end, file_end) - logical)));
    if (run.first == 0) TRY(fill_hole_pages(static_cast<uint32_t>(logical), run.count));
    logical += run.count;
  }
  if (end <= file_end) return {};
  const uint64_t new_begin = std::max<uint64_t>(begin, file_end);
  return allocate_run(static_cast<uint32_t>(new_begin), static_cast<uint32_t>(end - new_begin), fs_.callers_reserve());
}

Result<Inode::DiskRun> Ext2Inode::locate(uint64_t sector) {
  const uint32_t per_block = fs_.sectors_per_block(), end = blocks_for(data_.size());
  const uint64_t logical = sector / per_block;
  if (logical >= end) return Errno::kINVAL;
  Ext2Run run = TRY(map_run(static_cast<uint32_t>(logical), end - static_cast<uint32_t>(logical)));
  if (run.first == 0) return Errno::kINVAL;
  const uint64_t within = sector % per_block;
  return DiskRun{&fs_.block_device(), uint64_t{run.first} * per_block + within, uint64_t{run.count} * per_block - within};
}

// fallocate(2). The format has no blocks that count as unwritten: what is set aside is written, as zeroes, and nothing lies past the end.
Result<void> Ext2Inode::allocate_range(uint32_t mode, uint64_t offset, uint64_t bytes) {
  const uint64_t size = data_.size(), end = offset + bytes;
  if (fs_.is_read_only()) return Errno::kROFS;
  TRY(check_not_swapped_to());
  if (mode == (kAllocateKeepSize | kAllocatePunchHole)) return punch_hole(offset, std::min(end, align_up<uint64_t>(size, kPageSize)));
  if (mode & ~kAllocateKeepSize) return Errno::kOPNOTSUPP;
  if (end > fs_.max_file_size()) return Errno::kFBIG;
  if ((mode & kAllocateKeepSize) && end > size) return Errno::kOPNOTSUPP;
  if (offset < size) {
    const uint32_t first = static_cast<uint32_t>(offset >> kPageShift);
    TRY(prepare_write(PageIndex(first), pages_for(std::min(end, size)) - first));
    touch_modified();
  }
  if (end <= size) return {};
  Result<void> grown = write_zeroes(size, end);
  if (!grown.ok()) ignore_result(truncate(size));  // the first error is the one to report
  return grown;
}

// A reader, who holds no lock of ours, may bring a page back before its blocks are gone: hence the second look, when there is nothing on
// the disk any more.
Result<void> Ext2Inode::punch_hole(uint64_t offset, uint64_t end) {
  touch_modified();
  const WholePages pages = TRY(zero_around_hole(offset, end));
  if (pages.count == 0) return {};
  const uint64_t shift = kPageShift - fs_.block_shift(), first = pages.first.value();
  TRY(data_.discard(pages.first, pages.count));
  TRY(free_range(first << shift, (first + pages.count) << shift));
  return data_.discard(pages.first, pages.count);
}

}  // namespace faultline
