// AF_INET at boot: see internet.h.
#include "kernel/net/internet/internet.h"

#include <lwip/priv/tcp_priv.h>

#include "drivers/net/network_device.h"
#include "kernel/boot_information.h"
#include "kernel/net/address_family.h"
#include "kernel/net/internet/datagram_socket.h"
#include "kernel/net/internet/tcp_socket.h"
#include "kernel/net/lwip/ethernet.h"
#include "lib/log.h"

namespace faultline {

namespace {

// Protocol 0 is the type's own.
bool is_protocol(uint32_t wanted, uint32_t own) { return wanted == 0 || wanted == own; }

Result<Ref<Socket>> create(uint32_t type, uint32_t protocol, uint32_t flags, const Credentials& who) {
  TRY(network_start());
  switch (type) {
    case abi::kSocketStream:
      if (!is_protocol(protocol, abi::kProtocolTcp)) return Errno::kPROTONOSUPPORT;
      return Ref<Socket>(TRY(TcpSocket::create(flags, who, nullptr)));
    case abi::kSocketDatagram:
      if (!is_protocol(protocol, abi::kProtocolUdp)) return Errno::kPROTONOSUPPORT;
      return udp_socket_create(flags, who);
    case abi::kSocketRaw: return raw_socket_create(protocol, flags, who);
    default: return Errno::kSOCKTNOSUPPORT;
  }
}

constexpr AddressFamily kFamily = {abi::kFamilyInternet, &create, nullptr};

void start_card() {
  const WireFaults faults = {.lost = boot_option_number("net.loss", 0),
                             .duplicated = boot_option_number("net.duplicate", 0),
                             .reordered = boot_option_number("net.reorder", 0)};
  NetworkDevice* card = network_device_find(faults);
  if (!card) return;
  if (Result<void> started = ethernet_start(*card); !started.ok())
    log(LogLevel::kError, "eth0: cannot be started: error {}", static_cast<int>(started.error()));
}

}  // namespace

void internet_initialize() {
  network_lock.initialize();
  address_family_register(kFamily);
  start_card();
}

void internet_forget_ended() {
  NetworkCore core;
  while (tcp_tw_pcbs) tcp_abort(tcp_tw_pcbs);
}

}  // namespace faultline
