// Which operations there are.
#include "kernel/io_uring/operations.h"

namespace faultline {

namespace {

struct Row {
  abi::RingOperation number;
  RingOperationKind kind;
};
constexpr Row kRows[] = {
    {abi::kRingNop, {make_nop, false}},
    {abi::kRingReadPieces, {make_read_pieces, true}},
    {abi::kRingWritePieces, {make_write_pieces, true}},
    {abi::kRingSynchronize, {make_synchronize, true}},
    {abi::kRingPoll, {make_poll, true}},
    {abi::kRingTimeout, {make_timeout, false}},
    {abi::kRingAccept, {make_accept, true}},
    {abi::kRingCancel, {make_cancel, false}},
    {abi::kRingConnect, {make_connect, true}},
    {abi::kRingClose, {make_close, false}},
    {abi::kRingRead, {make_read, true}},
    {abi::kRingWrite, {make_write, true}},
    {abi::kRingSend, {make_send, true}},
    {abi::kRingReceive, {make_receive, true}},
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
