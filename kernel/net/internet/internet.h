// AF_INET at boot.
#pragma once

namespace faultline {

// Registers the family; then looks for a network card and has it configured by DHCP, which goes on by itself. Options: net.loss=,
// net.duplicate=, net.reorder=: how many frames in a thousand are treated so, for tests. In a thread that may sleep. What fails is logged and
// left out.
void internet_initialize();

// Forgets connections that have ended and are remembered for late packets alone (TIME_WAIT): for exact counts of memory. May sleep.
void internet_forget_ended();

}  // namespace faultline
