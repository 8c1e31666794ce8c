#include "onnx/wire.hpp"

namespace qtool {
namespace {

using namespace wire;

TEST(OnnxChecks, RefusesIrVersionsThatAreNotKnown) {
  expect_refused(error_of_model(model(small_graph(), 99)), "QT-E303",
                 "IR version is 99, the newest known one is 14");
  expect_refused(error_of_model(model(small_graph(), 2)), "QT-E303",
                 "the oldest supported one is 3");
  expect_refused(error_of_model(model(small_graph(), -1)), "QT-E303", "-1");
  expect_refused(error_of_model(Message().text(7, small_graph()).text(8, opset("", 17))), "QT-E303",
                 "names no IR version");
}

TEST(OnnxChecks, RefusesOpsetsThatAreMissingDoubledOrUnknown) {
  expect_refused(error_of_model(Message().number(1, 8).text(7, small_graph())), "QT-E303",
                 "imports no operator set");
  expect_refused(error_of_model(model(small_graph()).text(8, opset("ai.onnx", 17))), "QT-E303",
                 "imported twice");
  expect_refused(error_of_model(model(small_graph(), 8, 9999)), "QT-E303",
                 "opset 9999 of domain 'ai.onnx'");
  expect_refused(error_of_model(model(small_graph(), 8, 0)), "QT-E303", "does not exist");
  expect_refused(
      error_of_model(Message().number(1, 8).text(7, small_graph()).text(8, opset("ai.onnx.ml", 3))),
      "QT-E303", "node 'relu' (Relu): its operator domain 'ai.onnx'");
  EXPECT_EQ(parse_model(model(small_graph()).text(8, opset("com.example", 9999)).bytes(), "test")
                .opsets.size(),
            2u);
}

TEST(OnnxChecks, RefusesModelsWithoutGraphOrOutput) {
  expect_refused(error_of_model(Message().number(1, 8).text(8, opset("", 17))), "QT-E330",
                 "no graph");
  expect_refused(error_of_model(model(Message().text(2, "g"))), "QT-E330", "no outputs");
}

// A function of this name that calls others.
Message function(std::string_view name, const std::vector<std::string>& callees) {
  Message made = Message().text(1, name).text(4, "a").text(5, "b");
  std::string value = "a";
  for (const std::string& callee : callees) {
    const std::string next = cat(value, "_");
    made.text(7, node(callee, {value}, {next}).text(7, "local"));
    value = next;
  }
  made.text(7, node("Relu", {value}, {"b"}));
  return made.text(9, opset("local", 1)).text(9, opset("", 17)).text(10, "local");
}

Message model_with_functions(const std::vector<Message>& functions) {
  Message message = model(small_graph()).text(8, opset("local", 1));
  for (const Message& made : functions) message.text(25, made);
  return message;
}

TEST(OnnxChecks, RefusesFunctionsThatCallThemselves) {
  const Message good = model_with_functions({function("F", {"G", "G"}), function("G", {})});
  EXPECT_NO_THROW(parse_model(good.bytes(), "test"));
  expect_refused(error_of_model(model_with_functions({function("F", {"F"})})), "QT-E330",
                 "calls itself");
  expect_refused(error_of_model(model_with_functions({function("F", {"G"}), function("G", {"F"})})),
                 "QT-E330", "calls itself");
  expect_refused(error_of_model(model_with_functions({function("F", {}), function("F", {})})),
                 "QT-E330", "defined twice");
}

TEST(OnnxChecks, RefusesFunctionsThatGrowWithoutBound) {
  std::vector<Message> functions;
  for (int i = 0; i < 40; ++i)
    functions.push_back(function(cat("F", i), {cat("F", i + 1), cat("F", i + 1)}));
  expect_refused(error_of_model(model_with_functions(functions)), "QT-E340", "when their calls");
  functions.clear();
  for (int i = 0; i < 5000; ++i) functions.push_back(function(cat("F", i), {cat("F", i + 1)}));
  expect_refused(error_of_model(model_with_functions(functions)), "QT-E330", "deep");
}

}  // namespace
}  // namespace qtool
