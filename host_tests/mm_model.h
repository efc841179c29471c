// What memory should be, in the simplest words: every process is a map from pages to bytes. The fuzzer holds the kernel's memory against it.
#pragma once

#include <bitset>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "mm/space.h"
#include "mm/swap.h"

namespace faultline::host {

// A disk for one file, and the object that caches it. Fails on demand.
class ModelSource final : public PageSource {
 public:
  Result<void> read_pages(PageIndex first, std::span<const FrameNumber> frames) override;
  Result<void> write_pages(PageIndex first, std::span<const FrameNumber> frames) override;
  Result<void> prepare_write(PageIndex first, uint32_t pages) override;

  std::map<uint32_t, std::vector<uint8_t>> disk;  // by page; absent: zeroes
  uint64_t size_on_disk = ~0ull;                  // bytes past it are zeroed by reads
  uint32_t failure_rate = 0, failure_state = 1, failures = 0;

 private:
  bool fails();
};

// A swap area. Fails on demand; while a transfer is under way, `meanwhile` runs, as other threads would.
class ModelSwap final : public SwapStore {
 public:
  Result<void> read_pages(uint32_t first, std::span<const FrameNumber> frames) override;
  Result<void> write_pages(uint32_t first, std::span<const FrameNumber> frames) override;

  std::map<uint32_t, std::vector<uint8_t>> disk;
  std::function<void(bool is_write)> meanwhile;
  uint32_t failure_rate = 0, failure_state = 1, failures = 0;

 private:
  bool fails();
};

// A file or shared memory: the kernel's object and the bytes it should hold.
class ModelObject {
 public:
  // With a source, or shared anonymous memory.
  ModelObject(bool has_source, uint64_t bytes);
  ~ModelObject();
  Object& object() { return *object_; }
  Ref<Object> ref() { return Ref<Object>(*object_); }
  ModelSource* source() { return source_.get(); }
  uint64_t size() const { return bytes.size(); }
  // Memory whose object mmap made itself: found by its region.
  std::vector<uint8_t> bytes;
  uint32_t users = 0;  // mappings, so that its page source outlives them

 private:
  class Cached final : public Object {
   public:
    explicit Cached(PageSource& page_source, uint64_t bytes) : Object(page_source, bytes) {}
    void acquire() override { references++; }
    void release() override { references--; }
    int references = 0;
  };
  std::unique_ptr<ModelSource> source_;
  std::unique_ptr<Cached> cached_;
  Ref<Object> anonymous_;
  Object* object_;
};

// A private page's own bytes; those copied from past a file's end are not known.
struct ModelBytes {
  uint8_t bytes[kPageSize] = {};
  std::bitset<kPageSize> known;
};

struct ModelPage {
  Protection protection = 0, max_protection = 7;
  bool shared = false;
  std::shared_ptr<ModelObject> object;  // null: private anonymous
  uint32_t index = 0;
  Inheritance inheritance = Inheritance::kCopied;
  std::shared_ptr<ModelBytes> own;  // a private page that was written; copied when one of several users writes

  // What an access should end with.
  FaultOutcome expected(bool is_write) const;
  // The byte a read must give, or -1 if any will do.
  int byte(uint32_t offset) const;
  void write(uint32_t offset, uint8_t value);
};

struct ModelProcess {
  Ref<AddressSpace> space;
  std::map<uint32_t, ModelPage> pages;  // by page number
  VirtAddr break_start, break_now;
  uint32_t stack_low = 0, stack_end = 0;  // page numbers the stack may take: growth fills them
  bool stack_is_cut = false;
  ModelPage* page(VirtAddr address) {
    auto found = pages.find(address.value() >> kPageShift);
    return found == pages.end() ? nullptr : &found->second;
  }
};

}  // namespace faultline::host
