// ConvTranspose in one to three dimensions: every input element is spread over the output.
#include "ops/conv_transpose.hpp"

#include <algorithm>

#include "ops/window3.hpp"

namespace qtool {
namespace {

// One entry a spatial dimension, each at least `low`.
std::vector<int64_t> spatial(const Call& call, std::string_view name, size_t count,
                             int64_t fallback, int64_t low) {
  std::vector<int64_t> v = call.integers(name);
  if (v.empty()) return std::vector<int64_t>(count, fallback);
  require(v.size() == count, call, "'", name, "' has ", v.size(), " entries, expected ", count);
  for (int64_t x : v) {
    require(x >= low && x <= (int64_t{1} << 30), call, "'", name, "' is ", x, ", out of range");
  }
  return v;
}

void resolve_output(const Call& call, Window& w) {
  const size_t dims = w.kernel.size();
  const auto pads = spatial(call, "pads", 2 * dims, 0, 0);
  const auto extra = spatial(call, "output_padding", dims, 0, 0);
  std::vector<int64_t> wanted = call.integers("output_shape");
  // Some exporters list batch and channels too.
  if (wanted.size() == dims + 2) wanted.erase(wanted.begin(), wanted.begin() + 2);
  require(wanted.empty() || wanted.size() == dims, call, "output_shape has ", wanted.size(),
          " entries");
  const std::string auto_pad = call.text("auto_pad", "NOTSET");
  const bool upper = auto_pad == "SAME_UPPER", same = upper || auto_pad == "SAME_LOWER";
  require(same || auto_pad == "NOTSET" || auto_pad == "VALID", call, "auto_pad '",
          printable(auto_pad), "' is not known");
  for (size_t d = 0; d < dims; ++d) {
    const int64_t full =
        w.strides[d] * (w.input[d] - 1) + extra[d] + (w.kernel[d] - 1) * w.dilations[d] + 1;
    int64_t begin = 0, end = 0;
    if (!wanted.empty() || same) {
      const int64_t size = wanted.empty() ? w.input[d] * w.strides[d] : wanted[d];
      const int64_t total = std::max<int64_t>(0, full - size);
      begin = upper ? total / 2 : total - total / 2;
      end = full - size - begin;
    } else if (auto_pad == "NOTSET") {
      begin = pads[d], end = pads[d + dims];
    }
    w.pads_begin.push_back(begin);
    w.pads_end.push_back(end);
    w.output.push_back(full - begin - end);
    require(w.output[d] >= 1, call, "dimension ", d + 2, " of the output would be ", w.output[d]);
  }
}

// Spreads one input plane over one output plane for one kernel element.
template <typename T>
void spread_tap(const Window3& w, const std::array<int64_t, 3>& tap, const T* x, double weight,
                double* acc) {
  std::array<int64_t, 3> offset;
  std::array<Range, 3> range;
  for (size_t d = 0; d < 3; ++d) {
    offset[d] = tap[d] * w.dilation[d] - w.pad[d];
    range[d] = valid_range(w.in[d], w.stride[d], offset[d], w.out[d]);
  }
  for (int64_t z = range[0].low; z < range[0].high; ++z) {
    for (int64_t y = range[1].low; y < range[1].high; ++y) {
      const int64_t row = (z * w.stride[0] + offset[0]) * w.out[1] + y * w.stride[1] + offset[1];
      double* to = acc + row * w.out[2] + offset[2];
      const T* from = x + (z * w.in[1] + y) * w.in[2];
      for (int64_t i = range[2].low; i < range[2].high; ++i)
        to[i * w.stride[2]] += weight * from[i];
    }
  }
}

template <typename T>
void transpose_plane(const Window3& w, const T* x, const T* kernel, double* acc) {
  for (int64_t a = 0; a < w.kernel[0]; ++a) {
    for (int64_t b = 0; b < w.kernel[1]; ++b) {
      for (int64_t c = 0; c < w.kernel[2]; ++c) spread_tap(w, {a, b, c}, x, *kernel++, acc);
    }
  }
}

template <typename T>
Tensor transpose_convolve(const Call& call, const TransposedWindow& g) {
  const Window3 w = to_window3(call, g.window);
  const Tensor& x = call.in(0);
  const T* in = x.data<T>().data();
  const T* weight = input_data<T>(call, 1).data();
  const int64_t filters = g.filters * g.groups, channels = x.dim(1) / g.groups;
  std::span<const T> bias;
  if (call.has(2)) {
    bias = input_data<T>(call, 2);
    require(call.in(2).shape() == Shape{filters}, call, "bias ", shape_text(call.in(2).shape()),
            " for ", filters, " filters");
  }
  Tensor out = Tensor::uninitialized(x.dtype(), spatial_shape(x.dim(0), filters, g.window.output));
  if (out.size() == 0) return out;
  T* y = out.mutable_data<T>().data();
  std::vector<double> acc(static_cast<size_t>(w.out_area()));
  for (int64_t n = 0; n < x.dim(0); ++n) {
    for (int64_t m = 0; m < filters; ++m) {
      std::fill(acc.begin(), acc.end(), bias.empty() ? 0.0 : double(bias[static_cast<size_t>(m)]));
      for (int64_t k = 0; k < channels; ++k) {
        const int64_t c = m / g.filters * channels + k;
        transpose_plane(w, in + (n * x.dim(1) + c) * w.in_area(),
                        weight + (c * g.filters + m % g.filters) * w.kernel_area(), acc.data());
      }
      for (double sum : acc) *y++ = static_cast<T>(sum);
    }
  }
  return out;
}

std::vector<Tensor> eval_conv_transpose(const Call& call) {
  const TransposedWindow geometry = transposed_window(call, call.in(0).shape(), call.in(1).shape());
  return {with_float(call, call.in(0).dtype(), [&](auto zero) {
    return transpose_convolve<decltype(zero)>(call, geometry);
  })};
}

int64_t conv_transpose_macs(const Node&, std::span<const Shape> inputs, std::span<const Shape>) {
  if (inputs.size() < 2 || !is_static(inputs[0]) || !is_static(inputs[1]) || inputs[1].empty() ||
      inputs[1][0] == 0) {
    return 0;
  }
  return element_count(inputs[0]) * (element_count(inputs[1]) / inputs[1][0]);
}

}  // namespace

TransposedWindow transposed_window(const Call& call, const Shape& x, const Shape& weight) {
  require(weight.size() == x.size() && x.size() >= 3, call, "input ", shape_text(x), " and weight ",
          shape_text(weight), " must have the same rank, 3 or more");
  const int64_t groups = call.integer("group", 1);
  require(groups >= 1 && x[1] == weight[0] && x[1] % groups == 0, call, "input ", shape_text(x),
          " does not fit weight ", shape_text(weight), " in ", groups, " groups");
  Window w;
  w.kernel.assign(weight.begin() + 2, weight.end());
  require(call.integers("kernel_shape", w.kernel) == w.kernel, call,
          "kernel_shape is not that of the weight ", shape_text(weight));
  w.input.assign(x.begin() + 2, x.end());
  w.strides = spatial(call, "strides", w.kernel.size(), 1, 1);
  w.dilations = spatial(call, "dilations", w.kernel.size(), 1, 1);
  resolve_output(call, w);
  return {w, groups, weight[1]};
}

// The weight is [channels, filters / groups, …]: with groups, filters that are a group apart share
// the scale of one index of axis 1.
extern const OpDef kConvTranspose{.type = "ConvTranspose",
                                  .eval = half_as_float<eval_conv_transpose>,
                                  .macs = conv_transpose_macs,
                                  .quant = {.kind = QuantKind::kLinear,
                                            .weight_input = 1,
                                            .bias_input = 2,
                                            .weight_axis = [](const Node&) -> int64_t { return 1; },
                                            .reason = ""}};

}  // namespace qtool
