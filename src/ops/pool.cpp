// AveragePool, LpPool and MaxPool in one to three dimensions.
#include <cmath>

#include "ops/window3.hpp"

namespace qtool {
namespace {

struct Pool {
  Window3 window;
  int64_t planes;
  Shape shape;
};

Pool resolve_pool(const Call& call) {
  const Tensor& x = call.in(0);
  const Window window = resolve_window(call.node, x.shape(), call.integers("kernel_shape"));
  return {to_window3(call, window), x.dim(0) * x.dim(1),
          spatial_shape(x.dim(0), x.dim(1), window.output)};
}

// The part of the kernel that lies on the input, for the output position `at`: kernel steps
// [low, high) a dimension, and the input index of kernel step 0.
struct Cover {
  std::array<Range, 3> steps;
  std::array<int64_t, 3> origin;
  int64_t count;
};

Cover cover(const Window3& w, const std::array<int64_t, 3>& at) {
  Cover c;
  c.count = 1;
  for (size_t d = 0; d < 3; ++d) {
    c.origin[d] = at[d] * w.stride[d] - w.pad[d];
    c.steps[d] = valid_range(w.kernel[d], w.dilation[d], c.origin[d], w.in[d]);
    c.count *= c.steps[d].high - c.steps[d].low;
  }
  return c;
}

// Calls fn(input index within the plane) for every covered element.
template <typename Fn>
void for_each_covered(const Window3& w, const Cover& c, Fn&& fn) {
  for (int64_t a = c.steps[0].low; a < c.steps[0].high; ++a) {
    for (int64_t b = c.steps[1].low; b < c.steps[1].high; ++b) {
      const int64_t row =
          ((c.origin[0] + a * w.dilation[0]) * w.in[1] + c.origin[1] + b * w.dilation[1]) * w.in[2];
      for (int64_t d = c.steps[2].low; d < c.steps[2].high; ++d) {
        fn(row + c.origin[2] + d * w.dilation[2]);
      }
    }
  }
}

// Calls fn(output index, plane offset in the input, cover) for every output element.
template <typename Fn>
void for_each_output(const Pool& p, Fn&& fn) {
  const Window3& w = p.window;
  int64_t o = 0;
  for (int64_t plane = 0; plane < p.planes; ++plane) {
    for (int64_t z = 0; z < w.out[0]; ++z) {
      for (int64_t y = 0; y < w.out[1]; ++y) {
        for (int64_t x = 0; x < w.out[2]; ++x) fn(o++, plane * w.in_area(), cover(w, {z, y, x}));
      }
    }
  }
}

// Kernel elements within the padded input, which a window that was rounded up may leave.
int64_t padded_count(const Window3& w, const Cover& c) {
  int64_t count = 1;
  for (size_t d = 0; d < 3; ++d) {
    const Range r = valid_range(w.kernel[d], w.dilation[d], c.origin[d] + w.pad[d],
                                w.in[d] + w.pad[d] + w.pad_end[d]);
    count *= r.high - r.low;
  }
  return count;
}

std::vector<Tensor> eval_average_pool(const Call& call) {
  const Tensor& x = call.in(0);
  const Pool p = resolve_pool(call);
  const bool include_pad = call.integer("count_include_pad", 0) != 0;
  return {with_float(call, x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    Tensor out = Tensor::uninitialized(x.dtype(), p.shape);
    const T* in = x.data<T>().data();
    T* y = out.mutable_data<T>().data();
    for_each_output(p, [&](int64_t o, int64_t base, const Cover& c) {
      double sum = 0;
      for_each_covered(p.window, c, [&](int64_t i) { sum += in[base + i]; });
      const int64_t count = include_pad ? padded_count(p.window, c) : c.count;
      require(count > 0, call, "a window lies wholly in the padding");
      y[o] = static_cast<T>(sum / static_cast<double>(count));
    });
    return out;
  })};
}

std::vector<Tensor> eval_lp_pool(const Call& call) {
  const Tensor& x = call.in(0);
  const Pool p = resolve_pool(call);
  const double power =
      call.opset < 2 ? call.real("p", 2) : static_cast<double>(call.integer("p", 2));
  return {with_float(call, x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    Tensor out = Tensor::uninitialized(x.dtype(), p.shape);
    const T* in = x.data<T>().data();
    T* y = out.mutable_data<T>().data();
    for_each_output(p, [&](int64_t o, int64_t base, const Cover& c) {
      double sum = 0;
      for_each_covered(p.window, c,
                       [&](int64_t i) { sum += std::pow(std::abs(double(in[base + i])), power); });
      y[o] = static_cast<T>(std::pow(sum, 1 / power));
    });
    return out;
  })};
}

// Index of a plane's element `i` when the spatial dimensions are counted first-fastest.
int64_t column_major(const Window3& w, int64_t i) {
  const int64_t x = i % w.in[2], y = i / w.in[2] % w.in[1], z = i / (w.in[2] * w.in[1]);
  return z + w.in[0] * (y + w.in[1] * x);
}

std::vector<Tensor> eval_max_pool(const Call& call) {
  const Tensor& x = call.in(0);
  const Pool p = resolve_pool(call);
  const bool by_column = call.integer("storage_order", 0) != 0;
  std::vector<Tensor> results{Tensor::uninitialized(x.dtype(), p.shape)};
  if (call.outputs() > 1) results.emplace_back(DType::kInt64, p.shape);
  int64_t* where = call.outputs() > 1 ? results[1].mutable_data<int64_t>().data() : nullptr;
  with_number(call, x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* in = x.data<T>().data();
    T* y = results[0].mutable_data<T>().data();
    for_each_output(p, [&](int64_t o, int64_t base, const Cover& c) {
      require(c.count > 0, call, "a window lies wholly in the padding");
      int64_t best = -1;
      for_each_covered(p.window, c, [&](int64_t i) {
        if (best < 0 || in[base + i] > in[base + best]) best = i;
      });
      y[o] = in[base + best];
      if (where) where[o] = base + (by_column ? column_major(p.window, best) : best);
    });
  });
  return results;
}

}  // namespace

extern const OpDef kAveragePool{.type = "AveragePool",
                                .eval = half_as_float<eval_average_pool>,
                                .quant = {.kind = QuantKind::kAverage, .reason = ""}};
extern const OpDef kMaxPool{.type = "MaxPool",
                            .eval = half_as_float<eval_max_pool>,
                            .quant = {.kind = QuantKind::kMovement, .reason = ""}};
extern const OpDef kLpPool{.type = "LpPool", .eval = half_as_float<eval_lp_pool>};

}  // namespace qtool
