#include "evaluate/compare.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "evaluate/metrics.hpp"

namespace qtool {
namespace {

// Relative and absolute tolerance of one element type; integers and tiny floats must be equal.
struct Tolerance {
  double relative = 0, absolute = 0;
};

Tolerance tolerance_of(DType type, const VerifyOptions& options) {
  switch (type) {
    case DType::kFloat:
    case DType::kDouble:
      return {options.rtol, options.atol};
    case DType::kFloat16:
      return {std::max(options.rtol, std::ldexp(1.0, -9)), options.atol};
    case DType::kBfloat16:
      return {std::max(options.rtol, std::ldexp(1.0, -6)), options.atol};
    default:
      return {};
  }
}

bool close(double have, double want, const Tolerance& t) {
  if (std::isnan(want)) return std::isnan(have);
  if (have == want) return true;  // infinities too
  return std::isfinite(have) && std::isfinite(want) &&
         std::fabs(have - want) <= t.absolute + t.relative * std::fabs(want);
}

std::string numeric_mismatch(const Tensor& have, const Tensor& want, const Tolerance& tolerance,
                             double& max_error) {
  const bool whole = is_integer(want.dtype());
  int64_t wrong = 0, first = -1;
  for (int64_t i = 0; i < want.size(); ++i) {
    const double a = have.number(i), b = want.number(i), error = std::fabs(a - b);
    if (std::isfinite(error)) max_error = std::max(max_error, error);
    // Doubles cannot tell large 64-bit integers apart.
    if (whole ? have.integer(i) == want.integer(i) : close(a, b, tolerance)) continue;
    if (wrong++ == 0) first = i;
  }
  if (!wrong) return "";
  return cat(wrong, " of ", want.size(), " values differ, the first at ", first, ": ",
             have.number(first), ", expected ", want.number(first));
}

std::string sequence_mismatch(const Tensor& have, const Tensor& want, const VerifyOptions& options,
                              double& max_error) {
  if (have.size() != want.size())
    return cat("it has ", have.size(), " elements, expected ", want.size());
  for (size_t i = 0; i < want.sequence_data().size(); ++i) {
    const std::string wrong =
        mismatch(have.sequence_data()[i], want.sequence_data()[i], options, max_error);
    if (!wrong.empty()) return cat("element ", i, ": ", wrong);
  }
  return "";
}

}  // namespace

std::string mismatch(const Tensor& have, const Tensor& want, const VerifyOptions& options,
                     double& max_error) {
  if (have.dtype() != want.dtype())
    return cat("its type is ", dtype_name(have.dtype()), ", expected ", dtype_name(want.dtype()));
  if (want.dtype() == DType::kSequence) return sequence_mismatch(have, want, options, max_error);
  if (have.shape() != want.shape())
    return cat("its shape is ", shape_text(have.shape()), ", expected ", shape_text(want.shape()));
  if (want.dtype() == DType::kString)
    return have.string_data() == want.string_data() ? "" : "its strings differ";
  if (metrics::is_numeric(want.dtype()))
    return numeric_mismatch(have, want, tolerance_of(want.dtype(), options), max_error);
  const bool same = want.bytes() == 0 ||
                    std::memcmp(have.raw(), want.raw(), static_cast<size_t>(want.bytes())) == 0;
  return same ? "" : "its bytes differ";
}

}  // namespace qtool
