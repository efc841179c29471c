// The formatter behind lib/format.h.
#include "lib/format.h"

namespace faultline {
namespace {

struct Spec {
  uint32_t width = 0;
  char pad = ' ';
  bool left = false;
  char type = 0;
};

// `text` is what stands between the braces.
Spec parse(StringView text) {
  Spec spec;
  size_t i = 0;
  if (i < text.size() && text[i] == '-') spec.left = true, i++;
  if (i < text.size() && text[i] == '0') spec.pad = '0', i++;
  for (; i < text.size() && text[i] >= '0' && text[i] <= '9'; i++) spec.width = spec.width * 10 + static_cast<uint32_t>(text[i] - '0');
  if (i < text.size()) spec.type = text[i];
  return spec;
}

// The remainder of value / base, value becoming the quotient: 64 by 32 bits in two steps, without libgcc.
uint32_t divide(uint64_t& value, uint32_t base) {
  uint32_t high = static_cast<uint32_t>(value >> 32);
  uint64_t rest = static_cast<uint64_t>(high % base) << 32 | static_cast<uint32_t>(value);
  uint32_t low = 0;
  for (int shift = 28; shift >= 0; shift -= 4) {
    // Four quotient bits a step keep the partial dividend within 64 bits for every base below 2^28.
    uint64_t step = static_cast<uint64_t>(base) << shift;
    for (int digit = 0; digit < 16 && rest >= step; digit++) rest -= step, low += 1u << shift;
  }
  value = static_cast<uint64_t>(high / base) << 32 | low;
  return static_cast<uint32_t>(rest);
}

void put_padded(FormatSink& sink, StringView text, const Spec& spec) {
  size_t padding = spec.width > text.size() ? spec.width - text.size() : 0;
  if (spec.left) sink.put(text);
  for (; padding > 0; padding--) sink.put({spec.left ? " " : &spec.pad, 1});
  if (!spec.left) sink.put(text);
}

void put_number(FormatSink& sink, uint64_t value, bool is_signed, const Spec& spec) {
  char digits[24];
  size_t at = sizeof digits;
  uint32_t base = spec.type == 'x' || spec.type == 'X' ? 16 : spec.type == 'o' ? 8 : 10;
  bool negative = is_signed && base == 10 && static_cast<int64_t>(value) < 0;
  if (negative) value = 0 - value;
  do {
    uint32_t digit;
    if (base == 10 && value <= 0xffffffffu) {
      digit = static_cast<uint32_t>(value) % 10;
      value = static_cast<uint32_t>(value) / 10;
    } else if (base == 10) {
      digit = divide(value, 10);
    } else {
      digit = static_cast<uint32_t>(value) & (base - 1);
      value >>= base == 16 ? 4 : 3;
    }
    digits[--at] = (spec.type == 'X' ? "0123456789ABCDEF" : "0123456789abcdef")[digit];
  } while (value != 0);
  if (negative && spec.pad == '0') {
    sink.put("-");
    Spec rest = spec;
    if (rest.width > 0) rest.width--;
    put_padded(sink, {digits + at, sizeof digits - at}, rest);
    return;
  }
  if (negative) digits[--at] = '-';
  put_padded(sink, {digits + at, sizeof digits - at}, spec);
}

void put_argument(FormatSink& sink, const FormatArgument& argument, const Spec& spec) {
  using Kind = FormatArgument::Kind;
  switch (argument.kind()) {
    case Kind::kText: return put_padded(sink, argument.text(), spec);
    case Kind::kCharacter: {
      char c = static_cast<char>(argument.number());
      return put_padded(sink, {&c, 1}, spec);
    }
    case Kind::kUnsigned:
    case Kind::kSigned:
      if (spec.type == 'c') {
        char c = static_cast<char>(argument.number());
        return put_padded(sink, {&c, 1}, spec);
      }
      // A negative int printed in hexadecimal shows its own 32 bits.
      uint64_t value = argument.number();
      bool is_signed = argument.kind() == Kind::kSigned;
      if (is_signed && spec.type != 0 && static_cast<int64_t>(value) < 0 && static_cast<int64_t>(value) >= -0x80000000ll)
        value &= 0xffffffffu;
      return put_number(sink, value, is_signed, spec);
  }
}

}  // namespace

void format_arguments(FormatSink& sink, StringView pattern, std::span<const FormatArgument> arguments) {
  size_t used = 0, start = 0;
  for (size_t i = 0; i < pattern.size(); i++) {
    if (pattern[i] != '{') continue;
    sink.put(pattern.substring(start, i - start));
    if (i + 1 < pattern.size() && pattern[i + 1] == '{') {
      sink.put("{");
      start = ++i + 1;
      continue;
    }
    StringView rest = pattern.substring(i + 1);
    size_t close = rest.find('}');
    if (close == StringView::kNotFound) {
      start = i;
      break;
    }
    if (used < arguments.size())
      put_argument(sink, arguments.data()[used++], parse(rest.substring(0, close)));
    else
      sink.put("{?}");
    i += close + 1;
    start = i + 1;
  }
  sink.put(pattern.substring(start));
}

}  // namespace faultline
