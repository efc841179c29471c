// The miss-ratio curve as a picture: see report.h.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "tools/replacement_simulator/memory.h"
#include "tools/replacement_simulator/report.h"

namespace faultline::simulator {
namespace {

constexpr double kLeft = 64, kTop = 44, kWidth = 520, kHeight = 300;

// Each policy has a colour that is told apart on white and on black, and a dash that is told apart without colour.
struct Look {
  const char* policy;
  const char* colour;
  const char* dash;
};
constexpr Look kLooks[] = {
    {"opt", "#888888", ""}, {"lru", "#2f80d0", "9 4"}, {"clock", "#1f9d55", "2 3"}, {"fifo", "#b8860b", "10 3 2 3"}, {"2q", "#d2452d", ""}};
const Look& look_of(const std::string& policy) {
  return *std::find_if(std::begin(kLooks), std::end(kLooks) - 1, [&](const Look& look) { return policy == look.policy; });
}

std::string format(const char* pattern, auto... values) {
  char text[300];
  std::snprintf(text, sizeof text, pattern, values...);
  return text;
}

// The step of an axis that gives it about five marks: 1, 2 or 5 times a power of ten.
double axis_step(double range) {
  const double power = std::pow(10, std::floor(std::log10(range / 5)));
  for (double factor : {1.0, 2.0, 5.0})
    if (range / (factor * power) <= 6) return factor * power;
  return 10 * power;
}

std::string text(double x, double y, const char* anchor, const std::string& words) {
  return format("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", x, y, anchor) + words + "</text>\n";
}
std::string line(const char* kind, double x1, double y1, double x2, double y2) {
  return format("<line class=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", kind, x1, y1, x2, y2);
}

std::string escaped(const std::string& words) {
  std::string out;
  for (char letter : words) out += letter == '<' ? "&lt;" : letter == '&' ? "&amp;" : std::string(1, letter);
  return out;
}

std::string axes(double frames, double percent) {
  std::string svg;
  for (double at = 0; at <= percent * 1.0001; at += axis_step(percent)) {
    const double y = kTop + kHeight * (1 - at / percent);
    svg += line("grid", kLeft, y, kLeft + kWidth, y) + text(kLeft - 8, y + 4, "end", format("%g", at));
  }
  for (double at = 0; at <= frames * 1.0001; at += axis_step(frames)) {
    const double x = kLeft + kWidth * at / frames;
    svg += line("axis", x, kTop + kHeight, x, kTop + kHeight + 5) + text(x, kTop + kHeight + 20, "middle", format("%g", at));
  }
  svg += line("axis", kLeft, kTop + kHeight, kLeft + kWidth, kTop + kHeight) + line("axis", kLeft, kTop, kLeft, kTop + kHeight);
  svg += text(kLeft + kWidth / 2, kTop + kHeight + 42, "middle", "memory (frames)");
  return svg + format("<text transform=\"translate(18 %.1f) rotate(-90)\" text-anchor=\"middle\">faults in 100 references</text>\n",
                      kTop + kHeight / 2);
}

struct Point {
  double frames, percent;
};

std::string curve(const Look& look, const std::vector<Point>& points, double frames, double percent) {
  std::string places;
  for (const Point& point : points)
    places += format("%.1f,%.1f ", kLeft + kWidth * point.frames / frames, kTop + kHeight * (1 - point.percent / percent));
  return format("<polyline class=\"curve\" stroke=\"%s\" stroke-dasharray=\"%s\" points=\"", look.colour, look.dash) + places + "\"/>\n";
}

}  // namespace

std::string plot(const Trace& trace, const std::vector<uint32_t>& sizes, const std::vector<std::string>& policies) {
  std::vector<std::vector<Point>> curves;
  double percent = 0;
  for (const std::string& policy : policies) {
    std::vector<Point>& points = curves.emplace_back();
    for (uint32_t frames : sizes) {
      points.push_back({static_cast<double>(frames), 100.0 * count_faults(policy, trace, frames) / trace.references.size()});
      percent = std::max(percent, points.back().percent);
    }
  }
  const double frames = sizes.back();
  percent = std::ceil(percent / axis_step(percent)) * axis_step(percent);

  const double width = kLeft + kWidth + 100, height = kTop + kHeight + 56;
  std::string svg = format("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" width=\"%.0f\" height=\"%.0f\">\n", width,
                           height, width, height);
  svg +=
      "<style>\n"
      "svg { background: #fff } text { font: 13px sans-serif; fill: #222 } .curve { fill: none; stroke-width: 2 }\n"
      ".axis { stroke: #222 } .grid { stroke: #ddd }\n"
      "@media (prefers-color-scheme: dark) { svg { background: #181818 } text { fill: #ddd } .axis { stroke: #ddd } .grid { stroke: "
      "#3a3a3a } }\n"
      "</style>\n";
  svg += "<title>" + escaped(trace.name) + ": faults by memory size and replacement policy</title>\n";
  svg += text(
      kLeft, 24, "start",
      escaped(trace.name) + ": " + std::to_string(trace.references.size()) + " references to " + std::to_string(trace.pages()) + " pages");
  svg += axes(frames, percent);
  for (size_t at = 0; at < policies.size(); at++) {
    const Look& look = look_of(policies[at]);
    svg += curve(look, curves[at], frames, percent);
    const double y = kTop + 14 + 22 * static_cast<double>(at), x = kLeft + kWidth + 12;
    svg += format("<line class=\"curve\" stroke=\"%s\" stroke-dasharray=\"%s\" x1=\"%.0f\" y1=\"%.0f\" x2=\"%.0f\" y2=\"%.0f\"/>\n",
                  look.colour, look.dash, x, y - 4, x + 30, y - 4);
    svg += text(x + 36, y, "start", policy_title(policies[at]));
  }
  return svg + "</svg>\n";
}

}  // namespace faultline::simulator
