#include <gtest/gtest.h>

#include "qtool/onnx.hpp"
#include "wire.hpp"

namespace qtool {
namespace {

using namespace wire;

// A declaration: sequence(tensor(float)) or optional(...) of it, field numbers of TypeProto.
Value declared(bool optional, bool sequence) {
  Message type = Message().text(1, Message().number(1, 1));
  if (sequence) type = Message().text(4, Message().text(1, type));
  if (optional) type = Message().text(9, Message().text(1, type));
  Value value;
  value.opaque = Message().text(2, type).bytes();
  return value;
}

Message element() { return tensor("", DType::kFloat, {2}, raw<float>({1, 2})); }

TEST(OnnxValue, ReadsSequences) {
  const TempFolder folder;
  const auto path =
      folder.put("a.pb", Message().text(1, "s").number(2, 1).text(3, element()).text(3, element()));
  const NamedTensor value = load_value_pb(path, declared(false, true));
  EXPECT_EQ(value.name, "s");
  ASSERT_EQ(value.tensor.dtype(), DType::kSequence);
  ASSERT_EQ(value.tensor.size(), 2);
  EXPECT_FLOAT_EQ(value.tensor.sequence_data()[1].data<float>()[1], 2);
  EXPECT_EQ(
      load_value_pb(folder.put("b.pb", Message().text(1, "s").number(2, 1)), declared(false, true))
          .tensor.size(),
      0);
}

TEST(OnnxValue, ReadsOptionals) {
  const TempFolder folder;
  const auto full = folder.put("full.pb", Message().text(1, "o").number(2, 1).text(3, element())),
             none = folder.put("none.pb", Message().text(1, "o").number(2, 0)),
             bare = folder.put("bare.pb", element());
  EXPECT_EQ(load_value_pb(full, declared(true, false)).tensor.shape(), Shape{2});
  EXPECT_EQ(load_value_pb(bare, declared(true, false)).tensor.shape(), Shape{2});
  EXPECT_EQ(load_value_pb(none, declared(true, true)).tensor.dtype(), DType::kNothing);
}

TEST(OnnxValue, RefusesWhatTheDeclarationDoesNotSay) {
  const TempFolder folder;
  const auto path = folder.put("a.pb", Message().text(1, "s").number(2, 1).text(3, element()));
  EXPECT_THROW(load_value_pb(path, Value{}), Error);
}

}  // namespace
}  // namespace qtool
