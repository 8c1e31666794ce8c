// What the rows of a layer are solved with: the factors of their group, and what all of them share.
#pragma once

#include "quantize/optimizers/gram_rows.hpp"

namespace qtool::qdq {

// What all rows of a layer share: levels, or factors of places in the kernel.
struct SharedParameters {
  Codebook codebook;
  std::vector<float> places;
  size_t count() const { return places.empty() ? codebook.levels.size() : places.size(); }
  // What a row's weights are made of, as add_row() wants it.
  void classify(const RowGrid& grid, const RowCodes& row, std::vector<float>& values,
                std::vector<uint16_t>& classes) const;
  // The fitted parameters in place of these. Levels are whole numbers again, and rows follow to the level that theirs
  // became.
  void take(const SharedFit& fit, std::vector<RowCodes>& rows);

 private:
  // Visits (column, place of its level in the codebook) of a row.
  template <typename Fn>
  void for_vectors(std::span<const float> codes, const Fn& fn) const;
  void take_levels(const SharedFit& fit, std::vector<RowCodes>& rows);
};

// One group of a layer: targets, factor, and rows that tasks work on.
class RowGroup {
 public:
  // `rows`: the weights of the group's rows, `k` each, which become their targets.
  RowGroup(const OptimizerInput& input, const GroupMoments& moments, std::span<float> rows,
           int64_t k, int threads);

  // Rows [first, first + bits.size()) of the group, at these widths; `fixed` scales of all their blocks, or none.
  RowsProblem problem(int64_t first, std::span<const int> bits, std::span<const float> fixed,
                      const SharedParameters& shared) const;

 private:
  void correct(std::span<float> rows) const;

  const GroupMoments& moments_;
  std::span<const float> targets_;
  int64_t k_;
  float mean_;
  std::vector<float> factor_;
  RowGrid grid_;
};

}  // namespace qtool::qdq
