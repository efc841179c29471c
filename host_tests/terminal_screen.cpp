// The text screen's control sequences, and the keyboard's codes.
#include <gtest/gtest.h>

#include <random>
#include <string>

#include "drivers/keyboard_decoder.h"
#include "drivers/terminal/ansi_screen.h"

namespace faultline {
namespace {

class Screen : public AnsiScreen {
 public:
  void write(std::string_view text) { put({reinterpret_cast<const uint8_t*>(text.data()), text.size()}); }
  std::string line(uint32_t row_number) const {
    std::string text;
    for (ScreenCell cell : row(row_number)) text += static_cast<char>(cell);
    text.erase(text.find_last_not_of(' ') + 1);
    return text;
  }
  uint8_t attribute(uint32_t row_number, uint32_t column) const { return row(row_number)[column] >> 8; }
};

TEST(AnsiScreen, TextWrapsAtTheRightEdgeOnlyWhenMoreComes) {
  Screen screen;
  screen.write(std::string(80, 'x'));
  EXPECT_EQ(screen.cursor_row(), 0u);
  EXPECT_EQ(screen.cursor_column(), 79u);
  screen.write("y");
  EXPECT_EQ(screen.line(0), std::string(80, 'x'));
  EXPECT_EQ(screen.line(1), "y");
}

TEST(AnsiScreen, TheLastLineScrolls) {
  Screen screen;
  for (int i = 0; i < 30; i++) screen.write("line " + std::to_string(i) + "\r\n");
  EXPECT_EQ(screen.line(0), "line 6");
  EXPECT_EQ(screen.line(23), "line 29");
  EXPECT_EQ(screen.line(24), "");
}

TEST(AnsiScreen, TheCursorMovesAndEraseClears) {
  Screen screen;
  screen.write("\x1b[5;10Hhello\x1b[5;12H\x1b[K");
  EXPECT_EQ(screen.line(4), "         he");
  screen.write("\x1b[2J");
  EXPECT_EQ(screen.line(4), "");
  screen.write("\x1b[H1\r\n2\r\n3\x1b[2;1H\x1b[J");
  EXPECT_EQ(screen.line(0), "1");
  EXPECT_EQ(screen.line(1), "");
  EXPECT_EQ(screen.line(2), "");
  screen.write("\x1b[999;999H");
  EXPECT_EQ(screen.cursor_row(), 24u);
  EXPECT_EQ(screen.cursor_column(), 79u);
}

TEST(AnsiScreen, ARegionScrollsAlone) {
  Screen screen;
  screen.write("top\x1b[25;1Hbottom\x1b[2;4r\x1b[4;1Ha\nb");
  EXPECT_EQ(screen.line(0), "top");
  EXPECT_EQ(screen.line(24), "bottom");
  EXPECT_EQ(screen.line(2), "a");
  EXPECT_EQ(screen.line(3), " b");
  screen.write("\x1b[2;1H\x1bM");
  EXPECT_EQ(screen.line(3), "a");
}

TEST(AnsiScreen, LinesAndCharactersAreInsertedAndDeleted) {
  Screen screen;
  screen.write("one\r\ntwo\r\nthree\x1b[2;1H\x1b[L");
  EXPECT_EQ(screen.line(1), "");
  EXPECT_EQ(screen.line(2), "two");
  screen.write("\x1b[M");
  EXPECT_EQ(screen.line(1), "two");
  screen.write("\x1b[2;2H\x1b[2@");
  EXPECT_EQ(screen.line(1), "t  wo");
  screen.write("\x1b[2P");
  EXPECT_EQ(screen.line(1), "two");
}

TEST(AnsiScreen, ColoursBecomeAttributes) {
  Screen screen;
  screen.write("a\x1b[31mb\x1b[1;44mc\x1b[7md\x1b[0me");
  EXPECT_EQ(screen.attribute(0, 0), 0x07);
  EXPECT_EQ(screen.attribute(0, 1), 0x04);
  EXPECT_EQ(screen.attribute(0, 2), 0x1c);
  EXPECT_EQ(screen.attribute(0, 3), 0x49);
  EXPECT_EQ(screen.attribute(0, 4), 0x07);
}

TEST(AnsiScreen, ItAnswersWhereTheCursorIs) {
  Screen screen;
  screen.write("\x1b[3;7H\x1b[6n");
  uint8_t reply[32];
  size_t length = screen.take_reply(reply);
  EXPECT_EQ(std::string(reply, reply + length), "\x1b[3;7R");
}

TEST(AnsiScreen, Utf8AndLineDrawingBecomeTheDisplaysGlyphs) {
  Screen screen;
  screen.write("\xc3\xa4\xe2\x94\x80\x1b(0q\x1b(B\xe2\x82\xac");
  EXPECT_EQ(screen.line(0), "\x84\xc4\xc4\xfe");
}

TEST(AnsiScreen, AnyBytesAreSurvived) {
  std::mt19937 random(3);
  Screen screen;
  const char pieces[] = "\x1b[;?0123456789ABCDHJKLMPXSTmrhlsu@`dGn()]78c\n\r\t\bab";
  for (int i = 0; i < 1000000; i++) {
    uint8_t byte = random() % 8 ? static_cast<uint8_t>(pieces[random() % (sizeof pieces - 1)]) : static_cast<uint8_t>(random());
    screen.put({&byte, 1});
    ASSERT_LT(screen.cursor_row(), AnsiScreen::kRows);
    ASSERT_LT(screen.cursor_column(), AnsiScreen::kColumns);
  }
}

std::string keys(std::initializer_list<uint8_t> codes, bool application = false) {
  static KeyboardDecoder decoder;
  std::string result;
  for (uint8_t code : codes) {
    uint8_t bytes[KeyboardDecoder::kMaxBytes];
    size_t count = decoder.decode(code, application, bytes);
    result.append(bytes, bytes + count);
  }
  return result;
}

TEST(Keyboard, KeysAndModifiersGiveLinuxBytes) {
  EXPECT_EQ(keys({0x1e, 0x9e, 0x1c, 0x9c}), "a\r");
  EXPECT_EQ(keys({0x2a, 0x1e, 0x9e, 0x02, 0x82, 0xaa, 0x1e}), "A!a");
  EXPECT_EQ(keys({0x1d, 0x2e, 0xae, 0x9d, 0x2e}),
            "\x03"
            "c");
  EXPECT_EQ(keys({0x38, 0x30, 0xb0, 0xb8}),
            "\x1b"
            "b");
  EXPECT_EQ(keys({0x3a, 0xba, 0x1e, 0x02, 0x3a, 0xba, 0x1e}), "A1a") << "caps lock is for letters";
  EXPECT_EQ(keys({0x0e}), "\x7f");
}

TEST(Keyboard, GreyKeysGiveSequences) {
  EXPECT_EQ(keys({0xe0, 0x48, 0xe0, 0xc8}), "\x1b[A");
  EXPECT_EQ(keys({0xe0, 0x4b}, true), "\x1bOD");
  EXPECT_EQ(keys({0xe0, 0x2a, 0xe0, 0x53, 0xe0, 0xd3, 0xe0, 0xaa, 0x1e}),
            "\x1b[3~"
            "a")
      << "ghost shifts do not count";
  EXPECT_EQ(keys({0x3b}), "\x1b[[A");
  EXPECT_EQ(keys({0x48, 0x45, 0xc5, 0x48, 0x45, 0xc5}), "\x1b[A8");
  EXPECT_EQ(keys({0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5, 0x1e}), "a") << "pause is nothing";
  EXPECT_EQ(keys({0xe0, 0x1c, 0xe0, 0x35}), "\r/");
}

}  // namespace
}  // namespace faultline
