// A wire that loses, repeats and swaps frames, for tests: in both directions, by a generator that begins the same at every boot.
#include "drivers/net/network_device.h"
#include "lib/string.h"
#include "mm/slab.h"

namespace faultline {

namespace {

struct HeldFrame {
  uint32_t bytes = 0;  // 0: none is held
  uint8_t data[kMostFrameBytes];

  bool hold(std::span<const std::span<const uint8_t>> pieces) {
    bytes = 0;
    for (std::span<const uint8_t> piece : pieces) {
      if (piece.size() > sizeof data - bytes) {
        bytes = 0;
        return false;
      }
      memcpy(data + bytes, piece.data(), piece.size());
      bytes += static_cast<uint32_t>(piece.size());
    }
    return true;
  }
  std::span<const uint8_t> frame() const { return {data, bytes}; }
};

// One direction of the wire.
class Fate {
 public:
  Fate(const WireFaults& faults, uint32_t seed) : faults_(faults), state_(seed) {}

  // Passes on to `send` what becomes of a frame: nothing, itself, itself twice, or itself behind the one that comes next.
  template <typename Send>
  bool meet(std::span<const std::span<const uint8_t>> pieces, Send send) {
    if (happens(faults_.lost)) return true;
    if (held_.bytes == 0 && happens(faults_.reordered) && held_.hold(pieces)) return true;
    const bool sent = send(pieces);
    if (happens(faults_.duplicated)) send(pieces);
    if (held_.bytes != 0) {
      const std::span<const uint8_t> late = held_.frame();
      send(std::span(&late, 1));
      held_.bytes = 0;
    }
    return sent;
  }

 private:
  // xorshift32
  bool happens(uint32_t in_a_thousand) {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 17;
    state_ ^= state_ << 5;
    return state_ % 1000 < in_a_thousand;
  }
  const WireFaults faults_;
  uint32_t state_;
  HeldFrame held_;
};

class FaultyWire final : public NetworkDevice, private FrameReceiver {
 public:
  FaultyWire(NetworkDevice& device, const WireFaults& faults)
      : device_(device), outward_(faults, 0x9e3779b9), inward_(faults, 0x7f4a7c15) {}

  MacAddress address() const override { return device_.address(); }
  bool link_is_up() const override { return device_.link_is_up(); }
  bool transmit(std::span<const std::span<const uint8_t>> pieces) override {
    return outward_.meet(pieces, [this](auto frame) { return device_.transmit(frame); });
  }
  bool receive(FrameReceiver& receiver) override {
    receiver_ = &receiver;
    return device_.receive(*this);
  }
  void listen(void (*notify)()) override { device_.listen(notify); }

 private:
  void take(std::span<const uint8_t> frame) override {
    inward_.meet(std::span(&frame, 1), [this](auto pieces) {
      receiver_->take(pieces.front());
      return true;
    });
  }

  NetworkDevice& device_;
  Fate outward_, inward_;
  FrameReceiver* receiver_ = nullptr;
};

}  // namespace

NetworkDevice* faulty_wire(NetworkDevice& device, const WireFaults& faults) {
  Result<FaultyWire*> wire = slab_new<FaultyWire>(device, faults);
  return wire.ok() ? wire.value() : nullptr;
}

}  // namespace faultline
