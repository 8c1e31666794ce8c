#include <algorithm>
#include <cmath>
#include <utility>

#include "base/clones.hpp"
#include "qtool/exec.hpp"
#include "quantize/optimizers/gram_rows.hpp"

namespace qtool::qdq {
namespace {

// to += amount · from; for wider vectors too, which give the same bits.
QTOOL_CLONES void add_scaled(const float* from, float amount, float* to, size_t count) {
  for (size_t i = 0; i < count; ++i) to[i] += amount * from[i];
}

// rows · (H + ridge), for rows given column by column: [columns][count] in, [count][columns] out.
std::vector<float> images(const RowsProblem& p, const std::vector<float>& columns, size_t count) {
  const size_t n = p.columns();
  std::vector<float> result(count * n);
  for (size_t r = 0; r < count; ++r) {
    for (size_t j = 0; j < n; ++j) result[r * n + j] = p.ridge * columns[j * count + r];
  }
  const auto k = static_cast<int64_t>(n), m = static_cast<int64_t>(count);
  add_product(columns.data(), m, p.gram.data(), k, result.data(), k, m, k, k);
  return result;
}

// A row's state: `wanted` = w* H, `image` = ŵ H, kept up to date as ŵ changes.
class Descent {
 public:
  Descent(const RowsProblem& problem, const RowGrid& grid, std::span<const VectorTable> tables,
          std::span<const float> wanted, std::span<float> image, RowCodes& row)
      : p_(problem),
        grid_(grid),
        tables_(tables),
        row_(row),
        n_(image.size()),
        wanted_(wanted),
        image_(image) {}

  bool codes() {
    if (grid_.dim() > 1) return vectors();
    bool changed = false;
    for (size_t j = 0; j < n_; ++j) {
      const float h = p_.gram[j * n_ + j] + p_.ridge;
      if (!(h > 0)) continue;
      const float code = row_.codes[j];
      const float best = grid_.nearest(code - (image_[j] - wanted_[j]) / (scale(j) * h),
                                       grid_.range(j, row_.codes));
      if (best == code) continue;
      add((best - code) * scale(j), j);
      row_.codes[j] = best;
      changed = true;
    }
    return changed;
  }

  // The best scale of each block for its codes and the other blocks.
  void scales() {
    if (grid_.power_of_two || !grid_.fixed_scales.empty()) return;
    const auto block = static_cast<size_t>(grid_.block);
    for (size_t b = 0; b < row_.scales.size(); ++b) {
      const size_t begin = b * block, end = std::min(n_, begin + block);
      double gain = 0, curve = 0;
      for (size_t j = begin; j < end; ++j) gain += value(j) * (wanted_[j] - image_[j]);
      if (row_.scales.size() == 1) {
        for (size_t j = 0; j < n_; ++j) curve += value(j) * (image_[j] / row_.scales[0]);
      } else {
        curve = curvature(begin, end);
      }
      if (!(curve > 0)) continue;
      const float better = row_.scales[b] + static_cast<float>(gain / curve);
      // A scale that turns negative or vanishes belongs to codes that fit nothing.
      if (!(better > 0.1f * row_.scales[b]) || !std::isnormal(better)) continue;
      const float before = std::exchange(row_.scales[b], better), change = better - before;
      if (row_.scales.size() == 1) {  // of the whole image
        for (float& value : image_) value *= better / before;
        continue;
      }
      for (size_t j = begin; j < end; ++j) {
        if (row_.codes[j]) add(change * value(j), j);
      }
    }
  }

 private:
  float scale(size_t j) const { return grid_.scale(j, row_.scales); }
  // The weight that a scale of 1 would leave.
  float value(size_t j) const { return row_.codes[j] * grid_.place(j); }

  // As codes(): each vector in turn becomes the entry of least error.
  bool vectors() {
    const size_t dim = tables_[0].dim(), entries = tables_[0].entries();
    bool changed = false;
    std::vector<float> error(entries), step(entries);
    for (size_t first = 0; first < n_; first += dim) {
      const size_t last = std::min(n_, first + dim);
      const VectorTable& table = tables_[grid_.codebook->space_of(first, n_)];
      std::fill(error.begin(), error.end(), 0.f);
      for (size_t i = first; i < last; ++i) {
        const float* level = table.component(i - first);
        const float offset = row_.codes[i], s = scale(i), g = 2 * (image_[i] - wanted_[i]);
        std::fill(step.begin(), step.end(), g);
        for (size_t j = first; j < last; ++j) {
          const float h = (p_.gram[j * n_ + i] + (i == j ? p_.ridge : 0.f)) * scale(j);
          const float* other = table.component(j - first);
          const float from = row_.codes[j];
          for (size_t e = 0; e < entries; ++e) step[e] += h * (other[e] - from);
        }
        for (size_t e = 0; e < entries; ++e) error[e] += s * (level[e] - offset) * step[e];
      }
      const auto best =
          static_cast<size_t>(std::min_element(error.begin(), error.end()) - error.begin());
      // Staying costs nothing; what rounding calls a gain would not end.
      if (!(error[best] < 0)) continue;
      for (size_t j = first; j < last; ++j) {
        const float level = table.component(j - first)[best];
        if (level == row_.codes[j]) continue;
        add((level - row_.codes[j]) * scale(j), j);
        row_.codes[j] = level;
        changed = true;
      }
    }
    return changed;
  }

  // image += amount · row j of H.
  void add(float amount, size_t j) {
    if (amount == 0) return;
    add_scaled(p_.gram.data() + j * n_, amount, image_.data(), n_);
    image_[j] += amount * p_.ridge;
  }

  double curvature(size_t begin, size_t end) const {
    double sum = 0;
    for (size_t j = begin; j < end; ++j) {
      if (!row_.codes[j]) continue;
      double inner = static_cast<double>(row_.codes[j]) * p_.ridge;
      for (size_t i = begin; i < end; ++i) inner += row_.codes[i] * p_.gram[j * n_ + i];
      sum += row_.codes[j] * inner;
    }
    return sum;
  }

  const RowsProblem& p_;
  const RowGrid& grid_;
  std::span<const VectorTable> tables_;
  RowCodes& row_;
  size_t n_;
  std::span<const float> wanted_;
  std::span<float> image_;
};

}  // namespace

std::vector<double> output_errors(const RowsProblem& problem, const std::vector<RowCodes>& rows) {
  const size_t count = rows.size(), n = problem.columns();
  std::vector<float> off(n * count);
  for (size_t r = 0; r < count; ++r) {
    for (size_t j = 0; j < n; ++j)
      off[j * count + r] =
          rows[r].codes[j] * problem.grids[r].scale(j, rows[r].scales) - problem.target(r)[j];
  }
  const std::vector<float> image = images(problem, off, count);
  std::vector<double> errors(count, 0);
  for (size_t r = 0; r < count; ++r) {
    for (size_t j = 0; j < n; ++j)
      errors[r] += static_cast<double>(off[j * count + r]) * image[r * n + j];
  }
  return errors;
}

std::vector<ScaleFit> scale_fits(const RowsProblem& problem, const std::vector<RowCodes>& rows) {
  const size_t count = rows.size(), n = problem.columns();
  std::vector<float> reals(n * count);
  for (size_t r = 0; r < count; ++r) {
    for (size_t j = 0; j < n; ++j)
      reals[j * count + r] = rows[r].codes[j] * problem.grids[r].scale(j, rows[r].scales);
  }
  const std::vector<float> image = images(problem, reals, count);
  std::vector<ScaleFit> fits(count);
  for (size_t r = 0; r < count; ++r) {
    for (size_t j = 0; j < n; ++j) {
      fits[r].gain += static_cast<double>(problem.target(r)[j]) * image[r * n + j];
      fits[r].curve += static_cast<double>(reals[j * count + r]) * image[r * n + j];
    }
  }
  return fits;
}

void coordinate_descent(const RowsProblem& problem, int passes, std::vector<RowCodes>& rows) {
  const size_t count = rows.size(), n = problem.columns();
  std::vector<float> targets(n * count), codes(n * count);
  for (size_t r = 0; r < count; ++r) {
    for (size_t j = 0; j < n; ++j) {
      targets[j * count + r] = problem.target(r)[j];
      codes[j * count + r] = rows[r].codes[j] * problem.grids[r].scale(j, rows[r].scales);
    }
  }
  const std::vector<float> wanted = images(problem, targets, count);
  std::vector<float> image = images(problem, codes, count);
  const Codebook* book = problem.grids[0].codebook;
  std::vector<VectorTable> tables;
  for (size_t s = 0; book && book->dim > 1 && s < static_cast<size_t>(book->spaces); ++s)
    tables.emplace_back(*book, s);
  for (size_t r = 0; r < count; ++r) {
    Descent descent(problem, problem.grids[r], tables, std::span(wanted).subspan(r * n, n),
                    std::span(image).subspan(r * n, n), rows[r]);
    for (int pass = 0; pass < passes; ++pass) {
      const bool changed = descent.codes();
      descent.scales();
      if (!changed) break;
    }
  }
}

}  // namespace qtool::qdq
