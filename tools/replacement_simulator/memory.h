// A memory of so many frames under a replacement policy, fed with a trace one reference at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tools/replacement_simulator/trace.h"

namespace faultline::simulator {

inline constexpr uint32_t kNone = 0xffffffffu;

// What one reference did. Pages are Trace's.
struct Touch {
  uint32_t page;
  bool hit;
  uint32_t frame;
  uint32_t victim;  // the page that had to go, or kNone
};

// Frames fill in order; then the policy, a subclass, says which one is emptied.
class Memory {
 public:
  Memory(const Trace& trace, uint32_t frames) : trace_(trace), page_of_(frames, kNone), frame_of_(trace.pages(), kNone) {}
  virtual ~Memory() = default;
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  bool is_done() const { return position_ == trace_.references.size(); }
  Touch touch();

  uint32_t frames() const { return static_cast<uint32_t>(page_of_.size()); }
  uint32_t page_in(uint32_t frame) const { return page_of_[frame]; }
  // For who follows the steps: the frame at which the hand would start to look, and whether a frame's accessed bit is set.
  virtual uint32_t hand() const { return kNone; }
  virtual bool is_accessed(uint32_t) const { return false; }
  // How the policy sees its pages, or why it chose as it did.
  virtual std::string remark() const { return ""; }

 protected:
  virtual void used(uint32_t frame) = 0;    // a hit
  virtual uint32_t choose() = 0;            // all frames are taken: whose page goes
  virtual void filled(uint32_t frame) = 0;  // a page has come, and been used
  uint32_t position() const { return position_; }
  std::string name(uint32_t page) const { return std::to_string(trace_.names[page]); }

  const Trace& trace_;

 private:
  std::vector<uint32_t> page_of_, frame_of_;  // by frame and by page; kNone
  uint32_t position_ = 0, filled_ = 0;
};

// "opt", "lru", and by the kernel's own mm/replacement.h: "fifo", "clock", "2q".
std::unique_ptr<Memory> make_memory(const std::string& policy, const Trace& trace, uint32_t frames);
const std::vector<std::string>& policy_names();
// As it is written in tables: "OPT".
std::string policy_title(const std::string& policy);

uint32_t count_faults(const std::string& policy, const Trace& trace, uint32_t frames);

}  // namespace faultline::simulator
