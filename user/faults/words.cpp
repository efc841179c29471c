// A fault in words. The sentences name what was found first, then what was done about it.
#include <stdarg.h>
#include <string.h>

#include "user/faults/faults.h"

using namespace faultline;

namespace {

constexpr uint32_t kPresent = 1, kWritable = 2, kDirty = 0x40, kPageShift = 12;

std::string text(const char* format, ...) __attribute__((format(printf, 1, 2)));
std::string text(const char* format, ...) {
  char line[256];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  return line;
}

uint32_t frame_of(uint32_t entry) { return entry >> kPageShift; }
bool has(const FaultRecord& record, FaultStep step) { return record.steps & step; }

// "file page 3 of /bin/sh", "page 3 of shared memory".
std::string page_words(const FaultRecord& record) {
  if (record.region == FaultRegion::kFile) return text("file page %u of %s", record.file_page, record.name);
  return text("page %u of shared memory", record.file_page);
}

// Where the page of a file was when it was wanted.
std::string cache_words(const FaultRecord& record) {
  if (is_major(record)) return "was not in memory: read from the disk, major";
  if (has(record, kFaultNewShared)) return "did not exist: zero frame, minor";
  if (has(record, kFaultWaited)) return "was just being read: waited for it, minor";
  return "was in the cache: minor";
}

// An entry that names a slot of swap: neither present nor kept. mm/pte.h has the bits.
bool was_in_swap(const FaultRecord& record) { return (record.pte_before & 7) == 4; }

// "" for pages that were in memory.
std::string swap_words(const FaultRecord& record) {
  if (!was_in_swap(record)) return "";
  const char* where = is_major(record) ? "read from the disk, major; " : "still in memory, minor; ";
  return text("swap slot %u %s", record.pte_before >> 3 & 0x3ffffff, where);
}

std::string neighbour_words(const FaultRecord& record) {
  if (record.neighbours == 0) return "";
  return text(", %u neighbour%s too", record.neighbours, record.neighbours == 1 ? "" : "s");
}

std::string first_write_words(const FaultRecord& record) {
  const char* what = has(record, kFaultStackGrew)           ? "stack grows"
                     : record.region == FaultRegion::kHeap  ? "heap, first write"
                     : record.region == FaultRegion::kStack ? "stack, first write"
                                                            : "first write";
  return text("%s: zero frame 0x%05x", what, frame_of(record.pte_after));
}

std::string copy_words(const FaultRecord& record) {
  uint32_t from = frame_of(record.pte_before), to = frame_of(record.pte_after);
  if (record.users <= 1) return text("copy-on-write: the kernel uses frame 0x%05x, copied to 0x%05x", from, to);
  return text("copy-on-write: frame 0x%05x has %u users, copied to 0x%05x", from, record.users, to);
}

std::string file_copy_words(const FaultRecord& record) {
  uint32_t to = frame_of(record.pte_after);
  if (record.pte_before & kPresent)
    return text("copy-on-write: %s, frame 0x%05x, copied to 0x%05x", page_words(record).c_str(), frame_of(record.pte_before), to);
  return text("private write: %s %s; copied to 0x%05x", page_words(record).c_str(), cache_words(record).c_str(), to);
}

std::string shared_write_words(const FaultRecord& record) {
  uint32_t frame = frame_of(record.pte_after);
  if (record.pte_before & kPresent) return text("shared write: %s, frame 0x%05x, is dirty from now", page_words(record).c_str(), frame);
  return text("shared write: %s %s; frame 0x%05x is dirty from now", page_words(record).c_str(), cache_words(record).c_str(), frame);
}

std::string allowed_words(const FaultRecord& record) {
  bool was_read_only = (record.directory_before & kPresent) && !(record.directory_before & kWritable);
  if (was_read_only && (record.directory_after & kWritable) && record.access == FaultAccess::kWrite)
    return has(record, kFaultTableUnshared) ? "writable in its own table: no copy of the page"
                                            : "last user of the page table: its 4 MiB are writable again, no copy";
  return "nothing to do: the entry allows it (another thread was faster)";
}

const char* refusal(const FaultRecord& record, const char* signal) { return record.mode == FaultMode::kUser ? signal : "EFAULT"; }

// What happened to the page table on the way.
std::string table_words(const FaultRecord& record) {
  if (has(record, kFaultTableUnshared)) return "; page table un-shared first";
  if (has(record, kFaultTableMade)) return "; page table made";
  return "";
}

}  // namespace

std::string region_name(const FaultRecord& record) {
  switch (record.region) {
    case FaultRegion::kNone: return "-";
    case FaultRegion::kAnonymous: return "anonymous";
    case FaultRegion::kFile: return record.name;
    case FaultRegion::kSharedMemory: return "shared memory";
    case FaultRegion::kHeap: return "[heap]";
    case FaultRegion::kStack: return "[stack]";
    default: return "other";
  }
}

std::string entry_words(uint32_t entry) {
  if (entry == 0) return "-";
  if ((entry & 7) == 4) return text("swap %u", entry >> 3 & 0x3ffffff);
  if (!(entry & kPresent)) return text("%05x none", frame_of(entry));
  return text("%05x r%c%c", frame_of(entry), entry & kWritable ? 'w' : '-', entry & kDirty ? 'd' : '-');
}

std::string decision_words(const FaultRecord& record) {
  switch (record.decision) {
    case FaultDecision::kAllowedAlready: return allowed_words(record) + table_words(record);
    case FaultDecision::kRevealed: return "PROT_NONE is over: the page was there all the time" + table_words(record);
    case FaultDecision::kZeroPage: return "first read: the page of zeroes, read-only" + neighbour_words(record) + table_words(record);
    case FaultDecision::kZeroFrame: return first_write_words(record) + table_words(record);
    case FaultDecision::kZeroPageReplaced:
      return text("first write after reads: zero frame 0x%05x", frame_of(record.pte_after)) + table_words(record);
    case FaultDecision::kMadeWritable: return swap_words(record) + "last user: made writable, no copy" + table_words(record);
    case FaultDecision::kCopied: return swap_words(record) + copy_words(record) + table_words(record);
    case FaultDecision::kSwappedIn:
      return swap_words(record) + text("frame 0x%05x, read-only", frame_of(record.pte_after)) + table_words(record);
    case FaultDecision::kFileMapped: return page_words(record) + " " + cache_words(record) + neighbour_words(record) + table_words(record);
    case FaultDecision::kFileCopied: return file_copy_words(record) + table_words(record);
    case FaultDecision::kSharedWritten: return shared_write_words(record) + table_words(record);
    case FaultDecision::kNotMapped: return text("nothing is mapped here: %s", refusal(record, "SIGSEGV, MAPERR"));
    case FaultDecision::kNotAllowed: return text("the region forbids it: %s", refusal(record, "SIGSEGV, ACCERR"));
    case FaultDecision::kPastEnd: return text("past the end of %s, or unreadable: %s", record.name, refusal(record, "SIGBUS"));
    case FaultDecision::kOutOfMemory: return "out of memory: SIGKILL";
    case FaultDecision::kKernelHalf: return "the kernel's half: SIGSEGV";
    default: return "?";
  }
}

std::string kind_words(const FaultRecord& record) {
  const bool was_there = record.pte_before & kPresent;
  switch (record.decision) {
    case FaultDecision::kAllowedAlready: return allowed_words(record);
    case FaultDecision::kRevealed: return "PROT_NONE is over";
    case FaultDecision::kZeroPage: return "first read: the page of zeroes";
    case FaultDecision::kZeroFrame: return has(record, kFaultStackGrew) ? "stack grows: zero frame" : "first write: zero frame";
    case FaultDecision::kZeroPageReplaced: return "first write after reads: zero frame";
    case FaultDecision::kMadeWritable: return was_in_swap(record) ? "from swap, made writable" : "last user: made writable, no copy";
    case FaultDecision::kCopied: return was_in_swap(record) ? "from swap, copied" : "copy-on-write: copied";
    case FaultDecision::kSwappedIn: return "from swap";
    case FaultDecision::kFileMapped: return record.region == FaultRegion::kFile ? "file page mapped" : "shared memory page mapped";
    case FaultDecision::kFileCopied: return was_there ? "copy-on-write: file page copied" : "private write: file page copied";
    case FaultDecision::kSharedWritten: return was_there ? "shared page: dirty from now" : "shared page mapped, dirty from now";
    case FaultDecision::kNotMapped: return "nothing is mapped here";
    case FaultDecision::kNotAllowed: return "the region forbids it";
    case FaultDecision::kPastEnd: return "past the end of the file";
    case FaultDecision::kOutOfMemory: return "out of memory";
    case FaultDecision::kKernelHalf: return "the kernel's half";
    default: return "?";
  }
}
