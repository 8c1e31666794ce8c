#include <algorithm>

#include "data/reader.hpp"

namespace qtool {
namespace {

// Sample i of input k depends on the seed, i and k alone.
class RandomReader : public data::Reader {
 public:
  RandomReader(int64_t samples, uint64_t seed, std::vector<InputSpec> inputs, int64_t free_dim)
      : samples_(samples), seed_(seed), inputs_(std::move(inputs)), free_dim_(free_dim) {
    std::vector<int64_t> firsts;
    for (const InputSpec& input : inputs_)
      firsts.push_back(input.shape.empty() ? 0 : input.shape[0]);
    // Axis 0 is the batch when every input begins with the same one.
    gluable_ = !firsts.empty() && firsts[0] != 0 &&
               std::ranges::all_of(firsts, [&](int64_t first) { return first == firsts[0]; });
  }

  int64_t count() const override { return samples_; }
  bool gluable() const override { return gluable_; }
  std::string origin(int64_t index) const override { return cat("random sample ", index); }
  std::string describe() const override {
    return cat(samples_, " random samples (seed ", seed_, ")");
  }
  const std::vector<int64_t>& labels() const override { return labels_; }

  std::vector<Shape> shapes(int64_t) const override {
    std::vector<Shape> shapes;
    for (const InputSpec& input : inputs_) {
      Shape shape = input.shape;
      for (size_t axis = 0; axis < shape.size(); ++axis) {
        if (shape[axis] < 0) shape[axis] = axis == 0 ? 1 : free_dim_;
      }
      if (gluable_) shape[0] = 1;
      shapes.push_back(std::move(shape));
    }
    return shapes;
  }

  Feed read(int64_t index) const override {
    Feed feed;
    std::vector<Shape> wanted = shapes(index);
    for (size_t k = 0; k < inputs_.size(); ++k) {
      std::string stream = cat(seed_, "/", index, "/", k);
      feed.emplace(inputs_[k].name, random_tensor(inputs_[k].dtype, wanted[k], fnv1a(stream)));
    }
    return feed;
  }

 private:
  static Tensor random_tensor(DType type, const Shape& shape, uint64_t seed) {
    Rng rng(seed);
    Tensor tensor(type, shape);
    // 0 and 1 are valid masks, token numbers and flags; other integers may not be.
    bool whole = type == DType::kBool || is_integer(type);
    if (type == DType::kFloat) {
      for (float& value : tensor.mutable_data<float>()) value = static_cast<float>(rng.normal());
    } else {
      for (int64_t i = 0; i < tensor.size(); ++i)
        tensor.set_number(i, whole ? static_cast<double>(rng.below(2)) : rng.normal());
    }
    return tensor;
  }

  int64_t samples_;
  uint64_t seed_;
  std::vector<InputSpec> inputs_;
  int64_t free_dim_;
  std::vector<int64_t> labels_;
  bool gluable_ = false;
};

}  // namespace

std::unique_ptr<SampleSource> random_data(int64_t samples, uint64_t seed,
                                          const std::vector<InputSpec>& inputs, int64_t free_dim) {
  if (samples < 1 || free_dim < 1)
    throw_usage("QT-E153", "random data needs at least one sample and one element");
  if (inputs.empty()) throw_data("QT-E432", "the model has no input that data could feed");
  std::vector<std::unique_ptr<data::Reader>> readers;
  readers.push_back(std::make_unique<RandomReader>(samples, seed, inputs, free_dim));
  return data::make_source(std::move(readers), inputs, {});
}

}  // namespace qtool
