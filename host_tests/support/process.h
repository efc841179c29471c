// The process that the host tests pretend to be, as fs/hooks.h asks about it.
#pragma once

namespace faultline::host {

// May it use a disk's reserved blocks? True at first.
extern bool process_is_superuser;
// SIGPIPE and SIGXFSZ that it got.
extern unsigned process_signals;

}  // namespace faultline::host
