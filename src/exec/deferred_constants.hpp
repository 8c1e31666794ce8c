// Constants that are evaluated when a kernel is made of them, and dropped again: the floats of weights that
// a model holds as codes take four times the model's memory and more, and packing copies them anyway.
#pragma once

#include <map>
#include <mutex>
#include <set>
#include <span>
#include <string>

#include "qtool/graph.hpp"

namespace qtool {

class DeferredConstants {
 public:
  // Those of the prepared model: a DequantizeLinear of constants, and what is made of it and of constants
  // alone. Values named in `observe`, outputs and what bodies of control flow read are none.
  DeferredConstants(const Model& model, const std::set<std::string>& observe);
  DeferredConstants(const DeferredConstants&) = delete;

  // Stands for the constant, evaluated or not, as long as this lives; nullptr: the value is none.
  const Tensor* find(ValueId id) const;
  bool makes(size_t node) const { return nodes_.contains(node); }

  // Evaluates those among `values` and keeps them so while the lock lives; no lock where there are none.
  std::unique_lock<std::recursive_mutex> hold(std::span<const ValueId> values) const;
  // Frees what was evaluated; it is evaluated again when somebody asks.
  void drop() const;
  Tensor value(ValueId id) const;
  Shape shape(ValueId id) const;

 private:
  struct Deferred {
    const Node* node;
    mutable Tensor value;  // undefined: not evaluated
    mutable std::optional<Shape> shape;
  };
  const Tensor& evaluated(const Deferred& deferred) const;

  const Model& model_;
  std::map<ValueId, Deferred> values_;
  std::set<size_t> nodes_;
  mutable std::recursive_mutex mutex_;
};

}  // namespace qtool
