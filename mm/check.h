// The invariants of architecture.md, checked over the whole machine: after every step of the host's fuzzer, and by debug builds at will.
#pragma once

namespace faultline {

// The first violation in words, or null. Nothing else may run meanwhile. Does not look into TLBs (M5): only the emulated machine can.
const char* mm_check_invariants();

}  // namespace faultline
