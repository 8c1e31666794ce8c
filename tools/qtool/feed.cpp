#include "qtool/feed.hpp"

#include <algorithm>
#include <cstring>

namespace cli {

using qtool::Feed;
using qtool::Tensor;

namespace {

// Bytes of one step along axis 0; whole for types of 8 bits and more.
int64_t row_bytes(const Tensor& t) { return t.dim(0) ? t.bytes() / t.dim(0) : 0; }

bool fits(const Feed& a, const Feed& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
    return x.first == y.first && std::equal(x.second.shape().begin() + 1, x.second.shape().end(),
                                            y.second.shape().begin() + 1, y.second.shape().end());
  });
}

}  // namespace

bool takes_any_batch(const std::vector<qtool::InputSpec>& inputs) {
  return !inputs.empty() &&
         std::all_of(inputs.begin(), inputs.end(), [](const qtool::InputSpec& in) {
           return !in.shape.empty() && in.shape[0] == -1 && in.dtype != qtool::DType::kString &&
                  qtool::dtype_bits(in.dtype) >= 8;
         });
}

Feed slice(const Feed& feed, int64_t begin, int64_t count) {
  Feed part;
  for (const auto& [name, value] : feed) {
    qtool::Shape shape = value.shape();
    shape[0] = count;
    Tensor t = Tensor::uninitialized(value.dtype(), shape);
    const int64_t row = row_bytes(value);
    if (t.bytes() > 0)
      std::memcpy(t.mutable_raw(), static_cast<const char*>(value.raw()) + begin * row,
                  static_cast<size_t>(count * row));
    part[name] = std::move(t);
  }
  return part;
}

Feed glue(const qtool::SampleSource& source, int64_t samples) {
  const Feed first = source.chunk(0).feed;
  Feed all;
  for (const auto& [name, value] : first) {
    qtool::Shape shape = value.shape();
    shape[0] = samples;
    all[name] = Tensor::uninitialized(value.dtype(), shape);
  }
  int64_t done = 0;
  for (int64_t c = 0; done < samples; c = (c + 1) % source.chunk_count()) {
    const Feed feed = c == 0 ? first : source.chunk(c).feed;
    if (!fits(first, feed)) continue;  // chunk 0 always fits: the loop ends
    const int64_t count = std::min(samples - done, feed.begin()->second.dim(0));
    for (const auto& [name, value] : feed) {
      const int64_t row = row_bytes(value);
      if (count * row > 0)
        std::memcpy(static_cast<char*>(all[name].mutable_raw()) + done * row, value.raw(),
                    static_cast<size_t>(count * row));
    }
    done += count;
  }
  return all;
}

}  // namespace cli
