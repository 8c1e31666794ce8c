#include "quantize/optimizers/gram_rows.hpp"

#include <algorithm>
#include <optional>

#include "quantize/internal.hpp"
#include "quantize/linear_algebra.hpp"

namespace qtool::qdq {
namespace {

// Parts of H's mean diagonal (docs/quantization.md): of the target's correction and of GPTQ, and of
// coordinate descent, which only needs to stay away from dead columns.
constexpr float kTargetDamping = 0.1f, kDescentDamping = 1e-3f;
// Fits of what rows share, each followed by coordinate descent.
constexpr int kSharedRounds = 4;

float mean_diagonal(const std::vector<float>& h, int64_t k) {
  double sum = 0;
  for (int64_t i = 0; i < k; ++i) sum += h[static_cast<size_t>(i * k + i)];
  return std::max(static_cast<float>(sum / static_cast<double>(k)), 1e-12f);
}

constexpr int64_t kRowsATask = 32;
// Of a large layer more rows share each pass over the factor, which no longer stays near the processor.
constexpr int64_t kRowsAtOnce = 128;

// What all rows of a layer share: levels, or factors of places in the kernel.
struct Shared {
  Codebook codebook;
  std::vector<float> places;
};

// One group of a layer: targets, factor, and rows that tasks work on.
class Group {
 public:
  Group(const OptimizerInput& input, const GroupMoments& moments, std::span<float> rows, int64_t k,
        int threads)
      : moments_(moments), targets_(rows), k_(k), mean_(mean_diagonal(moments.h, k)) {
    factor_ = cholesky(moments.h, k, kTargetDamping * mean_, threads);
    if (!moments.shift.empty() || !moments.residual.empty()) correct(rows);
    grid_.block = input.scale_block > 0 ? input.scale_block : k;
    grid_.channels = row_layout(input.weight.shape(), input.channel_axis).channels;
    grid_.exact_pairs = input.exact_pairs;
    grid_.power_of_two = input.grid.power_of_two_scales;
    grid_.place_columns = input.grid.place_columns;
  }

  // Rows [first, first + bits.size()) of the group, at these widths.
  RowsProblem problem(int64_t first, std::span<const int> bits, const Shared& shared) const {
    const auto count = static_cast<int64_t>(bits.size());
    RowsProblem p;
    p.targets = targets_.subspan(static_cast<size_t>(first * k_), static_cast<size_t>(count * k_));
    p.gram = moments_.h;
    p.factor = factor_;
    p.ridge = kDescentDamping * mean_;
    for (int width : bits) {
      RowGrid& grid = p.grids.emplace_back(grid_);
      grid.lowest = -(1 << (width - 1));
      grid.highest = (1 << (width - 1)) - 1;
      grid.exact_pairs = grid_.exact_pairs && width == 8;
      if (shared.codebook.levels.empty()) continue;
      grid.codebook = &shared.codebook;
      grid.exact_pairs = false;  // levels are small enough
      grid.lowest = -shared.codebook.largest();
      grid.highest = shared.codebook.largest();
      grid.places = shared.places;
    }
    return p;
  }

 private:
  // Makes up for what the layers before did to the inputs.
  void correct(std::span<float> rows) const {
    std::vector<float> correction(rows.size(), 0.f);
    if (!moments_.shift.empty()) correction = multiply_rows(rows, moments_.shift, k_);
    for (size_t i = 0; i < moments_.residual.size(); ++i) correction[i] += moments_.residual[i];
    solve_rows(correction, factor_, k_);
    for (size_t i = 0; i < rows.size(); ++i) rows[i] += correction[i];
  }

  const GroupMoments& moments_;
  std::span<const float> targets_;
  int64_t k_;
  float mean_;
  std::vector<float> factor_;
  RowGrid grid_;
};

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
  }

  // Groups keep their factors only where the rows are visited again.
  void solve() {
    const bool again = shares() && polish_;
    const auto group_of = [&](int64_t g) {
      const auto at = static_cast<size_t>(g * each_ * k_), n = static_cast<size_t>(each_ * k_);
      return Group(input_, input_.moments->groups[static_cast<size_t>(g)],
                   std::span(targets_).subspan(at, n), k_, groups_ > 1 ? 1 : input_.threads);
    };
    parallel_for(groups_ > 1 ? input_.threads : 1, groups_, [&](int64_t g, int) {
      std::optional<Group>& group = solvers_[static_cast<size_t>(g)];
      group.emplace(group_of(g));
      for_tasks(*group, g, [&](const RowsProblem& p, std::span<RowCodes> rows, int64_t) {
        std::vector<RowCodes> solved = start_(p);
        if (polish_) polish_(p, solved);
        std::move(solved.begin(), solved.end(), rows.begin());
      });
      if (!again) group.reset();
    });
    for (int round = 0; again && round < kSharedRounds; ++round) refit();
  }

  WeightCodes result() const {
    WeightCodes result;
    std::vector<int8_t> codes(targets_.size());
    for (size_t r = 0; r < rows_.size(); ++r) {
      std::copy(rows_[r].codes.begin(), rows_[r].codes.end(),
                codes.begin() + static_cast<int64_t>(r) * k_);
      result.scales.insert(result.scales.end(), rows_[r].scales.begin(), rows_[r].scales.end());
    }
    result.codes = from_rows(codes, input_.weight.shape(), input_.channel_axis);
    result.block = input_.scale_block;
    result.power_of_two_scales = input_.grid.power_of_two_scales;
    if (input_.grid.codebook) result.codebook = std::make_shared<const Codebook>(shared_.codebook);
    if (!shared_.places.empty()) multiply_scales(result, shared_.places, input_.grid.place_columns);
    return result;
  }

 private:
  bool shares() const { return !shared_.places.empty() || input_.grid.own_codebook; }

  int64_t tasks_a_part() const { return (part_ + task_rows_ - 1) / task_rows_; }
  int64_t tasks_a_group() const { return each_ / part_ * tasks_a_part(); }

  template <typename Fn>
  void for_tasks(const Group& group, int64_t g, const Fn& fn) {
    parallel_for(groups_ > 1 ? 1 : input_.threads, tasks_a_group(), [&](int64_t task, int) {
      const int64_t inside = task % tasks_a_part() * task_rows_;
      const int64_t first = task / tasks_a_part() * part_ + inside;
      const auto at = static_cast<size_t>(g * each_ + first),
                 n = static_cast<size_t>(std::min(task_rows_, part_ - inside));
      RowsProblem problem = group.problem(first, std::span(bits_).subspan(at, n), shared_);
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

  // What a row's weights are made of, as add_row() wants it.
  void classify(const RowGrid& grid, const RowCodes& row, std::vector<float>& values,
                std::vector<uint8_t>& classes) const {
    for (size_t j = 0; j < row.codes.size(); ++j) {
      if (!shared_.places.empty()) {
        values[j] = row.scales[0] * static_cast<float>(row.codes[j]);
        classes[j] = static_cast<uint8_t>(static_cast<int64_t>(j) / grid.place_columns);
      } else {
        values[j] = grid.scale(j, row.scales);
        classes[j] =
            static_cast<uint8_t>(shared_.codebook.index_of(std::span(row.codes).subspan(j, 1)));
      }
    }
  }

  // The best shared parameters for the codes and scales of all rows, then codes and scales for those.
  void refit() {
    const size_t count =
        shared_.places.empty() ? shared_.codebook.levels.size() : shared_.places.size();
    std::vector<SharedFit> parts(static_cast<size_t>(groups_ * tasks_a_group()), SharedFit(count));
    for_all([&](const RowsProblem& p, std::span<RowCodes> rows, int64_t task) {
      std::vector<float> values(static_cast<size_t>(k_));
      std::vector<uint8_t> classes(static_cast<size_t>(k_));
      for (size_t r = 0; r < rows.size(); ++r) {
        classify(p.grids[r], rows[r], values, classes);
        add_row(p, r, values, classes, parts[static_cast<size_t>(task)]);
      }
    });
    for (size_t i = 1; i < parts.size(); ++i) parts[0].add(parts[i]);
    take(parts[0]);
    for_all([&](const RowsProblem& p, std::span<RowCodes> rows, int64_t) {
      std::vector<RowCodes> again(rows.begin(), rows.end());
      polish_(p, again);
      std::move(again.begin(), again.end(), rows.begin());
    });
  }

  void take(const SharedFit& fit) {
    if (!shared_.places.empty()) {
      shared_.places = fit.solve(shared_.places);
      return;
    }
    take_levels(fit);
  }

  // Whole numbers again; rows follow to the level that theirs became.
  void take_levels(const SharedFit& fit) {
    Codebook& book = shared_.codebook;
    const std::vector<float> start(book.levels.begin(), book.levels.end());
    const std::vector<float> better = fit.solve(start);
    const auto magnitude = [](float a, float b) { return std::fabs(a) < std::fabs(b); };
    const float most = std::fabs(*std::max_element(better.begin(), better.end(), magnitude));
    if (!(most > 0)) return;
    const float unit = most / static_cast<float>(std::max(book.largest(), 1));
    std::vector<int8_t> became(256);
    std::vector<int8_t> levels;
    for (size_t i = 0; i < better.size(); ++i) {
      levels.push_back(static_cast<int8_t>(std::nearbyint(better[i] / unit)));
      became[static_cast<uint8_t>(book.levels[i])] = levels.back();
    }
    book.levels = levels;
    std::sort(book.levels.begin(), book.levels.end());
    book.levels.erase(std::unique(book.levels.begin(), book.levels.end()), book.levels.end());
    for (RowCodes& row : rows_) {
      for (int8_t& code : row.codes) code = became[static_cast<uint8_t>(code)];
      for (float& scale : row.scales) scale *= unit;
    }
  }

  const OptimizerInput& input_;
  RowsPolish polish_;
  RowsStart start_;
  int64_t k_, count_, groups_, each_;
  int64_t part_;  // rows of a group that tasks do not reach across
  bool large_;
  int64_t task_rows_;
  std::vector<float> targets_;
  std::vector<RowCodes> rows_;
  std::vector<int> bits_;
  Shared shared_;
  std::vector<std::optional<Group>> solvers_;
};

}  // namespace

WeightCodes optimize_rows(const OptimizerInput& input, RowsPolish polish, RowsStart start) {
  Layer layer(input, polish, start);
  layer.solve();
  return layer.result();
}

}  // namespace qtool::qdq
