// What /proc/net tells of AF_INET: proc(5).
#pragma once

#include "fs/proc/proc.h"

namespace faultline {

extern const ProcNode kProcNetDevicesNode, kProcNetRouteNode, kProcNetTcpNode, kProcNetUdpNode;

}  // namespace faultline
