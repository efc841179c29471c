// Looks for network cards: see network_device.h.
#include "drivers/net/network_device.h"

namespace faultline {

NetworkDevice* network_device_find(const WireFaults& faults) {
  NetworkDevice* device = virtio_net_find();
  return device && faults.any() ? faulty_wire(*device, faults) : device;
}

}  // namespace faultline
