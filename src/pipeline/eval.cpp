#include "pipeline/stages.hpp"
#include "qtool/onnx.hpp"

namespace qtool {

namespace fs = std::filesystem;

namespace {

// The float model's test set when its sidecar names one that fits the model's inputs, else the
// calibration data.
std::unique_ptr<SampleSource> default_source(const Workspace& w, const Model& model,
                                             DataOptions options) {
  fs::path sidecar = w.model;
  sidecar.replace_extension(".json");
  const auto test = fs::exists(sidecar) ? read_sidecar(sidecar).test : std::nullopt;
  if (test && fs::exists(*test)) {
    try {
      return pipeline::open_fed({*test}, w.preprocess, model, options);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kData) throw;
      log(LogLevel::kWarning,
          cat("the sidecar's test set is left out, the calibration data is used: ",
              error.message()));
    }
  }
  return pipeline::source_of(w, model);
}

}  // namespace

EvalReport run_eval(const EvalRequest& request) {
  EvalReport report;
  std::optional<Workspace> w;
  const bool has_data = !request.data.data.empty() || request.data.random_samples > 0;
  if (!request.model || !has_data || request.workspace) w = open_workspace(request.workspace);
  if (w && !request.model && w->quantized.empty()) {
    throw Error(ErrorKind::kUsage, "QT-E145", "nothing is quantized in this workspace")
        .hint("run `qtool quantize` first, or name a model");
  }
  report.model = request.model ? *request.model : w->quantized;
  if (request.reference)
    report.reference = *request.reference;
  else if (w)
    report.reference = w->model;
  const Model model = load_model(report.model);
  std::optional<Model> reference;
  if (!report.reference.empty()) reference = load_model(report.reference);
  std::unique_ptr<SampleSource> source;
  DataRequest data = request.data;
  // What calibration took for inputs that data does not hold.
  if (w)
    data.options.constants.insert(w->data_options.constants.begin(),
                                  w->data_options.constants.end());
  if (w && request.data.random_samples == 0) {
    source = request.data.data.empty()
                 ? default_source(*w, model, data.options)
                 : pipeline::open_fed(data.data, w->preprocess, model, data.options);
  } else {
    // Preprocessing belongs to the float model: its sidecar describes both.
    source = open_source(data, reference ? *reference : model);
  }
  report.data = source->describe();
  report.evaluation = evaluate(model, reference ? &*reference : nullptr, *source, request.options);
  report.model_bytes = model.file_bytes;
  return report;
}

}  // namespace qtool
