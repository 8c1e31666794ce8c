#include "quantize/fit/moments.hpp"

#include <algorithm>
#include <numeric>

#include "quantize/fit/moment_rows.hpp"

namespace qtool::qdq {
namespace {

// Columns held at once, of either network: 64 MiB.
constexpr int64_t kMostElements = int64_t{16} << 20;
constexpr int64_t kPanel = 96;  // rows of a Gram matrix that one task works on

std::vector<int64_t> drawn(int64_t available, int64_t wanted, uint64_t seed) {
  std::vector<int64_t> all(static_cast<size_t>(available));
  std::iota(all.begin(), all.end(), 0);
  if (wanted >= available) return all;
  Rng random(seed);
  for (int64_t i = 0; i < wanted; ++i) {
    const auto other = i + static_cast<int64_t>(random.below(static_cast<uint64_t>(available - i)));
    std::swap(all[static_cast<size_t>(i)], all[static_cast<size_t>(other)]);
  }
  all.resize(static_cast<size_t>(wanted));
  std::sort(all.begin(), all.end());
  return all;
}

bool are_few(int64_t positions, int64_t columns) { return positions < 32 * columns; }

// Off-diagonal entries of few positions are noise: shrunk by K / (K + M).
void shrink(GroupMoments& moments, int64_t k, int64_t positions) {
  if (!are_few(positions, k)) return;
  const float keep = static_cast<float>(positions) / static_cast<float>(k + positions);
  for (int64_t r = 0; r < k; ++r) {
    for (int64_t c = 0; c < k; ++c) {
      if (r != c) {
        moments.h[static_cast<size_t>(r * k + c)] *= keep;
        if (!moments.shift.empty()) moments.shift[static_cast<size_t>(r * k + c)] *= keep;
      }
    }
  }
  for (float& r : moments.residual) r *= keep;
}

void mirror(std::vector<float>& h, int64_t k) {
  for (int64_t r = 0; r < k; ++r) {
    for (int64_t c = 0; c < r; ++c)
      h[static_cast<size_t>(r * k + c)] = h[static_cast<size_t>(c * k + r)];
  }
}

}  // namespace

InputMoments input_moments(const ColumnReader& reader, int64_t chunks, const ReadLayerValue& read,
                           const MomentOptions& options) {
  const int64_t k = reader.columns();
  const int64_t most = reader.groups() > 1 ? options.grouped_positions : options.positions;
  const int64_t wanted = std::min(most, std::max<int64_t>(kMostElements / k, 1));
  std::vector<std::vector<int64_t>> positions(static_cast<size_t>(chunks));
  parallel_for(options.threads, chunks, [&](int64_t c, int) {
    const int64_t share = (wanted * (c + 1)) / chunks - (wanted * c) / chunks;
    positions[static_cast<size_t>(c)] =
        drawn(reader.positions(read(LayerValue::kQuantizedInput, c).shape), share,
              options.seed * 1000003 + static_cast<uint64_t>(c));
  });
  int64_t count = 0;
  for (const auto& p : positions) count += static_cast<int64_t>(p.size());
  MomentKinds kinds;
  // Of fewer positions than columns the shift is mostly noise, and left out.
  kinds.shift = count >= k && read(LayerValue::kInput, 0).defined();
  kinds.residual = count >= k && read(LayerValue::kResidual, 0).defined();
  // Two products of outputs rather than one of columns. The diagonal of a shift that is shrunk has to be known,
  // and a constant that the layer adds has to go with the means.
  if (kinds.shift && options.centred && !options.rows.empty() && !are_few(count, k) &&
      2 * reader.channels_per_group() < k) {
    kinds.shift = false;
    kinds.output = true;
  }
  InputMoments result;
  result.columns = k;
  result.groups.resize(static_cast<size_t>(reader.groups()));
  const int64_t batch = std::clamp<int64_t>(kMostElements / (wanted * k), 1, reader.groups());
  for (int64_t first = 0; first < reader.groups(); first += batch) {
    const int64_t groups = std::min(batch, reader.groups() - first);
    MomentRows rows(reader, first, groups, positions, kinds, options.rows);
    parallel_for(options.threads, chunks, [&](int64_t c, int) { rows.read(c, read); });
    rows.merge_sums();
    if (options.centred)
      parallel_for(options.threads, groups, [&](int64_t g, int) { rows.centre(g); });
    result.positions = rows.count();
    const int64_t panels = (k + kPanel - 1) / kPanel;
    for (int64_t g = 0; g < groups; ++g) {
      GroupMoments& m = result.groups[static_cast<size_t>(first + g)];
      m.h.assign(static_cast<size_t>(k * k), 0.f);
      if (kinds.shift) m.shift.assign(static_cast<size_t>(k * k), 0.f);
      m.residual.assign(static_cast<size_t>(rows.channels() * k), 0.f);
      m.mean = rows.mean(g);
    }
    parallel_for(options.threads, groups * panels, [&](int64_t task, int) {
      const int64_t g = task / panels, begin = task % panels * kPanel;
      rows.panel(g, begin, std::min(k, begin + kPanel),
                 result.groups[static_cast<size_t>(first + g)]);
    });
  }
  parallel_for(options.threads, reader.groups(), [&](int64_t g, int) {
    GroupMoments& m = result.groups[static_cast<size_t>(g)];
    mirror(m.h, k);
    shrink(m, k, result.positions);
  });
  return result;
}

}  // namespace qtool::qdq
