#include <algorithm>
#include <cmath>
#include <limits>

#include "base/clones.hpp"
#include "qtool/exec.hpp"
#include "qtool/transpose.hpp"
#include "quantize/optimizers/gram_rows.hpp"

namespace qtool::qdq {
namespace {

// 255 · 128 still fits into an int16.
constexpr int kMostPairSum = 128;

// Visits the columns whose codes a kernel adds to column j's in pairs (see pair_sums_fit).
template <typename Visit>
void for_neighbours(size_t j, int64_t channels, size_t columns, Visit visit) {
  if ((j ^ 1) < columns) visit(j ^ 1);
  if (channels % 2 == 0) return;
  const auto step = static_cast<size_t>(channels);
  const size_t within = j % step, other = j - within + (within ^ 1);
  if ((within ^ 1) < step && other < columns) visit(other);
}

// Columns decided one by one; what they leave to the columns before is carried in one product.
constexpr size_t kBlock = 64;

// One column of all rows.
struct Column {
  const float *target, *scale, *low, *high;
  float *carried, *code, *off;
  double* error;
  float factor;  // on the diagonal
};

// The best codes of a column, what they miss, and by how much they are off their targets.
QTOOL_CLONES void round_column(size_t rows, const Column& c) {
  for (size_t r = 0; r < rows; ++r) {
    const float want = c.target[r] - c.carried[r] / c.factor;
    c.code[r] = std::min(std::max(std::nearbyint(want / c.scale[r]), c.low[r]), c.high[r]);
    const double missed = static_cast<double>(c.code[r] * c.scale[r] - want) * c.factor;
    c.error[r] += missed * missed;
    c.off[r] = c.code[r] * c.scale[r] - c.target[r];
  }
}

// Narrows what a column may take to what fits beside the codes of another one.
QTOOL_CLONES void narrow(size_t rows, const float* beside, const float* most, float* low,
                         float* high) {
  for (size_t r = 0; r < rows; ++r) {
    low[r] = std::max(low[r], -most[r] - std::min(beside[r], 0.f));
    high[r] = std::min(high[r], most[r] - std::max(beside[r], 0.f));
  }
}

// carried[i] += off · factor[i] for columns i of a block.
QTOOL_CLONES void carry_column(size_t rows, size_t columns, const float* off, const float* factor,
                               float* carried) {
  for (size_t i = 0; i < columns; ++i, carried += rows) {
    for (size_t r = 0; r < rows; ++r) carried[r] += off[r] * factor[i];
  }
}

// All rows at given scales. Rows are lanes: [column][row].
class Planes {
 public:
  explicit Planes(const RowsProblem& problem)
      : p_(problem),
        rows_(problem.grids.size()),
        n_(problem.columns()),
        target_(rows_ * n_),
        carried_(rows_ * n_),
        codes_(rows_ * n_),
        off_(kBlock * rows_),
        scale_(rows_),
        low_(rows_),
        high_(rows_),
        code_(rows_) {
    transpose(p_.targets.data(), static_cast<int64_t>(rows_), static_cast<int64_t>(n_),
              target_.data());
    for (const RowGrid& grid : problem.grids) {
      lowest_.push_back(static_cast<float>(grid.lowest));
      highest_.push_back(static_cast<float>(grid.highest));
      most_pair_sum_.push_back(grid.exact_pairs ? static_cast<float>(kMostPairSum)
                                                : std::numeric_limits<float>::infinity());
      exact_pairs_ |= grid.exact_pairs;
    }
    const RowGrid& grid = problem.grids[0];
    for (size_t s = 0; grid.dim() > 1 && s < static_cast<size_t>(grid.codebook->spaces); ++s)
      tables_.emplace_back(*grid.codebook, s);
  }

  // Decides codes for the rows' scales; returns each row's squared error under the factor. What a block of columns
  // leaves to those before it is nearly all of the work, and telling scales apart does not take it.
  enum class Carry { kEverywhere, kInsideBlocks };
  std::vector<double> decide(const std::vector<RowCodes>& rows, Carry carry) {
    std::fill(carried_.begin(), carried_.end(), 0.f);
    std::fill(codes_.begin(), codes_.end(), 0.f);
    std::vector<double> errors(rows_, 0);
    for (size_t end = n_; end > 0;) {
      // Vectors begin at multiples of their length.
      const size_t begin = !tables_.empty() ? (end - 1) / kBlock * kBlock
                           : end > kBlock   ? end - kBlock
                                            : 0;
      if (!tables_.empty()) {
        for (size_t r = 0; r < rows_; ++r) errors[r] += decide_vectors(r, begin, end, rows[r]);
      } else {
        decide_block(begin, end, rows, errors);
      }
      if (begin > 0 && carry == Carry::kEverywhere) {
        const auto m = static_cast<int64_t>(rows_);
        add_product(p_.factor.data() + begin * n_, static_cast<int64_t>(n_), off_.data(), m,
                    carried_.data(), m, static_cast<int64_t>(begin), m,
                    static_cast<int64_t>(end - begin));
      }
      end = begin;
    }
    return errors;
  }

  // The codes decided last.
  void store(std::vector<RowCodes>& rows) const {
    std::vector<float> by_row(codes_.size());
    transpose(codes_.data(), static_cast<int64_t>(n_), static_cast<int64_t>(rows_), by_row.data());
    for (size_t r = 0; r < rows_; ++r)
      std::copy_n(by_row.begin() + static_cast<int64_t>(r * n_), n_, rows[r].codes.begin());
  }

 private:
  // The same for vectors of columns: of all entries the one that leaves the least error.
  double decide_vectors(size_t r, size_t begin, size_t end, const RowCodes& row) {
    const size_t dim = tables_[0].dim();
    double error = 0;
    for (size_t last = end; last > begin;) {
      const size_t first = (last - 1) / dim * dim;
      const VectorTable& table = tables_[p_.grids[r].codebook->space_of(first, n_)];
      const auto [entry, least] = best_entry(r, first, last, table, row.scales);
      error += least;
      for (size_t j = first; j < last; ++j) {
        const float level = table.component(j - first)[entry];
        const float* l = p_.factor.data() + j * n_;
        codes_[j * rows_ + r] = level;
        const float off = level * p_.grids[r].scale(j, row.scales) - p_.target(r)[j];
        off_[(j - begin) * rows_ + r] = off;
        for (size_t i = begin; i < first; ++i) carried_[i * rows_ + r] += off * l[i];
      }
      last = first;
    }
    return error;
  }

  // Entry and its error for columns [first, last), given what the columns behind them carried here.
  std::pair<size_t, double> best_entry(size_t r, size_t first, size_t last,
                                       const VectorTable& table, std::span<const float> scales) {
    const size_t entries = table.entries();
    error_.assign(entries, 0.f);
    for (size_t i = last; i-- > first;) {
      part_.assign(entries, carried_[i * rows_ + r]);
      for (size_t j = i; j < last; ++j) {
        const float l = p_.factor[j * n_ + i], scale = p_.grids[r].scale(j, scales) * l,
                    want = p_.target(r)[j] * l;
        const float* level = table.component(j - first);
        for (size_t e = 0; e < entries; ++e) part_[e] += scale * level[e] - want;
      }
      for (size_t e = 0; e < entries; ++e) error_[e] += part_[e] * part_[e];
    }
    const auto best = std::min_element(error_.begin(), error_.end());
    return {static_cast<size_t>(best - error_.begin()), *best};
  }

  void decide_block(size_t begin, size_t end, const std::vector<RowCodes>& rows,
                    std::vector<double>& errors) {
    for (size_t j = end; j-- > begin;) {
      const float* l = p_.factor.data() + j * n_;
      float* off = off_.data() + (j - begin) * rows_;
      prepare(j, rows);
      round_column(rows_, {target_.data() + j * rows_, scale_.data(), low_.data(), high_.data(),
                           carried_.data() + j * rows_, code_.data(), off, errors.data(), l[j]});
      std::copy_n(code_.data(), rows_, codes_.data() + j * rows_);
      carry_column(rows_, j - begin, off, l + begin, carried_.data() + begin * rows_);
    }
  }

  // Scales of a column, and the codes that it may take.
  void prepare(size_t j, const std::vector<RowCodes>& rows) {
    for (size_t r = 0; r < rows_; ++r) {
      const RowGrid& grid = p_.grids[r];
      scale_[r] = rows[r].scales.size() == 1 && grid.places.empty() ? rows[r].scales[0]
                                                                    : grid.scale(j, rows[r].scales);
    }
    low_ = lowest_;
    high_ = highest_;
    if (exact_pairs_) {
      for_neighbours(j, p_.grids[0].channels, n_, [&](size_t other) {
        narrow(rows_, codes_.data() + other * rows_, most_pair_sum_.data(), low_.data(),
               high_.data());
      });
    }
    for (size_t r = 0; p_.grids[0].codebook && r < rows_; ++r) {
      // The nearest level is the only code there is.
      const RowGrid& grid = p_.grids[r];
      const float want = target_[j * rows_ + r] - carried_[j * rows_ + r] / p_.factor[j * n_ + j];
      low_[r] = high_[r] = grid.nearest(want / scale_[r], {grid.lowest, grid.highest});
    }
  }

  const RowsProblem& p_;
  size_t rows_, n_;
  std::vector<float> target_;   // [columns][rows]
  std::vector<float> carried_;  // [columns][rows]: Σ over decided columns of their error times L
  std::vector<float> codes_;    // [columns][rows]
  std::vector<float> off_;      // [kBlock][rows]: errors of the columns of a block
  std::vector<float> scale_, low_, high_, code_;         // by row, of one column
  std::vector<float> lowest_, highest_, most_pair_sum_;  // by row
  bool exact_pairs_ = false;                             // of any row
  std::vector<VectorTable> tables_;                      // by space, of vectors
  std::vector<float> error_, part_;                      // by entry
};

}  // namespace

std::pair<int, int> RowGrid::range(size_t j, std::span<const float> codes) const {
  int low = lowest, high = highest;
  if (!exact_pairs) return {low, high};
  for_neighbours(j, channels, codes.size(), [&](size_t other) {
    const int code = static_cast<int>(codes[other]);
    low = std::max(low, -kMostPairSum - std::min(code, 0));
    high = std::min(high, kMostPairSum - std::max(code, 0));
  });
  return {low, high};
}

VectorTable::VectorTable(const Codebook& book, size_t space)
    : dim_(static_cast<size_t>(book.dim)), entries_(static_cast<size_t>(book.entries())) {
  levels_.resize(dim_ * entries_);
  const float* first = book.levels.data() + space * levels_.size();
  for (size_t e = 0; e < entries_; ++e) {
    for (size_t i = 0; i < dim_; ++i) levels_[i * entries_ + e] = first[e * dim_ + i];
  }
}

std::vector<RowCodes> nearest_plane(const RowsProblem& problem) {
  Planes planes(problem);
  const auto carry =
      problem.quick_scales ? Planes::Carry::kInsideBlocks : Planes::Carry::kEverywhere;
  std::vector<RowCodes> rows = at_best_scales(problem, [&](std::vector<RowCodes>& trial) {
    std::vector<double> errors = planes.decide(trial, carry);
    if (!problem.quick_scales) planes.store(trial);
    return errors;
  });
  if (problem.quick_scales) {
    planes.decide(rows, Planes::Carry::kEverywhere);
    planes.store(rows);
  }
  return rows;
}

}  // namespace qtool::qdq
