#include "quantize/fit/moment_rows.hpp"

#include <algorithm>

namespace qtool::qdq {
namespace {

// sums[c] += every row's column c.
void add_rows(const float* rows, int64_t count, std::span<double> sums) {
  for (int64_t row = 0; row < count; ++row) {
    for (double& sum : sums) sum += *rows++;
  }
}

}  // namespace

MomentRows::MomentRows(const ColumnReader& reader, int64_t first, int64_t groups,
                       const std::vector<std::vector<int64_t>>& positions, MomentKinds kinds,
                       std::span<const float> weights)
    : reader_(reader),
      first_(first),
      groups_(groups),
      channels_(kinds.residual || kinds.output ? reader.channels_per_group() : 0),
      positions_(positions),
      kinds_(kinds),
      weights_(weights) {
  for (const auto& p : positions) {
    offsets_.push_back(count_);
    count_ += static_cast<int64_t>(p.size());
  }
  quantized_ = Matrix(groups * count_ * reader.columns());
  if (kinds.shift) shift_ = Matrix(groups * count_ * reader.columns());
  residual_ = Matrix(groups * count_ * channels_);
  sums_.resize(positions.size());
}

void MomentRows::read(int64_t chunk, const ReadLayerValue& value) {
  const auto i = static_cast<size_t>(chunk);
  const ChannelBlocks quantized = value(LayerValue::kQuantizedInput, chunk),
                      input = kinds_.shift ? value(LayerValue::kInput, chunk) : ChannelBlocks();
  const ColumnReader::Patches patches = reader_.patches(quantized.shape, positions_[i]);
  const Residuals residuals = residuals_of(chunk, value);
  const int64_t k = reader_.columns(), n = static_cast<int64_t>(positions_[i].size());
  Sums& sums = sums_[i];
  sums.quantized.assign(static_cast<size_t>(groups_ * k), 0);
  sums.shift = sums.quantized;
  sums.residual.assign(static_cast<size_t>(groups_ * channels_), 0);
  for (int64_t g = 0; g < groups_; ++g) {
    float* q = quantized_.data() + (g * count_ + offsets_[i]) * k;
    reader_.read(quantized, patches, first_ + g, q);
    add_rows(q, n,
             std::span(sums.quantized).subspan(static_cast<size_t>(g * k), static_cast<size_t>(k)));
    if (kinds_.shift) {
      float* s = shift_.data() + (g * count_ + offsets_[i]) * k;
      reader_.read(input, patches, first_ + g, s);
      for (int64_t e = 0; e < n * k; ++e) s[e] -= q[e];
      add_rows(s, n,
               std::span(sums.shift).subspan(static_cast<size_t>(g * k), static_cast<size_t>(k)));
    }
    if (channels_ == 0) continue;
    float* r = residual_.data() + (g * count_ + offsets_[i]) * channels_;
    read_residual(residuals, positions_[i], first_ + g, r);
    if (kinds_.output)
      subtract_row_products(q, k, weights_.data() + (first_ + g) * channels_ * k, k, r, channels_,
                            n, channels_, k);
    add_rows(r, n,
             std::span(sums.residual)
                 .subspan(static_cast<size_t>(g * channels_), static_cast<size_t>(channels_)));
  }
}

void MomentRows::merge_sums() {
  for (size_t i = 1; i < sums_.size(); ++i) {
    for (size_t c = 0; c < sums_[0].shift.size(); ++c) {
      sums_[0].quantized[c] += sums_[i].quantized[c];
      sums_[0].shift[c] += sums_[i].shift[c];
    }
    for (size_t c = 0; c < sums_[0].residual.size(); ++c)
      sums_[0].residual[c] += sums_[i].residual[c];
  }
}

std::vector<float> MomentRows::mean(int64_t g) const {
  return means(sums_[0].quantized, g, reader_.columns());
}

void MomentRows::centre(int64_t g) {
  centre(quantized_, sums_[0].quantized, g, reader_.columns());
  if (kinds_.shift) centre(shift_, sums_[0].shift, g, reader_.columns());
  centre(residual_, sums_[0].residual, g, channels_);
}

void MomentRows::panel(int64_t g, int64_t begin, int64_t end, GroupMoments& moments) const {
  const int64_t k = reader_.columns(), width = end - begin;
  const float* q = quantized_.data() + g * count_ * k;
  float* h = moments.h.data() + begin * k + begin;
  const bool shifted = kinds_.shift;
  constexpr int64_t kBlock = 4096;  // positions summed in one product
  for (int64_t row = 0; row < count_; row += kBlock) {
    const int64_t n = std::min(kBlock, count_ - row);
    const float* left = q + row * k;
    add_product(left + begin, k, left + begin, k, h, k, width, k - begin, n);
    if (shifted) {
      const float* s = shift_.data() + (g * count_ + row) * k;
      add_product(s + begin, k, left, k, moments.shift.data() + begin * k, k, width, k, n);
    }
    if (channels_ > 0) {
      const float* r = residual_.data() + (g * count_ + row) * channels_;
      add_product(r, channels_, left + begin, k, moments.residual.data() + begin, k, channels_,
                  width, n);
    }
  }
  const float scale = 1.f / static_cast<float>(count_);
  for (int64_t r = begin; r < end; ++r) {
    for (int64_t c = begin; c < k; ++c) moments.h[static_cast<size_t>(r * k + c)] *= scale;
    for (int64_t c = 0; c < k && shifted; ++c)
      moments.shift[static_cast<size_t>(r * k + c)] *= scale;
  }
  for (int64_t r = 0; r < channels_; ++r) {
    for (int64_t c = begin; c < end; ++c) moments.residual[static_cast<size_t>(r * k + c)] *= scale;
  }
}

MomentRows::Residuals MomentRows::residuals_of(int64_t chunk, const ReadLayerValue& value) const {
  Residuals r;
  if (kinds_.residual) {
    r.added = value(LayerValue::kResidual, chunk);
    r.quantized_added = value(LayerValue::kQuantizedResidual, chunk);
  }
  if (kinds_.output) r.output = value(LayerValue::kOutput, chunk);
  return r;
}

// What the values added to the output differ by, and the float network's output.
void MomentRows::read_residual(const Residuals& values, std::span<const int64_t> positions,
                               int64_t group, float* r) const {
  std::vector<float> other(positions.size() * static_cast<size_t>(channels_));
  if (kinds_.residual) {
    reader_.read_output(values.added, positions, group, r);
    reader_.read_output(values.quantized_added, positions, group, other.data());
    for (size_t e = 0; e < other.size(); ++e) r[e] -= other[e];
  } else {
    std::fill_n(r, other.size(), 0.f);
  }
  if (!kinds_.output) return;
  reader_.read_output(values.output, positions, group, other.data());
  for (size_t e = 0; e < other.size(); ++e) r[e] += other[e];
}

std::vector<float> MomentRows::means(const std::vector<double>& sums, int64_t g,
                                     int64_t width) const {
  std::vector<float> mean;
  for (int64_t c = 0; c < width; ++c)
    mean.push_back(
        static_cast<float>(sums[static_cast<size_t>(g * width + c)] / static_cast<double>(count_)));
  return mean;
}

void MomentRows::centre(const Matrix& rows, const std::vector<double>& sums, int64_t g,
                        int64_t width) {
  const std::vector<float> mean = means(sums, g, width);
  float* row = rows.data() + g * count_ * width;
  for (int64_t n = 0; n < count_; ++n) {
    for (const float m : mean) *row++ -= m;
  }
}

}  // namespace qtool::qdq
