// select(2) and pselect(2): sets of descriptors as bits, looked through a word at a time.
#include "kernel/files/calls.h"
#include "kernel/files/poll_call.h"
#include "kernel/files/support.h"

namespace faultline {

namespace {

constexpr uint32_t kSelectLimit = 65536, kSets = 3, kWordBits = 32;
// What makes a descriptor readable, writable, exceptional; which poll events to ask for is the same.
constexpr uint32_t kSetEvents[kSets] = {kPollIn | kPollReadNormal | kPollHangUp | kPollError, kPollOut | kPollWriteNormal | kPollError,
                                        kPollPriority};

struct SelectSets {
  UserPtr<uint32_t> user[kSets];
};

// The three sets of each kind, one behind the other.
struct SelectBits {
  uint32_t words;
  uint32_t* asked;
  uint32_t* found;

  uint32_t all_asked() const { return words * kSets; }
  Result<void> read(const SelectSets& sets, uint32_t count) {
    for (uint32_t s = 0; s < kSets; s++) {
      uint32_t* set = asked + s * words;
      if (sets.user[s].is_null()) {
        memset(set, 0, words * sizeof(uint32_t));
        continue;
      }
      TRY(user_read_bytes(set, sets.user[s].address(), words * sizeof(uint32_t)));
      if (count % kWordBits != 0) set[words - 1] &= (1u << count % kWordBits) - 1;
    }
    return {};
  }
  Result<void> write(const SelectSets& sets) const {
    for (uint32_t s = 0; s < kSets; s++)
      if (!sets.user[s].is_null()) TRY(user_write_bytes(sets.user[s].address(), found + s * words, words * sizeof(uint32_t)));
    return {};
  }
  // How many of the sets that `bit` of the word is in want to hear of such events; they do.
  uint32_t tell(uint32_t word, uint32_t bit, uint32_t events) const {
    uint32_t told = 0;
    for (uint32_t s = 0; s < kSets; s++) {
      if (!(asked[s * words + word] & bit) || !(events & kSetEvents[s])) continue;
      found[s * words + word] |= bit;
      told++;
    }
    return told;
  }
  Result<uint32_t> look_at_all(PollWaiter* waiter) const {
    PollLook look(current_process().descriptors(), waiter);
    uint32_t told = 0;
    memset(found, 0, all_asked() * sizeof(uint32_t));
    for (uint32_t word = 0; word < words; word++)
      for (uint32_t left = asked[word] | asked[words + word] | asked[2 * words + word]; left != 0; left &= left - 1) {
        uint32_t events = look.events_of(word * kWordBits + static_cast<uint32_t>(__builtin_ctz(left)));
        if (events == 0) [[likely]]
          continue;
        if (events & kPollInvalid) return Errno::kBADF;
        told += tell(word, left & -left, events);
        if (told != 0) look.has_found();
      }
    return told;
  }
};

Result<uint32_t> select(uint32_t count, const SelectSets& sets, const PollLimit& limit) {
  if (count > kSelectLimit) return Errno::kINVAL;
  SelectBits bits{(count + kWordBits - 1) / kWordBits, nullptr, nullptr};
  constexpr uint32_t kOnStack = 256 / kWordBits * kSets;  // descriptors in each set
  uint32_t on_stack[2 * kOnStack];
  Buffer<uint32_t> memory;
  bits.asked = on_stack;
  if (bits.all_asked() > kOnStack) {
    memory = TRY(Buffer<uint32_t>::create(2 * bits.all_asked()));
    bits.asked = memory.data();
  }
  bits.found = bits.asked + bits.all_asked();
  TRY(bits.read(sets, count));
  uint32_t found = TRY(poll_call(limit, [&bits](PollWaiter* waiter) { return bits.look_at_all(waiter); }));
  TRY(bits.write(sets));
  return found;
}

Result<uint32_t> select_timeval(uint32_t count, const SelectSets& sets, UserPtr<abi::Time32> time) {
  PollLimit limit;
  if (!time.is_null()) {
    auto value = TRY(user_read(time));
    if (value.seconds < 0 || value.fraction < 0) return Errno::kINVAL;
    limit = TRY(poll_limit_of(int64_t{value.seconds} + value.fraction / 1'000'000, int64_t{value.fraction} % 1'000'000 * 1000));
  }
  Result<uint32_t> found = select(count, sets, limit);
  poll_limit_write_rest(time, limit, 1000);
  return found;
}

struct MaskArgument {
  uint32_t mask, bytes;
};

template <typename Time>
Result<uint32_t> select_with_mask(uint32_t count, const SelectSets& sets, UserPtr<Time> time, UserPtr<MaskArgument> argument) {
  PollLimit limit = TRY(poll_limit_read(time));
  CallMask mask;
  if (!argument.is_null()) {
    auto pair = TRY(user_read(argument));
    TRY(mask.apply(UserPtr<SignalSet>(pair.mask), pair.bytes));
  }
  Result<uint32_t> found = select(count, sets, limit);
  poll_limit_write_rest(time, limit, 1);
  return mask.after(found);
}

}  // namespace

Result<uint32_t> sys__newselect(uint32_t count, UserPtr<uint32_t> in, UserPtr<uint32_t> out, UserPtr<uint32_t> except,
                                UserPtr<abi::Time32> time) {
  return select_timeval(count, {{in, out, except}}, time);
}
// The first select took its arguments in a block of memory.
Result<uint32_t> sys_select(UserPtr<uint32_t> block_of_arguments) {
  uint32_t a[5];
  TRY(user_read_bytes(a, block_of_arguments.address(), sizeof a));
  return select_timeval(a[0], {{UserPtr<uint32_t>(a[1]), UserPtr<uint32_t>(a[2]), UserPtr<uint32_t>(a[3])}}, UserPtr<abi::Time32>(a[4]));
}
Result<uint32_t> sys_pselect6(uint32_t count, UserPtr<uint32_t> in, UserPtr<uint32_t> out, UserPtr<uint32_t> except,
                              UserPtr<abi::Time32> time, uint32_t mask) {
  return select_with_mask(count, {{in, out, except}}, time, UserPtr<MaskArgument>(mask));
}
Result<uint32_t> sys_pselect6_time64(uint32_t count, UserPtr<uint32_t> in, UserPtr<uint32_t> out, UserPtr<uint32_t> except,
                                     UserPtr<abi::Time64> time, uint32_t mask) {
  return select_with_mask(count, {{in, out, except}}, time, UserPtr<MaskArgument>(mask));
}

}  // namespace faultline
