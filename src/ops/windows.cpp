// HannWindow, HammingWindow, BlackmanWindow and MelWeightMatrix: constants of signal processing.
#include <cmath>
#include <numbers>

#include "ops/movable.hpp"

namespace qtool {
namespace {

constexpr QuantRule kSignal{.reason = "a constant of a signal transform, which stays in float"};

DType output_type(const Call& call) {
  const DType type =
      checked_dtype(call.integer("output_datatype", static_cast<int64_t>(DType::kFloat)), call);
  if (!is_integer(type) && !is_real(type)) unsupported_type(call, type);
  return type;
}

// a0 − a1 cos x + a2 cos 2x over one period.
struct Cosines {
  double a0, a1, a2;
};

template <const Cosines& c>
std::vector<Tensor> eval_window(const Call& call) {
  const int64_t size = index_scalar(call, 0);
  require(size >= 0, call, "size ", size, " is negative");
  const DType type = output_type(call);
  // A symmetric window ends where it began, a periodic one a step before that.
  const int64_t period = call.integer("periodic", 1) != 0 ? size : size - 1;
  Tensor out(DType::kDouble, {size});
  double* y = out.mutable_data<double>().data();
  for (int64_t i = 0; i < size; ++i) {
    const double x = 2 * std::numbers::pi * static_cast<double>(i) / static_cast<double>(period);
    y[i] = period == 0 ? 1 : c.a0 - c.a1 * std::cos(x) + c.a2 * std::cos(2 * x);
  }
  return {cast(out, type)};
}

constexpr Cosines kHann{0.5, 0.5, 0}, kHamming{25.0 / 46, 21.0 / 46, 0}, kBlackman{0.42, 0.5, 0.08};

template <const Cosines& c>
constexpr OpDef window_op(std::string_view type) {
  return {.type = type, .since = 17, .eval = eval_window<c>, .quant = kSignal};
}

double real_scalar(const Call& call, size_t i) {
  const Tensor& t = call.in(i);
  require(is_real(t.dtype()) && t.size() == 1, call, "input ", i, " is not one real number");
  return t.number(0);
}

double hertz_to_mel(double hertz) { return 2595 * std::log10(1 + hertz / 700); }
double mel_to_hertz(double mel) { return 700 * (std::pow(10, mel / 2595) - 1); }

// Spectrogram bins at which the triangles of the filters begin, peak and end.
std::vector<int64_t> filter_corners(const Call& call, int64_t filters, int64_t length,
                                    int64_t bins) {
  const int64_t rate = index_scalar(call, 2);
  require(rate > 0, call, "a sample rate of ", rate);
  const double low = hertz_to_mel(real_scalar(call, 3)), high = hertz_to_mel(real_scalar(call, 4));
  const double step = (high - low) / static_cast<double>(filters + 2);
  std::vector<int64_t> corners;
  for (int64_t i = 0; i < filters + 2; ++i) {
    const double hertz = mel_to_hertz(low + static_cast<double>(i) * step);
    const double bin =
        std::floor(static_cast<double>(length + 1) * hertz / static_cast<double>(rate));
    require(bin >= 0 && bin <= static_cast<double>(bins), call, "the edge frequency ", hertz,
            " Hz is outside the spectrogram");
    corners.push_back(static_cast<int64_t>(bin));
  }
  return corners;
}

std::vector<Tensor> eval_mel_weight_matrix(const Call& call) {
  const int64_t filters = index_scalar(call, 0), length = index_scalar(call, 1);
  require(filters >= 0 && length >= 0 && filters < (1 << 24) && length < (int64_t{1} << 40), call,
          filters, " filters for a transform of ", length);
  const DType type = output_type(call);
  const int64_t bins = length / 2 + 1;
  Tensor out(DType::kDouble, {bins, filters});
  const std::vector<int64_t> corners = filter_corners(call, filters, length, bins);
  const auto y = out.mutable_data<double>();
  const auto set = [&](int64_t bin, int64_t filter, double weight) {
    require(bin < bins, call, "a filter reaches beyond the spectrogram");
    y[static_cast<size_t>(bin * filters + filter)] = weight;
  };
  for (int64_t f = 0; f < filters; ++f) {
    const auto at = static_cast<size_t>(f);
    const int64_t left = corners[at], peak = corners[at + 1], right = corners[at + 2];
    if (left == peak) set(peak, f, 1);
    for (int64_t b = left; b <= peak && left < peak; ++b) {
      set(b, f, static_cast<double>(b - left) / static_cast<double>(peak - left));
    }
    for (int64_t b = peak; b < right; ++b) {
      set(b, f, static_cast<double>(right - b) / static_cast<double>(right - peak));
    }
  }
  return {cast(out, type)};
}

}  // namespace

extern const OpDef kHannWindow = window_op<kHann>("HannWindow");
extern const OpDef kHammingWindow = window_op<kHamming>("HammingWindow");
extern const OpDef kBlackmanWindow = window_op<kBlackman>("BlackmanWindow");
extern const OpDef kMelWeightMatrix{
    .type = "MelWeightMatrix", .since = 17, .eval = eval_mel_weight_matrix, .quant = kSignal};

}  // namespace qtool
