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

std::vector<const GroupScore*> of_kind(const ScoreTable& scores, GroupKind kind) {
  std::vector<const GroupScore*> groups;
  for (const GroupScore& group : scores.groups)
    if (group.kind == kind) groups.push_back(&group);
  return groups;
}

// Tables of one key have the same groups of a kind in the same order, or none.
void join(const ScoreTable& first, const ScoreTable& second, GroupKind kind,
          const std::vector<Width>& widths, std::vector<GroupScore>& joined) {
  if (widths.empty()) return;
  const auto from = of_kind(first, kind), more = of_kind(second, kind);
  const auto& whole = from.empty() ? more : from;
  for (size_t g = 0; g < whole.size(); ++g) {
    GroupScore group = *whole[g];
    group.widths.clear(), group.noise.clear(), group.filter_noise.clear(), group.error.clear();
    for (const Width& width : widths)
      take_width(prices(*whole[g], width) ? *whole[g] : *more.at(g), width, group);
    joined.push_back(std::move(group));
  }
}

}  // namespace

std::vector<Width> missing_widths(const ScoreTable& scores, GroupKind kind,
                                  const std::vector<Width>& widths) {
  const std::vector<Width> priced = priced_widths(scores, kind);
  std::vector<Width> missing;
  for (const Width& width : widths)
    if (std::ranges::find(priced, width) == priced.end()) missing.push_back(width);
  return missing;
}

std::vector<Width> priced_widths(const ScoreTable& scores, GroupKind kind) {
  const auto groups = of_kind(scores, kind);
  if (groups.empty()) return {};
  std::vector<Width> widths = groups[0]->widths;
  std::erase_if(widths, [&](const Width& width) {
    return std::ranges::any_of(groups, [&](const GroupScore* g) { return !prices(*g, width); });
  });
  return widths;
}

ScoreTable joined_scores(const ScoreTable& first, const ScoreTable& second,
                         const std::vector<Width>& weights, const std::vector<Width>& activations) {
  ScoreTable joined = first.groups.empty() ? second : first;
  joined.groups.clear();
  join(first, second, GroupKind::kWeights, weights, joined.groups);
  join(first, second, GroupKind::kActivation, activations, joined.groups);
  return joined;
}

}  // namespace qtool
