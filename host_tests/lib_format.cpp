// The formatter against snprintf, and its own rules where C has none.
#include "lib/format.h"

#include <gtest/gtest.h>

#include <cinttypes>
#include <random>
#include <string>

namespace faultline {
namespace {

template <typename... Arguments>
std::string formatted(StringView pattern, const Arguments&... arguments) {
  char buffer[256];
  BufferSink sink(buffer);
  format(sink, pattern, arguments...);
  return std::string(sink.text().data(), sink.text().size());
}

template <typename... Arguments>
std::string c_formatted(const char* pattern, Arguments... arguments) {
  char buffer[256];
  snprintf(buffer, sizeof buffer, pattern, arguments...);
  return buffer;
}

TEST(Format, NumbersAgreeWithPrintf) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 20000; i++) {
    uint64_t wide = random() >> (random() % 64);
    uint32_t narrow = static_cast<uint32_t>(wide);
    int64_t sign = random() & 1 ? static_cast<int64_t>(wide) : -static_cast<int64_t>(wide);
    ASSERT_EQ(formatted("{}", wide), c_formatted("%" PRIu64, wide));
    ASSERT_EQ(formatted("{x}", wide), c_formatted("%" PRIx64, wide));
    ASSERT_EQ(formatted("{o}", wide), c_formatted("%" PRIo64, wide));
    ASSERT_EQ(formatted("{}", sign), c_formatted("%" PRId64, sign));
    ASSERT_EQ(formatted("{012}", sign), c_formatted("%012" PRId64, sign));
    ASSERT_EQ(formatted("{08x}|{10}|{-10}|", narrow, narrow, narrow), c_formatted("%08x|%10u|%-10u|", narrow, narrow, narrow));
  }
}

TEST(Format, TextAndBraces) {
  EXPECT_EQ(formatted("pid {} {}: trap {} err {} on cpu {} eip 0x{x} addr 0x{x}", 4, "forktest", 14, 6, 0, 0x1au, 0x800444u),
            "pid 4 forktest: trap 14 err 6 on cpu 0 eip 0x1a addr 0x800444");
  EXPECT_EQ(formatted("[{8}] [{-8}]", "left", "right"), "[    left] [right   ]");
  EXPECT_EQ(formatted("{{} {c}{}", 'x', 'y'), "{} xy");
  EXPECT_EQ(formatted("{} {}", 1), "1 {?}");
  EXPECT_EQ(formatted("open {", 1), "open {");
  EXPECT_EQ(formatted("{x}", -1), "ffffffff");
  EXPECT_EQ(formatted("{04X}", 0x1fau), "01FA");
  EXPECT_EQ(formatted("{}", static_cast<const char*>(nullptr)), "(null)");
}

TEST(Format, ATightBufferCutsAndCounts) {
  char buffer[4];
  BufferSink sink(buffer);
  format(sink, "{}", 123456);
  EXPECT_EQ(sink.needed(), 6u);
  EXPECT_EQ(std::string(sink.text().data(), sink.text().size()), "1234");
}

}  // namespace
}  // namespace faultline
