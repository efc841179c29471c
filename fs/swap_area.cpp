// Swap areas on partitions and files: see swap_area.h.
#include "fs/swap_area.h"

#include <algorithm>

#include "fs/block_batch.h"
#include "fs/swap_header.h"
#include "lib/late.h"
#include "lib/log.h"
#include "lib/mutex.h"
#include "lib/tree.h"
#include "mm/commit.h"
#include "mm/slab.h"
#include "mm/swap.h"

namespace faultline {

namespace {

constexpr uint32_t kSectorsPerPage = kPageSize / kSectorSize;

// A piece of the area that lies in one piece on the device.
struct SwapExtent : TreeNode<SwapExtent> {
  SwapExtent(uint64_t first_sector, uint64_t sector_count, uint64_t place)
      : first(first_sector), sectors(sector_count), device_sector(place) {}
  uint64_t first, sectors;  // of the area
  uint64_t device_sector;
};
struct SwapExtentTraits {
  static bool less(const SwapExtent& a, const SwapExtent& b) { return a.first < b.first; }
  static bool update(SwapExtent&, const SwapExtent*, const SwapExtent*) { return false; }
};

class SwapArea final : public SwapStore {
 public:
  explicit SwapArea(Ref<File> file) : file_(std::move(file)) {}
  // Gives back what was claimed, and forgets what the cache shows of before.
  ~SwapArea();

  // Everything before the first page can go out: the device or file is claimed, its caches are written back and empty, its place is known and
  // its header read. As swap_on().
  Result<void> prepare(SwapHeader& header);

  Result<void> read_pages(uint32_t first, std::span<const FrameNumber> frames) override {
    return transfer(BlockOperation::kRead, first, frames);
  }
  Result<void> write_pages(uint32_t first, std::span<const FrameNumber> frames) override {
    return transfer(BlockOperation::kWrite, first, frames);
  }

  File& file() const { return *file_; }
  bool is_partition() const { return file_->inode()->type() == FileType::kBlockDevice; }
  bool is_on(Inode& inode) const;
  uint32_t extents() const { return extent_count_; }

  std::optional<int32_t> priority;  // as it was asked for
  uint32_t age = 0;                 // of those without one, which came first
  bool is_leaving = false;          // a swap_off() is under way

 private:
  Result<void> prepare_device();
  Result<void> prepare_file();
  Result<void> locate_file(Inode& inode);
  Result<void> add_extent(uint64_t first, uint64_t sectors, uint64_t device_sector);
  Result<void> read_header(SwapHeader& header);
  const SwapExtent& extent_of(uint64_t sector) const;
  Result<void> transfer(BlockOperation operation, uint32_t first, std::span<const FrameNumber> frames);

  const Ref<File> file_;
  BlockDevice* device_ = nullptr;
  bool is_claimed_ = false;
  Object* cache_ = nullptr;  // of the device or file
  Tree<SwapExtent, SwapExtentTraits> extents_;
  uint32_t extent_count_ = 0;
};

// The areas in use by mm's number, and what orders those without a priority.
struct Areas {
  Mutex<LockRank::kMountTable> mutex;
  SwapArea* by_number[SwapSlot::kMaxAreas] GUARDED_BY(mutex) = {};
  uint32_t next_age GUARDED_BY(mutex) = 0;
};
constinit Late<Areas> areas;

SwapArea::~SwapArea() {
  extents_.clear([](SwapExtent& extent) { slab_delete(&extent); });
  if (!is_claimed_) return;
  cache_->drop_clean();
  if (is_partition())
    device_->unclaim();
  else
    file_->inode()->end_swapping();
}

bool SwapArea::is_on(Inode& inode) const {
  if (!is_partition()) return file_->inode() == &inode;
  return inode.type() == FileType::kBlockDevice && block_device_find(inode.attributes().special) == device_;
}

Result<void> SwapArea::prepare(SwapHeader& header) {
  switch (file_->inode()->type()) {
    case FileType::kBlockDevice: TRY(prepare_device()); break;
    case FileType::kRegular: TRY(prepare_file()); break;
    default: return Errno::kINVAL;
  }
  return read_header(header);
}

Result<void> SwapArea::prepare_device() {
  device_ = block_device_find(file_->inode()->attributes().special);
  if (!device_) return Errno::kNXIO;
  cache_ = &device_->object();
  if (!device_->claim()) return Errno::kBUSY;
  is_claimed_ = true;
  TRY(cache_->write_back_all(WriteBack::kWait));
  return add_extent(0, device_->sectors(), 0);
}

// Whoever has the file open or mapped finds it read-only from here on; its blocks stay where they are.
Result<void> SwapArea::prepare_file() {
  Inode& inode = *file_->inode();
  cache_ = inode.object();
  if (!cache_) return Errno::kINVAL;
  if (!inode.begin_swapping()) return Errno::kBUSY;
  is_claimed_ = true;
  LockGuard guard(inode.content_lock());
  TRY(cache_->write_back_all(WriteBack::kWait));
  TRY(locate_file(inode));
  return cache_->discard(PageIndex(0), pages_for(cache_->size()));
}

Result<void> SwapArea::locate_file(Inode& inode) {
  const uint64_t sectors = cache_->size() / kPageSize * kSectorsPerPage;
  for (uint64_t sector = 0; sector < sectors;) {
    Result<Inode::DiskRun> located = inode.locate(sector);
    if (!located.ok()) {
      if (located.error() == Errno::kINVAL) log(LogLevel::kError, "swapon: swapfile has holes");
      return located.error();
    }
    const Inode::DiskRun run = located.value();
    device_ = run.device;
    TRY(add_extent(sector, std::min(run.sectors, sectors - sector), run.sector));
    sector += run.sectors;
  }
  return {};
}

Result<void> SwapArea::add_extent(uint64_t first, uint64_t sectors, uint64_t device_sector) {
  SwapExtent* last = extents_.last();
  if (last && last->first + last->sectors == first && last->device_sector + last->sectors == device_sector) {
    last->sectors += sectors;
    return {};
  }
  extents_.insert(*TRY(slab_new<SwapExtent>(first, sectors, device_sector)));
  extent_count_++;
  return {};
}

Result<void> SwapArea::read_header(SwapHeader& header) {
  if (cache_->size() < kPageSize) return Errno::kINVAL;
  PinnedFrame page = TRY(cache_->page(PageIndex(0)));
  StringView problem = swap_header_parse(std::span<const uint8_t, kPageSize>(page.data(), kPageSize), cache_->size() >> kPageShift, header);
  if (problem.empty() && !is_partition() && header.bad_count != 0) problem = "A swap file has no bad pages";
  if (problem.empty()) return {};
  log(LogLevel::kError, "swapon: {}", problem);
  return Errno::kINVAL;
}

const SwapExtent& SwapArea::extent_of(uint64_t sector) const {
  const SwapExtent* extent = extents_.root();
  while (extent) {
    if (sector < extent->first)
      extent = decltype(extents_)::left(*extent);
    else if (sector >= extent->first + extent->sectors)
      extent = decltype(extents_)::right(*extent);
    else
      return *extent;
  }
  PANIC("a page outside the swap area");
}

Result<void> SwapArea::transfer(BlockOperation operation, uint32_t first, std::span<const FrameNumber> frames) {
  BlockBatch batch(*device_, operation);
  uint64_t sector = uint64_t{first} * kSectorsPerPage;
  for (FrameNumber frame : frames) {
    const uint64_t page_end = sector + kSectorsPerPage;
    for (PhysAddr address = PhysAddr::of(frame); sector < page_end;) {
      const SwapExtent& extent = extent_of(sector);
      const uint32_t sectors = static_cast<uint32_t>(std::min(extent.first + extent.sectors, page_end) - sector);
      batch.add(extent.device_sector + (sector - extent.first), address, sectors * kSectorSize);
      address = address + sectors * kSectorSize;
      sector += sectors;
    }
  }
  return batch.finish();
}

// Linux counts down from -2, and closes the ranks when one leaves.
int32_t shown_priority(const SwapArea& area) REQUIRES(areas->mutex) {
  if (area.priority) return *area.priority;
  int32_t priority = -2;
  for (const SwapArea* other : areas->by_number)
    if (other && !other->priority && other->age < area.age) priority--;
  return priority;
}

void announce(const SwapArea& area, uint32_t usable) REQUIRES(areas->mutex) {
  char text[160];
  BufferSink name(text);
  area.file().describe(name);
  log(LogLevel::kInfo, "Adding {}k swap on {}.  Priority:{} extents:{}", usable << (kPageShift - 10), name.text(), shown_priority(area),
      area.extents());
}

// The area of `inode`, which from now on is leaving; null: there is none, or somebody else is at it.
SwapArea* begin_leaving(Inode& inode, uint32_t& number) {
  LockGuard guard(areas->mutex);
  for (number = 0; number < SwapSlot::kMaxAreas; number++) {
    SwapArea* area = areas->by_number[number];
    if (!area || area->is_leaving || !area->is_on(inode)) continue;
    area->is_leaving = true;
    return area;
  }
  return nullptr;
}

}  // namespace

void swap_areas_initialize() { areas.construct(); }

Result<void> swap_on(Ref<File> file, std::optional<int32_t> priority) {
  SwapArea* area = TRY(slab_new<SwapArea>(std::move(file)));
  Result<SwapHeader*> header = slab_new<SwapHeader>();
  Result<void> result = header.ok() ? area->prepare(*header.value()) : header.error();
  if (result.ok()) {
    LockGuard guard(areas->mutex);
    area->priority = priority;
    area->age = areas->next_age;
    const int32_t order = priority.value_or(-2 - static_cast<int32_t>(area->age));
    Result<uint32_t> number = swap_add(*area, header.value()->pages, header.value()->bad_pages(), order);
    if (number.ok()) {
      areas->by_number[number.value()] = area;
      if (!priority) areas->next_age++;
      announce(*area, swap_area_statistics(number.value()).pages);
    } else {
      result = number.error();
    }
  }
  if (header.ok()) slab_delete(header.value());
  if (!result.ok()) slab_delete(area);
  return result;
}

Result<void> swap_off(Inode& inode) {
  uint32_t number;
  SwapArea* area = begin_leaving(inode, number);
  if (!area) return Errno::kINVAL;
  // As Linux asks first: are there promises that only this area can keep?
  CommitPromise room;
  Result<void> result = room.take(swap_area_statistics(number).pages, 0);
  if (result.ok()) result = swap_remove(number);
  {
    LockGuard guard(areas->mutex);
    if (!result.ok()) {
      area->is_leaving = false;
      return result;
    }
    if (areas->by_number[number] == area) areas->by_number[number] = nullptr;  // the number may have been given away again
  }
  slab_delete(area);
  return result;
}

void swap_areas_for_each(void (*visit)(const SwapAreaView&, void*), void* context) {
  LockGuard guard(areas->mutex);
  for (uint32_t number = 0; number < SwapSlot::kMaxAreas; number++) {
    SwapArea* area = areas->by_number[number];
    if (!area) continue;
    const SwapAreaStatistics statistics = swap_area_statistics(number);
    visit({area->file(), area->is_partition(), statistics.pages, statistics.used, shown_priority(*area)}, context);
  }
}

}  // namespace faultline
