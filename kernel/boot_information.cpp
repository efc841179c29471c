// The options of the kernel's command line. (The rest of the boot information comes from boot/multiboot.cpp.)
#include "kernel/boot_information.h"

namespace faultline {

namespace {

// Cuts the next word off `rest`; empty at the end.
StringView next_word(StringView& rest) {
  size_t start = 0;
  while (start < rest.size() && rest[start] == ' ') start++;
  rest = rest.substring(start);
  size_t end = rest.find(' ');
  StringView word = rest.substring(0, end);
  rest = rest.substring(end == StringView::kNotFound ? rest.size() : end);
  return word;
}

}  // namespace

StringView boot_option(StringView name, StringView fallback) {
  StringView rest = boot_information().command_line, value = fallback;
  for (StringView word = next_word(rest); !word.empty() && !(word == "--"); word = next_word(rest))
    if (word.starts_with(name) && word.size() > name.size() && word[name.size()] == '=') value = word.substring(name.size() + 1);
  return value;
}

uint32_t boot_option_number(StringView name, uint32_t fallback) {
  StringView text = boot_option(name);
  if (text.empty() || text.size() > 9) return fallback;
  uint32_t number = 0;
  for (char digit : text) {
    if (digit < '0' || digit > '9') return fallback;
    number = number * 10 + static_cast<uint32_t>(digit - '0');
  }
  return number;
}

StringView boot_init_arguments() {
  StringView rest = boot_information().command_line;
  for (StringView word = next_word(rest); !word.empty(); word = next_word(rest))
    if (word == "--") {
      while (!rest.empty() && rest[0] == ' ') rest = rest.substring(1);
      return rest;
    }
  return {};
}

}  // namespace faultline
