// Block reconstruction: the layers of one block fitted together to what the block gives in the float network, on the
// inputs that the quantized network has (BRECQ, arXiv 2102.05426; inputs mixed after QDrop, arXiv 2203.05740).
#pragma once

#include "quantize/fit/acceptance.hpp"
#include "quantize/fit/blocks.hpp"

namespace qtool::qdq {

struct ReconstructOptions {
  int64_t fit_chunks = 0;  // the first chunks of the data
  int steps = 200;         // of Adam a block
  BlockFit how = {};
  int64_t memory =
      int64_t{512}
      << 20;  // for the values between blocks; some chunks are left out where it takes more
  int threads = 1;
};

// Goes over the blocks in order.
class Reconstruction {
 public:
  // All but `layers` must outlive it, which names those that blocks are made of. Throws Unsupported (QT-E320) where an
  // operator has no gradient.
  Reconstruction(const Model& model, const Sites& sites, const QuantPlan& plan,
                 const SampleSource& source, const LayerResults& layers,
                 const ReconstructOptions& options);
  const std::vector<Block>& blocks() const { return blocks_; }
  // Codes, row scales, biases and activation scales of the block's layers, learned from those of `now`; `now` where the
  // block's error on the data does not fall. All blocks before have been passed.
  Candidate propose(const Block& block, const Candidate& now) const;
  // Runs both networks past the block, the quantized one as `now` has it.
  void pass(const Block& block, const Candidate& now);

 private:
  // What a block reads, of one chunk.
  struct Inputs {
    int64_t chunk = 0;
    Tensor reference = {}, quantized = {};  // undefined in front of the first block
  };
  void find_room();
  void weigh_channels();
  Feed feed(const Block& block, const Model& part, int64_t chunk, const Tensor& input) const;
  std::vector<std::vector<Tensor>> wanted(const Block& block) const;

  const Model& model_;
  const Sites& sites_;
  const QuantPlan& plan_;
  const SampleSource& source_;
  ReconstructOptions options_;
  std::vector<Block> blocks_;
  std::vector<Inputs> inputs_;
  std::map<std::string, std::vector<float>> weights_;  // of channels, by a block's output
};

}  // namespace qtool::qdq
