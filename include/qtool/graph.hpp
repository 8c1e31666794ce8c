// Graph layer: the model in memory. Values and nodes live in vectors and are named by small ids; an
// ONNX name is what artifacts on disk use. Edits keep nodes in topological order.
//
//   Graph& g = model.graph;
//   for (const Node& n : g.nodes) if (is(n, "Conv")) use(g.value(n.inputs[1]).name);
//   replace_uses(g, old_value, new_value);  remove_dead(g);  verify(g);
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <variant>
#include <vector>

#include "qtool/tensor.hpp"

namespace qtool {

enum class ValueId : int32_t { kNone = -1 };  // kNone: an absent optional input or output
inline size_t index(ValueId id) { return static_cast<size_t>(id); }

struct Graph;

// A tensor that flows. Non-tensor types (sequence, optional, map) keep their type in `opaque`.
struct Value {
  std::string name;                 // unique within its graph, never empty; see rename_value
  DType dtype = DType::kUndefined;  // kUndefined: not known
  std::optional<Shape> shape;       // absent: rank not known; −1: dimension not known
  std::vector<std::string>
      symbols;            // names of unknown dimensions ("batch"), "" elsewhere; may be empty
  std::string opaque;     // the ValueInfoProto's other fields, serialized
  bool declared = false;  // was listed in value_info, inputs or outputs
};

// A value inside an attribute.
using AttributeValue =
    std::variant<std::monostate, int64_t, float, std::string, Tensor, std::shared_ptr<const Graph>,
                 std::vector<int64_t>, std::vector<float>, std::vector<std::string>,
                 std::vector<Tensor>, std::vector<std::shared_ptr<const Graph>>>;

struct Attribute {
  std::string name;
  AttributeValue value;  // monostate: only `opaque` knows (types, sparse tensors)
  std::string opaque;    // the AttributeProto's other fields, serialized
};

struct Node {
  std::string name;                      // unique within its graph after load, never empty
  std::string type;                      // "Conv"
  std::string domain;                    // "" is ai.onnx
  std::vector<ValueId> inputs, outputs;  // kNone where absent
  std::vector<Attribute> attributes;
  std::string opaque;  // doc string, overload, metadata …, serialized
};

// Weights and other constants, by value.
struct Initializer {
  Tensor data;
  std::string opaque;  // the TensorProto's doc string and other fields
};

// The names in use, so that lookups and fresh names stay fast. Kept by the functions below; values and
// nodes that are appended by hand are found all the same.
struct NameIndex {
  std::unordered_map<std::string, ValueId>
      values;  // of the first `values_seen`; kNone in subgraphs
  size_t values_seen = 0;
  std::unordered_set<std::string> nodes;  // of the first `nodes_seen`, and those promised
  size_t nodes_seen = 0;
  std::unordered_map<std::string, int64_t>
      suffixes;  // the last one tried for a name that was taken
};

struct Graph {
  std::string name;
  std::vector<Value> values;
  std::vector<Node> nodes;               // topological order
  std::vector<ValueId> inputs, outputs;  // inputs may include initializers' values (IR 3)
  std::map<ValueId, Initializer> initializers;
  std::string opaque;  // doc string, quantization annotations, metadata …
  // Names that nodes and outputs of a subgraph, or of one inside it, use but an enclosing graph
  // defines: values without producer here.
  std::vector<ValueId> captures;
  NameIndex names;

  const Value& value(ValueId id) const { return values[index(id)]; }
  Value& value(ValueId id) { return values[index(id)]; }
  const Tensor* constant(ValueId id) const;         // the initializer's data, or nullptr
  ValueId find(std::string_view value_name) const;  // kNone when absent
};

struct Model {
  Graph graph;
  int64_t ir_version = 8;
  std::map<std::string, int64_t> opsets;  // domain → version; "" is ai.onnx
  std::vector<std::pair<std::string, std::string>> metadata;
  std::string opaque;          // producer, functions, training info …, serialized
  std::filesystem::path path;  // where it was read from; may be empty
  std::string fingerprint;     // SHA-256 of the file's bytes (and of external data), hex
  int64_t file_bytes = 0;      // of the file and the files of external data that it uses
  int64_t opset(const std::string& domain = "") const;
};

// --- reading --------------------------------------------------------------------------------------
bool is(const Node& node, std::string_view type, std::string_view domain = "");
const Attribute* find_attribute(const Node& node, std::string_view name);
// The attribute's value, or the default when absent; throws Error{kModel} when of another kind.
int64_t attr_int(const Node& node, std::string_view name, int64_t fallback);
float attr_float(const Node& node, std::string_view name, float fallback);
std::string attr_string(const Node& node, std::string_view name, std::string fallback);
std::vector<int64_t> attr_ints(const Node& node, std::string_view name,
                               std::vector<int64_t> fallback = {});
std::vector<float> attr_floats(const Node& node, std::string_view name,
                               std::vector<float> fallback = {});
const Tensor* attr_tensor(const Node& node, std::string_view name);
const Graph* attr_graph(const Node& node, std::string_view name);
void set_attribute(Node& node, std::string_view name, AttributeValue value);
void remove_attribute(Node& node, std::string_view name);
std::string node_text(const Node& node);  // "node 'conv1' (Conv)" for messages, printable

// Who makes and who uses each value; node indices. Outer-scope uses by subgraphs count as uses.
struct Uses {
  std::vector<int32_t> producer;                // by value; −1: input, initializer or capture
  std::vector<std::vector<int32_t>> consumers;  // by value, each node once per use
  std::vector<bool> is_output;                  // by value: is a graph output
};
Uses uses_of(const Graph& graph);
// Values of the enclosing graph (by name) that the node's subgraphs read.
std::vector<std::string> captured_names(const Node& node);

// --- edits ----------------------------------------------------------------------------------------
// A fresh value; `name` is made unique by a suffix when taken.
ValueId add_value(Graph& graph, std::string name, DType dtype = DType::kUndefined,
                  std::optional<Shape> shape = std::nullopt);
ValueId add_initializer(Graph& graph, std::string name, Tensor data);
// Gives a value another name, made unique by a suffix when taken, also where subgraphs capture it.
void rename_value(Graph& graph, ValueId id, std::string name);
// Every use of `from` (node inputs, captures by subgraphs, and graph outputs unless kept) becomes `to`.
// A replaced output has the name of `to`: keep outputs where the model's interface matters.
enum class OutputUses { kReplace, kKeep };
void replace_uses(Graph& graph, ValueId from, ValueId to,
                  OutputUses outputs = OutputUses::kReplace);
// The same for many values in one pass over the graph; chains (a becomes b, b becomes c) are followed.
void replace_uses(Graph& graph, const std::map<ValueId, ValueId>& becomes,
                  OutputUses outputs = OutputUses::kReplace);
// A node made of parts, its name unique; append to graph.nodes and call sort_nodes.
Node make_node(Graph& graph, std::string name, std::string type, std::vector<ValueId> inputs,
               std::vector<ValueId> outputs, std::vector<Attribute> attributes = {});
// Copies the nodes of `inner` behind those of `graph`. Its inputs stand for `inputs`, its captures for the values
// of the same name, its outputs for `outputs` (kNone: not wanted); an input that is kNone becomes absent. Fresh values
// and nodes are called `prefix` + their old name, made unique. Call sort_nodes afterwards.
void splice(Graph& graph, const Graph& inner, const std::vector<ValueId>& inputs,
            const std::vector<ValueId>& outputs, const std::string& prefix = "");
// Removes nodes whose indices are listed.
void remove_nodes(Graph& graph, const std::vector<int32_t>& indices);
// Removes nodes, initializers and declared values that no graph output needs. Returns nodes removed.
int remove_dead(Graph& graph);
// Stable topological sort; throws Error{kModel, QT-E330} naming a node of a cycle.
void sort_nodes(Graph& graph);
// Structural invariants, subgraphs included: ids in range, unique names, one source a value, nodes in
// order, captures that the enclosing graph has. Throws Error{kModel, QT-E330} naming the culprit.
void verify(const Graph& graph);
// Readable one-line-a-node form for tests and `-v`.
std::string dump(const Graph& graph);

}  // namespace qtool
