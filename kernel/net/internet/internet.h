// The network at boot.
#pragma once

namespace faultline {

// Looks for a network card and has it configured by DHCP, which goes on by itself. Options: net.loss=, net.duplicate=, net.reorder=: how
// many frames in a thousand are treated so, for tests. In a thread that may sleep. What fails is logged and left out.
void internet_initialize();

}  // namespace faultline
