// Gemm: alpha · A' · B' + beta · C.
#include "ops/loops.hpp"
#include "ops/matrix.hpp"

namespace qtool {
namespace {

template <typename T>
std::vector<T> transposed(std::span<const T> in, int64_t rows, int64_t columns) {
  std::vector<T> out(in.size());
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) {
      out[static_cast<size_t>(j * rows + i)] = in[static_cast<size_t>(i * columns + j)];
    }
  }
  return out;
}

// Input i as a row-major matrix, transposed when `attribute` says so.
template <typename T>
std::vector<T> matrix(const Call& call, size_t i, std::string_view attribute) {
  const auto data = input_data<T>(call, i);
  if (call.integer(attribute, 0) == 0) return {data.begin(), data.end()};
  return transposed(data, call.in(i).dim(0), call.in(i).dim(1));
}

Shape matrix_shape(const Call& call, size_t i, std::string_view attribute) {
  Shape shape = call.in(i).shape();
  require(shape.size() == 2, call, "input ", i, " is ", shape_text(shape), ", not a matrix");
  if (call.integer(attribute, 0) != 0) std::swap(shape[0], shape[1]);
  return shape;
}

template <typename T>
Tensor gemm(const Call& call) {
  const MatrixProduct p =
      resolve_matmul(call, matrix_shape(call, 0, "transA"), matrix_shape(call, 1, "transB"));
  const std::vector<T> a = matrix<T>(call, 0, "transA"), b = matrix<T>(call, 1, "transB");
  const double alpha = call.real("alpha", 1), beta = call.real("beta", 1);
  std::span<const T> c;
  Shape c_strides{0, 0};
  if (call.has(2)) {
    c = input_data<T>(call, 2);
    require(broadcast(call.in(2).shape(), p.shape) == p.shape, call, "C is ",
            shape_text(call.in(2).shape()), ", the product ", shape_text(p.shape));
    c_strides = broadcast_strides(call.in(2).shape(), p.shape);
  }
  Tensor out = Tensor::uninitialized(dtype_of<T>(), p.shape);
  if (out.size() == 0) return out;
  T* y = out.mutable_data<T>().data();
  multiply<double>(p, a.data(), b.data(), [&](int64_t i, std::span<const double> sums) {
    for (int64_t j = 0; j < p.columns; ++j) {
      const double base =
          c.empty() ? 0 : c[static_cast<size_t>(i * c_strides[0] + j * c_strides[1])];
      *y++ = to_element<T>(alpha * sums[static_cast<size_t>(j)] + (c.empty() ? 0 : beta * base));
    }
  });
  return out;
}

std::vector<Tensor> eval_gemm(const Call& call) {
  return {
      with_number(call, call.in(0).dtype(), [&](auto zero) { return gemm<decltype(zero)>(call); })};
}

int64_t macs(const Node& node, std::span<const Shape> inputs, std::span<const Shape> outputs) {
  if (inputs.empty() || inputs[0].size() != 2 || !is_static(inputs[0]) || outputs.empty() ||
      !is_static(outputs[0])) {
    return 0;
  }
  return element_count(outputs[0]) * inputs[0][attr_int(node, "transA", 0) ? 0 : 1];
}

std::string_view blocked(const Node& node) {
  const bool plain = attr_float(node, "alpha", 1) == 1 && attr_float(node, "beta", 1) == 1;
  if (!plain) return "alpha or beta is not 1: fold them into the weight and the bias first";
  return attr_int(node, "transA", 0) ? "transA is set: no integer kernel reads a transposed input"
                                     : "";
}

}  // namespace

extern const OpDef kGemm{.type = "Gemm",
                         .eval = half_as_float<eval_gemm>,
                         .macs = macs,
                         .quant = {.kind = QuantKind::kLinear,
                                   .weight_input = 1,
                                   .bias_input = 2,
                                   .weight_axis = [](const Node& n) -> int64_t {
                                     return attr_int(n, "transB", 0) ? 0 : 1;
                                   },
                                   .reason = "",
                                   .column_product = true,
                                   .blocked = blocked}};

}  // namespace qtool
