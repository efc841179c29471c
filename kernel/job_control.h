// Process groups and sessions as job control needs them inside kernel/; what terminals ask is drivers/terminal/job_control.h.
#pragma once

#include "kernel/process.h"

namespace faultline {

bool process_group_is_orphaned_locked(uint32_t group) REQUIRES(process_table_lock);
// `leaving` (which exits, or changes group) may leave its own group or its children's orphaned: stopped members get SIGHUP and SIGCONT.
void orphaned_groups_continue_locked(Process& leaving) REQUIRES(process_table_lock);

}  // namespace faultline
