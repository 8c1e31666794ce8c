// Protobuf messages written by hand: tests build any ONNX file, also ones that no library would
// write. Field numbers are those of onnx.proto.
#pragma once

#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"
#include "qtool/onnx.hpp"
#include "support/temp_folder.hpp"

namespace qtool::wire {

// Fields in the order in which they were added. Converts to its bytes, so messages nest as text.
class Message {
 public:
  Message& number(int field, int64_t value) {
    varint(static_cast<uint64_t>(field) << 3);
    varint(static_cast<uint64_t>(value));
    return *this;
  }
  Message& text(int field, std::string_view value) {
    varint(static_cast<uint64_t>(field) << 3 | 2);
    varint(value.size());
    bytes_ += value;
    return *this;
  }
  Message& real(int field, float value) {
    varint(static_cast<uint64_t>(field) << 3 | 5);
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof(value));
    return *this;
  }
  // A packed list of numbers.
  Message& packed(int field, const std::vector<int64_t>& values) {
    Message inner;
    for (const int64_t value : values) inner.varint(static_cast<uint64_t>(value));
    return text(field, inner.bytes_);
  }
  Message& append(const Message& more) {
    bytes_ += more.bytes_;
    return *this;
  }
  const std::string& bytes() const { return bytes_; }
  operator std::string_view() const { return bytes_; }

 private:
  void varint(uint64_t value) {
    for (; value >= 128; value >>= 7) bytes_ += static_cast<char>(value | 128);
    bytes_ += static_cast<char>(value);
  }
  std::string bytes_;
};

template <typename T>
std::string raw(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

inline Message entry(std::string_view key, std::string_view value) {
  return Message().text(1, key).text(2, value);
}
inline Message opset(std::string_view domain, int64_t version) {
  return Message().text(1, domain).number(2, version);
}

inline Message tensor_type(DType type, const std::vector<int64_t>& dims) {
  Message shape;
  for (const int64_t dim : dims) shape.text(1, Message().number(1, dim));
  return Message().text(1, Message().number(1, static_cast<int>(type)).text(2, shape));
}

inline Message value_info(std::string_view name, const std::vector<int64_t>& dims = {2},
                          DType type = DType::kFloat) {
  return Message().text(1, name).text(2, tensor_type(type, dims));
}

inline Message tensor(std::string_view name, DType type, const std::vector<int64_t>& dims,
                      std::string_view data) {
  Message message;
  for (const int64_t dim : dims) message.number(1, dim);
  return message.number(2, static_cast<int>(type)).text(8, name).text(9, data);
}

inline Message external_tensor(std::string_view name, const std::vector<int64_t>& dims,
                               const std::vector<std::pair<std::string, std::string>>& entries) {
  Message message;
  for (const int64_t dim : dims) message.number(1, dim);
  message.number(2, 1).text(8, name);
  for (const auto& [key, value] : entries) message.text(13, entry(key, value));
  return message.number(14, 1);
}

inline Message node(std::string_view type, const std::vector<std::string>& inputs,
                    const std::vector<std::string>& outputs, std::string_view name = "") {
  Message message;
  for (const auto& input : inputs) message.text(1, input);
  for (const auto& output : outputs) message.text(2, output);
  if (!name.empty()) message.text(3, name);
  return message.text(4, type);
}

// x → Relu → y with whatever is added to the graph.
inline Message small_graph(const Message& more = {}) {
  Message graph;
  graph.text(1, node("Relu", {"x"}, {"y"}, "relu"))
      .text(2, "g")
      .text(11, value_info("x"))
      .text(12, value_info("y"));
  return graph.append(more);
}

inline Message model(const Message& graph, int64_t ir_version = 8, int64_t version = 17) {
  return Message().number(1, ir_version).text(7, graph).text(8, opset("", version));
}

// A model whose weight `w` is the given message: y = Add(x, w).
inline Message model_with_weight(const Message& weight) {
  Message graph;
  graph.text(1, node("Add", {"x", "w"}, {"y"}, "add")).text(2, "g").text(5, weight);
  return model(graph.text(11, value_info("x")).text(12, value_info("y")));
}

// The error that `run` throws; a test failure when it throws none.
inline Error error_of(const std::function<void()>& run) {
  try {
    run();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "nothing was thrown";
  return Error(ErrorKind::kInternal, "", "");
}

inline Error error_of_model(const Message& message) {
  return error_of([&] { parse_model(message.bytes(), "test"); });
}

// Expects Error{kModel} with this code and this text in its message.
inline void expect_refused(const Error& error, std::string_view code, std::string_view text) {
  EXPECT_EQ(error.kind(), ErrorKind::kModel) << error.message();
  EXPECT_EQ(error.code(), code) << error.message();
  EXPECT_NE(error.message().find(text), std::string::npos) << error.message();
}

}  // namespace qtool::wire
