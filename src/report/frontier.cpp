// A frontier as text, data and picture: the cost to the right, quality upward.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "report/text.hpp"

namespace qtool {
namespace {

using Point = Frontier::Point;

struct Axis {
  std::string_view column;  // its name in tables
  std::string_view label;
  double (*value)(const Point&);
};

Axis cost_axis(Limit::Kind kind) {
  switch (kind) {
    case Limit::kBpw:
      return {"bpw", "stored bits a weight", [](const Point& p) { return p.cost.bits_per_weight; }};
    case Limit::kSize:
    case Limit::kSizeFraction:
      return {"size_bytes", "bytes of weights",
              [](const Point& p) { return static_cast<double>(p.cost.size_bytes); }};
    case Limit::kBops:
    case Limit::kBopsFraction:
      return {"bops", "bit operations a sample", [](const Point& p) { return p.cost.bops; }};
    case Limit::kLatency:
    case Limit::kLatencyFraction:
      return {"latency_ms", "predicted milliseconds a sample",
              [](const Point& p) { return p.latency_ms.value_or(0); }};
    case Limit::kActivationBits:
      return {"mean_activation_bits", "mean bits of activations",
              [](const Point& p) { return p.cost.mean_activation_bits; }};
    default:
      return {"mean_weight_bits", "mean bits of weights",
              [](const Point& p) { return p.cost.mean_weight_bits; }};
  }
}

std::string quality_label(bool in_noise) {
  return in_noise ? "predicted SQNR, dB" : "predicted loss, -10 log10";
}

double quality(const Point& p) { return 0 - 10 * std::log10(std::max(p.loss, 1e-30)); }

// The shortest digits that read back as the same number.
std::string exact(double value) {
  std::array<char, 32> digits{};
  return {digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr};
}

// Where the points lie in a picture of a width and a height; the origin is at the lower left.
struct Layout {
  Layout(const Frontier& f, double width, double height) {
    const Axis axis = cost_axis(f.cost);
    for (const Point& p : f.points) xs.push_back(axis.value(p)), ys.push_back(quality(p));
    const auto [left, right] = std::ranges::minmax(xs);
    const auto [low, high] = std::ranges::minmax(ys);
    x_range = {left, right}, y_range = {low, high};
    const auto place = [](double v, double from, double to, double size) {
      return to > from ? (v - from) / (to - from) * size : 0;
    };
    for (double& x : xs) x = place(x, left, right, width);
    for (double& y : ys) y = place(y, low, high, height);
  }
  std::vector<double> xs, ys;
  std::pair<double, double> x_range, y_range;
};

}  // namespace

std::string report::frontier_text(const Frontier& f, bool in_noise) {
  if (f.points.empty()) return "";
  constexpr int kWidth = 64, kHeight = 14;
  const Layout layout(f, kWidth - 1, kHeight - 1);
  std::vector<std::string> lines(kHeight, std::string(kWidth, ' '));
  for (size_t i = 0; i < layout.xs.size(); ++i) {
    const auto row = static_cast<size_t>(kHeight - 1 - std::lround(layout.ys[i]));
    lines[row][static_cast<size_t>(std::lround(layout.xs[i]))] = '*';
  }
  const std::string top = number_text(layout.y_range.second),
                    bottom = number_text(layout.y_range.first);
  const size_t margin = std::max(top.size(), bottom.size());
  const auto right_aligned = [&](const std::string& text) {
    return std::string(margin - text.size(), ' ') + text;
  };
  std::string text = cat("\n", quality_label(in_noise), "\n");
  for (size_t row = 0; row < lines.size(); ++row) {
    std::string line = lines[row];
    line.erase(line.find_last_not_of(' ') + 1);
    text += cat(right_aligned(row == 0                  ? top
                              : row + 1 == lines.size() ? bottom
                                                        : ""),
                " |", line, "\n");
  }
  const std::string left = number_text(layout.x_range.first),
                    right = number_text(layout.x_range.second);
  const std::string label(cost_axis(f.cost).label);
  const size_t taken = left.size() + label.size() + right.size();
  const size_t space = taken < kWidth ? (kWidth - taken) / 2 : 1;
  return cat(text, std::string(margin + 1, ' '), "+", std::string(kWidth, '-'), "\n",
             std::string(margin + 2, ' '), left, std::string(space, ' '), label,
             std::string(space, ' '), right, "\n");
}

std::string frontier_csv(const Frontier& f, bool in_noise) {
  std::string csv = cat("mean_weight_bits,mean_activation_bits,bpw,size_bytes,bops,latency_ms,loss",
                        in_noise ? ",sqnr_db" : "", "\n");
  for (const Point& p : f.points) {
    csv += cat(exact(p.cost.mean_weight_bits), ",", exact(p.cost.mean_activation_bits), ",",
               exact(p.cost.bits_per_weight), ",", p.cost.size_bytes, ",", exact(p.cost.bops), ",",
               p.latency_ms ? exact(*p.latency_ms) : "", ",", exact(p.loss),
               in_noise ? cat(",", exact(quality(p))) : "", "\n");
  }
  return csv;
}

std::string frontier_svg(const Frontier& f, bool in_noise) {
  constexpr int kWidth = 600, kHeight = 360, kLeft = 70, kTop = 20;
  constexpr int kBottom = kTop + kHeight;
  const auto label = [](double x, double y, std::string_view anchor, std::string_view text) {
    return cat("<text x=\"", fixed(x, 0), "\" y=\"", fixed(y, 0), "\" text-anchor=\"", anchor,
               "\">", text, "</text>\n");
  };
  std::string svg =
      cat("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 ", kLeft + kWidth + 40, " ",
          kBottom + 60, "\" font-family=\"sans-serif\" font-size=\"13\">\n<path d=\"M", kLeft, " ",
          kTop, "V", kBottom, "H", kLeft + kWidth, "\" fill=\"none\" stroke=\"#888\"/>\n",
          label(kLeft + kWidth / 2.0, kBottom + 45, "middle", cost_axis(f.cost).label),
          label(kLeft + 8, kTop + 4, "start", quality_label(in_noise)));
  if (f.points.empty()) return svg + "</svg>\n";
  const Layout layout(f, kWidth, kHeight);
  constexpr int kTicks = 5;
  for (int i = 0; i <= kTicks; ++i) {
    const double part = static_cast<double>(i) / kTicks;
    const auto at = [&](const std::pair<double, double>& range) {
      return report::number_text(range.first + part * (range.second - range.first));
    };
    svg += label(kLeft + part * kWidth, kBottom + 20, "middle", at(layout.x_range));
    svg += label(kLeft - 8, kBottom + 4 - part * kHeight, "end", at(layout.y_range));
  }
  std::string line, dots;
  for (size_t i = 0; i < layout.xs.size(); ++i) {
    const std::string x = fixed(kLeft + layout.xs[i], 1), y = fixed(kBottom - layout.ys[i], 1);
    line += cat(line.empty() ? "" : " ", x, ",", y);
    dots += cat("<circle cx=\"", x, "\" cy=\"", y, "\" r=\"3\" fill=\"#4a7dbd\"/>\n");
  }
  return cat(svg, "<polyline points=\"", line, "\" fill=\"none\" stroke=\"#4a7dbd\"/>\n", dots,
             "</svg>\n");
}

}  // namespace qtool
