// Blocks of a network: stretches between values through which everything passes, such as the sums of residual
// branches. Reconstruction fits one block's layers together.
#pragma once

#include "quantize/internal.hpp"

namespace qtool::qdq {

struct Block {
  std::string
      input;  // the value that everything before leaves behind it; empty: the network's inputs
  std::vector<std::string> outputs;  // one; at the network's end perhaps several
  std::vector<std::string> layers;   // among those asked for, in order
};
// All blocks that have layers, in order: residual blocks, and up to three layers where there is no branch. Values that
// no layer makes, such as masks, may reach into any block.
std::vector<Block> find_blocks(const Model& model, const Sites& sites, const LayerResults& layers);

// The part of a model between a block's input, which becomes an input of this name, and its outputs. Of the model's
// own inputs those stay that are read there.
Model block_of(const Model& model, const Block& block);

}  // namespace qtool::qdq
