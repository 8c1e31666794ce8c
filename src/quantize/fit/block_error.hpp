// How far a block's outputs are from the float network's.
#pragma once

#include "quantize/internal.hpp"

namespace qtool::qdq {

// Axis 1 of pictures, else the last; a tensor without axes is one channel.
struct Channels {
  explicit Channels(const Shape& shape);
  size_t of(size_t element) const { return element / inner % count; }
  size_t count = 1, inner = 1;
};

// Sums over outputs, of the squared error relative to the mean power of the wanted values, channels weighted.
class BlockError {
 public:
  // `want` by chunk and output; `weights` of channels by output, empty: all alike.
  BlockError(const std::vector<std::vector<Tensor>>& want, std::vector<std::vector<float>> weights);
  double of(const std::vector<Tensor>& want, const std::vector<Tensor>& have) const;
  // ∂of / ∂have.
  std::vector<Tensor> slopes(const std::vector<Tensor>& want,
                             const std::vector<Tensor>& have) const;

 private:
  std::vector<std::vector<float>> weights_;
  std::vector<double> power_;
};

// Mean square of the gradients of the outputs of `model` by each channel of `values` (the diagonal of the Gauss-Newton
// form of the outputs' relative noise, sampled with random signs), over `chunks` of the data; 1 on average.
std::map<std::string, std::vector<float>> channel_weights(const Model& model,
                                                          const std::vector<std::string>& values,
                                                          const SampleSource& source,
                                                          const std::vector<int64_t>& chunks,
                                                          int threads);

}  // namespace qtool::qdq
