// Rounding to the levels of a number format, row by row.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "qtool/passes.hpp"
#include "quantize/internal.hpp"

namespace qtool::qdq {
namespace {

// Scales tried, as parts of the one that the format gives weights of the row's size.
constexpr int kSteps = 32;
float part(int step) { return 0.5f + 0.03125f * static_cast<float>(step); }

// Weights that share a scale: a row, a block of one, or several rows of `length`.
class Rounding {
 public:
  Rounding(const OptimizerInput& input, std::span<const float> weights,
           std::span<const float> importance, std::span<const float> places, size_t length,
           float fixed_scale)
      : grid_(input.grid),
        input_(input),
        weights_(weights),
        importance_(importance),
        places_(places),
        length_(length),
        fixed_scale_(fixed_scale) {}

  // The scale of least error; its codes are left in `best`.
  float round(std::span<float> best) {
    if (is_ternary()) return exact_ternary(best);
    std::vector<float> codes(best.size());
    double least = std::numeric_limits<double>::infinity();
    float scale = 1;
    for (float candidate : candidates()) {
      const double error = encode(candidate, codes);
      if (error >= least) continue;
      least = error;
      scale = candidate;
      std::copy(codes.begin(), codes.end(), best.begin());
    }
    return scale;
  }

 private:
  bool is_ternary() const {
    const Codebook* book = grid_.codebook.get();
    return book && book->dim == 1 && book->entries() == 3 && book->codes_are_levels() &&
           !grid_.power_of_two_scales && fixed_scale_ == 0;
  }

  // Signs of the weights that are largest for their place, as many as leave the least error: with a and b the sums of
  // importance · |w| · place and of importance · place², the best scale of some is a / b and takes off a² / b.
  float exact_ternary(std::span<float> codes) const {
    std::vector<size_t> order(codes.size());
    std::iota(order.begin(), order.end(), size_t{0});
    const auto size = [&](size_t j) { return std::fabs(weights_[j]) / place(j); };
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t i, size_t j) { return size(i) > size(j); });
    double a = 0, b = 0, most = 0, scale = 0;
    size_t count = 0;
    for (size_t n = 0; n < order.size(); ++n) {
      const size_t j = order[n];
      const double part = static_cast<double>(importance_[j]) * place(j);
      a += part * std::fabs(weights_[j]);
      b += part * place(j);
      if (!(b > 0) || a * a / b <= most) continue;
      most = a * a / b;
      scale = a / b;
      count = n + 1;
    }
    std::fill(codes.begin(), codes.end(), 0.f);
    for (size_t n = 0; n < count; ++n) codes[order[n]] = weights_[order[n]] < 0 ? -1.f : 1.f;
    return std::max(static_cast<float>(scale), 1e-20f);
  }

  std::vector<float> candidates() const {
    if (fixed_scale_ > 0) return {fixed_scale_};
    double squares = 0;
    float largest = 0;
    for (float w : weights_) {
      squares += static_cast<double>(w) * w;
      largest = std::max(largest, std::fabs(w));
    }
    const int highest = (1 << (input_.bits - 1)) - 1;
    const auto size = static_cast<float>(std::sqrt(squares / static_cast<double>(weights_.size())));
    float full = grid_.codebook ? size * grid_.codebook->unit
                                : largest / static_cast<float>(std::max(highest, 1));
    full = std::max(full, 1e-20f);
    std::vector<float> result;
    if (grid_.power_of_two_scales) {
      const float up = std::exp2(std::ceil(std::log2(full)));
      // Twice, for pairs of 8-bit codes that must fit int16.
      for (float factor : {2.f, 1.f, 0.5f, 0.25f}) result.push_back(up * factor);
      return result;
    }
    for (int step = 0; step <= kSteps; ++step) result.push_back(full * part(step));
    return result;
  }

  float place(size_t j) const {
    return places_.empty() ? 1.f : places_[j / static_cast<size_t>(grid_.place_columns)];
  }

  double encode(float scale, std::span<float> codes) const {
    if (!grid_.codebook) {
      integers(scale, codes);
      if (!pairs_fit(codes)) return std::numeric_limits<double>::infinity();
    } else if (grid_.codebook->dim == 1) {
      for (size_t j = 0; j < codes.size(); ++j)
        codes[j] =
            grid_.codebook->levels[grid_.codebook->nearest(weights_[j] / (scale * place(j)))];
    } else {
      for (size_t at = 0; at < codes.size(); at += length_) vectors(scale, at, codes);
    }
    double error = 0;
    for (size_t j = 0; j < codes.size(); ++j) {
      const double off = weights_[j] - static_cast<double>(codes[j]) * scale * place(j);
      error += importance_[j] * off * off;
    }
    return error;
  }

  void integers(float scale, std::span<float> codes) const {
    const auto low = static_cast<float>(-(1 << (input_.bits - 1))), high = -low - 1;
    for (size_t j = 0; j < codes.size(); ++j)
      codes[j] = std::clamp(round_half_even(weights_[j] / scale), low, high);
  }

  bool pairs_fit(std::span<const float> codes) const {
    if (!input_.exact_pairs || input_.bits < 8) return true;
    const RowLayout layout = row_layout(input_.weight.shape(), input_.channel_axis);
    for (size_t at = 0; at < codes.size(); at += length_) {
      const auto row = codes.subspan(at, length_);
      if (!pair_sums_fit(std::vector<int8_t>(row.begin(), row.end()), layout.channels))
        return false;
    }
    return true;
  }

  // Of the row that begins at `at`.
  void vectors(float scale, size_t at, std::span<float> codes) const {
    const Codebook& book = *grid_.codebook;
    const auto dim = static_cast<size_t>(book.dim), entries = static_cast<size_t>(book.entries());
    std::vector<float> scaled(dim);
    for (size_t j = 0; j < length_; j += dim) {
      const size_t n = std::min(dim, length_ - j), space = book.space_of(j, length_);
      for (size_t i = 0; i < n; ++i) scaled[i] = weights_[at + j + i] / scale;
      const size_t entry =
          book.nearest(std::span(scaled).first(n), importance_.subspan(at + j, n), space);
      for (size_t i = 0; i < n; ++i)
        codes[at + j + i] = book.levels[(space * entries + entry) * dim + i];
    }
  }

  const WeightGrid& grid_;
  const OptimizerInput& input_;
  std::span<const float> weights_, importance_, places_;
  size_t length_;
  float fixed_scale_;  // 0: none
};

}  // namespace

std::vector<float> place_means(std::span<const float> rows, int64_t columns,
                               int64_t place_columns) {
  std::vector<double> sums(static_cast<size_t>((columns + place_columns - 1) / place_columns), 0);
  for (size_t at = 0; at < rows.size(); at += static_cast<size_t>(columns)) {
    const auto row = rows.subspan(at, static_cast<size_t>(columns));
    double size = 0;
    for (float w : row) size += std::fabs(w);
    for (size_t j = 0; size > 0 && j < row.size(); ++j)
      sums[j / static_cast<size_t>(place_columns)] += std::fabs(row[j]) / size;
  }
  double total = 0;
  for (double s : sums) total += s;
  std::vector<float> means;
  const auto count = static_cast<double>(sums.size());
  // A place without weights keeps a factor that scales can be made of.
  for (double s : sums)
    means.push_back(static_cast<float>(total > 0 ? std::max(s * count / total, 1e-3) : 1));
  return means;
}

void multiply_scales(WeightCodes& weight, std::span<const float> places, int64_t place_columns) {
  weight.row_scales = std::move(weight.scales);
  weight.place_scales.assign(places.begin(), places.end());
  weight.scales.clear();
  for (float row : weight.row_scales) {
    for (float place : places) weight.scales.push_back(row * place);
  }
  weight.block = place_columns;
}

std::vector<float> column_importance(const OptimizerInput& input, const RowLayout& layout,
                                     int64_t row) {
  std::vector<float> importance(static_cast<size_t>(layout.columns()), 1.f);
  if (input.input_mean_square.empty()) return importance;
  const int64_t group = row / std::max<int64_t>(1, layout.rows / input.groups);
  for (int64_t c = 0; c < layout.columns(); ++c)
    importance[static_cast<size_t>(c)] = static_cast<float>(
        input
            .input_mean_square[static_cast<size_t>(group * layout.channels + c % layout.channels)]);
  return importance;
}

WeightCodes round_to_grid(const OptimizerInput& input) {
  std::vector<float> rows = rows_of(input.weight, input.channel_axis);
  const WeightCodes* narrower = input.grid.narrower.get();
  if (narrower) {
    const std::vector<float> taken =
        rows_of(dequantized(*narrower, input.channel_axis), input.channel_axis);
    for (size_t i = 0; i < rows.size(); ++i) rows[i] -= taken[i];
  }
  const RowLayout layout = row_layout(input.weight.shape(), input.channel_axis);
  const auto columns = static_cast<size_t>(layout.columns());
  const int64_t share = input.scale.channels == 0 ? layout.rows : input.scale.channels;
  std::vector<float> places;
  if (input.grid.place_columns > 0)
    places = place_means(rows, layout.columns(), input.grid.place_columns);
  std::vector<float> codes(rows.size());
  WeightCodes result;
  result.codebook = input.grid.codebook;
  result.block = input.scale.block;
  result.channels_a_scale = input.scale.channels;
  result.power_of_two_scales = input.grid.power_of_two_scales;
  for (int64_t r = 0; r < layout.rows; r += share) {
    const int64_t last = std::min(layout.rows, r + share);
    std::vector<float> importance;
    for (int64_t i = r; i < last; ++i) {
      const std::vector<float> one = column_importance(input, layout, i);
      importance.insert(importance.end(), one.begin(), one.end());
    }
    const size_t at = static_cast<size_t>(r) * columns, length = importance.size();
    const size_t block = input.scale.block > 0 ? static_cast<size_t>(input.scale.block) : length;
    for (size_t c = 0; c < length; c += block) {
      const size_t n = std::min(block, length - c);
      Rounding part(
          input, std::span(rows).subspan(at + c, n), std::span(importance).subspan(c, n), places,
          std::min(n, columns),
          narrower ? narrower->scales[result.scales.size()] * input.grid.cell_scale : 0.f);
      result.scales.push_back(part.round(std::span(codes).subspan(at + c, n)));
    }
    // Rows with one scale all have it.
    result.scales.resize(result.scales.size() + static_cast<size_t>(last - r - 1),
                         result.scales.back());
  }
  const DType type = input.grid.codebook ? input.grid.codebook->type : DType::kInt8;
  result.codes = from_rows(codes, input.weight.shape(), input.channel_axis, type);
  if (!places.empty()) multiply_scales(result, places, input.grid.place_columns);
  return result;
}

}  // namespace qtool::qdq
