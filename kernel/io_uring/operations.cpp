// Which operations there are.
#include "kernel/io_uring/operations.h"

namespace faultline {

namespace {

struct Row {
  abi::RingOperation number;
  RingOperationKind kind;
};
constexpr Row kRows[] = {
    {abi::kRingNop, {make_nop, RingDescriptor::kNone}},
    {abi::kRingReadPieces, {make_read_pieces, RingDescriptor::kOfFile}},
    {abi::kRingWritePieces, {make_write_pieces, RingDescriptor::kOfFile}},
    {abi::kRingSynchronize, {make_synchronize, RingDescriptor::kOfFile}},
    {abi::kRingPoll, {make_poll, RingDescriptor::kOfFile}},
    {abi::kRingTimeout, {make_timeout, RingDescriptor::kNone}},
    {abi::kRingAccept, {make_accept, RingDescriptor::kOfFile}},
    {abi::kRingCancel, {make_cancel, RingDescriptor::kNone}},
    {abi::kRingConnect, {make_connect, RingDescriptor::kOfFile}},
    {abi::kRingClose, {make_close, RingDescriptor::kNumber}},
    {abi::kRingRead, {make_read, RingDescriptor::kOfFile}},
    {abi::kRingWrite, {make_write, RingDescriptor::kOfFile}},
    {abi::kRingSend, {make_send, RingDescriptor::kOfFile}},
    {abi::kRingReceive, {make_receive, RingDescriptor::kOfFile}},
};

struct Table {
  constexpr Table() {
    for (const Row& row : kRows) kinds[row.number] = &row.kind;
  }
  const RingOperationKind* kinds[abi::kRingOperationLimit] = {};
};
constexpr Table kTable;

}  // namespace

const RingOperationKind* ring_operation(uint32_t number) { return number < abi::kRingOperationLimit ? kTable.kinds[number] : nullptr; }

}  // namespace faultline
