#include "quantize/optimizers/gram_rows.hpp"

#include <algorithm>
#include <limits>
#include <numeric>
#include <optional>

#include "quantize/internal.hpp"
#include "quantize/optimizers/row_group.hpp"

namespace qtool::qdq {
namespace {

// Fits of what rows share, each followed by coordinate descent.
constexpr int kSharedRounds = 4;
// Of codebooks with more numbers than these the start is kept: their equations take longer than all else.
constexpr size_t kMostLevels = 256;

constexpr int64_t kRowsATask = 32;
// Of a large layer more rows share each pass over the factor, which no longer stays near the processor.
constexpr int64_t kRowsAtOnce = 128;

// A layer's rows, solved group by group; many small groups, or one with many rows: either way the
// threads have work.
class Layer {
 public:
  Layer(const OptimizerInput& input, RowsPolish polish, RowsStart start)
      : input_(input),
        polish_(polish),
        start_(start),
        k_(input.moments->columns),
        count_(input.weight.dim(input.channel_axis)),
        groups_(static_cast<int64_t>(input.moments->groups.size())),
        each_(count_ / groups_),
        share_(input.grid.narrower         ? 1
               : input.scale.channels == 0 ? count_
                                           : input.scale.channels),
        part_(input.part_rows > 0 ? input.part_rows : each_),
        large_(is_large(part_, k_)),
        task_rows_(large_ ? kRowsAtOnce : kRowsATask),
        targets_(rows_of(input.weight, input.channel_axis)),
        rows_(static_cast<size_t>(count_)),
        bits_(input.row_bits.begin(), input.row_bits.end()) {
    if (bits_.empty()) bits_.assign(static_cast<size_t>(count_), input.bits);
    if (input.grid.codebook) shared_.codebook = *input.grid.codebook;
    if (input.grid.place_columns > 0)
      shared_.places = place_means(targets_, k_, input.grid.place_columns);
    solvers_.resize(static_cast<size_t>(groups_));
    if (input.grid.narrower) {
      taken_ = rows_of(dequantized(*input.grid.narrower, input.channel_axis), input.channel_axis);
      for (float scale : input.grid.narrower->scales)
        fixed_.push_back(scale * input.grid.cell_scale);
    }
  }

  // Groups keep their factors only where the rows are visited again.
  void solve() {
    const bool again = (shares() && polish_) || share_ > 1;
    const auto group_of = [&](int64_t g) {
      const auto at = static_cast<size_t>(g * each_ * k_), n = static_cast<size_t>(each_ * k_);
      return RowGroup(input_, input_.moments->groups[static_cast<size_t>(g)],
                      std::span(targets_).subspan(at, n), k_, groups_ > 1 ? 1 : input_.threads);
    };
    parallel_for(groups_ > 1 ? input_.threads : 1, groups_, [&](int64_t g, int) {
      std::optional<RowGroup>& group = solvers_[static_cast<size_t>(g)];
      group.emplace(group_of(g));
      take_narrower(g);
      if (share_ > 1) return;
      for_tasks(*group, g, [&](const RowsProblem& p, std::span<RowCodes> rows, int64_t) {
        std::vector<RowCodes> solved = start_(p);
        if (polish_) polish_(p, solved);
        std::move(solved.begin(), solved.end(), rows.begin());
      });
      if (!again) group.reset();
    });
    if (share_ > 1) start_together();
    for (int round = 0; again && polish_ && round < kSharedRounds; ++round) {
      if (shares()) refit();
      if (share_ > 1) refit_scales();
    }
  }

  WeightCodes result() const {
    WeightCodes result;
    std::vector<float> codes(targets_.size());
    for (size_t r = 0; r < rows_.size(); ++r) {
      std::copy(rows_[r].codes.begin(), rows_[r].codes.end(),
                codes.begin() + static_cast<int64_t>(r) * k_);
      result.scales.insert(result.scales.end(), rows_[r].scales.begin(), rows_[r].scales.end());
    }
    const DType type = input_.grid.codebook ? input_.grid.codebook->type : DType::kInt8;
    result.codes = from_rows(codes, input_.weight.shape(), input_.channel_axis, type);
    result.block = input_.scale.block;
    result.channels_a_scale = input_.scale.channels;
    result.power_of_two_scales = input_.grid.power_of_two_scales;
    if (input_.grid.codebook) result.codebook = std::make_shared<const Codebook>(shared_.codebook);
    if (!shared_.places.empty()) multiply_scales(result, shared_.places, input_.grid.place_columns);
    return result;
  }

 private:
  bool shares() const {
    return !shared_.places.empty() ||
           (input_.grid.own_codebook && shared_.codebook.levels.size() <= kMostLevels);
  }

  // What the narrower codes stand for is no longer aimed at.
  void take_narrower(int64_t g) {
    const auto at = static_cast<size_t>(g * each_ * k_);
    for (size_t i = 0; !taken_.empty() && i < static_cast<size_t>(each_ * k_); ++i)
      targets_[at + i] -= taken_[at + i];
  }

  int64_t tasks_a_part() const { return (part_ + task_rows_ - 1) / task_rows_; }
  int64_t tasks_a_group() const { return each_ / part_ * tasks_a_part(); }

  size_t scales_a_row() const { return fixed_.size() / rows_.size(); }

  template <typename Fn>
  void for_tasks(const RowGroup& group, int64_t g, const Fn& fn) {
    parallel_for(groups_ > 1 ? 1 : input_.threads, tasks_a_group(), [&](int64_t task, int) {
      const int64_t inside = task % tasks_a_part() * task_rows_;
      const int64_t first = task / tasks_a_part() * part_ + inside;
      const auto at = static_cast<size_t>(g * each_ + first),
                 n = static_cast<size_t>(std::min(task_rows_, part_ - inside));
      const auto fixed = std::span(fixed_).subspan(at * scales_a_row(), n * scales_a_row());
      RowsProblem problem = group.problem(first, std::span(bits_).subspan(at, n), fixed, shared_);
      problem.quick_scales = large_;
      fn(problem, std::span(rows_).subspan(at, n), g * tasks_a_group() + task);
    });
  }

  // Visits all tasks of all groups.
  template <typename Fn>
  void for_all(const Fn& fn) {
    parallel_for(groups_ > 1 ? input_.threads : 1, groups_,
                 [&](int64_t g, int) { for_tasks(*solvers_[static_cast<size_t>(g)], g, fn); });
  }

  // The best shared parameters for the codes and scales of all rows, then codes and scales for those.
  void refit() {
    std::vector<SharedFit> parts(static_cast<size_t>(groups_ * tasks_a_group()),
                                 SharedFit(shared_.count()));
    for_all([&](const RowsProblem& p, std::span<RowCodes> rows, int64_t task) {
      std::vector<float> values(static_cast<size_t>(k_));
      std::vector<uint16_t> classes(static_cast<size_t>(k_));
      for (size_t r = 0; r < rows.size(); ++r) {
        shared_.classify(p.grids[r], rows[r], values, classes);
        add_row(p, r, values, classes, parts[static_cast<size_t>(task)]);
      }
    });
    for (size_t i = 1; i < parts.size(); ++i) parts[0].add(parts[i]);
    shared_.take(parts[0], rows_);
    if (share_ > 1) keep_scales();
    polish_all();
  }

  void polish_all() {
    for_all([&](const RowsProblem& p, std::span<RowCodes> rows, int64_t) {
      std::vector<RowCodes> again(rows.begin(), rows.end());
      polish_(p, again);
      std::move(again.begin(), again.end(), rows.begin());
    });
  }

  // Calls fn(first row, row behind the last) for rows with one scale.
  template <typename Fn>
  void for_shares(const Fn& fn) const {
    for (int64_t first = 0; first < count_; first += share_)
      fn(static_cast<size_t>(first), static_cast<size_t>(std::min(count_, first + share_)));
  }

  // Rows with one scale at the best of a few, which suit the largest of them.
  void start_together() {
    std::vector<float> full(rows_.size());
    RowGrid grid;
    for_all([&](const RowsProblem& p, std::span<RowCodes> rows, int64_t) {
      const auto at = static_cast<size_t>(rows.data() - rows_.data());
      for (size_t r = 0; r < rows.size(); ++r) full[at + r] = first_scale(p.target(r), p.grids[r]);
      if (at == 0) grid = p.grids[0];
    });
    for_shares([&](size_t first, size_t last) {
      const float most = *std::max_element(full.begin() + static_cast<int64_t>(first),
                                           full.begin() + static_cast<int64_t>(last));
      std::fill(full.begin() + static_cast<int64_t>(first),
                full.begin() + static_cast<int64_t>(last), most);
    });
    std::vector<double> least(rows_.size(), std::numeric_limits<double>::infinity());
    std::vector<RowCodes> best(rows_.size());
    for (size_t step = 0; scale_part(grid, step) > 0; ++step) {
      fixed_ = full;
      for (float& scale : fixed_) scale *= scale_part(grid, step);
      std::vector<double> errors(rows_.size());
      for_all([&](const RowsProblem& p, std::span<RowCodes> rows, int64_t) {
        const auto at = rows.data() - rows_.data();
        std::vector<RowCodes> solved = start_(p);
        std::ranges::copy(output_errors(p, solved), errors.begin() + at);
        std::move(solved.begin(), solved.end(), rows.begin());
      });
      for_shares([&](size_t first, size_t last) {
        const double error = std::accumulate(errors.begin() + static_cast<int64_t>(first),
                                             errors.begin() + static_cast<int64_t>(last), 0.0);
        if (error >= least[first]) return;
        least[first] = error;
        std::copy(rows_.begin() + static_cast<int64_t>(first),
                  rows_.begin() + static_cast<int64_t>(last),
                  best.begin() + static_cast<int64_t>(first));
      });
    }
    rows_ = std::move(best);
    keep_scales();
    if (polish_) polish_all();
  }

  void keep_scales() {
    for (size_t r = 0; r < rows_.size(); ++r) fixed_[r] = rows_[r].scales[0];
  }

  // The best scale for the codes of the rows that have it, then codes for that.
  void refit_scales() {
    if (input_.grid.power_of_two_scales) return;
    std::vector<ScaleFit> fits(rows_.size());
    for_all([&](const RowsProblem& p, std::span<RowCodes> rows, int64_t) {
      std::ranges::copy(scale_fits(p, {rows.begin(), rows.end()}),
                        fits.begin() + (rows.data() - rows_.data()));
    });
    for_shares([&](size_t first, size_t last) {
      ScaleFit sum;
      for (size_t r = first; r < last; ++r) {
        sum.gain += fits[r].gain;
        sum.curve += fits[r].curve;
      }
      const auto better = static_cast<float>(rows_[first].scales[0] * sum.gain / sum.curve);
      if (!(sum.curve > 0) || !(better > 0.1f * rows_[first].scales[0]) || !std::isnormal(better))
        return;
      for (size_t r = first; r < last; ++r) rows_[r].scales[0] = better;
    });
    keep_scales();
    polish_all();
  }

  const OptimizerInput& input_;
  RowsPolish polish_;
  RowsStart start_;
  int64_t k_, count_, groups_, each_;
  int64_t share_;  // rows with one scale
  int64_t part_;   // rows of a group that tasks do not reach across
  bool large_;
  int64_t task_rows_;
  std::vector<float> targets_;
  std::vector<RowCodes> rows_;
  std::vector<int> bits_;
  std::vector<float> fixed_;  // scales of all blocks of all rows, where no row chooses its own
  std::vector<float> taken_;  // reals of narrower codes, by row; empty: none
  SharedParameters shared_;
  std::vector<std::optional<RowGroup>> solvers_;
};

}  // namespace

WeightCodes optimize_rows(const OptimizerInput& input, RowsPolish polish, RowsStart start) {
  Layer layer(input, polish, start);
  layer.solve();
  return layer.result();
}

}  // namespace qtool::qdq
