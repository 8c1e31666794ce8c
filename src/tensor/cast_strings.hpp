// Cast to and from strings.
#pragma once

#include "qtool/tensor.hpp"

namespace qtool {

// Plain decimal text that reads back exactly; "NaN", "INF", "-INF".
Tensor numbers_to_strings(const Tensor& input);
// Throws Error{kModel} naming the first text that is no number.
Tensor strings_to_numbers(const Tensor& input, DType to, bool saturate);

}  // namespace qtool
