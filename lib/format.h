// Type-safe formatting into a sink, without a heap: format(sink, "{} at {08x}\n", name, address).
// {}: decimal or text; {x}, {X}: hexadecimal; {08x}: zero-padded width; {8} and {-8}: right- and left-aligned width; {o}:
// octal; {c}: a character; {{ a brace. Too few arguments print "{?}"; nothing here can fail or panic, for panic() uses it.
#pragma once

#include <concepts>
#include <cstdint>
#include <span>

#include "lib/address.h"
#include "lib/string.h"

namespace faultline {

class FormatSink {
 public:
  virtual void put(StringView text) = 0;

 protected:
  ~FormatSink() = default;
};

// Writes into a caller's buffer and drops what does not fit; `needed()` says how long it would have been.
class BufferSink final : public FormatSink {
 public:
  explicit BufferSink(std::span<char> buffer) : buffer_(buffer) {}
  void put(StringView text) override {
    for (char c : text) {
      if (needed_ < buffer_.size()) buffer_.data()[needed_] = c;
      needed_++;
    }
  }
  size_t needed() const { return needed_; }
  StringView text() const { return {buffer_.data(), needed_ < buffer_.size() ? needed_ : buffer_.size()}; }

 private:
  std::span<char> buffer_;
  size_t needed_ = 0;
};

class FormatArgument {
 public:
  enum class Kind : uint8_t { kUnsigned, kSigned, kText, kCharacter };
  FormatArgument(std::unsigned_integral auto value) : kind_(Kind::kUnsigned), number_(value) {}  // NOLINT
  FormatArgument(std::signed_integral auto value)
      : kind_(Kind::kSigned), number_(static_cast<uint64_t>(static_cast<int64_t>(value))) {}                      // NOLINT
  FormatArgument(char value) : kind_(Kind::kCharacter), number_(static_cast<uint8_t>(value)) {}                   // NOLINT
  FormatArgument(StringView text) : kind_(Kind::kText), text_(text) {}                                            // NOLINT
  FormatArgument(const char* text) : kind_(Kind::kText), text_(text ? text : "(null)") {}                         // NOLINT
  FormatArgument(const void* address) : kind_(Kind::kUnsigned), number_(reinterpret_cast<uintptr_t>(address)) {}  // NOLINT
  FormatArgument(VirtAddr address) : kind_(Kind::kUnsigned), number_(address.value()) {}                          // NOLINT
  FormatArgument(PhysAddr address) : kind_(Kind::kUnsigned), number_(address.value()) {}                          // NOLINT
  FormatArgument(FrameNumber frame) : kind_(Kind::kUnsigned), number_(frame.value()) {}                           // NOLINT
  FormatArgument(PageIndex index) : kind_(Kind::kUnsigned), number_(index.value()) {}                             // NOLINT

  Kind kind() const { return kind_; }
  uint64_t number() const { return number_; }
  StringView text() const { return text_; }

 private:
  Kind kind_;
  uint64_t number_ = 0;
  StringView text_;
};

void format_arguments(FormatSink& sink, StringView pattern, std::span<const FormatArgument> arguments);

template <typename... Arguments>
void format(FormatSink& sink, StringView pattern, const Arguments&... arguments) {
  const FormatArgument list[] = {FormatArgument(arguments)..., FormatArgument('\0')};
  format_arguments(sink, pattern, std::span<const FormatArgument>(list, sizeof...(arguments)));
}

}  // namespace faultline
