// Replacing a process' program. The new space is complete before the old one is touched: until then any failure leaves the caller as it was.
#pragma once

#include <cstdint>
#include <span>

#include "arch/vdso.h"
#include "fs/file.h"
#include "kernel/process.h"
#include "mm/slab.h"
#include "mm/space.h"

namespace faultline {

// The strings of argv and envp: in the caller's memory, or in the kernel's for process 1.
struct ExecStrings {
  UserPtr<uint32_t> user_arguments, user_environment;
  std::span<const char*const> kernel_arguments, kernel_environment;
  bool in_kernel = false;
};

// Executes the program at `name` (relative to the caller's directory). On success the running thread's trap frame enters it.
// Errors: execve(2).
Result<void> exec_program(StringView name, const ExecStrings& strings);

// --- Between the files that do it.

inline constexpr uint32_t kUserStackTop = kVdsoTimePage.value();  // so one page table serves for both

// What an ELF file's headers ask for, checked, and where it went.
struct ProgramImage {
  VirtAddr entry;
  VirtAddr headers;  // address of the program headers in the image, or 0
  uint32_t header_count = 0;
  Protection stack_protection = kProtRead | kProtWrite;
  bool reading_executes = false;  // kReadImpliesExecute: of the caller, or since the file does not speak of its stack
  ProgramLayout layout;
};

// Checks the headers and maps the segments into `space`, which is not running. `start` is the file's first bytes; `personality` the
// caller's, as far as it is inherited. kNOEXEC, kNOMEM, kINVAL, kIO.
Result<ProgramImage> elf_load(AddressSpace& space, Ref<File> file, std::span<const uint8_t> start, uint32_t personality);

// What scripts put before argv[1]: interpreter, its argument, the script's name; from the outermost script inwards.
struct ScriptPrefix {
  static constexpr uint32_t kMaxDepth = 5, kMaxStrings = 3 * kMaxDepth;
  uint32_t count = 0;
  StringView strings[kMaxStrings];  // in order of argv, reversed: the last one is argv[0]
  bool is_used() const { return count != 0; }
};

struct StackIdentity {
  uint32_t uid, euid, gid, egid;
  bool secure;
};

// Writes the strings, argv, envp and the auxiliary vector to the stack of `space`, and maps that. Returns the stack pointer and
// fills in the layout's strings. k2BIG, kFAULT, kNOMEM.
Result<VirtAddr> exec_build_stack(AddressSpace& space, const ExecStrings& strings, const ScriptPrefix& prefix, StringView file_name,
                                  ProgramImage& image, const StackIdentity& identity, uint64_t stack_limit);

}  // namespace faultline
