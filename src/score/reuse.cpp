#include <algorithm>

#include "qtool/score.hpp"

namespace qtool {
namespace {

bool prices(const GroupScore& group, int bits) {
  return std::find(group.bits.begin(), group.bits.end(), bits) != group.bits.end();
}

void take_width(const GroupScore& from, int bits, GroupScore& to) {
  const auto c =
      static_cast<size_t>(std::find(from.bits.begin(), from.bits.end(), bits) - from.bits.begin());
  to.bits.push_back(bits);
  to.noise.push_back(from.noise[c]);
  to.filter_noise.resize(from.filter_noise.size());
  for (size_t f = 0; f < from.filter_noise.size(); ++f)
    to.filter_noise[f].push_back(from.filter_noise[f][c]);
  if (!from.error.empty()) to.error.push_back(from.error[c]);
}

}  // namespace

std::vector<int> missing_widths(const ScoreTable& scores, const std::vector<int>& bits) {
  std::vector<int> missing;
  for (int width : bits) {
    const bool priced =
        !scores.groups.empty() &&
        std::all_of(scores.groups.begin(), scores.groups.end(), [&](const GroupScore& group) {
          return group.kind != GroupKind::kWeights || prices(group, width);
        });
    if (!priced) missing.push_back(width);
  }
  return missing;
}

ScoreTable joined_scores(const ScoreTable& first, const ScoreTable& second,
                         const std::vector<int>& bits) {
  const ScoreTable& whole = first.groups.empty() ? second : first;
  ScoreTable joined = whole;
  for (size_t g = 0; g < joined.groups.size(); ++g) {
    GroupScore& group = joined.groups[g];
    if (group.kind != GroupKind::kWeights) continue;
    group.bits.clear(), group.noise.clear(), group.filter_noise.clear(), group.error.clear();
    for (int width : bits) {
      const GroupScore& own = whole.groups[g];
      take_width(prices(own, width) ? own : second.groups.at(g), width, group);
    }
  }
  return joined;
}

}  // namespace qtool
