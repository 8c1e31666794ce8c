// What each number format makes of the same weights, as a picture: their histogram, and a line at every
// number that the weights of one channel are rounded to.
#include <algorithm>
#include <cmath>
#include <set>

#include "qtool/passes.hpp"
#include "qtool/quantize.hpp"
#include "qtool/report.hpp"

namespace qtool {
namespace {

constexpr int64_t kFilters = 16, kChannels = 28, kKernel = 3;
constexpr int kBits = 3;        // where the format has that width
constexpr double kReach = 3.5;  // shown: so many standard deviations to either side

// A convolution with normal weights, the usual stand-in for a trained layer.
Model normal_layer() {
  Model model;
  model.ir_version = 8;
  model.opsets[""] = 17;
  Graph& g = model.graph;
  const ValueId x = add_value(g, "x", DType::kFloat, Shape{1, kChannels, 8, 8});
  Tensor weight(DType::kFloat, {kFilters, kChannels, kKernel, kKernel});
  Rng rng(1);
  for (float& w : weight.mutable_data<float>()) w = static_cast<float>(rng.normal());
  const ValueId w = add_initializer(g, "w", std::move(weight));
  const ValueId y = add_value(g, "y", DType::kFloat, Shape{1, kFilters, 6, 6});
  g.inputs = {x};
  g.outputs = {y};
  g.nodes.push_back(make_node(g, "conv", "Conv", {x, w}, {y}));
  return model;
}

// The layer with the most weights, alone among the sites.
Sites largest_layer(const Model& model) {
  Sites sites = find_sites(model, find_target("ort-cpu"));
  std::erase_if(sites.layers, [](const LayerSite& site) { return !site.reason.empty(); });
  const auto most = std::ranges::max_element(sites.layers, {}, &LayerSite::weights);
  if (most == sites.layers.end())
    throw Error(ErrorKind::kModel, "QT-E360", "the model has no layer with weights to draw");
  sites.layers = {*most};
  return sites;
}

// Values of each channel, [channels][…].
std::vector<std::vector<float>> channels_of(const Tensor& weight, const LayerSite& site) {
  std::vector<std::vector<float>> rows(static_cast<size_t>(site.channels));
  int64_t inner = 1;
  for (int64_t d = site.channel_axis + 1; d < weight.rank(); ++d) inner *= weight.dim(d);
  const auto values = weight.data<float>();
  for (size_t i = 0; i < values.size(); ++i)
    rows[i / static_cast<size_t>(inner) % rows.size()].push_back(values[i]);
  return rows;
}

double size_of(const std::vector<float>& row) {
  double squares = 0;
  for (float w : row) squares += double{w} * w;
  return std::max(std::sqrt(squares / static_cast<double>(std::max<size_t>(row.size(), 1))), 1e-30);
}

// Channels at a root mean square of 1.
std::vector<float> at_one_size(const std::vector<std::vector<float>>& channels) {
  std::vector<float> values;
  for (const std::vector<float>& row : channels)
    for (float w : row) values.push_back(static_cast<float>(w / size_of(row)));
  return values;
}

// The numbers that the first channel's weights become, in units of its size.
std::set<float> numbers(const Model& model, const Sites& sites, const WeightFormat& format,
                        int bits) {
  QuantPlan plan = uniform_plan(sites, {bits, 8});
  set_format(plan, format);
  const LayerSite& site = sites.layers[0];
  const CalibrationTable nothing;
  const Tensor& weight = *model.graph.constant(model.graph.find(site.weight));
  const WeightCodes codes = optimize_layer(weight, site, *plan.layer(site.name), nothing,
                                           weight_grids(model, sites, plan, nothing).at(site.name));
  const double size = size_of(channels_of(weight, site)[0]);
  const auto channels = channels_of(dequantized(codes, site.channel_axis), site);
  std::set<float> result;
  for (float w : channels[0]) result.insert(static_cast<float>(w / size));
  return result;
}

constexpr int kWidth = 440, kHeight = 120, kMargin = 16, kColumns = 2, kBins = 56;
constexpr int kPanelWidth = kWidth + 2 * kMargin, kPanelHeight = kHeight + 40, kTop = 52;
constexpr size_t kMany = 24;  // lines that would hide the histogram

double place(double value) { return kMargin + (value + kReach) / (2 * kReach) * kWidth; }

std::string histogram(const std::vector<float>& weights) {
  std::vector<int> bins(kBins, 0);
  for (const float w : weights) {
    const int bin = static_cast<int>(std::floor((w + kReach) / (2 * kReach) * kBins));
    if (bin >= 0 && bin < kBins) ++bins[static_cast<size_t>(bin)];
  }
  const int most = std::max(1, *std::ranges::max_element(bins));
  std::string svg;
  constexpr double kBar = double{kWidth} / kBins;
  for (int b = 0; b < kBins; ++b) {
    const double height = 0.8 * kHeight * bins[static_cast<size_t>(b)] / most;
    svg += cat("<rect x=\"", fixed(kMargin + b * kBar, 1), "\" y=\"", fixed(kHeight - height, 1),
               "\" width=\"", fixed(kBar - 0.6, 1), "\" height=\"", fixed(height, 1),
               "\" fill=\"#c9d3df\"/>\n");
  }
  return svg;
}

// The zero line, with whole numbers below.
std::string axis() {
  std::string svg = cat(
      "<line x1=\"", kMargin, "\" x2=\"", kMargin + kWidth, "\" y1=\"", kHeight, "\" y2=\"",
      kHeight, "\" stroke=\"#888\"/>\n<g fill=\"#666\" font-size=\"10\" text-anchor=\"middle\">\n");
  for (int v = -3; v <= 3; ++v)
    svg += cat("<text x=\"", fixed(place(v), 1), "\" y=\"", kHeight + 13, "\">",
               v < 0 ? "\u2212" : "", std::abs(v), "</text>\n");
  return svg + "</g>\n";
}

std::string lines(const std::set<float>& values) {
  std::string svg = values.size() > kMany
                        ? "<g stroke=\"#b3261e\" stroke-width=\"0.8\" stroke-opacity=\"0.55\">\n"
                        : "<g stroke=\"#b3261e\" stroke-width=\"1.5\">\n";
  for (const float v : values) {
    if (std::fabs(v) > kReach) continue;
    const std::string x = fixed(place(v), 1);
    svg += cat("<line x1=\"", x, "\" x2=\"", x, "\" y1=\"24\" y2=\"", kHeight, "\"/>\n");
  }
  return svg + "</g>\n";
}

// `layer`: whose weights they are.
std::string legend(const std::string& layer) {
  return cat(
      "<g transform=\"translate(", kMargin, ",0)\">\n",
      "<rect y=\"8\" width=\"12\" height=\"12\" fill=\"#c9d3df\"/>\n<text x=\"20\" y=\"19\">",
      layer, ", each channel divided by its root mean square</text>\n",
      "<line x1=\"6\" x2=\"6\" y1=\"26\" y2=\"40\" stroke=\"#b3261e\" stroke-width=\"1.5\"/>\n"
      "<text x=\"20\" y=\"38\">the numbers that the first channel's weights are rounded "
      "to</text>\n</g>\n");
}

// Names and formats hold no characters that XML reserves, but names of nodes may.
std::string escaped(std::string_view text) {
  std::string safe;
  for (char c : text) safe += c == '<' ? "&lt;" : c == '&' ? "&amp;" : std::string(1, c);
  return safe;
}

}  // namespace

std::string format_plot(const Model* trained) {
  const Model model = trained ? prepare(*trained) : normal_layer();
  const Sites sites = largest_layer(model);
  const LayerSite& site = sites.layers[0];
  const std::string background = histogram(
      at_one_size(channels_of(*model.graph.constant(model.graph.find(site.weight)), site)));
  std::string panels;
  int count = 0;
  for (const FormatDef* def : formats()) {
    const WeightFormat format = parse_format(def->name);
    const int bits = std::clamp(kBits, def->min_bits, most_bits(format));
    const std::set<float> values = numbers(model, sites, format, bits);
    panels += cat("<g transform=\"translate(", count % kColumns * kPanelWidth, ",",
                  kTop + count / kColumns * kPanelHeight, ")\">\n", background, lines(values),
                  axis(), "<text x=\"", kMargin, "\" y=\"15\"><tspan font-weight=\"bold\">",
                  def->name, "</tspan>, ", bits, bits == 1 ? " bit, " : " bits, ", values.size(),
                  " numbers in a channel</text>\n</g>\n");
    ++count;
  }
  const int rows = (count + kColumns - 1) / kColumns;
  return cat("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"", kColumns * kPanelWidth,
             "\" height=\"", kTop + rows * kPanelHeight,
             "\" font-family=\"sans-serif\" font-size=\"13\">\n"
             "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n",
             legend(trained ? cat("weights of ", escaped(printable(site.name))) : "normal weights"),
             panels, "</svg>\n");
}

}  // namespace qtool
