// Samples out of arrays that are in memory or mapped.
#pragma once

#include <map>

#include "data/reader.hpp"

namespace qtool::data {

struct Arrays {
  std::string origin;                      // path of the file or folder
  std::map<std::string, Tensor> by_input;  // one per input of the context
  std::vector<int64_t> labels;             // one per sample, or empty
};

// Checks every array against its input. Error{kData} when one does not fit or their counts differ.
std::unique_ptr<Reader> open_arrays(Arrays arrays, const ReadContext& context);
// Class numbers out of an integer array [N] or [N, 1]; Error{kData} when it is anything else.
std::vector<int64_t> labels_from(const Tensor& array, const std::string& origin);

}  // namespace qtool::data
