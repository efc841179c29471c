// Pictures, for terminals and for files.
#pragma once

#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

// A picture of `width` columns as a file that most viewers know (pgm(5), the binary kind): 0 is black, `most` white.
inline void write_pgm(const std::string& name, const std::vector<uint8_t>& picture, int width, int most) {
  FILE* file = fopen(name.c_str(), "w");
  if (file) {
    fprintf(file, "P5\n%d %zu\n%d\n", width, picture.size() / width, most);
    fwrite(picture.data(), 1, picture.size(), file);
    if (fclose(file) == 0) return;
  }
  perror(name.c_str());
  exit(1);
}

// Cells that are dead or alive, two of them in each character. On a terminal each picture takes the place of the one before, after `delay` ms.
inline void draw_cells(const std::vector<uint8_t>& cells, int width, int delay) {
  static bool is_first = true;
  const bool is_terminal = isatty(1);
  if (is_terminal && !is_first) usleep(static_cast<useconds_t>(delay) * 1000);
  std::string text = !is_terminal ? "" : is_first ? "\033[H\033[2J" : "\033[H";
  is_first = false;
  for (size_t y = 0; y < cells.size(); y += 2 * width) {
    for (size_t x = y; x < y + width; x++) {
      const bool upper = cells[x], lower = x + width < cells.size() && cells[x + width];
      text += upper ? (lower ? "█" : "▀") : (lower ? "▄" : " ");
    }
    text += '\n';
  }
  fwrite(text.data(), 1, text.size(), stdout);
  fflush(stdout);
}
