// The text screen without its terminal: where a panic goes as well, for machines whose serial port nobody watches.
#pragma once

#include "lib/string.h"

namespace faultline {

// Shows `text` in white on red, from the screen's top, scrolling; over whatever was there. Never sleeps, takes no lock. Nothing happens without
// a display. Not before mmu_initialize().
void early_screen_put(StringView text);

}  // namespace faultline
