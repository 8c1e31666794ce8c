#include "passes/passes.hpp"
#include "qtool/onnx.hpp"

namespace qtool::passes {

std::optional<Model> at_opset(const Model& model, int64_t opset) {
  if (model.opset() >= opset) return model;
  try {
    return convert_opset(model, opset);
  } catch (const Error& error) {
    log(LogLevel::kInfo, cat("nodes that opset ", opset, " joins stay apart: ", error.message()));
    return std::nullopt;
  }
}

}  // namespace qtool::passes
