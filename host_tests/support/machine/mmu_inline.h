// The emulated machine has no inline part of arch/mmu.h.
#pragma once
