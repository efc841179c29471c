// Patterns of the game of life in run-length encoding, as the programs of this hobby write them (.rle).
//
//   #C a comment                       lines with # are comments
//   x = 3, y = 3, rule = B3/S23        width, height, and the rule if it is not this one
//   bob$2bo$3o!                        runs: a count and b (dead), o (alive) or $ (end of a row); ! ends it
#pragma once

#include <cctype>
#include <cstdio>
#include <string>
#include <vector>

struct Pattern {
  struct Cell {
    int x, y;
  };
  int width = 0, height = 0;
  unsigned born = 1u << 3, survives = 1u << 2 | 1u << 3;  // a bit for each number of neighbours
  std::vector<Cell> alive;
};

// Reads one pattern. What is wrong with it stands in trouble(), with the number of the line.
class RleReader {
 public:
  static constexpr int kLargest = 1 << 14;

  bool read(FILE* file, Pattern& pattern) {
    char line[1 << 12];
    for (number_ = 1; trouble_.empty() && !is_over_ && fgets(line, sizeof line, file); number_++) {
      const char* at = line;
      while (isspace(static_cast<unsigned char>(*at))) at++;
      if (*at == '#' || *at == 0) continue;
      has_header_ ? take_runs(at, pattern) : take_header(at, pattern);
      if (!trouble_.empty()) return false;
    }
    if (!has_header_) return fail("no line such as: x = 3, y = 3, rule = B3/S23");
    return is_over_ || fail("the pattern does not end with !");
  }
  const std::string& trouble() const { return trouble_; }

 private:
  bool fail(const std::string& what) {
    trouble_ = "line " + std::to_string(number_) + ": " + what;
    return false;
  }

  void take_header(const char* line, Pattern& pattern) {
    char rule[64] = "B3/S23";
    const int found = sscanf(line, "x = %d , y = %d , rule = %63[^ \t\r\n]", &pattern.width, &pattern.height, rule);
    if (found < 2) return void(fail("expected: x = WIDTH, y = HEIGHT, rule = B3/S23"));
    if (pattern.width < 1 || pattern.height < 1 || pattern.width > kLargest || pattern.height > kLargest)
      return void(fail("a width and a height from 1 to " + std::to_string(kLargest) + ", please"));
    if (!take_rule(rule, pattern)) return void(fail(std::string("not a rule such as B3/S23: ") + rule));
    has_header_ = true;
  }

  static bool take_rule(const char* rule, Pattern& pattern) {
    pattern.born = pattern.survives = 0;
    if (toupper(*rule++) != 'B') return false;
    while (*rule >= '0' && *rule <= '8') pattern.born |= 1u << (*rule++ - '0');
    if (*rule++ != '/' || toupper(*rule++) != 'S') return false;
    while (*rule >= '0' && *rule <= '8') pattern.survives |= 1u << (*rule++ - '0');
    return *rule == 0;
  }

  void take_runs(const char* at, Pattern& pattern) {
    for (; *at && !is_over_; at++) {
      const char c = *at;
      if (isspace(static_cast<unsigned char>(c))) continue;
      if (isdigit(static_cast<unsigned char>(c))) {
        count_ = count_ * 10 + (c - '0');
        if (count_ < 1 || count_ > kLargest) return void(fail("a run of impossible length"));
        continue;
      }
      if (c == '!' && count_ == 0) {
        is_over_ = true;
      } else if (c == 'b' || c == 'o' || c == '$') {
        take_run(c, count_ ? count_ : 1, pattern);
        count_ = 0;
      } else {
        return void(fail(std::string("'") + c + "' cannot stand here"));
      }
      if (!trouble_.empty()) return;
    }
  }

  void take_run(char what, int count, Pattern& pattern) {
    if (what == '$') {
      x_ = 0, y_ += count;
      return;
    }
    if (y_ >= pattern.height || x_ + count > pattern.width) return void(fail("cells outside of the width and height that it tells"));
    for (; count > 0; count--, x_++)
      if (what == 'o') pattern.alive.push_back({x_, y_});
  }

  std::string trouble_;
  int number_ = 0, x_ = 0, y_ = 0, count_ = 0;
  bool has_header_ = false, is_over_ = false;
};
