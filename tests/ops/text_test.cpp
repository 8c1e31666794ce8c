#include "support.hpp"

namespace qtool {
namespace {

using Strings = std::vector<std::string>;

TEST(Ops, StringConcatBroadcasts) {
  const Tensor a = Tensor::strings({2, 1}, {"a", "b"}), b = Tensor::strings({2}, {"x", "y"});
  EXPECT_EQ(run({"StringConcat", {a, b}})[0].string_data(), (Strings{"ax", "ay", "bx", "by"}));
  EXPECT_EQ(error_code({"StringConcat", {a, floats({1}, {1})}}), "QT-E320");
}

TEST(Ops, StringSplitPadsShortRows) {
  const auto y = run({"StringSplit", {Tensor::strings({2}, {" a  b ", "c"})}, {}, 22, 2});
  EXPECT_EQ(y[0].shape(), (Shape{2, 2}));
  EXPECT_EQ(y[0].string_data(), (Strings{"a", "b", "c", ""}));
  expect_tensor(y[1], int64s({2}, {2, 1}));
  const Tensor text = Tensor::strings({1}, {"a--b-"});
  const Attribute dash = attribute("delimiter", std::string("-"));
  EXPECT_EQ(run({"StringSplit", {text}, {dash}})[0].string_data(), (Strings{"a", "", "b", ""}));
  EXPECT_EQ(
      run({"StringSplit", {text}, {dash, attribute("maxsplit", int64_t{1})}})[0].string_data(),
      (Strings{"a", "-b-"}));
}

TEST(Ops, StringNormalizerDropsStopwords) {
  const Attribute stops = attribute("stopwords", Strings{"Monday"});
  const Tensor x = Tensor::strings({2}, {"monday", "Friday"});
  EXPECT_EQ(run({"StringNormalizer",
                 {x},
                 {stops, attribute("case_change_action", std::string("UPPER"))}})[0]
                .string_data(),
            Strings{"FRIDAY"});
  EXPECT_EQ(run({"StringNormalizer", {x}, {stops, attribute("is_case_sensitive", int64_t{1})}})[0]
                .string_data(),
            (Strings{"monday", "Friday"}));
  EXPECT_EQ(run({"StringNormalizer", {Tensor::strings({1, 1}, {"MONDAY"})}, {stops}})[0].shape(),
            (Shape{1, 1}));
  EXPECT_EQ(error_code({"StringNormalizer",
                        {Tensor::strings({1}, {"\xc3\xa9"})},
                        {attribute("case_change_action", std::string("UPPER"))}}),
            "QT-E320");
}

TEST(Ops, RegexFullMatchWantsTheWholeText) {
  const Tensor x = Tensor::strings({3}, {"www.google.com", "www.google.com/a", ""});
  const auto matches = [&](const char* pattern) {
    const Tensor y = run({"RegexFullMatch", {x}, {attribute("pattern", std::string(pattern))}})[0];
    const auto bits = y.data<bool>();
    return std::vector<bool>(bits.begin(), bits.end());
  };
  EXPECT_EQ(matches(R"(www\.[\w.-]+\.com)"), (std::vector<bool>{true, false, false}));
  EXPECT_EQ(matches(""), (std::vector<bool>{false, false, true}));
  EXPECT_EQ(error_code({"RegexFullMatch", {x}, {attribute("pattern", std::string("(a"))}}),
            "QT-E331");
  EXPECT_EQ(error_code({"RegexFullMatch", {floats({1}, {1})}, {}}), "QT-E320");
}

TEST(Ops, TfIdfCountsGramsWithSkips) {
  const std::vector<int64_t> pool{2, 3, 5, 4, 5, 6, 7, 8, 6, 7}, starts{0, 4},
      columns{0, 1, 2, 3, 4, 5, 6};
  const Tensor x = int64s({12}, {1, 1, 3, 3, 3, 7, 8, 6, 7, 5, 6, 8});
  const auto counted = [&](const char* mode, int64_t skips, std::vector<Attribute> more = {}) {
    more.insert(more.end(),
                {attribute("mode", std::string(mode)), attribute("pool_int64s", pool),
                 attribute("ngram_counts", starts), attribute("ngram_indexes", columns),
                 attribute("min_gram_length", int64_t{1}), attribute("max_gram_length", int64_t{2}),
                 attribute("max_skip_count", skips)});
    return run({"TfIdfVectorizer", {x}, more})[0];
  };
  expect_tensor(counted("TF", 0), floats({7}, {0, 3, 1, 0, 1, 1, 1}));
  expect_tensor(counted("TF", 5), floats({7}, {0, 3, 1, 0, 1, 3, 1}));
  const std::vector<float> weights(7, 2);
  expect_tensor(counted("IDF", 0, {attribute("weights", weights)}),
                floats({7}, {0, 2, 2, 0, 2, 2, 2}));
  expect_tensor(counted("TFIDF", 0, {attribute("weights", weights)}),
                floats({7}, {0, 6, 2, 0, 2, 2, 2}));
}

}  // namespace
}  // namespace qtool
