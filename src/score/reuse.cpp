#include <algorithm>

#include "qtool/score.hpp"

namespace qtool {
namespace {

bool prices(const GroupScore& group, const Width& width) {
  return std::ranges::find(group.widths, width) != group.widths.end();
}

void take_width(const GroupScore& from, const Width& width, GroupScore& to) {
  const auto c = static_cast<size_t>(std::ranges::find(from.widths, width) - from.widths.begin());
  to.widths.push_back(width);
  to.noise.push_back(from.noise[c]);
  to.filter_noise.resize(from.filter_noise.size());
  for (size_t f = 0; f < from.filter_noise.size(); ++f)
    to.filter_noise[f].push_back(from.filter_noise[f][c]);
  if (!from.error.empty()) to.error.push_back(from.error[c]);
}

}  // namespace

std::vector<Width> missing_widths(const ScoreTable& scores, const std::vector<Width>& widths) {
  std::vector<Width> missing;
  for (const Width& width : widths) {
    const bool priced =
        !scores.groups.empty() && std::ranges::all_of(scores.groups, [&](const GroupScore& group) {
          return group.kind != GroupKind::kWeights || prices(group, width);
        });
    if (!priced) missing.push_back(width);
  }
  return missing;
}

ScoreTable joined_scores(const ScoreTable& first, const ScoreTable& second,
                         const std::vector<Width>& widths) {
  const ScoreTable& whole = first.groups.empty() ? second : first;
  ScoreTable joined = whole;
  for (size_t g = 0; g < joined.groups.size(); ++g) {
    GroupScore& group = joined.groups[g];
    if (group.kind != GroupKind::kWeights) continue;
    group.widths.clear(), group.noise.clear(), group.filter_noise.clear(), group.error.clear();
    for (const Width& width : widths) {
      const GroupScore& own = whole.groups[g];
      take_width(prices(own, width) ? own : second.groups.at(g), width, group);
    }
  }
  return joined;
}

}  // namespace qtool
