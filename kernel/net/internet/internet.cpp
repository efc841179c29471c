// The network at boot: see internet.h.
#include "kernel/net/internet/internet.h"

#include "drivers/net/network_device.h"
#include "kernel/boot_information.h"
#include "kernel/net/lwip/ethernet.h"
#include "lib/log.h"

namespace faultline {

void internet_initialize() {
  network_lock.initialize();
  const WireFaults faults = {.lost = boot_option_number("net.loss", 0),
                             .duplicated = boot_option_number("net.duplicate", 0),
                             .reordered = boot_option_number("net.reorder", 0)};
  NetworkDevice* card = network_device_find(faults);
  if (!card) return;
  if (Result<void> started = ethernet_start(*card); !started.ok())
    log(LogLevel::kError, "eth0: cannot be started: error {}", static_cast<int>(started.error()));
}

}  // namespace faultline
