// The graphs that nodes carry as attributes (bodies of If, Loop, Scan).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "qtool/graph.hpp"

namespace qtool {

std::vector<const Graph*> subgraphs_of(const Node& node);

// Captures of `from` by the node's subgraphs, at every depth, become captures of `to`. Graphs are
// copied before they change; local values that happen to be called `to` make room.
void rename_captures(Node& node, const std::string& from, const std::string& to);

// The node of this name, of the graph or of a body inside it; nullptr: there is none.
const Node* find_node(const Graph& graph, std::string_view name);

bool is_capture(const Graph& body, ValueId id);
// The body's value that stands for one of the graph around it; a local value of that name makes room.
ValueId capture(Graph& body, const Value& outer);

// A body as a model of its own: what it captures are inputs behind its own, or constants where they never
// change.
Model body_model(const Model& around, const Graph& body);
// The same backwards, for a body of so many inputs: constants that are still those around become captures
// again, and captures that nothing reads any more go.
Graph body_of(Model inner, const Model& around, size_t inputs);

// The bodies of the model's own nodes, in order, as models; those inside bodies are the callee's business.
void change_bodies(Model& model, const std::function<void(Model& body, const Node& of)>& change);
void visit_bodies(const Model& model,
                  const std::function<void(const Model& body, const Node& of)>& visit);

}  // namespace qtool
