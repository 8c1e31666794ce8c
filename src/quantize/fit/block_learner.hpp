// The knobs and codes of one block learned together, by Adam on the block's error (BRECQ, arXiv 2102.05426).
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "qtool/gradient.hpp"
#include "quantize/fit/block_error.hpp"
#include "quantize/fit/knob_descent.hpp"
#include "quantize/fit/reconstruct.hpp"
#include "quantize/fit/soft_rounding.hpp"

namespace qtool::qdq {

class BlockLearner {
 public:
  using Tensors = std::vector<Tensor>;
  // `feeds`: by chunk, what the block reads in the quantized network; `mixed`: its input in the float network, by
  // chunk; `want`: its outputs there. All but feeds and mixed outlive this.
  BlockLearner(const TunableNetwork& network, const Block& block, std::vector<Feed> feeds,
               Tensors mixed, const std::vector<Tensors>& want, BlockError error,
               const ReconstructOptions& options);
  void run(const Sites& sites, const LayerResults& start);
  double error() const;  // mean over the chunks
  void apply(const TunableNetwork& network, Candidate& candidate) const;

 private:
  Feed feed(size_t chunk) const;
  Feed mixed_feed(size_t chunk, int64_t draw) const;
  std::map<std::string, Tensor> gradients_of(const Feed& feed, size_t chunk) const;
  std::vector<std::vector<double>> mean_slopes() const;
  ChunkGradients draw_gradients();
  void move_codes(const ChunkGradients& found, double done);
  void move_knobs(const ChunkGradients& found, double done);

  const Block& block_;
  std::vector<Feed> feeds_;
  Tensors mixed_;
  const std::vector<Tensors>& want_;
  BlockError error_;
  const ReconstructOptions& options_;
  std::optional<Gradient> gradient_;
  std::vector<const TunableNetwork::Knob*> knobs_;  // those that move
  std::vector<KnobDescent> descents_;
  std::map<size_t, SoftRounding> soft_;  // by knob
  Rng random_{1};                        // draws chunks
  int64_t drawn_ = 0;
};

}  // namespace qtool::qdq
