// The operations by theme: how a request of each is made. The table is in operations.cpp.
#pragma once

#include "kernel/io_uring/request.h"

namespace faultline {

// file_operations.cpp
Result<Request*> make_read();
Result<Request*> make_write();
Result<Request*> make_read_pieces();
Result<Request*> make_write_pieces();
Result<Request*> make_synchronize();
Result<Request*> make_poll();
Result<Request*> make_close();
// socket_operations.cpp
Result<Request*> make_accept();
Result<Request*> make_connect();
Result<Request*> make_send();
Result<Request*> make_receive();
// ring_operations.cpp
Result<Request*> make_nop();
Result<Request*> make_timeout();
Result<Request*> make_cancel();

}  // namespace faultline
