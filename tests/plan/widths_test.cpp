#include <gtest/gtest.h>

#include "qtool/budget.hpp"

namespace qtool {
namespace {

template <typename Parse>
std::string code_of(Parse parse, std::string_view text) {
  try {
    parse(text);
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kUsage);
    EXPECT_FALSE(e.hint_text().empty());
    return e.code();
  }
  return "";
}

TEST(Widths, ReadsUniformChoices) {
  EXPECT_EQ(choice_text(parse_uniform("w4a8")), "w4a8");
  EXPECT_EQ(choice_text(parse_uniform("w4")), "w4");
  EXPECT_EQ(choice_text(parse_uniform("W16A16")), "w16a16");
  EXPECT_EQ(parse_uniform("w4").activation_bits, kFloatBits);
  EXPECT_EQ(choice_text(parse_uniform("w4a8:token")), "w4a8:token");
  EXPECT_FALSE(parse_uniform("w4a8").mode.has_value());
  EXPECT_EQ(parse_uniform("w1a8").weight_bits, 1);
}

TEST(Widths, RefusesOtherUniformChoices) {
  for (const char* text : {"", "w", "a8", "w4a", "w0a8", "w4a0", "w17", "w4a17", "w4a8 ", "w-4",
                           "w+4", "w4b8", "4", "float", "w99999999999999", "w4a8a8", "8w"}) {
    EXPECT_EQ(code_of(parse_uniform, text), "QT-E114") << text;
  }
}

TEST(Widths, ReadsKeepRules) {
  const std::vector<Keep> ends = parse_keep("first,last=w8a8");
  ASSERT_EQ(ends.size(), 2u);
  EXPECT_EQ(ends[0].first, "first");
  EXPECT_EQ(ends[1].first, "last");
  EXPECT_EQ(choice_text(ends[1].second), "w8a8");
  const std::vector<Keep> head = parse_keep("^head/.*=float");
  ASSERT_EQ(head.size(), 1u);
  EXPECT_EQ(head[0].first, "^head/.*");
  EXPECT_EQ(head[0].second.weight_bits, kFloatBits);
  EXPECT_EQ(head[0].second.activation_bits, kFloatBits);
  EXPECT_EQ(choice_text(head[0].second), "float");
}

TEST(Widths, KeepsCommasAndEqualsOfExpressions) {
  const std::vector<Keep> keeps = parse_keep("conv[1,2],a{1,2}b,x\\,y,p=q=w4");
  ASSERT_EQ(keeps.size(), 4u);
  EXPECT_EQ(keeps[0].first, "conv[1,2]");
  EXPECT_EQ(keeps[1].first, "a{1,2}b");
  EXPECT_EQ(keeps[2].first, "x\\,y");
  EXPECT_EQ(keeps[3].first, "p=q");
  EXPECT_EQ(choice_text(keeps[3].second), "w4");
}

TEST(Widths, RefusesWrongKeepRules) {
  for (const char* text : {"", "conv", "conv=", "=w8a8", "conv=w", "conv=8", "conv=Float",
                           "a,,b=w8", "(=w8", "[a=w8", "*=w8", "a\\=w8", "(a)\\1=w8", "a{2,1}=w8",
                           "(a{100}){100}=w8", "a{99999999999999999999}=w8"}) {
    EXPECT_EQ(code_of(parse_keep, text), "QT-E115") << text;
  }
  EXPECT_EQ(code_of(parse_keep, std::string(100000, '(') + "=w8"), "QT-E115");
}

TEST(Widths, FindsExpressionsInNames) {
  EXPECT_TRUE(name_matches("conv1", "/layer/conv10/Conv"));
  EXPECT_FALSE(name_matches("^conv1$", "conv10"));
  EXPECT_TRUE(name_matches("^conv1$", "conv1"));
  EXPECT_TRUE(name_matches("conv[12]|fc", "fc"));
  EXPECT_THROW(name_matches("(", "x"), Error);
}

TEST(Widths, MatchesInBoundedTime) {
  EXPECT_FALSE(name_matches("^(a|a)*b$", std::string(200, 'a')));
  EXPECT_FALSE(name_matches("^(a*)*b$", std::string(200, 'a')));
  EXPECT_TRUE(name_matches("a+b", std::string(200000, 'a') + "b"));
}

TEST(Widths, ReadsListsOfWidths) {
  EXPECT_EQ(parse_bits_list("2,3,4,8"), (std::vector<int>{2, 3, 4, 8}));
  EXPECT_EQ(parse_bits_list("float,8,4"), (std::vector<int>{4, 8, kFloatBits}));
  EXPECT_EQ(parse_bits_list("8"), (std::vector<int>{8}));
  EXPECT_EQ(parse_bits_list("8,0"), (std::vector<int>{0, 8}));
}

TEST(Widths, RefusesWrongLists) {
  for (const char* text : {"", ",", "8,", "00", "0x", "0,0", "17", "32", "-1", "4.5", "8,8",
                           "float,float", "8 ", "w8", "99999999999"}) {
    EXPECT_EQ(code_of(parse_bits_list, text), "QT-E116") << text;
  }
}

TEST(Widths, EveryFormatOffersItsOwn) {
  EXPECT_EQ(
      widths_in({"uniform", "syq", "power-of-two"}, {1, 2, 4, 8, kFloatBits}),
      (std::vector<Width>{
          {1, "syq"}, 2, {2, "syq"}, {2, "power-of-two"}, 4, {4, "power-of-two"}, 8, kFloatBits}));
  EXPECT_EQ(widths_in({"vector:dim=8"}, {0, 1, 2}), (std::vector<Width>{{1, "vector:dim=8"}}));
  const LayerChoice choice = layer_choice("a", {4, "mx"}, "cd");
  EXPECT_EQ(choice.scale.block, 32);
  EXPECT_EQ(choice.method, "cd");
}

TEST(Widths, WeightScalesReadBack) {
  for (const char* text : {"tensor", "channel", "group:2", "group:48", "block:16", "block:128"})
    EXPECT_EQ(weight_scale_text(parse_weight_scale(text)), text);
  for (const char* text : {"", "row", "block:", "block:24", "block:8", "block:32x",
                           "group:", "group:1", "group:0", "group:2.5", "group"})
    EXPECT_THROW(parse_weight_scale(text), Error) << text;
}

TEST(Widths, StacksOfMatricesThatReadCodesHaveOneScale) {
  Sites sites;
  LayerSite stack;
  stack.name = "stack";
  stack.input = "x";
  stack.dense = true;
  LayerSite matrix = stack;
  matrix.name = "matrix";
  matrix.matrix = true;
  sites.layers = {stack, matrix};
  sites.activations.resize(1);
  sites.activations[0].name = "x";
  QuantPlan plan = uniform_plan(sites, {8, 8});
  set_weight_scale(plan, sites, {});
  EXPECT_EQ(plan.layers[0].scale.channels, 0);
  EXPECT_TRUE(plan.layers[1].scale.by_channel());
  plan = uniform_plan(sites, {8, kFloatBits});
  set_weight_scale(plan, sites, {});
  EXPECT_TRUE(plan.layers[0].scale.by_channel());
}

}  // namespace
}  // namespace qtool
