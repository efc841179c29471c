// The system calls: number, name, handler. Sorted; the dense table that the dispatcher indexes is made from it by the compiler.
#include <array>

#include "kernel/calls.h"
#include "kernel/system_call.h"
#include "kernel/thread.h"

namespace faultline {

namespace {

constexpr SystemCallRow kRows[] = {
    {20, "getpid", entry<sys_getpid>},
};

constexpr bool rows_are_sorted() {
  for (size_t i = 1; i < std::size(kRows); i++)
    if (kRows[i - 1].number >= kRows[i].number) return false;
  return true;
}
static_assert(rows_are_sorted(), "rows stand in order of their numbers, each once");

uint32_t no_such_call(TrapFrame&) { return -static_cast<uint32_t>(Errno::kNOSYS); }

constexpr std::array<SystemCallEntry, kSystemCallLimit> make_table() {
  std::array<SystemCallEntry, kSystemCallLimit> table{};
  for (SystemCallEntry& slot : table) slot = no_such_call;
  for (const SystemCallRow& row : kRows)
    if (row.number < kSystemCallLimit) table[row.number] = row.entry;
  return table;
}
constexpr std::array<SystemCallEntry, kSystemCallLimit> kTable = make_table();

}  // namespace

const char* system_call_name(uint32_t number) {
  for (const SystemCallRow& row : kRows)
    if (row.number == number) return row.name;
  return nullptr;
}

void system_call_note_restart() { running_thread().add_work(kWorkRestart); }

extern "C" void system_call_dispatch(TrapFrame* frame) {
  uint32_t number = frame->eax;
  frame->eax = number < kSystemCallLimit ? kTable.data()[number](*frame) : no_such_call(*frame);
}

}  // namespace faultline
