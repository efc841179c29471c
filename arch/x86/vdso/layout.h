// Where every program finds the vDSO, for assembly: arch/vdso.h says the same. The address is fixed, as all others are in this kernel.
#pragma once

#define VDSO_TIME_PAGE 0x7fffd000
#define VDSO_ADDRESS 0x7fffe000
