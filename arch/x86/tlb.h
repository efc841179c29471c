// Serving other CPUs' TLB shootdowns.
#pragma once

namespace faultline {

// Does what other CPUs have asked of this one and acknowledges it. Interrupts off, or preemption.
void tlb_serve_requests();

}  // namespace faultline
