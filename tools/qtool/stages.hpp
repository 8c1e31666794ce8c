// What commands that run the stages share: each stage run and made into its result.
#pragma once

#include <qtool/pipeline.hpp>
#include <qtool/report.hpp>
#include <string>

#include "qtool/options.hpp"

namespace cli {

using Steps = std::vector<std::pair<std::string, std::string>>;

// The result of one stage: its text or its JSON.
std::string calibrate_result(const qtool::Calibrated& c, bool json);
std::string search_result(const qtool::Workspace& workspace, const qtool::Searched& s,
                          const std::string& target, bool json);
std::string quantize_result(const qtool::Workspace& workspace, const qtool::QuantizeReport& q,
                            bool json);
qtool::EvalSummary summary_of(const qtool::EvalReport& report, qtool::Kernels kernels,
                              bool random_data);

// What a stage would do, for --dry-run; everything that can be checked without running is checked.
Steps calibrate_steps(const qtool::CalibrateRequest& request);
Steps plan_steps(const qtool::PlanRequest& request);
std::string dry_run_result(std::string_view command, const Steps& steps, bool json);

// The workspace's model, prepared, and what of it can be quantized.
qtool::Sites sites_of(const qtool::Workspace& workspace, const std::string& target);
qtool::Kernels parse_kernels(const std::string& text);

}  // namespace cli
