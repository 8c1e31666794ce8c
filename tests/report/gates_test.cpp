#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>

#include "qtool/report.hpp"

namespace qtool {
namespace {

namespace fs = std::filesystem;

Evaluation labelled() {
  Evaluation e;
  e.samples = 200;
  e.labelled = e.classifier = e.has_reference = true;
  e.top1 = 0.97;
  e.reference_top1 = 0.985;
  e.agreement = 0.98;
  e.sqnr_db = 24;
  return e;
}

TEST(Gates, HoldAtTheirLimit) {
  const Gates gates{.min_top1 = 0.97,
                    .max_drop = 0.015,
                    .min_agreement = 0.98,
                    .min_sqnr_db = 24,
                    .max_size_bytes = 1000,
                    .baseline = {}};
  const auto results = check_gates(gates, labelled(), 1000);
  ASSERT_EQ(results.size(), 5u);
  for (const GateResult& gate : results) EXPECT_TRUE(gate.passed) << gate.name;
  EXPECT_EQ(missed_gates(results), "");
}

TEST(Gates, NameEveryOneThatIsMissed) {
  const Gates gates{.min_top1 = 0.98,
                    .max_drop = 0.01,
                    .min_agreement = 0.5,
                    .min_sqnr_db = 30,
                    .max_size_bytes = 999,
                    .baseline = {}};
  const std::string text = missed_gates(check_gates(gates, labelled(), 1000));
  EXPECT_EQ(text,
            "missed: --min-top1 97.00 % instead of at least 98.00 %; --max-drop 1.50 % instead of "
            "at most 1.00 %; --min-sqnr 24.00 dB instead of at "
            "least 30.00 dB; --max-size 1.0 kB instead of at most 999 B");
}

TEST(Gates, NotANumberMisses) {
  Evaluation e = labelled();
  e.sqnr_db = std::nan("");
  EXPECT_NE(missed_gates(check_gates({.min_top1 = {},
                                      .max_drop = {},
                                      .min_agreement = {},
                                      .min_sqnr_db = -100,
                                      .max_size_bytes = {},
                                      .baseline = {}},
                                     e, 1)),
            "");
}

TEST(Gates, RefuseWhatCannotBeJudged) {
  Gates gates;
  gates.min_top1 = 0.5;
  EXPECT_THROW(check_gates(gates, {}, 1), Error);
  gates = {};
  gates.min_agreement = 0.5;
  EXPECT_THROW(check_gates(gates, {}, 1), Error);
}

TEST(Gates, ABaselineAllowsNothingWorse) {
  const fs::path path = fs::temp_directory_path() / cat("qtool_gates_", ::getpid(), ".json");
  EvalSummary before{.evaluation = labelled(),
                     .model = "q.onnx",
                     .reference = "f.onnx",
                     .data = "x",
                     .model_bytes = 1000};
  write_file_atomic(path, eval_json(before));
  Gates gates;
  gates.baseline = path;
  EXPECT_EQ(missed_gates(check_gates(gates, labelled(), 1000)), "");
  Evaluation worse = labelled();
  worse.agreement = 0.979;
  EXPECT_EQ(missed_gates(check_gates(gates, worse, 1001)),
            "missed: baseline agreement 97.90 % instead of at least 98.00 %; baseline size_bytes "
            "1.0 kB instead of at most 1.0 kB");
  write_file_atomic(path, joined_json("auto", {{"eval", eval_json(before)}}));
  EXPECT_EQ(check_gates(gates, labelled(), 1000).size(), 4u);
  for (const char* bad : {"", "[]", "{}", "{\"schema\": \"qtool.search/1\"}",
                          "{\"schema\": \"qtool.eval/1\", \"samples\": \"many\"}"}) {
    write_file_atomic(path, bad);
    EXPECT_THROW(check_gates(gates, labelled(), 1000), Error) << bad;
  }
  fs::remove(path);
  EXPECT_THROW(check_gates(gates, labelled(), 1000), Error);
}

}  // namespace
}  // namespace qtool
