// The line discipline against termios(3): fixed scenarios, and random keystrokes against a small model.
#include "drivers/terminal/line_discipline.h"

#include <gtest/gtest.h>

#include <deque>
#include <random>
#include <string>

#include "drivers/terminal/job_control.h"

namespace faultline {
namespace {

constexpr char kErase = 0x7f, kKill = 21, kWordErase = 23, kEof = 4, kLiteralNext = 22, kReprint = 18;

class Line : public LineDisciplineHost {
 public:
  explicit Line(Termios termios = kSaneTermios) : discipline(termios, *this) {}

  void echo(std::span<const uint8_t> bytes) override { screen.append(bytes.begin(), bytes.end()); }
  void raise_signal(uint32_t signal) override { signals.push_back(signal); }
  void discard_output() override { discards++; }
  void stop_output() override { stopped = true; }
  void start_output() override { stopped = false; }

  size_t type(std::string_view keys) { return discipline.receive({reinterpret_cast<const uint8_t*>(keys.data()), keys.size()}); }
  std::string read(size_t limit = 4096) {
    std::string buffer(limit, '\0');
    LineDiscipline::Taken taken = discipline.take({reinterpret_cast<uint8_t*>(buffer.data()), limit});
    ended = taken.line_ended;
    buffer.resize(taken.bytes);
    return buffer;
  }
  std::string write(std::string_view text) {
    std::string result(text.size() * 8, '\0');
    auto progress = discipline.process_output({reinterpret_cast<const uint8_t*>(text.data()), text.size()},
                                              {reinterpret_cast<uint8_t*>(result.data()), result.size()});
    EXPECT_EQ(progress.consumed, text.size());
    result.resize(progress.produced);
    return result;
  }
  void change(uint32_t Termios::*flags, uint32_t on, uint32_t off = 0) {
    Termios termios = discipline.termios();
    termios.*flags = (termios.*flags | on) & ~off;
    discipline.set_termios(termios);
  }

  LineDiscipline discipline;
  std::string screen;
  std::vector<uint32_t> signals;
  int discards = 0;
  bool stopped = false, ended = false;
};

TEST(LineDiscipline, NothingIsReadableBeforeTheLineEnds) {
  Line line;
  line.type("abc");
  EXPECT_FALSE(line.discipline.is_input_ready());
  EXPECT_EQ(line.discipline.readable(), 0u);
  line.type("\r");
  EXPECT_EQ(line.discipline.readable(), 4u);
  EXPECT_EQ(line.read(), "abc\n");
  EXPECT_TRUE(line.ended);
  EXPECT_EQ(line.screen, "abc\r\n");
}

TEST(LineDiscipline, AReadReturnsOneLineAndAShortOneLeavesTheRest) {
  Line line;
  line.type("one\ntwo\n");
  EXPECT_EQ(line.read(2), "on");
  EXPECT_FALSE(line.ended);
  EXPECT_EQ(line.read(), "e\n");
  EXPECT_EQ(line.read(), "two\n");
  EXPECT_FALSE(line.discipline.is_input_ready());
}

TEST(LineDiscipline, EndOfFileAloneIsAnEmptyReadAndAfterTextEndsIt) {
  Line line;
  line.type(std::string(1, kEof));
  EXPECT_TRUE(line.discipline.is_input_ready());
  EXPECT_EQ(line.discipline.readable(), 0u);
  EXPECT_EQ(line.read(), "");
  EXPECT_TRUE(line.ended);
  line.type(std::string("abc") + kEof);
  EXPECT_EQ(line.read(3), "abc");  // the mark goes with the read that it ends, however small its buffer
  EXPECT_TRUE(line.ended);
  EXPECT_FALSE(line.discipline.is_input_ready());
}

TEST(LineDiscipline, EraseWordEraseAndKillEditTheLineAndTheScreen) {
  Line line;
  line.type(std::string("abx") + kErase + "c\n");
  EXPECT_EQ(line.read(), "abc\n");
  EXPECT_EQ(line.screen, "abx\b \bc\r\n");
  line.type(std::string("one two  ") + kWordErase + "3\n");
  EXPECT_EQ(line.read(), "one 3\n");
  line.type(std::string("gone") + kKill + "kept\n");
  EXPECT_EQ(line.read(), "kept\n");
  line.type(std::string(3, kErase) + "x\n");
  EXPECT_EQ(line.read(), "x\n") << "erasing an empty line does nothing";
}

TEST(LineDiscipline, EraseNeverReachesIntoAFinishedLine) {
  Line line;
  line.type("done\n");
  line.type(std::string(10, kErase) + std::string(1, kKill) + "next\n");
  EXPECT_EQ(line.read(), "done\n");
  EXPECT_EQ(line.read(), "next\n");
}

TEST(LineDiscipline, EraseTakesAWholeUtf8CharacterWithIutf8) {
  Line line;
  line.change(&Termios::input, kUtf8);
  line.type(std::string("a\xc3\xa4\xe2\x82\xac") + kErase + kErase + "\n");
  EXPECT_EQ(line.read(), "a\n");
  EXPECT_EQ(line.screen, "a\xc3\xa4\xe2\x82\xac\b \b\b \b\r\n");
  line.change(&Termios::input, 0, kUtf8);
  line.type(std::string("\xc3\xa4") + kErase + "\n");
  EXPECT_EQ(line.read(), "\xc3\n");
}

TEST(LineDiscipline, ErasingATabMovesBackToWhereItBegan) {
  Line line;
  line.write("$ ");  // the prompt counts
  line.type(std::string("ab\t") + kErase + "c\n");
  EXPECT_EQ(line.read(), "abc\n");
  EXPECT_EQ(line.screen, "ab\t\b\b\b\bc\r\n");
}

TEST(LineDiscipline, ControlCharactersAreShownWithACaretAndErasedAsTwo) {
  Line line;
  line.type(std::string("\x01") + kErase + "\n");
  EXPECT_EQ(line.screen, "^A\b \b\b \b\r\n");
}

TEST(LineDiscipline, LiteralNextTakesAnyKeyAsItIs) {
  Line line;
  line.type(std::string(1, kLiteralNext) + "\x03" + kLiteralNext + kErase + "\n");
  EXPECT_EQ(line.read(), "\x03\x7f\n");
  EXPECT_TRUE(line.signals.empty());
}

TEST(LineDiscipline, ReprintShowsTheLineAgain) {
  Line line;
  line.type(std::string("ab") + kReprint + "\n");
  EXPECT_EQ(line.screen, "ab^R\r\nab\r\n");
  EXPECT_EQ(line.read(), "ab\n");
}

TEST(LineDiscipline, SignalKeysRaiseAndFlushUnlessNoflsh) {
  Line line;
  line.type("typed\nmore\x03");
  EXPECT_EQ(line.signals, std::vector<uint32_t>{kJobSignalInterrupt});
  EXPECT_EQ(line.discards, 1);
  EXPECT_FALSE(line.discipline.is_input_ready());
  line.change(&Termios::local, kNoFlush);
  line.type("kept\x1a");
  line.type("\x1c\n");
  EXPECT_EQ(line.signals, (std::vector<uint32_t>{kJobSignalInterrupt, kJobSignalStop, kJobSignalQuit}));
  EXPECT_EQ(line.read(), "kept\n");
  line.change(&Termios::local, 0, kSignals);
  line.type("\x03\n");
  EXPECT_EQ(line.read(), "\x03\n");
}

TEST(LineDiscipline, FlowControlStopsAndStartsOutput) {
  Line line;
  line.type("\x13");
  EXPECT_TRUE(line.stopped);
  line.type("x");
  EXPECT_TRUE(line.stopped);
  line.type("\x11");
  EXPECT_FALSE(line.stopped);
  line.type("\x13");
  line.change(&Termios::input, 0, kFlowOutput);
  EXPECT_FALSE(line.stopped) << "switching it off lets output go";
  line.type("\x13\n");
  EXPECT_EQ(line.read(), "x\x13\n");
}

TEST(LineDiscipline, ReturnAndNewlineAreTranslatedAsAsked) {
  Line line;
  line.change(&Termios::input, kIgnoreReturn);
  line.type("a\rb\n");
  EXPECT_EQ(line.read(), "ab\n");
  line.change(&Termios::input, 0, kIgnoreReturn | kReturnToNewline);
  line.type("a\rb\n");
  EXPECT_EQ(line.read(), "a\rb\n");
  line.change(&Termios::input, kNewlineToReturn);
  line.change(&Termios::local, 0, kCanonical);
  line.type("\n");
  EXPECT_EQ(line.read(), "\r");
}

TEST(LineDiscipline, RawModePassesEveryByte) {
  Line line(kRawTermios);
  std::string all;
  for (int i = 0; i < 256; i++) all += static_cast<char>(i);
  EXPECT_EQ(line.type(all), all.size());
  EXPECT_EQ(line.read(), all);
  EXPECT_EQ(line.screen, "");
  EXPECT_EQ(line.write(all), all);
}

TEST(LineDiscipline, ChangingTheModeKeepsWhatWasTyped) {
  Line line;
  line.type("half");
  line.change(&Termios::local, 0, kCanonical);
  EXPECT_EQ(line.discipline.readable(), 4u);
  EXPECT_EQ(line.read(2), "ha");
  line.change(&Termios::local, kCanonical);
  EXPECT_EQ(line.read(), "lf");
  EXPECT_TRUE(line.ended);
}

TEST(LineDiscipline, AnEndlessLineIsCutAndItsEndStillArrives) {
  Line line;
  std::string flood(10000, 'x');
  EXPECT_EQ(line.type(flood), flood.size()) << "a line too long is dropped, not left waiting";
  line.type("\n");
  std::string got = line.read(20000);
  EXPECT_GE(got.size(), 4094u);
  EXPECT_EQ(got.back(), '\n');
}

TEST(LineDiscipline, AFullBufferOfLinesMakesTheRestWait) {
  Line line;
  std::string flood;
  while (flood.size() < 10000) flood += "0123456789\n";
  size_t taken = line.type(flood);
  EXPECT_LT(taken, flood.size());
  std::string got;
  for (std::string rest = flood.substr(taken);;) {
    got += line.read(100);
    size_t more = line.type(rest);
    rest.erase(0, more);
    if (rest.empty() && !line.discipline.is_input_ready()) break;
  }
  EXPECT_EQ(got, flood);
}

TEST(LineDiscipline, OutputProcessingAddsReturnsAndExpandsTabs) {
  Line line;
  EXPECT_EQ(line.write("a\nb"), "a\r\nb");
  line.change(&Termios::output, kExpandTabs);
  line.write("\r");
  EXPECT_EQ(line.write("ab\tc"), "ab      c");
  line.change(&Termios::output, 0, kPostProcess);
  EXPECT_EQ(line.write("a\nb\t"), "a\nb\t");
}

TEST(LineDiscipline, OutputThatDoesNotFitIsLeftWhole) {
  Line line;
  uint8_t small[3];
  const uint8_t text[] = {'a', 'b', '\n'};
  auto progress = line.discipline.process_output(text, small);
  EXPECT_EQ(progress.consumed, 2u) << "a newline becomes two bytes or none";
  EXPECT_EQ(progress.produced, 2u);
}

// The model: what a person would say happens to the line, in a few lines of code.
struct Model {
  std::string edited;
  std::deque<std::string> lines;
  bool literal = false;

  static bool in_word(char c) { return isalnum(static_cast<unsigned char>(c)) || c == '_'; }
  void key(char c) {
    if (literal) {
      literal = false;
      edited += c;
    } else if (c == 3) {
      edited.clear();
      lines.clear();
    } else if (c == kErase) {
      if (!edited.empty()) edited.pop_back();
    } else if (c == kKill) {
      edited.clear();
    } else if (c == kWordErase) {
      while (!edited.empty() && !in_word(edited.back())) edited.pop_back();
      while (!edited.empty() && in_word(edited.back())) edited.pop_back();
    } else if (c == kLiteralNext) {
      literal = true;
    } else if (c == kEof) {
      lines.push_back(edited);
      edited.clear();
    } else if (c == '\r' || c == '\n') {
      lines.push_back(edited + "\n");
      edited.clear();
    } else {
      edited += c;
    }
  }
};

TEST(LineDiscipline, RandomKeystrokesGiveTheModelsLines) {
  for (uint32_t seed = 1; seed <= 200; seed++) {
    std::mt19937 random(seed);
    Line line;
    Model model;
    const std::string keys = std::string("abc_ .,\t12\n\r\x03") + kErase + kErase + kKill + kWordErase + kEof + kLiteralNext;
    for (int step = 0; step < 2000; step++) {
      char key = keys[random() % keys.size()];
      ASSERT_EQ(line.type(std::string(1, key)), 1u);
      model.key(key);
      if (random() % 4 != 0 || model.lines.empty()) {
        ASSERT_EQ(line.discipline.is_input_ready(), !model.lines.empty()) << "seed " << seed << " step " << step;
        continue;
      }
      std::string wanted = model.lines.front();
      size_t limit = 1 + random() % 40;
      std::string got = line.read(limit);
      if (wanted.size() <= limit)
        model.lines.pop_front();
      else
        model.lines.front().erase(0, limit);
      ASSERT_EQ(got, wanted.substr(0, limit)) << "seed " << seed << " step " << step;
    }
  }
}

TEST(LineDiscipline, RandomModesNeverLoseCountOfTheBuffer) {
  std::mt19937 random(7);
  Line line;
  for (int step = 0; step < 200000; step++) {
    switch (random() % 8) {
      case 0: {
        Termios termios = kSaneTermios;
        termios.input = random() & 077777;
        termios.output = random() & 0177;
        termios.local = random() & 0177777;
        line.discipline.set_termios(termios);
        break;
      }
      case 1: line.read(1 + random() % 300); break;
      case 2: line.discipline.receive_break(); break;
      case 3: line.discipline.discard_input(); break;
      default: {
        std::string keys;
        for (uint32_t i = random() % 200; i > 0; i--) keys += static_cast<char>(random());
        line.type(keys);
      }
    }
    ASSERT_LE(line.discipline.readable(), LineDiscipline::kCapacity);
    line.screen.clear();
    line.signals.clear();
  }
}

}  // namespace
}  // namespace faultline
