// A network card as the protocol engine sees it, and the interface that network drivers implement. Frames are Ethernet's, without
// preamble and check sequence. Nothing here waits: what cannot be sent at once is dropped, as a wire would.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "lib/atomic.h"

namespace faultline {

using MacAddress = std::array<uint8_t, 6>;

inline constexpr uint32_t kEthernetMtu = 1500, kEthernetHeader = 14, kMostFrameBytes = kEthernetHeader + kEthernetMtu;

// Takes one frame, which is gone when the call ends.
class FrameReceiver {
 public:
  virtual void take(std::span<const uint8_t> frame) = 0;

 protected:
  ~FrameReceiver() = default;
};

// One thread at a time calls these functions: the protocol engine's lock sees to that.
class NetworkDevice {
 public:
  virtual MacAddress address() const = 0;
  virtual bool link_is_up() const = 0;
  // Sends the frame that `pieces` are, together at most kMostFrameBytes; they are copied. False: the ring is full, and the frame was
  // dropped.
  virtual bool transmit(std::span<const std::span<const uint8_t>> pieces) = 0;
  // Hands over frames that have arrived, as many as fit the ring. True: there are more, of which nobody will be told.
  virtual bool receive(FrameReceiver& receiver) = 0;
  // From now on `notify` is called when frames have arrived or the link has changed, perhaps in an interrupt.
  virtual void listen(void (*notify)()) = 0;

 protected:
  ~NetworkDevice() = default;
};

// How many frames in a thousand meet what wires do to them. For tests.
struct WireFaults {
  uint32_t lost = 0, duplicated = 0, reordered = 0;
  bool any() const { return lost != 0 || duplicated != 0 || reordered != 0; }
};

// The first network card, started; null: there is none. Boot only, in a thread.
NetworkDevice* network_device_find(const WireFaults& faults);

// One driver's probe.
NetworkDevice* virtio_net_find();
// The same device behind a bad wire; null: no memory.
NetworkDevice* faulty_wire(NetworkDevice& device, const WireFaults& faults);

}  // namespace faultline
