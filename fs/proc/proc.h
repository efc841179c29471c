// /proc's frame: trees of nodes whose contents are functions. kernel/proc/ fills it in.
//
// A node is a constant. The same node serves many processes, so its functions get a context: which process (and which thread or
// descriptor) the name on the way there stood for. Contents are made when a file is read from its start and kept by the open file.
#pragma once

#include <cstdint>
#include <span>

#include "fs/file.h"
#include "fs/path.h"
#include "lib/format.h"
#include "mm/io_buffer.h"

namespace faultline {

struct ProcContext {
  uint32_t process = 0;  // the number of the outermost dynamic entry on the way (a pid), 0 outside one
  uint32_t item = 0;     // of the inner one (a descriptor, a thread id)
};

struct ProcNode;

// A directory whose entries come and go: numbers, each standing for the same kind of node.
struct ProcDynamic {
  const ProcNode* entry;  // what each one is; its name is not used
  // The lowest number at or above `from` that exists now; false: none. May sleep.
  bool (*next)(const ProcContext& directory, uint32_t from, uint32_t& number);
  // Does it exist? May sleep.
  bool (*exists)(const ProcContext& directory, uint32_t number);
};

struct ProcNode {
  StringView name;
  uint32_t mode;  // type and permission bits: 0100444, 0040555, 0120777
  // Regular files: writes the whole text. kSRCH when the process is gone.
  Result<void> (*show)(const ProcContext& context, FormatSink& sink) = nullptr;
  // Regular files: one write(2), at most 4 KiB; without a trailing newline. kINVAL and the like.
  Result<void> (*store)(const ProcContext& context, StringView text) = nullptr;
  // Regular files that are read at random (pagemap, mem): instead of `show`.
  Result<size_t> (*read_at)(const ProcContext& context, uint64_t offset, IoBuffer& buffer) = nullptr;
  // Regular files with a life of their own: instead of all these, what opening one gives.
  Result<Ref<File>> (*open)(const ProcContext& context, Ref<Inode> inode, uint32_t flags) = nullptr;
  // Symbolic links: the text.
  Result<void> (*link)(const ProcContext& context, FormatSink& sink) = nullptr;
  // Magic links: where it leads; `link` still gives the text that readlink shows.
  Result<Path> (*target)(const ProcContext& context) = nullptr;
  // Directories: fixed entries, then numbered ones.
  std::span<const ProcNode* const> children{};
  const ProcDynamic* dynamic = nullptr;
  // Owner of the files below a process' directory; null: root.
  void (*owner)(const ProcContext& context, uint32_t& uid, uint32_t& gid) = nullptr;
  // Permission bits that differ from one context to another; null: those of `mode`.
  uint32_t (*permissions)(const ProcContext& context) = nullptr;
};

// Adds a node to the root of /proc. Boot only, before or after proc is mounted; `node` lives for ever.
void proc_register(const ProcNode& node);
// The numbered entries of the root: the processes.
void proc_register_processes(const ProcDynamic& processes);
// The file system type "proc".
void proc_initialize();

}  // namespace faultline
