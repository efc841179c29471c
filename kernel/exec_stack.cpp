// A new program's stack: strings, argv, envp and the auxiliary vector, as the i386 ABI's process initialisation has them. Written from the
// top down through a page that is handed to the space when it is full: usually once.
#include "arch/cpu.h"
#include "arch/vdso.h"
#include "fs/devfs/random.h"
#include "kernel/exec.h"
#include "kernel/time.h"

namespace faultline {

namespace {

constexpr uint32_t kMaxString = 128 * 1024;  // with its NUL
constexpr uint32_t kMinTotal = 128 * 1024;   // what fits whatever the stack limit is
constexpr uint32_t kMaxTotal = 6 * 1024 * 1024;
constexpr uint32_t kStackSlack = 128 * 1024;  // mapped below the strings from the start; the rest grows
constexpr uint32_t kTables = 64 * 1024;       // more than what stands on the stack besides strings and pointers

class StackWriter {
 public:
  StackWriter(AddressSpace& space, Buffer<uint8_t>& page) : space_(space), page_(page) {}

  uint32_t position() const { return position_; }

  Result<void> push(const void* data, uint32_t bytes) {
    const uint8_t* end = static_cast<const uint8_t*>(data) + bytes;
    while (bytes != 0) {
      uint32_t within = ((position_ - 1) & kPageMask) + 1;  // room left in the page
      uint32_t piece = bytes < within ? bytes : within;
      end -= piece;
      memcpy(page_.data() + (within - piece), end, piece);
      position_ -= piece;
      bytes -= piece;
      if (piece == within) TRY(flush());
    }
    return {};
  }
  Result<void> push_word(uint32_t word) { return push(&word, sizeof word); }

  Result<void> align(uint32_t alignment, uint32_t bytes_to_come) {
    static constexpr uint8_t kZeroes[16] = {};
    return push(kZeroes, (position_ - bytes_to_come) & (alignment - 1));
  }

  // Hands what has been written since the last time to the space.
  Result<void> flush() {
    if (position_ == flushed_) return {};
    TRY(space_.write_foreign(VirtAddr(position_), page_.data() + (position_ & kPageMask), flushed_ - position_));
    flushed_ = position_;
    return {};
  }

 private:
  AddressSpace& space_;
  Buffer<uint8_t>& page_;
  uint32_t position_ = kUserStackTop;
  uint32_t flushed_ = kUserStackTop;
};

// One of argv and envp.
class StringArray {
 public:
  StringArray(bool in_kernel, UserPtr<uint32_t> user, std::span<const char* const> kernel)
      : in_kernel_(in_kernel), user_(user), kernel_(kernel) {}

  // Counts up to the null pointer. kFAULT, k2BIG.
  Result<uint32_t> count() const {
    if (in_kernel_) return static_cast<uint32_t>(kernel_.size());
    if (user_.is_null()) return 0u;  // as Linux: an empty array
    for (uint32_t i = 0; i < kMaxTotal / sizeof(uint32_t); i++)
      if (TRY(user_read(user_.at(i))) == 0) return i;
    return Errno::k2BIG;
  }

  // Pushes string `index`, at most `budget` bytes with its NUL. `scratch` is a page. Returns the bytes.
  Result<uint32_t> push(StackWriter& stack, uint32_t index, uint32_t budget, Buffer<uint8_t>& scratch) const {
    if (in_kernel_) {
      auto bytes = static_cast<uint32_t>(strlen(kernel_[index])) + 1;
      if (bytes > budget) return Errno::k2BIG;
      TRY(stack.push(kernel_[index], bytes));
      return bytes;
    }
    VirtAddr start(TRY(user_read(user_.at(index))));
    uint32_t limit = budget < kMaxString ? budget : kMaxString;
    auto* text = reinterpret_cast<char*>(scratch.data());
    auto room = static_cast<uint32_t>(scratch.size());
    int32_t length = user_copy_string_in(text, start, room);
    if (length < 0) return Errno::kFAULT;
    if (static_cast<uint32_t>(length) < room) {
      auto bytes = static_cast<uint32_t>(length) + 1;
      if (bytes > limit) return Errno::k2BIG;
      TRY(stack.push(text, bytes));
      return bytes;
    }
    return push_long(stack, start, limit, scratch);
  }

 private:
  // Longer than a page: its length first, then its pieces from the end. The program may change it meanwhile; then it gets what it wrote.
  static Result<uint32_t> push_long(StackWriter& stack, VirtAddr start, uint32_t limit, Buffer<uint8_t>& scratch) {
    auto* text = reinterpret_cast<char*>(scratch.data());
    auto room = static_cast<uint32_t>(scratch.size());
    uint32_t length = 0;
    for (;;) {
      int32_t piece = user_copy_string_in(text, start + length, room);
      if (piece < 0) return Errno::kFAULT;
      length += static_cast<uint32_t>(piece);
      if (length >= limit) return Errno::k2BIG;
      if (static_cast<uint32_t>(piece) < room) break;
    }
    TRY(stack.push("", 1));
    for (uint32_t left = length; left != 0;) {
      uint32_t piece = left < room ? left : room;
      left -= piece;
      TRY(user_read_bytes(text, start + left, piece));
      TRY(stack.push(text, piece));
    }
    return length + 1;
  }

  bool in_kernel_;
  UserPtr<uint32_t> user_;
  std::span<const char* const> kernel_;
};

struct Auxiliary {
  uint32_t type, value;
};
constexpr uint32_t kAuxNull = 0, kAuxHeaders = 3, kAuxHeaderSize = 4, kAuxHeaderCount = 5, kAuxPageSize = 6, kAuxBase = 7, kAuxFlags = 8,
                   kAuxEntry = 9, kAuxUid = 11, kAuxEuid = 12, kAuxGid = 13, kAuxEgid = 14, kAuxPlatform = 15, kAuxHardware = 16,
                   kAuxTicks = 17, kAuxSecure = 23, kAuxRandom = 25, kAuxHardware2 = 26, kAuxFileName = 31, kAuxSystemCall = 32,
                   kAuxVdso = 33, kAuxSignalStack = 51;

// The pointer tables stand below the strings, in order; while strings are pushed from the last to the first, their addresses are noted here.
class PointerTable {
 public:
  Result<void> reserve(uint32_t count) {
    chunks_ = TRY(Buffer<uint32_t*>::create(count / kPerChunk + 1));
    for (size_t i = 0; i < chunks_.size(); i++) chunks_[i] = nullptr;
    for (size_t i = 0; i < chunks_.size(); i++) {
      chunks_[i] = static_cast<uint32_t*>(slab_allocate(kPageSize));
      if (!chunks_[i]) return Errno::kNOMEM;
    }
    return {};
  }
  ~PointerTable() {
    for (size_t i = 0; i < chunks_.size(); i++)
      if (chunks_[i]) slab_free(chunks_[i], kPageSize);
  }
  uint32_t& operator[](uint32_t index) { return chunks_[index / kPerChunk][index % kPerChunk]; }

 private:
  static constexpr uint32_t kPerChunk = kPageSize / sizeof(uint32_t);
  Buffer<uint32_t*> chunks_;
};

class StackBuilder {
 public:
  StackBuilder(AddressSpace& space, Buffer<uint8_t>& page, Buffer<uint8_t>& scratch, uint64_t stack_limit)
      : stack_(space, page), scratch_(scratch) {
    uint64_t quarter = stack_limit / 4;
    budget_ = quarter < kMinTotal ? kMinTotal : quarter > kMaxTotal ? kMaxTotal : static_cast<uint32_t>(quarter);
  }

  Result<VirtAddr> build(const ExecStrings& strings, const ScriptPrefix& prefix, StringView file_name, ProgramImage& image,
                         const StackIdentity& identity) {
    StringArray arguments(strings.in_kernel, strings.user_arguments, strings.kernel_arguments);
    StringArray environment(strings.in_kernel, strings.user_environment, strings.kernel_environment);
    uint32_t given = TRY(arguments.count()), variables = TRY(environment.count());
    uint32_t skipped = prefix.is_used() && given ? 1 : 0;      // argv[0] gives way to the script's name
    uint32_t added = given == 0 && !prefix.is_used() ? 1 : 0;  // no program runs without an argv[0], as on Linux
    uint32_t count = given - skipped + prefix.count + added;
    TRY(charge((count + variables) * sizeof(uint32_t)));
    TRY(pointers_.reserve(count + variables));

    TRY(stack_.push_word(0));
    uint32_t name_address = TRY(push_view(file_name));
    image.layout.environment_end = VirtAddr(stack_.position());
    for (uint32_t i = variables; i-- > 0;) TRY(push_string(environment, i, count + i));
    image.layout.environment_start = image.layout.arguments_end = VirtAddr(stack_.position());
    for (uint32_t i = given; i-- > skipped;) TRY(push_string(arguments, i, prefix.count + i - skipped));
    if (added) pointers_[0] = TRY(push_view(""));
    for (uint32_t i = 0; i < prefix.count; i++) pointers_[prefix.count - 1 - i] = TRY(push_view(prefix.strings[i]));
    image.layout.arguments_start = VirtAddr(stack_.position());
    return push_tables(count, variables, name_address, image, identity);
  }

 private:
  Result<void> charge(uint32_t bytes) {
    if (bytes > budget_) return Errno::k2BIG;
    budget_ -= bytes;
    return {};
  }

  Result<void> push_string(const StringArray& from, uint32_t index, uint32_t slot) {
    uint32_t bytes = TRY(from.push(stack_, index, budget_, scratch_));
    TRY(charge(bytes));
    pointers_[slot] = stack_.position();
    return {};
  }

  Result<uint32_t> push_view(StringView text) {
    TRY(charge(static_cast<uint32_t>(text.size()) + 1));
    TRY(stack_.push("", 1));
    TRY(stack_.push(text.data(), static_cast<uint32_t>(text.size())));
    return stack_.position();
  }

  Result<VirtAddr> push_tables(uint32_t count, uint32_t variables, uint32_t name_address, const ProgramImage& image,
                               const StackIdentity& identity) {
    TRY(stack_.push("i686", 5));
    uint32_t platform = stack_.position();
    uint8_t random[16];
    random_fill(random, sizeof random);
    TRY(stack_.push(random, sizeof random));
    uint32_t random_address = stack_.position();
    const Auxiliary auxiliary[] = {
        {kAuxSystemCall, vdso_places().system_call.value()},
        {kAuxVdso, kVdsoImage.value()},
        {kAuxSignalStack, signal_frame_limit()},
        {kAuxHardware, cpu_hardware_word()},
        {kAuxPageSize, kPageSize},
        {kAuxTicks, kUserTicksPerSecond},
        {kAuxHeaders, image.headers.value()},
        {kAuxHeaderSize, 32},
        {kAuxHeaderCount, image.header_count},
        {kAuxBase, 0},
        {kAuxFlags, 0},
        {kAuxEntry, image.entry.value()},
        {kAuxUid, identity.uid},
        {kAuxEuid, identity.euid},
        {kAuxGid, identity.gid},
        {kAuxEgid, identity.egid},
        {kAuxSecure, identity.secure},
        {kAuxRandom, random_address},
        {kAuxHardware2, 0},
        {kAuxFileName, name_address},
        {kAuxPlatform, platform},
        {kAuxNull, 0},
    };
    TRY(stack_.align(16, sizeof auxiliary + (count + variables + 3) * sizeof(uint32_t)));
    TRY(stack_.push(auxiliary, sizeof auxiliary));
    TRY(stack_.push_word(0));
    for (uint32_t i = variables; i-- > 0;) TRY(stack_.push_word(pointers_[count + i]));
    TRY(stack_.push_word(0));
    for (uint32_t i = count; i-- > 0;) TRY(stack_.push_word(pointers_[i]));
    TRY(stack_.push_word(count));
    TRY(stack_.flush());
    return VirtAddr(stack_.position());
  }

  StackWriter stack_;
  Buffer<uint8_t>& scratch_;
  PointerTable pointers_;
  uint32_t budget_;
};

}  // namespace

Result<VirtAddr> exec_build_stack(AddressSpace& space, const ExecStrings& strings, const ScriptPrefix& prefix, StringView file_name,
                                  ProgramImage& image, const StackIdentity& identity, uint64_t stack_limit) {
  MapRequest request;
  request.fixed = request.no_replace = request.grows_down = true;
  request.kind = RegionKind::kStack;
  request.protection = image.stack_protection;
  request.bytes = kMaxTotal + kStackSlack + kTables;
  request.address = VirtAddr(kUserStackTop - request.bytes);
  Result<VirtAddr> mapped = space.map(request);
  if (!mapped.ok()) return mapped.error() == Errno::kEXIST ? Errno::kNOMEM : mapped.error();  // a segment is in its place
  Buffer<uint8_t> page = TRY(Buffer<uint8_t>::create(kPageSize)), scratch = TRY(Buffer<uint8_t>::create(kPageSize));
  StackBuilder builder(space, page, scratch, stack_limit);
  VirtAddr stack = TRY(builder.build(strings, prefix, file_name, image, identity));
  image.layout.stack_start = stack;
  // Now that its size is known, give the rest back: from here it grows by faults.
  VirtAddr keep = (stack - kStackSlack).page_floor();
  TRY(space.unmap(request.address, keep - request.address));
  return stack;
}

}  // namespace faultline
