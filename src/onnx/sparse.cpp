#include "onnx/sparse.hpp"

#include <cstring>

#include "google/protobuf/unknown_field_set.h"

namespace qtool::onnx_detail {
namespace {

// Field number, unused by ONNX, under which the sparse message travels in Initializer::opaque.
constexpr int kSparseField = 50917;

// Position of the n-th stored value in the dense tensor: linear, or one index per axis.
int64_t dense_index(const Tensor& indices, int64_t n, const Shape& shape, int64_t count) {
  const auto data = indices.data<int64_t>();
  int64_t position = 0;
  if (indices.rank() == 1) {
    position = data[static_cast<size_t>(n)];
  } else {
    const int64_t rank = static_cast<int64_t>(shape.size());
    for (int64_t axis = 0; axis < rank; ++axis) {
      const int64_t at = data[static_cast<size_t>(n * rank + axis)],
                    size = shape[static_cast<size_t>(axis)];
      if (at < 0 || at >= size) return -1;
      position = position * size + at;
    }
  }
  return position >= 0 && position < count ? position : -1;
}

Tensor densify(const Tensor& values, const Tensor& indices, const Shape& shape) {
  const int64_t stored = values.size(), width = dtype_bits(values.dtype()) / 8;
  if (width == 0) throw_unsupported("sparse tensors of strings or packed types are not supported");
  const Shape linear{stored}, per_axis{stored, static_cast<int64_t>(shape.size())};
  if (indices.dtype() != DType::kInt64 ||
      (indices.shape() != linear && indices.shape() != per_axis))
    throw_model("QT-E310", cat("its indices ", shape_text(indices.shape()), " do not fit ", stored,
                               " values of shape ", shape_text(shape)));
  Tensor dense(values.dtype(), shape);
  auto* out = static_cast<char*>(dense.mutable_raw());
  const auto* in = static_cast<const char*>(values.raw());
  for (int64_t n = 0; n < stored; ++n) {
    const int64_t at = dense_index(indices, n, shape, dense.size());
    if (at < 0) throw_model("QT-E310", cat("index ", n, " of the sparse tensor is out of range"));
    std::memcpy(out + at * width, in + n * width, static_cast<size_t>(width));
  }
  return dense;
}

Tensor dense_from(onnx::SparseTensorProto proto, const TensorSource& source) {
  const Shape shape(proto.dims().begin(), proto.dims().end());
  const Tensor values = take_tensor(*proto.mutable_values(), source);
  const Tensor indices = proto.has_indices() ? take_tensor(*proto.mutable_indices(), source)
                                             : Tensor(DType::kInt64, {0});
  if (values.rank() != 1)
    throw_model("QT-E310", "the values of a sparse tensor must have one dimension");
  return densify(values, indices, shape);
}

}  // namespace

Initializer take_sparse(const onnx::SparseTensorProto& proto, const TensorSource& source) {
  Initializer result;
  result.data = dense_from(proto, source);
  onnx::SparseTensorProto inside = proto;
  const bool external = proto.values().data_location() == onnx::TensorProto::EXTERNAL ||
                        proto.indices().data_location() == onnx::TensorProto::EXTERNAL;
  if (external) return result;  // its files need not exist where the model is written
  inside.mutable_values()->clear_name();
  onnx::TensorProto carrier;
  carrier.GetReflection()->MutableUnknownFields(&carrier)->AddLengthDelimited(
      kSparseField, inside.SerializeAsString());
  result.opaque = rest_of(carrier);
  return result;
}

std::optional<onnx::SparseTensorProto> sparse_form(const Initializer& initializer) {
  onnx::TensorProto carrier;
  restore(initializer.opaque, carrier);
  const auto& unknown = carrier.GetReflection()->GetUnknownFields(carrier);
  for (int i = 0; i < unknown.field_count(); ++i) {
    if (unknown.field(i).number() != kSparseField) continue;
    onnx::SparseTensorProto sparse;
    restore(unknown.field(i).length_delimited(), sparse);
    const Tensor dense = dense_from(sparse, no_external_data());
    const Tensor& now = initializer.data;
    const bool same = dense.dtype() == now.dtype() && dense.shape() == now.shape() &&
                      std::memcmp(dense.raw(), now.raw(), static_cast<size_t>(now.bytes())) == 0;
    if (same) return sparse;
  }
  return std::nullopt;
}

std::string without_sparse_form(const std::string& opaque) {
  onnx::TensorProto carrier;
  restore(opaque, carrier);
  carrier.GetReflection()->MutableUnknownFields(&carrier)->DeleteByNumber(kSparseField);
  return rest_of(carrier);
}

}  // namespace qtool::onnx_detail
