// Cyclic descent over the widths (after CTMQ, arXiv 2206.12794): from 8 bits down to the row's own, each width started
// from the solution of the one above; the narrow solution then starts the next cycle, and the best one is kept.
#include "quantize/optimizers/gram_rows.hpp"

namespace qtool {
namespace {

using qdq::RowCodes, qdq::RowGrid, qdq::RowsProblem;

constexpr int kWidths[] = {8, 6, 5, 4, 3, 2};
// Rounds of coordinate descent at each width, and at the row's own.
struct Schedule {
  int cycles, passes, last_passes;
};
// Equally long.
constexpr Schedule kCycles = {3, 2, 10}, kOnce = {1, 6, 30};

bool narrower(const RowGrid& row, int bits) { return row.highest < (1 << (bits - 1)) - 1; }

// Codes nearest to `values`, [rows][columns], at the best of a few scales.
std::vector<RowCodes> rounded(const RowsProblem& p, const std::vector<float>& values) {
  RowsProblem from = p;
  from.targets = values;  // scales are for these
  return qdq::at_best_scales(from, [&](std::vector<RowCodes>& rows) {
    for (size_t r = 0; r < rows.size(); ++r) {
      const RowGrid& grid = p.grids[r];
      RowCodes& row = rows[r];
      std::fill(row.codes.begin(), row.codes.end(), 0.f);
      for (size_t j = 0; j < row.codes.size(); ++j)
        row.codes[j] =
            grid.nearest(from.target(r)[j] / grid.scale(j, row.scales), grid.range(j, row.codes));
    }
    return qdq::output_errors(p, rows);
  });
}

void take_values(const RowsProblem& p, const std::vector<RowCodes>& rows,
                 std::vector<float>& values) {
  for (size_t r = 0; r < rows.size(); ++r) {
    for (size_t j = 0; j < rows[r].codes.size(); ++j)
      values[r * p.columns() + j] = rows[r].codes[j] * p.grids[r].scale(j, rows[r].scales);
  }
}

void cycle(const RowsProblem& p, const Schedule& schedule, std::vector<RowCodes>& rows) {
  qdq::coordinate_descent(p, kCycles.last_passes, rows);
  if (p.grids[0].codebook) return;  // levels of other widths are others
  std::vector<double> least = qdq::output_errors(p, rows);
  std::vector<float> values(p.targets.begin(), p.targets.end());
  for (int round = 0; round < schedule.cycles; ++round) {
    std::vector<RowCodes> now;
    for (int bits : kWidths) {
      RowsProblem wide = p;
      bool any = false;
      for (RowGrid& grid : wide.grids) {
        if (!narrower(grid, bits)) continue;
        any = true;
        grid.lowest = -(1 << (bits - 1));
        grid.highest = (1 << (bits - 1)) - 1;
      }
      if (!any) break;
      now = rounded(wide, values);
      qdq::coordinate_descent(wide, schedule.passes, now);
      take_values(wide, now, values);
    }
    now = rounded(p, values);
    qdq::coordinate_descent(p, schedule.last_passes, now);
    take_values(p, now, values);
    const std::vector<double> errors = qdq::output_errors(p, now);
    for (size_t r = 0; r < rows.size(); ++r) {
      if (!(errors[r] < least[r])) continue;
      least[r] = errors[r];
      rows[r] = now[r];
    }
  }
}

template <const Schedule& schedule>
WeightCodes optimize(const OptimizerInput& input) {
  return qdq::optimize_rows(
      input, [](const RowsProblem& p, std::vector<RowCodes>& rows) { cycle(p, schedule, rows); });
}

}  // namespace

extern const OptimizerDef kCyclic = {
    .name = "cyclic",
    .summary = "cd, then descents over the widths from 8 bits down, the best kept",
    .optimize = optimize<kCycles>,
    .needs_moments = true,
    .after = "cd"};

extern const OptimizerDef kDescent = {
    .name = "descent",
    .summary = "cd, then one descent as long as cyclic's three, which it is compared with",
    .optimize = optimize<kOnce>,
    .needs_moments = true,
    .after = "cd"};

}  // namespace qtool
