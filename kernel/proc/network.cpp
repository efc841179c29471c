// /proc/net, as Linux shows it.
#include "kernel/net/lwip/interface.h"
#include "kernel/proc/contents.h"

namespace faultline {

namespace {

Result<void> show_devices(const ProcContext&, FormatSink& sink) {
  TRY(network_start());
  sink.put(
      "Inter-|   Receive                                                |  Transmit\n"
      " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n");
  NetworkCore core;
  for (NetworkInterface* each = interfaces_first(); each; each = interfaces_next(*each)) {
    const TrafficCounters &in = each->received, &out = each->sent;
    format(sink, "{6}: {7} {7} {4} {4}    0     0          0         0 {8} {7} {4} {4}    0     0       0          0\n", each->name,
           in.bytes, in.packets, in.errors, in.dropped, out.bytes, out.packets, out.errors, out.dropped);
  }
  return {};
}

constexpr ProcNode kDevices = proc_file("dev", &show_devices);
constexpr ProcNode kUnix = proc_file("unix", &proc_show_net_unix);
constexpr const ProcNode* kEntries[] = {&kDevices, &kUnix};
constexpr ProcNode kNetwork = proc_directory("net", kEntries);

}  // namespace

void proc_register_network() { proc_register(kNetwork); }

}  // namespace faultline
