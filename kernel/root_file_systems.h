// The file systems that are there before the first program runs.
#pragma once

namespace faultline {

// Mounts the root from the disk that root= names ("/dev/vda", "hda1", "ram0"; else the first that there is), then /dev, /proc,
// /tmp and /dev/shm. Panics without a root; a missing directory of the others is only logged. Thread context; sleeps.
void root_file_systems_mount();

}  // namespace faultline
