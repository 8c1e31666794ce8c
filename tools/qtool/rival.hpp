// Another engine on the same file and data, for bench.
#pragma once

#include <qtool/data.hpp>
#include <qtool/report.hpp>

namespace cli {

// onnxruntime in a Python of its own: $QTOOL_PYTHON, else python3 from the path. Throws Error{kUsage, QT-E148}
// when that has no onnxruntime or it refuses the model.
qtool::BenchResult::Rival measure_onnxruntime(const std::string& model, const qtool::Feed& feed,
                                              int threads, double seconds);

}  // namespace cli
