#include "onnx/tensor_proto.hpp"

#include <cstring>
#include <limits>

namespace qtool::onnx_detail {
namespace {

constexpr size_t kMaxRank = 64;

Shape checked_shape(const onnx::TensorProto& proto, DType type) {
  Shape shape(proto.dims().begin(), proto.dims().end());
  if (shape.size() > kMaxRank)
    throw_model("QT-E310",
                cat("it has ", shape.size(), " dimensions, at most ", kMaxRank, " are read"));
  for (const int64_t dim : shape)
    if (dim < 0) throw_model("QT-E310", cat("its dimensions contain ", dim));
  const int64_t count = element_count(shape);
  const int64_t widest = 16;
  if (type != DType::kString && count > std::numeric_limits<int64_t>::max() / (8 * widest))
    throw_model("QT-E340", cat("its shape ", shape_text(shape), " is too large for any memory"));
  return shape;
}

// Which of the data fields hold something; exactly one may.
void check_one_place(const onnx::TensorProto& proto) {
  const int typed = (proto.float_data_size() > 0) + (proto.int32_data_size() > 0) +
                    (proto.string_data_size() > 0) + (proto.int64_data_size() > 0) +
                    (proto.double_data_size() > 0) + (proto.uint64_data_size() > 0);
  const int places = typed + !proto.raw_data().empty();
  const bool external = proto.data_location() == onnx::TensorProto::EXTERNAL;
  if (external && places > 0)
    throw_model("QT-E310", "its data is declared external and is also in the file");
  if (places > 1) throw_model("QT-E310", "its data is given twice (raw_data and typed fields)");
}

void check_data_size(int64_t have, int64_t want, const char* unit, const Shape& shape, DType type) {
  if (have == want) return;
  throw Error(ErrorKind::kModel, "QT-E310",
              cat("it holds ", have, " ", unit, ", but ", dtype_name(type), shape_text(shape),
                  " takes ", want))
      .hint("the file is damaged or was written by a faulty exporter; export the model again");
}

// Booleans are one byte, 0 or 1; other bytes mean true to every reader and are made 1.
Tensor normalized(Tensor tensor) {
  if (tensor.dtype() != DType::kBool) return tensor;
  const auto* bytes = static_cast<const uint8_t*>(tensor.raw());
  bool odd = false;
  for (int64_t i = 0; i < tensor.size(); ++i) odd = odd || bytes[i] > 1;
  if (!odd) return tensor;
  auto* fixed = static_cast<uint8_t*>(tensor.mutable_raw());
  for (int64_t i = 0; i < tensor.size(); ++i) fixed[i] = fixed[i] != 0;
  return tensor;
}

Tensor take_raw(onnx::TensorProto& proto, DType type, Shape shape) {
  if (type == DType::kString) throw_model("QT-E310", "strings cannot be stored in raw_data");
  const int64_t want = byte_size(type, element_count(shape));
  check_data_size(static_cast<int64_t>(proto.raw_data().size()), want, "bytes", shape, type);
  std::shared_ptr<const std::string> bytes(proto.release_raw_data());
  return normalized(Tensor::view(type, std::move(shape), bytes->data(), bytes));
}

// Copies numbers of a typed field into elements of `Element`, refusing values that do not fit.
template <typename Element, typename Field>
Tensor from_field(const Field& field, int64_t count, DType type, Shape shape, int64_t low,
                  int64_t high) {
  check_data_size(field.size(), count, "values", shape, type);
  Tensor tensor = Tensor::uninitialized(type, std::move(shape));
  auto* out = static_cast<Element*>(tensor.mutable_raw());
  for (int64_t i = 0; i < count; ++i) {
    const auto value = field.Get(static_cast<int>(i));
    if constexpr (std::is_integral_v<decltype(value)> && sizeof(Element) < sizeof(value)) {
      if (static_cast<int64_t>(value) < low || static_cast<int64_t>(value) > high)
        throw_model("QT-E310", cat("value ", value, " does not fit ", dtype_name(type)));
    }
    out[i] = static_cast<Element>(value);
  }
  return tensor;
}

// int32_data: whole values, or bit patterns of 16 or 8 bits; packed types hold one byte an entry.
Tensor from_int32(const onnx::TensorProto& proto, DType type, Shape shape) {
  const auto& field = proto.int32_data();
  const int64_t count = element_count(shape), bytes = byte_size(type, count);
  switch (type) {
    case DType::kInt32:
      return from_field<int32_t>(field, count, type, std::move(shape), 0, 0);
    case DType::kInt16:
      return from_field<int16_t>(field, count, type, std::move(shape), -32768, 32767);
    case DType::kUint16:
      return from_field<uint16_t>(field, count, type, std::move(shape), 0, 65535);
    case DType::kFloat16:
    case DType::kBfloat16:
      return from_field<uint16_t>(field, count, type, std::move(shape), -32768, 65535);
    case DType::kInt8:
      return from_field<int8_t>(field, count, type, std::move(shape), -128, 127);
    case DType::kUint8:
      return from_field<uint8_t>(field, count, type, std::move(shape), 0, 255);
    case DType::kBool: {
      check_data_size(field.size(), count, "values", shape, type);
      Tensor tensor = Tensor::uninitialized(type, std::move(shape));
      auto* out = static_cast<uint8_t*>(tensor.mutable_raw());
      for (int64_t i = 0; i < count; ++i) out[i] = field.Get(static_cast<int>(i)) != 0;
      return tensor;
    }
    default:
      return from_field<uint8_t>(field, bytes, type, std::move(shape), -128, 255);
  }
}

Tensor from_strings(onnx::TensorProto& proto, Shape shape) {
  check_data_size(proto.string_data_size(), element_count(shape), "values", shape, DType::kString);
  std::vector<std::string> values;
  values.reserve(static_cast<size_t>(proto.string_data_size()));
  for (std::string& text : *proto.mutable_string_data()) values.push_back(std::move(text));
  return Tensor::strings(std::move(shape), std::move(values));
}

Tensor take_typed(onnx::TensorProto& proto, DType type, Shape shape) {
  const int64_t count = element_count(shape);
  switch (type) {
    case DType::kFloat:
      return from_field<float>(proto.float_data(), count, type, std::move(shape), 0, 0);
    case DType::kComplex64:
      return from_field<float>(proto.float_data(), 2 * count, type, std::move(shape), 0, 0);
    case DType::kDouble:
      return from_field<double>(proto.double_data(), count, type, std::move(shape), 0, 0);
    case DType::kComplex128:
      return from_field<double>(proto.double_data(), 2 * count, type, std::move(shape), 0, 0);
    case DType::kInt64:
      return from_field<int64_t>(proto.int64_data(), count, type, std::move(shape), 0, 0);
    case DType::kUint64:
      return from_field<uint64_t>(proto.uint64_data(), count, type, std::move(shape), 0, 0);
    case DType::kUint32:
      return from_field<uint32_t>(proto.uint64_data(), count, type, std::move(shape), 0,
                                  std::numeric_limits<uint32_t>::max());
    case DType::kString:
      return from_strings(proto, std::move(shape));
    default:
      return from_int32(proto, type, std::move(shape));
  }
}

void clear_data(onnx::TensorProto& proto) {
  proto.clear_dims();
  proto.clear_data_type();
  proto.clear_raw_data();
  proto.clear_float_data();
  proto.clear_int32_data();
  proto.clear_string_data();
  proto.clear_int64_data();
  proto.clear_double_data();
  proto.clear_uint64_data();
  proto.clear_external_data();
  proto.clear_data_location();
}

}  // namespace

DType dtype_from_proto(int code) {
  if (is_known_dtype(code) && code != 0) return static_cast<DType>(code);
  if (onnx::TensorProto::DataType_IsValid(code) && code != 0)
    throw_unsupported(
        cat("element type ",
            onnx::TensorProto::DataType_Name(static_cast<onnx::TensorProto::DataType>(code)),
            " is not supported"));
  throw_model("QT-E310", cat("element type ", code, " does not exist in ONNX"));
}

TensorSource no_external_data() {
  return [](const onnx::TensorProto&, DType, const Shape&) -> Tensor {
    throw Error(ErrorKind::kModel, "QT-E311",
                "its data is in another file, and there is no folder to look in")
        .hint("load the model from its file");
  };
}

Tensor take_tensor(onnx::TensorProto& proto, const TensorSource& source) {
  const DType type = dtype_from_proto(proto.data_type());
  if (proto.has_segment()) throw_unsupported("tensors cut into segments are not supported");
  Shape shape = checked_shape(proto, type);
  check_one_place(proto);
  Tensor tensor;
  if (proto.data_location() == onnx::TensorProto::EXTERNAL) {
    tensor = normalized(source(proto, type, shape));
  } else if (!proto.raw_data().empty()) {
    tensor = take_raw(proto, type, std::move(shape));
  } else {
    tensor = take_typed(proto, type, std::move(shape));
  }
  clear_data(proto);
  return tensor;
}

void put_tensor(const Tensor& tensor, onnx::TensorProto& proto, const TensorSink& sink) {
  if (!tensor.defined()) throw_internal("an undefined tensor cannot be written");
  for (const int64_t dim : tensor.shape()) proto.add_dims(dim);
  proto.set_data_type(static_cast<int>(tensor.dtype()));
  if (tensor.dtype() == DType::kString) {
    for (const std::string& text : tensor.string_data()) proto.add_string_data(text);
    return;
  }
  if (sink && sink(tensor, proto)) return;
  if (tensor.size() > 0) proto.set_raw_data(tensor.raw(), static_cast<size_t>(tensor.bytes()));
}

}  // namespace qtool::onnx_detail
