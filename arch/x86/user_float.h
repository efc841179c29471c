// Where the parts of a signal frame's x87 and SSE state are (UserFloatState in float_state.cpp), for C++ and assembly alike.
#pragma once

#define USER_FLOAT_STATUS 108
#define USER_FLOAT_IMAGE 112
#define USER_FLOAT_BYTES 624
