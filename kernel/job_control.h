// Process groups and sessions as job control needs them inside kernel/; what terminals ask is drivers/terminal/job_control.h.
#pragma once

#include <cstdint>

namespace faultline {

class Process;

// process_table_lock is held.
bool process_group_is_orphaned_locked(uint32_t group);
// `leaving` (which exits, or changes group) may leave its own group or its children's orphaned: stopped members get SIGHUP and SIGCONT.
void orphaned_groups_continue_locked(Process& leaving);

}  // namespace faultline
