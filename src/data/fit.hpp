// Does a tensor fit the model's input: shapes, element types, finite values.
#pragma once

#include <span>

#include "qtool/data.hpp"

namespace qtool::data {

// Axis 0 counts samples, so it may differ; or the tensor is a whole feed and every axis has to fit.
enum class Axis0 { kSamples, kFixed };
// Error{kData} that names expected and got.
void check_shape(const InputSpec& input, const Shape& shape, Axis0 axis0,
                 const std::string& origin);
// Conversions that keep values: between float types, between integer types (bool is one of them).
bool can_convert(DType from, DType to);
void check_type(const InputSpec& input, DType type, const std::string& origin);
// The tensor as the input's type; Error{kData} when an integer does not fit.
Tensor converted(const Tensor& tensor, const InputSpec& input, const std::string& origin);
// Error{kData} when a float tensor holds NaN or infinity.
void check_finite(const Tensor& tensor, const std::string& input, const std::string& origin);
// The inputs' names, for messages: "'input_ids', 'attention_mask'".
std::string input_names(std::span<const InputSpec> inputs);

}  // namespace qtool::data
