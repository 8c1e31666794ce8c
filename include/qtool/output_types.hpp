// The types of a model's outputs, which preparation widens to float32 (layer passes).
//
//   const OutputTypes types = output_types(model);     // as loaded
//   Model m = prepare(model); …
//   restore_output_types(m, types);                    // before it is written
#pragma once

#include <map>
#include <string>

#include "qtool/graph.hpp"

namespace qtool {

using OutputTypes = std::map<std::string, DType>;
OutputTypes output_types(const Model& model);
// Outputs that were float16 or bfloat16 are again, behind a Cast. True where there was one.
bool restore_output_types(Model& model, const OutputTypes& types);

}  // namespace qtool
