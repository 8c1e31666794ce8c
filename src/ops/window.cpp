#include <algorithm>

#include "ops/dispatch.hpp"

namespace qtool {
namespace {

template <typename... Parts>
[[noreturn]] void fail(const Node& node, const Parts&... what) {
  throw_model("QT-E332", cat(node.type, ": ", what...));
}

// The attribute's values, one a spatial dimension, each in [low, limit]; `fallback` when absent.
std::vector<int64_t> spatial(const Node& node, std::string_view name, size_t count,
                             int64_t fallback, int64_t low) {
  std::vector<int64_t> v = attr_ints(node, name);
  if (v.empty()) return std::vector<int64_t>(count, fallback);
  if (v.size() != count) fail(node, "'", name, "' has ", v.size(), " entries, expected ", count);
  // Far above any real model, far below what could overflow the arithmetic below.
  constexpr int64_t kLimit = int64_t{1} << 30;
  for (int64_t x : v) {
    if (x < low || x > kLimit) fail(node, "'", name, "' is ", x, ", which is out of range");
  }
  return v;
}

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace

Window resolve_window(const Node& node, const Shape& input, std::vector<int64_t> kernel) {
  if (input.size() < 3) fail(node, "input ", shape_text(input), " has no spatial dimension");
  const size_t dims = input.size() - 2;
  if (kernel.size() != dims)
    fail(node, "kernel of rank ", kernel.size(), " on an input ", shape_text(input));
  Window w;
  w.kernel = std::move(kernel);
  w.input.assign(input.begin() + 2, input.end());
  w.strides = spatial(node, "strides", dims, 1, 1);
  w.dilations = spatial(node, "dilations", dims, 1, 1);
  const std::vector<int64_t> pads = spatial(node, "pads", 2 * dims, 0, 0);
  const std::string auto_pad = attr_string(node, "auto_pad", "NOTSET");
  const bool round_up = attr_int(node, "ceil_mode", 0) != 0;
  if (auto_pad != "NOTSET" && auto_pad != "VALID" && auto_pad != "SAME_UPPER" &&
      auto_pad != "SAME_LOWER")
    fail(node, "auto_pad '", printable(auto_pad), "' is not known");
  for (size_t d = 0; d < dims; ++d) {
    if (w.kernel[d] < 1 || w.kernel[d] > (int64_t{1} << 30))
      fail(node, "kernel size ", w.kernel[d], " is out of range");
    const int64_t span = (w.kernel[d] - 1) * w.dilations[d] + 1;
    const int64_t stride = w.strides[d];
    int64_t begin = 0, end = 0, out = 0;
    if (auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER") {
      out = ceil_div(w.input[d], stride);
      const int64_t total = std::max<int64_t>(0, (out - 1) * stride + span - w.input[d]);
      begin = auto_pad == "SAME_UPPER" ? total / 2 : total - total / 2;
      end = total - begin;
    } else {
      if (auto_pad == "NOTSET") begin = pads[d], end = pads[d + dims];
      const int64_t free = w.input[d] + begin + end - span;
      if (free < 0)
        fail(node, "the kernel spans ", span, " elements of dimension ", d + 2, ", which has ",
             w.input[d] + begin + end, " with padding");
      out = (round_up ? ceil_div(free, stride) : free / stride) + 1;
      // A window that would begin in the padding behind the input is left out.
      if (round_up && (out - 1) * stride >= w.input[d] + begin) --out;
    }
    w.pads_begin.push_back(begin);
    w.pads_end.push_back(end);
    w.output.push_back(out);
  }
  return w;
}

int64_t normalize_axis(int64_t axis, int64_t rank, const Node& node) {
  if (axis < -rank || axis >= rank) {
    throw_model("QT-E331", cat(node.type, ": axis ", axis, " is outside a tensor of rank ", rank));
  }
  return axis < 0 ? axis + rank : axis;
}

}  // namespace qtool
