// The directory /proc/net; the families say what is in its files.
#include "kernel/net/internet/proc.h"
#include "kernel/proc/contents.h"

namespace faultline {

namespace {

constexpr ProcNode kUnix = proc_file("unix", &proc_show_net_unix);
constexpr const ProcNode* kEntries[] = {&kProcNetDevicesNode, &kProcNetRouteNode, &kProcNetTcpNode, &kProcNetUdpNode, &kUnix};
constexpr ProcNode kNetwork = proc_directory("net", kEntries);

}  // namespace

void proc_register_network() { proc_register(kNetwork); }

}  // namespace faultline
