#include "onnx/reader.hpp"

#include "onnx/checks.hpp"
#include "onnx/graph_reader.hpp"

namespace qtool::onnx_detail {

Model read_model(onnx::ModelProto& proto, const TensorSource& source) {
  check_versions(proto);
  check_functions(proto);
  Model model;
  model.ir_version = proto.ir_version();
  model.opsets = opsets_of(proto);
  model.graph = read_graph(*proto.mutable_graph(), {source, model.opsets});
  for (auto& entry : *proto.mutable_metadata_props())
    model.metadata.emplace_back(std::move(*entry.mutable_key()), std::move(*entry.mutable_value()));
  // opset_import stays in the rest: its order and spelling are the file's.
  proto.clear_ir_version();
  proto.clear_graph();
  proto.clear_metadata_props();
  model.opaque = rest_of(proto);
  return model;
}

}  // namespace qtool::onnx_detail
