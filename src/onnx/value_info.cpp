#include "onnx/value_info.hpp"

#include "onnx/tensor_proto.hpp"

namespace qtool::onnx_detail {
namespace {

// Numbers and names go to the value; a negative number or an empty name means "unknown" and stays.
int64_t take_dim(onnx::TensorShapeProto::Dimension& dim, std::string& symbol) {
  if (dim.has_dim_value() && dim.dim_value() >= 0) {
    const int64_t size = dim.dim_value();
    dim.clear_dim_value();
    return size;
  }
  if (dim.has_dim_param() && !dim.dim_param().empty()) {
    symbol = dim.dim_param();
    dim.clear_dim_param();
  }
  return -1;
}

void take_shape(onnx::TensorShapeProto& proto, Value& value) {
  Shape shape;
  std::vector<std::string> symbols(static_cast<size_t>(proto.dim_size()));
  bool named = false;
  for (int i = 0; i < proto.dim_size(); ++i) {
    std::string& symbol = symbols[static_cast<size_t>(i)];
    shape.push_back(take_dim(*proto.mutable_dim(i), symbol));
    named = named || !symbol.empty();
  }
  value.shape = std::move(shape);
  if (named) value.symbols = std::move(symbols);
}

// A shape whose dimensions carry nothing more need not be kept.
void drop_bare_dims(onnx::TypeProto::Tensor& type) {
  for (const auto& dim : type.shape().dim())
    if (dim.ByteSizeLong() > 0) return;
  type.mutable_shape()->clear_dim();
  if (type.shape().ByteSizeLong() == 0) type.clear_shape();
}

void take_type(onnx::ValueInfoProto& info, Value& value) {
  if (!info.type().has_tensor_type()) return;
  auto& type = *info.mutable_type()->mutable_tensor_type();
  if (type.elem_type() == 0 && !type.has_shape()) return;
  if (type.elem_type() != 0) {
    value.dtype = dtype_from_proto(type.elem_type());
    type.clear_elem_type();
  }
  if (type.has_shape()) {
    take_shape(*type.mutable_shape(), value);
    drop_bare_dims(type);
  }
  if (type.ByteSizeLong() == 0) info.mutable_type()->clear_tensor_type();
  if (info.type().ByteSizeLong() == 0) info.clear_type();
}

void put_shape(const Value& value, onnx::TensorShapeProto& proto) {
  const Shape& shape = *value.shape;
  if (proto.dim_size() != static_cast<int>(shape.size())) proto.clear_dim();
  while (proto.dim_size() < static_cast<int>(shape.size())) proto.add_dim();
  for (size_t i = 0; i < shape.size(); ++i) {
    auto& dim = *proto.mutable_dim(static_cast<int>(i));
    if (shape[i] >= 0) {
      dim.set_dim_value(shape[i]);
    } else if (i < value.symbols.size() && !value.symbols[i].empty()) {
      dim.set_dim_param(value.symbols[i]);
    }
  }
}

}  // namespace

void take_value_info(onnx::ValueInfoProto& info, Value& value) {
  info.clear_name();
  if (!value.declared) {
    take_type(info, value);
    value.opaque = rest_of(info);
    value.declared = true;
    return;
  }
  Value second;
  take_type(info, second);
  if (value.dtype == DType::kUndefined) value.dtype = second.dtype;
  if (!value.shape) {
    value.shape = std::move(second.shape);
    value.symbols = std::move(second.symbols);
  }
}

void put_value_info(const Value& value, onnx::ValueInfoProto& info) {
  restore(value.opaque, info);
  info.set_name(value.name);
  // A sequence, map or optional: its type is in the rest.
  const auto kind = info.type().value_case();
  if (kind != onnx::TypeProto::kTensorType && kind != onnx::TypeProto::VALUE_NOT_SET) return;
  if (value.dtype == DType::kUndefined && !value.shape) return;
  auto& type = *info.mutable_type()->mutable_tensor_type();
  if (value.dtype != DType::kUndefined) type.set_elem_type(static_cast<int>(value.dtype));
  if (value.shape) {
    put_shape(value, *type.mutable_shape());
  } else {
    type.clear_shape();
  }
}

}  // namespace qtool::onnx_detail
