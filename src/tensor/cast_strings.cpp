#include "tensor/cast_strings.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

#include "tensor/elements.hpp"

namespace qtool {
namespace {

template <typename Float>
std::string float_text(Float value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "INF" : "-INF";
  std::array<char, 512> buffer;  // plain form: up to 309 digits before the point, 324 zeros after
  const auto end =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::fixed);
  return {buffer.data(), end.ptr};
}

// The whole text as a number; "inf" and "nan" in any case, a leading "+", an exponent.
template <typename Number>
std::optional<Number> parse(std::string_view text) {
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end != text.data() + text.size() || text.empty()) return std::nullopt;
  if (error == std::errc()) return value;
  if constexpr (std::is_floating_point_v<Number>) {
    if (error == std::errc::result_out_of_range) {
      // Standard libraries leave open whether it was too large or too small.
      const auto exact = parse<long double>(text);
      return exact ? std::optional(static_cast<Number>(*exact)) : std::nullopt;
    }
  }
  return std::nullopt;
}

template <>
std::optional<long double> parse<long double>(std::string_view text) {
  long double value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() ? std::optional(value) : std::nullopt;
}

Tensor parse_element(const std::string& text, DType to) {
  if (is_integer(to) || to == DType::kBool) {
    if (const auto whole = parse<int64_t>(text)) return Tensor::scalar(*whole);
    if (const auto whole = parse<uint64_t>(text)) return Tensor::scalar(*whole);
  }
  if (to == DType::kFloat) {
    if (const auto value = parse<float>(text)) return Tensor::scalar(*value);
  }
  if (const auto value = parse<double>(text)) return Tensor::scalar(*value);
  throw_model("QT-E331", cat("Cast: '", printable(text, 40), "' is not a number"));
}

}  // namespace

Tensor numbers_to_strings(const Tensor& input) {
  std::vector<std::string> out(static_cast<size_t>(input.size()));
  for (int64_t i = 0; i < input.size(); ++i) {
    std::string& text = out[static_cast<size_t>(i)];
    if (input.dtype() == DType::kBool) {
      text = input.integer(i) != 0 ? "True" : "False";
    } else if (input.dtype() == DType::kUint64) {
      text = std::to_string(input.data<uint64_t>()[static_cast<size_t>(i)]);
    } else if (is_integer(input.dtype())) {
      text = std::to_string(input.integer(i));
    } else if (input.dtype() == DType::kDouble) {
      text = float_text(input.number(i));
    } else {
      text = float_text(static_cast<float>(input.number(i)));
    }
  }
  return Tensor::strings(input.shape(), std::move(out));
}

Tensor strings_to_numbers(const Tensor& input, DType to, bool saturate) {
  // Goes through one tensor of the widest fitting type, so that the numeric rules hold.
  Tensor out(to, input.shape());
  const Elements elements{to, out.mutable_raw()};
  for (int64_t i = 0; i < input.size(); ++i) {
    const Tensor one =
        cast(parse_element(input.string_data()[static_cast<size_t>(i)], to), to, saturate);
    copy_element({to, one.raw()}, 0, elements, i);
  }
  return out;
}

}  // namespace qtool
