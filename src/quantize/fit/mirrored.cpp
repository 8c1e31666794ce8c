#include "quantize/fit/mirrored.hpp"

#include <algorithm>

#include "qtool/exec.hpp"

namespace qtool::qdq {
namespace {

constexpr int64_t kMostColours = 4;
// Of the outputs' power. Mirrored photographs make 0.04 to 0.09, digits and lines of text 1.1 and more.
constexpr double kMostNoise = 0.2;

// Along which a batch of pictures is mirrored; −1: it is none.
int64_t width_axis(const Tensor& input) {
  if (input.dtype() != DType::kFloat || input.rank() != 4) return -1;
  if (input.dim(1) <= kMostColours) return 3;
  return input.dim(3) <= kMostColours ? 2 : -1;
}

Tensor mirrored(Tensor input) {
  const int64_t axis = width_axis(input), width = input.dim(axis);
  const int64_t inner = axis == 3 ? 1 : input.dim(3);
  auto x = input.mutable_data<float>();
  for (int64_t row = 0; row < input.size(); row += width * inner) {
    for (int64_t left = 0; left < width / 2; ++left) {
      const auto a = x.begin() + row + left * inner,
                 b = x.begin() + row + (width - 1 - left) * inner;
      std::swap_ranges(a, a + inner, b);
    }
  }
  return input;
}

Feed mirrored(Feed feed) {
  for (auto& [name, input] : feed) input = mirrored(std::move(input));
  return feed;
}

}  // namespace

Batch Mirrored::chunk(int64_t index) const {
  if (index < first_) return source_.chunk(index);
  Batch batch = source_.chunk(index - first_);
  if (index < 2 * first_) batch.feed = mirrored(std::move(batch.feed));
  return batch;
}

bool sees_mirrored_alike(const Model& model, const SampleSource& source, int64_t first,
                         int64_t last, int threads) {
  const Feed one = source.chunk(first).feed;
  if (one.size() != 1 || width_axis(one.begin()->second) < 0) return false;
  const Executor executor(model);
  std::vector<double> noise(static_cast<size_t>(last - first));
  parallel_for(threads, last - first, [&](int64_t i, int) {
    const Feed feed = source.chunk(first + i).feed;
    noise[static_cast<size_t>(i)] =
        relative_noise(executor.run(feed), executor.run(mirrored(feed)));
  });
  double sum = 0;
  for (const double n : noise) sum += n;
  const double mean = sum / static_cast<double>(noise.size());
  log(LogLevel::kDebug, cat("mirror images change the float outputs by ", mean, " of their power"));
  return mean < kMostNoise;
}

}  // namespace qtool::qdq
