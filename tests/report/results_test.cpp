#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "qtool/report.hpp"

namespace qtool {
namespace {

using Json = nlohmann::json;

// A name as an attacker would give it: terminal escape, HTML, line feed, half a UTF-8 sequence.
const std::string kHostile = "\x1b[31m<script>alert(1)</script>\n\"&'\xc3";

bool is_harmless(const std::string& text) {
  return std::none_of(text.begin(), text.end(),
                      [](unsigned char c) { return c < 32 && c != '\n'; }) &&
         text.find("[31m<script>alert(1)</script>\n") == std::string::npos;
}

Sites hostile_sites() {
  Sites sites;
  sites.layers.push_back({.name = kHostile,
                          .type = kHostile,
                          .input = "x",
                          .output = "y",
                          .weight = "w",
                          .bias = "",
                          .channels = 1,
                          .weights = 12,
                          .macs = 34,
                          .reason = kHostile});
  sites.nodes.push_back({kHostile, kHostile, kHostile});
  return sites;
}

QuantPlan hostile_plan() {
  QuantPlan plan;
  plan.source = kHostile;
  plan.layers = {{.name = kHostile, .weight_bits = 4, .reason = kHostile},
                 {.name = "b", .weight_bits = kFloatBits}};
  return plan;
}

CalibrationTable hostile_table() {
  CalibrationTable table;
  table.samples = 3;
  table.random_data = true;
  ValueStats& stats = table.values[kHostile];
  stats.count = 4;
  stats.min = -1;
  stats.max = 2;
  stats.sum = 2;
  stats.sum_squares = 5;
  return table;
}

EvalSummary hostile_evaluation() {
  EvalSummary s;
  s.model = s.reference = s.data = kHostile;
  s.evaluation.samples = 10;
  s.evaluation.has_reference = s.evaluation.classifier = s.evaluation.labelled = true;
  s.evaluation.top1 = 0.9;
  s.evaluation.sqnr_db = INFINITY;
  s.evaluation.agreement_ci = {0.7, 1};
  s.evaluation.layers.resize(3);
  s.evaluation.integer_layers = 2;
  s.evaluation.float_layers = {{kHostile, kHostile}};
  s.evaluation.saturating_layers = {kHostile};
  s.evaluation.outputs = {{kHostile, 1, 1, 0}, {"other", 2, 1, 0}};
  return s;
}

void expect_result(const std::string& text, const std::string& json, const std::string& schema,
                   const std::vector<std::string>& keys) {
  EXPECT_TRUE(is_harmless(text)) << text;
  EXPECT_TRUE(is_harmless(json)) << json;
  EXPECT_TRUE(std::all_of(json.begin(), json.end(), [](unsigned char c) { return c < 127; }));
  ASSERT_FALSE(text.empty());
  EXPECT_EQ(text.back(), '\n');
  const Json parsed = Json::parse(json);
  EXPECT_EQ(parsed.at("schema"), schema);
  for (const std::string& key : keys) EXPECT_TRUE(parsed.contains(key)) << schema << " " << key;
}

TEST(Results, OfInspectAreHarmlessAndComplete) {
  Inspection in;
  in.path = kHostile;
  in.inputs = in.outputs = {{kHostile, "float32", {-1, 3}}};
  in.operators[kHostile] = 2;
  in.layers = hostile_sites().layers;
  in.nodes = hostile_sites().nodes;
  expect_result(inspect_text(in), inspect_json(in), "qtool.inspect/1", {"model", "layers"});
  const Json layer = Json::parse(inspect_json(in)).at("layers")[0];
  EXPECT_EQ(layer.at("weights"), 12);
  EXPECT_EQ(layer.at("quantizable"), false);
}

TEST(Results, OfCalibrateSayWhenDataIsRandom) {
  const CalibrationTable table = hostile_table();
  const std::vector<EditedValue> equalized = {{{kHostile, {}, {1, 2}, {}}, 3.5, {"split"}}};
  const CalibrateSummary s{.table = table,
                           .equalized = equalized,
                           .eased = equalized,
                           .data = kHostile,
                           .workspace = kHostile,
                           .skipped = 1,
                           .seconds = 2};
  expect_result(calibrate_text(s), calibrate_json(s), "qtool.calibrate/1",
                {"samples", "seconds", "samples_per_second", "peak_rss_bytes", "tensors"});
  EXPECT_NE(calibrate_text(s).find("random data"), std::string::npos);
  const Json json = Json::parse(calibrate_json(s));
  EXPECT_EQ(json.at("random_data"), true);
  EXPECT_EQ(json.at("samples_per_second"), 1.5);
  EXPECT_EQ(json.at("tensors")[0].at("std"), 1.0);
}

TEST(Results, OfSearchShareTheLossAmongLayers) {
  Assignment a;
  a.plan = hostile_plan();
  a.plan.activation_bits["x"] = 8;
  a.loss = 0.01;
  ScoreTable scores;
  scores.method = "sqnr";
  scores.groups = {{GroupKind::kWeights, kHostile, {2, 4}, {9, 3}},
                   {GroupKind::kActivation, "x", {8}, {1}}};
  const Sites sites = hostile_sites();
  const SearchSummary s{.assignment = a, .scores = scores, .sites = sites, .plan_file = kHostile};
  expect_result(
      search_text(s), search_json(s), "qtool.search/1",
      {"plan", "mean_weight_bits", "mean_activation_bits", "bpw", "size_bytes", "bops", "loss",
       "bound", "gap", "predicted", "measured", "pareto", "seconds", "peak_rss_bytes"});
  const Json json = Json::parse(search_json(s));
  EXPECT_EQ(json.at("plan")[0].at("loss_share"), 0.75);
  EXPECT_NEAR(json.at("predicted").at("sqnr_db").get<double>(), 20, 1e-9);
  EXPECT_NE(search_text(s).find("75.0 %"), std::string::npos);
}

TEST(Results, OfSearchSayWhatPredictionsAreWorth) {
  Assignment a;
  a.plan = hostile_plan();
  Evaluation measured;
  measured.sqnr_db = 4.4;
  const SearchSummary s{.assignment = a,
                        .scores = {},
                        .sites = {},
                        .plan_file = "plan.json",
                        .measured = measured,
                        .verification = Verification{16, 32, 0.985, 0.991, 1.27},
                        .rescoring = Rescoring{1.48, 3.8, 2, 1}};
  const Json json = Json::parse(search_json(s));
  EXPECT_EQ(json.at("verification").at("samples"), 32);
  EXPECT_EQ(json.at("rescoring").at("kept"), 1);
  EXPECT_NE(search_text(s).find("rank correlation 0.985"), std::string::npos);
  EXPECT_NE(search_text(s).find("1 of 2 plans kept, 3.80 dB -> 4.40 dB"), std::string::npos);
  SearchSummary held = s;
  held.rescoring = Rescoring{0.6, 16.3, 0, 0};
  EXPECT_NE(search_text(held).find("0.60 times the predicted: prices hold"), std::string::npos);
}

TEST(Results, OfAUniformPlanHaveNoLoss) {
  Assignment a;
  a.plan = hostile_plan();
  const SearchSummary s{.assignment = a, .scores = {}, .sites = {}, .plan_file = "plan.json"};
  EXPECT_TRUE(Json::parse(search_json(s)).at("loss").is_null());
  EXPECT_EQ(search_text(s).find("bound"), std::string::npos);
}

TEST(Results, OfQuantizeGroupReasons) {
  Quantized q;
  q.layers = {
      {.name = kHostile, .type = kHostile, .method = "rtn", .weight_bits = 4, .note = kHostile}};
  for (int i = 0; i < 12; ++i) q.float_layers.emplace_back(cat("layer", i), "no kernel");
  const QuantPlan plan = hostile_plan();
  const QuantizeSummary s{.quantized = q,
                          .plan = plan,
                          .output = kHostile,
                          .size_bytes = 25,
                          .float_bytes = 100,
                          .seconds = 1};
  expect_result(quantize_text(s), quantize_json(s), "qtool.quantize/1",
                {"output", "size_bytes", "mean_weight_bits", "bpw", "layers", "float_layers",
                 "fused_prediction", "seconds", "peak_rss_bytes"});
  EXPECT_NE(quantize_text(s).find("layer9 and 2 more"), std::string::npos);
  EXPECT_NE(quantize_text(s).find("4.00 times smaller"), std::string::npos);
  EXPECT_NE(quantize_text(s).find("1 × 4 bits, 1 × float"), std::string::npos);
}

TEST(Results, OfEvalKeepInfiniteOutOfJson) {
  const EvalSummary s = hostile_evaluation();
  expect_result(
      eval_text(s), eval_json(s), "qtool.eval/1",
      {"samples", "top1", "top5", "reference", "agreement", "agreement_ci", "sqnr_db", "kernels",
       "integer_layers", "float_layers", "samples_per_second", "peak_rss_bytes"});
  EXPECT_TRUE(Json::parse(eval_json(s)).at("sqnr_db").is_null());
  EXPECT_NE(eval_text(s).find("inf dB"), std::string::npos);
}

TEST(Results, OfEvalWithoutLabelsHaveNoAccuracy) {
  EvalSummary s = hostile_evaluation();
  s.evaluation.labelled = s.evaluation.has_reference = false;
  const Json json = Json::parse(eval_json(s));
  for (const char* key : {"top1", "top5", "reference", "agreement", "sqnr_db"})
    EXPECT_FALSE(json.contains(key)) << key;
}

TEST(Results, EvaluationsComeBackFromTheirFile) {
  const std::filesystem::path path =
      std::filesystem::temp_directory_path() / cat("qtool_eval_", ::getpid(), ".json");
  save_evaluation(hostile_evaluation(), path);
  const EvalSummary s = load_evaluation(path);
  const std::string again = read_file(path, ErrorKind::kInternal);
  EXPECT_EQ(s.evaluation.top1, 0.9);
  EXPECT_EQ(s.evaluation.sqnr_db, INFINITY);
  EXPECT_EQ(s.evaluation.layers.size(), 3u);
  EXPECT_EQ(s.evaluation.float_layers.size(), 1u);
  EXPECT_EQ(s.evaluation.agreement_ci, std::make_pair(0.7, 1.0));
  EXPECT_EQ(again.find("seconds"), std::string::npos);
  std::filesystem::remove(path);
}

TEST(Results, OfVerifyCount) {
  const std::vector<CaseResult> cases = {{"a", "", CaseResult::Status::kPassed, 0},
                                         {kHostile, kHostile, CaseResult::Status::kFailed, 1},
                                         {"c", "no", CaseResult::Status::kUnsupported, 0}};
  expect_result(verify_text(cases), verify_json(cases, 1), "qtool.verify/1",
                {"passed", "failed", "unsupported", "cases"});
  EXPECT_TRUE(verify_text(cases).ends_with("1 passed, 1 failed, 1 unsupported\n"));
}

TEST(Results, LatencyIsTakenAtNearestRanks) {
  std::vector<double> times;
  for (int i = 200; i >= 1; --i) times.push_back(i);
  const Latency l = latency_of(times);
  EXPECT_EQ(l.fastest, 1);
  EXPECT_EQ(l.median, 100);
  EXPECT_EQ(l.p90, 180);
  EXPECT_EQ(l.p99, 198);
  EXPECT_EQ(latency_of({3}).p95, 3);
}

TEST(Results, OfBenchCompareListAndErrorsAreHarmless) {
  BenchResult bench;
  bench.model = bench.kernels = kHostile;
  bench.layers = {{kHostile, kHostile, "", kHostile, 1}};
  bench.rival = BenchResult::Rival{kHostile, 2, {}};
  expect_result(
      bench_text(bench), bench_json(bench), "qtool.bench/1",
      {"batch", "threads", "kernels", "samples_per_second", "latency_ms", "layers", "rival"});
  Comparison c;
  c.a = c.b = c.data = kHostile;
  c.threshold_db = 30;
  c.rows = {{"fine", "Conv", 50, 0}, {"odd", "Conv", 0, 0, kHostile}, {kHostile, kHostile, 10, 1}};
  expect_result(compare_text(c), compare_json(c), "qtool.compare/1",
                {"first_divergence", "tensors"});
  ASSERT_NE(c.first_divergence(), nullptr);
  EXPECT_EQ(c.first_divergence()->name, kHostile);
  c.rows.pop_back();
  EXPECT_EQ(c.first_divergence(), nullptr);
  const std::vector<Listing> lists = {{"ops", {{kHostile, kHostile}}},
                                      {"formats", {{"a", "b"}}, {"bits"}, {{kHostile}}}};
  expect_result(list_text(lists), list_json(lists), "qtool.list/1", {"lists"});
  EXPECT_TRUE(Json::parse(list_json(lists)).at("lists").at("formats").at(0).contains("bits"));
  Error error(ErrorKind::kModel, "QT-E330", kHostile);
  error.context(kHostile).hint(kHostile);
  expect_result("\n", error_json(error), "qtool.error/1", {"code", "message", "context", "hint"});
  expect_result(dry_run_text({{"a", kHostile}}), dry_run_json("search", {{"a", kHostile}}),
                "qtool.search/1", {"dry_run", "steps"});
}

TEST(Results, OfSeveralStagesMakeOneObject) {
  const Json json = Json::parse(joined_json(
      "auto", {{"search", "{\"schema\": \"qtool.search/1\"}"}, {"eval", "{\"top1\": 0.5}"}}));
  EXPECT_EQ(json.at("schema"), "qtool.auto/1");
  EXPECT_EQ(json.at("eval").at("top1"), 0.5);
}

TEST(Results, TheHtmlPageHasNothingToRun) {
  WorkspaceReport r;
  r.model = r.fingerprint = r.data = kHostile;
  r.sites = hostile_sites();
  r.calibration = hostile_table();
  r.plan = hostile_plan();
  r.evaluation = hostile_evaluation();
  const std::string html = report_html(r);
  EXPECT_EQ(html.find("<script"), std::string::npos);
  EXPECT_EQ(html.find("http"), std::string::npos);
  EXPECT_EQ(html.find('\x1b'), std::string::npos);
  EXPECT_NE(html.find("&lt;script&gt;"), std::string::npos);
  expect_result(report_text(r), report_json(r, "r.html"), "qtool.report/1",
                {"calibration", "plan", "evaluation"});
}

TEST(Results, AnEmptyReportIsAReport) {
  const WorkspaceReport r;
  EXPECT_NE(report_html(r).find("</html>"), std::string::npos);
  EXPECT_TRUE(Json::parse(report_json(r, "")).at("plan").is_null());
}

}  // namespace
}  // namespace qtool
