// The policies of the simulator: OPT and LRU, which no kernel can afford, and the kernel's own.
#include "tools/replacement_simulator/memory.h"

#include <cctype>
#include <queue>
#include <utility>

#include "mm/replacement.h"

namespace faultline::simulator {
namespace {

// Belady's: the page whose next use is farthest away.
class Opt : public Memory {
 public:
  Opt(const Trace& trace, uint32_t frames) : Memory(trace, frames), next_use_(trace.references.size()), next_of_(frames) {
    std::vector<uint32_t> seen(trace.pages(), kNone);
    for (uint32_t at = static_cast<uint32_t>(trace.references.size()); at-- > 0;)
      next_use_[at] = std::exchange(seen[trace.references[at]], at);
  }
  std::string remark() const override { return remark_; }

 private:
  void used(uint32_t frame) override {
    next_of_[frame] = next_use_[position()];
    queue_.push({next_of_[frame], frames() - frame});
    remark_.clear();
  }
  void filled(uint32_t frame) override {
    std::string remark = std::exchange(remark_, {});
    used(frame);
    remark_ = remark;
  }
  uint32_t choose() override {
    // Entries of uses that are over stay in the queue until they come up.
    while (next_of_[frames() - queue_.top().second] != queue_.top().first) queue_.pop();
    const auto [next, reversed] = queue_.top();
    const std::string victim = name(page_in(frames() - reversed));
    remark_ = victim + (next == kNone ? " is never used again" : " is used last, at step " + std::to_string(next + 1));
    return frames() - reversed;
  }

  std::vector<uint32_t> next_use_;                            // by reference: when its page is used next; kNone is farthest
  std::vector<uint32_t> next_of_;                             // the same by frame
  std::priority_queue<std::pair<uint32_t, uint32_t>> queue_;  // next use, and of equal ones the lowest frame
  std::string remark_;
};

class Lru : public Memory {
 public:
  Lru(const Trace& trace, uint32_t frames) : Memory(trace, frames), next_(frames + 1), previous_(frames + 1), end_(frames) {
    next_[end_] = previous_[end_] = end_;
  }
  std::string remark() const override {
    std::string order = "longest unused first:";
    for (uint32_t frame = next_[end_]; frame != end_; frame = next_[frame]) order += " " + name(page_in(frame));
    return order;
  }

 private:
  void used(uint32_t frame) override {
    unlink(frame);
    filled(frame);
  }
  void filled(uint32_t frame) override {
    previous_[frame] = std::exchange(previous_[end_], frame);
    next_[frame] = end_;
    next_[previous_[frame]] = frame;
  }
  uint32_t choose() override {
    const uint32_t frame = next_[end_];
    unlink(frame);
    return frame;
  }
  void unlink(uint32_t frame) {
    next_[previous_[frame]] = next_[frame];
    previous_[next_[frame]] = previous_[frame];
  }

  std::vector<uint32_t> next_, previous_;  // a ring through end_, by age
  const uint32_t end_;
};

// The frame table that mm/replacement.h runs over.
struct FrameRecord {
  uint32_t next = kNoPage, previous = kNoPage;
  PageQueue queue = PageQueue::kNone;
  bool accessed = false;
};
struct Records {
  FrameRecord* records;
  uint32_t& next(uint32_t frame) { return records[frame].next; }
  uint32_t& previous(uint32_t frame) { return records[frame].previous; }
  PageQueue queue(uint32_t frame) { return records[frame].queue; }
  void set_queue(uint32_t frame, PageQueue queue) { records[frame].queue = queue; }
  bool take_accessed(uint32_t frame) { return std::exchange(records[frame].accessed, false); }
};

class Kernel : public Memory {
 public:
  Kernel(const Trace& trace, uint32_t frames, Policy policy)
      : Memory(trace, frames), policy_(policy), records_(frames), ghosts_(frames), replacement_(Records{records_.data()}) {
    replacement_.initialize(policy, ghosts_);
  }
  uint32_t hand() const override { return replacement_.first(PageQueue::kMain); }
  bool is_accessed(uint32_t frame) const override { return policy_ != Policy::kFifo && records_[frame].accessed; }
  std::string remark() const override {
    if (policy_ != Policy::kTwoQueues) return "";
    return "young" + list(PageQueue::kYoung) + ", old" + list(PageQueue::kOld) + ", main" + list(PageQueue::kMain) +
           (returned_ ? "; it was a ghost" : "");
  }

 private:
  void used(uint32_t frame) override {
    records_[frame].accessed = true;
    returned_ = false;
  }
  void filled(uint32_t frame) override {
    const Arrival arrival = replacement_.arrival(page_in(frame));
    replacement_.insert(frame, arrival);
    used(frame);
    returned_ = arrival == Arrival::kReturning;
  }
  uint32_t choose() override {
    uint32_t frame = kNoPage;
    while (frame == kNoPage) frame = replacement_.choose();
    replacement_.evict(frame, page_in(frame));
    return frame;
  }
  std::string list(PageQueue queue) const {
    std::string pages;
    for (uint32_t frame = replacement_.first(queue); frame != kNoPage; frame = records_[frame].next)
      pages += " " + name(page_in(frame)) + (records_[frame].accessed ? "*" : "");
    return pages.empty() ? " -" : pages;
  }

  const Policy policy_;
  std::vector<FrameRecord> records_;
  std::vector<uint32_t> ghosts_;
  Replacement<Records> replacement_;
  bool returned_ = false;
};

}  // namespace

Touch Memory::touch() {
  const uint32_t page = trace_.references[position_];
  Touch touch{page, frame_of_[page] != kNone, frame_of_[page], kNone};
  if (touch.hit) {
    used(touch.frame);
  } else {
    touch.frame = filled_ < frames() ? filled_++ : choose();
    touch.victim = std::exchange(page_of_[touch.frame], page);
    if (touch.victim != kNone) frame_of_[touch.victim] = kNone;
    frame_of_[page] = touch.frame;
    filled(touch.frame);
  }
  position_++;
  return touch;
}

std::unique_ptr<Memory> make_memory(const std::string& policy, const Trace& trace, uint32_t frames) {
  if (policy == "opt") return std::make_unique<Opt>(trace, frames);
  if (policy == "lru") return std::make_unique<Lru>(trace, frames);
  if (policy == "clock") return std::make_unique<Kernel>(trace, frames, Policy::kClock);
  if (policy == "fifo") return std::make_unique<Kernel>(trace, frames, Policy::kFifo);
  if (policy == "2q") return std::make_unique<Kernel>(trace, frames, Policy::kTwoQueues);
  throw Complaint("no policy is called " + policy + "; there are: opt lru clock fifo 2q");
}

const std::vector<std::string>& policy_names() {
  static const std::vector<std::string> names = {"opt", "lru", "clock", "fifo", "2q"};
  return names;
}

std::string policy_title(const std::string& policy) {
  std::string title = policy;
  for (char& letter : title) letter = static_cast<char>(std::toupper(static_cast<unsigned char>(letter)));
  return title;
}

uint32_t count_faults(const std::string& policy, const Trace& trace, uint32_t frames) {
  const std::unique_ptr<Memory> memory = make_memory(policy, trace, frames);
  uint32_t faults = 0;
  while (!memory->is_done()) faults += !memory->touch().hit;
  return faults;
}

}  // namespace faultline::simulator
