// Chunks: runs of samples of equal shapes, glued along axis 0. Their boundaries depend on the data
// and the model alone, never on threads or a batch size, so that statistics merge to equal bytes.
#include <algorithm>
#include <cstring>
#include <numeric>

#include "data/files.hpp"
#include "data/fit.hpp"
#include "data/reader.hpp"

namespace qtool::data {
namespace {

// A chunk's input is about this large: it stays in a core's cache together with a layer's weights. Few
// samples, so that a handful of them keeps every thread busy and what a run holds stays small.
constexpr int64_t kChunkBytes = 2 << 20;
constexpr int64_t kMaxChunkSamples = 8;

struct SampleRef {
  const Reader* reader;
  int64_t index;
};

// A constant as the tensor that the model wants.
Tensor constant_tensor(const InputSpec& input, double value) {
  Shape shape = input.shape;
  for (int64_t& dim : shape) dim = dim < 0 ? 1 : dim;
  Tensor tensor(input.dtype, std::move(shape));
  for (int64_t i = 0; i < tensor.size(); ++i) tensor.set_number(i, value);
  return tensor;
}

// Samples a feed must hold: 0 any number, else exactly so many. Error{kData} when inputs contradict
// each other.
int64_t fixed_batch(const std::vector<InputSpec>& inputs) {
  int64_t batch = 0;
  for (const InputSpec& input : inputs) {
    int64_t first = input.shape.empty() ? 1 : input.shape[0];
    if (first <= 0) continue;
    if (batch > 0 && first != batch) {
      throw_data("QT-E433",
                 cat("the model's inputs begin with axes of length ", batch, " and ", first,
                     ": give whole feeds (arrays with one axis more, or ONNX test sets)"));
    }
    batch = first;
  }
  return batch;
}

// The samples' tensors one after another along axis 0.
Tensor glued(const std::vector<Feed>& feeds, const std::string& name) {
  const Tensor& first = feeds[0].at(name);
  Shape shape = first.shape();
  shape[0] = static_cast<int64_t>(feeds.size());
  Tensor out = Tensor::uninitialized(first.dtype(), std::move(shape));
  auto* to = static_cast<char*>(out.mutable_raw());
  auto bytes = static_cast<size_t>(first.bytes());
  for (const Feed& feed : feeds) {
    if (bytes) std::memcpy(to, feed.at(name).raw(), bytes);
    to += bytes;
  }
  return out;
}

class ChunkedSource : public SampleSource {
 public:
  ChunkedSource(std::vector<std::unique_ptr<Reader>> readers, const std::vector<InputSpec>& inputs,
                const DataOptions& options)
      : readers_(std::move(readers)) {
    for (const InputSpec& input : inputs) {
      auto constant = options.constants.find(input.name);
      if (constant == options.constants.end())
        inputs_.push_back(input);
      else
        constants_.emplace(input.name, constant_tensor(input, constant->second));
    }
    order(options);
    cut(options.chunk_samples);
  }

  int64_t samples() const override { return static_cast<int64_t>(samples_.size()); }
  int64_t chunk_count() const override { return static_cast<int64_t>(starts_.size()); }
  bool has_labels() const override { return labelled_; }

  int64_t skipped() const override {
    return std::accumulate(readers_.begin(), readers_.end(), int64_t{0},
                           [](int64_t sum, const auto& reader) { return sum + reader->skipped(); });
  }

  std::string describe() const override {
    std::string text;
    int64_t all = 0;
    for (const auto& reader : readers_) {
      text += cat(text.empty() ? "" : ", ", reader->describe());
      all += reader->count();
    }
    return samples() < all ? cat(samples(), " of ", text) : text;
  }

  int64_t samples_in(int64_t chunk_index) const override {
    const auto [first, last] = range(chunk_index);
    return static_cast<int64_t>(last - first);
  }

  Batch chunk(int64_t index) const override {
    const auto [first, last] = range(index);
    Batch batch;
    batch.first_sample = static_cast<int64_t>(first);
    batch.samples = static_cast<int64_t>(last - first);
    std::vector<Feed> feeds;
    for (size_t i = first; i < last; ++i) {
      const SampleRef& sample = samples_[i];
      feeds.push_back(sample.reader->read(sample.index));
      for (const auto& [name, tensor] : feeds.back())
        check_finite(tensor, name, sample.reader->origin(sample.index));
      if (labelled_)
        batch.labels.push_back(sample.reader->labels()[static_cast<size_t>(sample.index)]);
    }
    bool padded = samples_[first].reader->gluable() && static_cast<int64_t>(feeds.size()) < batch_;
    if (padded) feeds.resize(static_cast<size_t>(batch_), Feed(feeds.back()));
    if (feeds.size() == 1)
      batch.feed = std::move(feeds[0]);
    else
      for (const InputSpec& input : inputs_)
        batch.feed.emplace(input.name, glued(feeds, input.name));
    batch.feed.insert(constants_.begin(), constants_.end());
    return batch;
  }

 private:
  // First sample of a chunk, and the one behind its last.
  std::pair<size_t, size_t> range(int64_t index) const {
    if (index < 0 || index >= chunk_count())
      throw_internal(cat("chunk ", index, " of ", chunk_count()));
    const auto at = static_cast<size_t>(index);
    return {static_cast<size_t>(starts_[at]),
            at + 1 < starts_.size() ? static_cast<size_t>(starts_[at + 1]) : samples_.size()};
  }

  void order(const DataOptions& options) {
    int64_t with_labels = 0;
    for (const auto& reader : readers_) {
      for (int64_t i = 0; i < reader->count(); ++i) samples_.push_back({reader.get(), i});
      with_labels += reader->labels().empty() ? 0 : reader->count();
    }
    if (samples_.empty()) throw_data("QT-E403", cat("there are no samples in ", describe()));
    labelled_ = with_labels == samples();
    if (with_labels > 0 && !labelled_)
      log(LogLevel::kWarning, "labels are not used: some of the data has none");
    if (options.shuffle_seed) {
      Rng rng(*options.shuffle_seed);
      for (size_t i = samples_.size() - 1; i > 0; --i)
        std::swap(samples_[i], samples_[rng.below(i + 1)]);
    }
    if (options.limit > 0 && options.limit < samples())
      samples_.resize(static_cast<size_t>(options.limit));
  }

  int64_t sample_bytes(const std::vector<Shape>& shapes) const {
    int64_t bytes = 0;
    for (size_t i = 0; i < shapes.size(); ++i)
      bytes += byte_size(inputs_[i].dtype, element_count(shapes[i]));
    return std::max<int64_t>(bytes, 1);
  }

  void cut(int64_t asked) {
    bool gluable =
        std::ranges::any_of(readers_, [](const auto& reader) { return reader->gluable(); });
    batch_ = gluable ? fixed_batch(inputs_) : 0;
    std::vector<Shape> run;  // shapes of the samples in the chunk that is open; empty: a whole feed
    int64_t capacity = 0, held = 0;
    for (size_t i = 0; i < samples_.size(); ++i) {
      const SampleRef& sample = samples_[i];
      std::vector<Shape> shapes;
      if (sample.reader->gluable()) shapes = sample.reader->shapes(sample.index);
      bool joins = i > 0 && !shapes.empty() && shapes == run && held < capacity;
      if (joins) {
        ++held;
        continue;
      }
      starts_.push_back(static_cast<int64_t>(i));
      held = 1;
      if (shapes != run || capacity == 0) {
        int64_t fitting =
            std::clamp<int64_t>(kChunkBytes / (shapes.empty() ? kChunkBytes : sample_bytes(shapes)),
                                1, kMaxChunkSamples);
        capacity = batch_ > 0 ? batch_ : asked > 0 ? asked : fitting;
        run = std::move(shapes);
      }
    }
  }

  std::vector<std::unique_ptr<Reader>> readers_;
  std::vector<InputSpec> inputs_;  // without constants
  Feed constants_;
  std::vector<SampleRef> samples_;
  std::vector<int64_t> starts_;  // first sample of every chunk
  int64_t batch_ = 0;            // fixed batch of the model, 0: free
  bool labelled_ = false;
};

}  // namespace

std::unique_ptr<SampleSource> make_source(std::vector<std::unique_ptr<Reader>> readers,
                                          const std::vector<InputSpec>& inputs,
                                          const DataOptions& options) {
  return std::make_unique<ChunkedSource>(std::move(readers), inputs, options);
}

}  // namespace qtool::data
