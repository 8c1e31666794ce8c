#include <algorithm>

#include "qtool/score.hpp"

namespace qtool {
namespace {

bool prices(const GroupScore& group, int bits) {
  return std::ranges::find(group.bits, bits) != group.bits.end();
}

void take_width(const GroupScore& from, int bits, GroupScore& to) {
  const auto c = static_cast<size_t>(std::ranges::find(from.bits, bits) - from.bits.begin());
  to.bits.push_back(bits);
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
          const std::vector<int>& bits, std::vector<GroupScore>& joined) {
  if (bits.empty()) return;
  const auto from = of_kind(first, kind), more = of_kind(second, kind);
  const auto& whole = from.empty() ? more : from;
  for (size_t g = 0; g < whole.size(); ++g) {
    GroupScore group = *whole[g];
    group.bits.clear(), group.noise.clear(), group.filter_noise.clear(), group.error.clear();
    for (int width : bits)
      take_width(prices(*whole[g], width) ? *whole[g] : *more.at(g), width, group);
    joined.push_back(std::move(group));
  }
}

}  // namespace

std::vector<int> missing_widths(const ScoreTable& scores, GroupKind kind,
                                const std::vector<int>& bits) {
  const std::vector<int> priced = priced_widths(scores, kind);
  std::vector<int> missing;
  for (int width : bits)
    if (std::ranges::find(priced, width) == priced.end()) missing.push_back(width);
  return missing;
}

std::vector<int> priced_widths(const ScoreTable& scores, GroupKind kind) {
  const auto groups = of_kind(scores, kind);
  if (groups.empty()) return {};
  std::vector<int> widths = groups[0]->bits;
  std::erase_if(widths, [&](int bits) {
    return std::ranges::any_of(groups, [&](const GroupScore* g) { return !prices(*g, bits); });
  });
  std::ranges::sort(widths);
  return widths;
}

ScoreTable joined_scores(const ScoreTable& first, const ScoreTable& second,
                         const std::vector<int>& weight_bits,
                         const std::vector<int>& activation_bits) {
  ScoreTable joined = first.groups.empty() ? second : first;
  joined.groups.clear();
  join(first, second, GroupKind::kWeights, weight_bits, joined.groups);
  join(first, second, GroupKind::kActivation, activation_bits, joined.groups);
  return joined;
}

}  // namespace qtool
