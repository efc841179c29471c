// ELF32 programs: checking their headers, mapping their segments. Format: System V ABI, chapter 5, and its i386 supplement. Nothing is
// read here but the headers: segments are private mappings of the file, and faults bring what is used (xv6: loaduvm, without the copying).
#include <cstddef>

#include "fs/namespace.h"
#include "kernel/exec.h"

namespace faultline {

namespace {

struct ElfHeader {
  uint8_t identity[16];
  uint16_t type, machine;
  uint32_t version, entry, program_headers, section_headers, flags;
  uint16_t header_size, program_header_size, program_header_count, section_header_size, section_header_count, string_section;
};
static_assert(sizeof(ElfHeader) == 52);

struct ProgramHeader {
  uint32_t type, offset, address, physical_address, file_bytes, memory_bytes, flags, alignment;
};
static_assert(sizeof(ProgramHeader) == 32);

constexpr uint16_t kTypeExecutable = 2, kTypeShared = 3, kMachine386 = 3;
constexpr uint32_t kSegmentLoad = 1, kSegmentInterpreter = 3, kSegmentStack = 0x6474e551;
constexpr uint32_t kFlagExecute = 1, kFlagWrite = 2, kFlagRead = 4;
constexpr uint32_t kMaxHeaderBytes = 65536;  // as Linux
constexpr uint32_t kMaxInterpreterName = 4096;
constexpr uint32_t kPositionIndependentBase = 0x00400000;

Result<ElfHeader> check_header(std::span<const uint8_t> start) {
  if (start.size() < sizeof(ElfHeader)) return Errno::kNOEXEC;
  ElfHeader header;
  memcpy(&header, start.data(), sizeof header);
  constexpr uint8_t kIdentity[7] = {0x7f, 'E', 'L', 'F', 1, 1, 1};  // 32 bits, little endian, version 1
  if (memcmp(header.identity, kIdentity, sizeof kIdentity) != 0) return Errno::kNOEXEC;
  if (header.type != kTypeExecutable && header.type != kTypeShared) return Errno::kNOEXEC;
  if (header.machine != kMachine386 || header.program_header_size != sizeof(ProgramHeader)) return Errno::kNOEXEC;
  if (header.program_header_count == 0 || header.program_header_count > kMaxHeaderBytes / sizeof(ProgramHeader)) return Errno::kNOEXEC;
  return header;
}

Result<Buffer<ProgramHeader>> read_program_headers(File& file, const ElfHeader& header, std::span<const uint8_t> start) {
  Buffer<ProgramHeader> headers = TRY(Buffer<ProgramHeader>::create(header.program_header_count));
  uint32_t bytes = header.program_header_count * sizeof(ProgramHeader);
  if (header.program_headers <= start.size() && bytes <= start.size() - header.program_headers) {
    memcpy(headers.data(), start.data() + header.program_headers, bytes);
    return headers;
  }
  IoBuffer buffer = IoBuffer::kernel(headers.data(), bytes);
  size_t got = TRY(file.read_at(header.program_headers, buffer));
  if (got != bytes) return Errno::kNOEXEC;
  return headers;
}

// A loadable segment in whole pages: [start, file_end) from the file, up to memory_end zeroes.
struct Segment {
  uint32_t start, data_end, file_end, memory_end;
};

bool is_loaded(const ProgramHeader& header) { return header.type == kSegmentLoad && header.memory_bytes != 0; }

Result<Segment> check_segment(const ProgramHeader& header, uint32_t bias, uint64_t file_size) {
  if (header.file_bytes > header.memory_bytes) return Errno::kNOEXEC;
  uint64_t address = static_cast<uint64_t>(header.address) + bias;
  uint64_t end = address + header.memory_bytes;
  if (end > kUserStackTop) return Errno::kNOMEM;
  if (address < kPageSize) return Errno::kNOEXEC;  // the null page is never mapped
  if (static_cast<uint64_t>(header.offset) + header.file_bytes > file_size) return Errno::kNOEXEC;
  if ((header.address & kPageMask) != (header.offset & kPageMask)) return Errno::kNOEXEC;
  Segment segment;
  segment.start = static_cast<uint32_t>(address) & ~kPageMask;
  segment.data_end = static_cast<uint32_t>(address) + header.file_bytes;
  segment.file_end = header.file_bytes ? align_up(segment.data_end, kPageSize) : segment.start;
  segment.memory_end = align_up(static_cast<uint32_t>(end), kPageSize);
  return segment;
}

// Linux replaces bytes of one segment by those of a later one. No linker makes such files: here they are damaged. Segments may share a page.
bool overlaps_earlier(const Buffer<ProgramHeader>& headers, size_t index) {
  uint64_t start = headers[index].address, end = start + headers[index].memory_bytes;
  for (size_t i = 0; i < index; i++) {
    if (!is_loaded(headers[i])) continue;
    if (start < static_cast<uint64_t>(headers[i].address) + headers[i].memory_bytes && headers[i].address < end) return true;
  }
  return false;
}

// Dynamic programs are not run yet; what Linux says of the interpreter's name comes first.
Result<void> refuse_interpreter(File& file, const ProgramHeader& header) {
  if (header.file_bytes < 2 || header.file_bytes > kMaxInterpreterName) return Errno::kNOEXEC;
  Buffer<char> name = TRY(Buffer<char>::create(header.file_bytes));
  IoBuffer buffer = IoBuffer::kernel(name.data(), name.size());
  size_t got = TRY(file.read_at(header.offset, buffer));
  if (got != name.size()) return Errno::kIO;
  if (name[name.size() - 1] != '\0') return Errno::kNOEXEC;
  Process& self = current_process();
  TRY(path_resolve({self.names(), self.credentials()}, {name.data(), strlen(name.data())}, FollowLast::kYes));
  return Errno::kNOEXEC;
}

// Everything that can be known before anything is mapped.
Result<void> check_segments(File& file, const ElfHeader& header, const Buffer<ProgramHeader>& headers, uint32_t bias) {
  uint64_t size = file.inode()->attributes().size;
  bool has_entry = false;
  for (size_t i = 0; i < headers.size(); i++) {
    if (headers[i].type == kSegmentInterpreter) TRY(refuse_interpreter(file, headers[i]));
    if (!is_loaded(headers[i])) continue;
    TRY(check_segment(headers[i], bias, size));
    if (overlaps_earlier(headers, i)) return Errno::kNOEXEC;
    has_entry |= header.entry >= headers[i].address && header.entry - headers[i].address < headers[i].memory_bytes;
  }
  return has_entry ? Result<void>() : Errno::kNOEXEC;
}

Protection protection_of(uint32_t flags, const ProgramImage& image) {
  bool executes = (flags & kFlagExecute) || ((flags & kFlagRead) && image.reading_executes);
  return static_cast<Protection>((flags & kFlagRead ? kProtRead : 0) | (flags & kFlagWrite ? kProtWrite : 0) |
                                 (executes ? kProtExecute : 0));
}

Result<void> map_segment(AddressSpace& space, Ref<File>& file, Ref<Object>& object, const ProgramHeader& header, const Segment& segment,
                         const ProgramImage& image) {
  const Protection protection = protection_of(header.flags, image);
  if (segment.file_end > segment.start) {
    MapRequest request;
    request.fixed = true;  // in a page that two share, the later one's bytes stay, as on Linux: the file has both
    request.protection = protection;
    request.address = VirtAddr(segment.start);
    request.bytes = segment.file_end - segment.start;
    request.object = object;
    request.object_offset = PageIndex::of_byte(header.offset & ~kPageMask);
    request.backing = Ref<RegionBacking>(*file);
    TRY(space.map(request));
    // What follows the data in its last page belongs to the next thing in the file; a program that may write there expects zeroes.
    uint32_t tail = segment.file_end - segment.data_end;
    if (tail != 0 && header.memory_bytes > header.file_bytes && (header.flags & kFlagWrite)) {
      static constexpr uint8_t kZeroes[256] = {};
      for (uint32_t done = 0; done < tail;) {
        uint32_t piece = tail - done < sizeof kZeroes ? tail - done : static_cast<uint32_t>(sizeof kZeroes);
        TRY(space.write_foreign(VirtAddr(segment.data_end + done), kZeroes, piece));
        done += piece;
      }
    }
  }
  if (segment.memory_end > segment.file_end) {
    MapRequest request;
    request.fixed = true;
    request.protection = protection;
    request.address = VirtAddr(segment.file_end);
    request.bytes = segment.memory_end - segment.file_end;
    TRY(space.map(request));
  }
  return {};
}

// May the stack be executed, and everything that can be read? Linux's table for i386 (arch/x86/include/asm/elf.h): PT_GNU_STACK speaks
// of the stack; a file without it is from before there was a question, and expects all of it.
void decide_execution(ProgramImage& image, const Buffer<ProgramHeader>& headers, uint32_t personality) {
  const ProgramHeader* stack = nullptr;
  for (size_t i = 0; i < headers.size(); i++)
    if (headers[i].type == kSegmentStack) stack = &headers[i];
  image.reading_executes = !stack || (personality & kReadImpliesExecute);
  if (!stack || (stack->flags & kFlagExecute)) image.stack_protection |= kProtExecute;
}

void note_layout(ProgramLayout& layout, const ProgramHeader& header, const Segment& segment, uint32_t bias) {
  VirtAddr start(header.address + bias), end(segment.data_end);
  if (header.flags & kFlagExecute) {
    if (layout.code_start == VirtAddr()) layout.code_start = start;
    layout.code_end = end;
  } else {
    if (layout.data_start == VirtAddr()) layout.data_start = start;
    layout.data_end = end;
  }
  VirtAddr memory_end(segment.memory_end);
  if (memory_end > layout.break_start) layout.break_start = memory_end;
}

}  // namespace

Result<ProgramImage> elf_load(AddressSpace& space, Ref<File> file, std::span<const uint8_t> start, uint32_t personality) {
  ElfHeader header = TRY(check_header(start));
  Buffer<ProgramHeader> headers = TRY(read_program_headers(*file, header, start));
  uint32_t bias = header.type == kTypeShared ? kPositionIndependentBase : 0;
  TRY(check_segments(*file, header, headers, bias));
  Ref<Object> object = TRY(file->map_object());
  if (!object) return Errno::kNOEXEC;
  ProgramImage image;
  decide_execution(image, headers, personality);
  for (size_t i = 0; i < headers.size(); i++) {
    if (!is_loaded(headers[i])) continue;
    Segment segment = TRY(check_segment(headers[i], bias, UINT64_MAX));
    TRY(map_segment(space, file, object, headers[i], segment, image));
    note_layout(image.layout, headers[i], segment, bias);
    uint32_t end_of_headers = header.program_headers + header.program_header_count * static_cast<uint32_t>(sizeof(ProgramHeader));
    if (header.program_headers >= headers[i].offset && end_of_headers <= headers[i].offset + headers[i].file_bytes)
      image.headers = VirtAddr(headers[i].address + bias + (header.program_headers - headers[i].offset));
  }
  image.entry = VirtAddr(header.entry + bias);
  image.header_count = header.program_header_count;
  return image;
}

}  // namespace faultline
