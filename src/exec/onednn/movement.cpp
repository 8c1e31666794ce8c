// Data movement of channels-last values where they lie: the operator's own evaluation, told about axes as they are
// stored. Moving plain copies would cost a reorder in front and one behind.
#include <algorithm>
#include <numeric>

#include "exec/onednn/common.hpp"
#include "exec/onednn/kernels.hpp"
#include "qtool/ops.hpp"

namespace qtool::onednn {
namespace {

// Where channels-last memory has an axis: 0, 2 …, 1.
int64_t place_of(int64_t axis, int64_t rank) {
  return axis == 0 ? 0 : axis == 1 ? rank - 1 : axis - 1;
}

template <typename T>
std::vector<T> as_stored(const std::vector<T>& by_axis) {
  std::vector<T> stored(by_axis.size());
  const auto rank = static_cast<int64_t>(by_axis.size());
  for (int64_t axis = 0; axis < rank; ++axis)
    stored[static_cast<size_t>(place_of(axis, rank))] = by_axis[static_cast<size_t>(axis)];
  return stored;
}

bool is_channels_last(const InputInfo& input) {
  return input.layout && input.layout->channel_block() == input.shape[1];
}

// Shares the bytes of a channels-last array.
Tensor stored(const Array& array) {
  return Tensor::view(array.dtype, as_stored(array.shape), array.tensor.raw(),
                      std::make_shared<Tensor>(array.tensor));
}

// The layout of a result, whose shape is the same in every run of a kernel.
class ChannelsLast {
 public:
  Array array(Tensor stored) const {
    std::call_once(made_, [&] {
      shape_ = stored.shape();
      std::rotate(shape_.begin() + 1, shape_.end() - 1, shape_.end());
      const Descriptor descriptor = channels_last(stored.dtype(), shape_);
      if (stored.size() > 0) layout_ = layout_of(descriptor, stored.dtype(), shape_);
    });
    if (!layout_) return Array(stored.reshaped(shape_));
    const DType type = stored.dtype();
    return {type, shape_, std::move(stored), layout_};
  }

 private:
  mutable std::once_flag made_;
  mutable Shape shape_;
  mutable std::shared_ptr<const Layout> layout_;
};

// The node with its axes as they are stored, and its constant inputs; undefined where data comes in.
struct Movement {
  Node node;
  std::vector<Tensor> inputs;
};

std::vector<int64_t> integers(const Tensor& list) {
  std::vector<int64_t> values;
  for (int64_t i = 0; i < list.size(); ++i) values.push_back(list.integer(i));
  return values;
}

Tensor list_of(const std::vector<int64_t>& values) {
  return Tensor::of<int64_t>({static_cast<int64_t>(values.size())}, values);
}

// The axes that an input lists, or the first `count`; nullopt when one of them is none.
std::optional<std::vector<int64_t>> axes_of(const Tensor& list, int64_t count, int64_t rank) {
  std::vector<int64_t> axes(static_cast<size_t>(std::max<int64_t>(count, 0)));
  std::iota(axes.begin(), axes.end(), 0);
  if (list.defined()) axes = integers(list);
  for (int64_t& axis : axes) {
    if (axis < 0) axis += rank;
    if (axis < 0 || axis >= rank) return std::nullopt;
  }
  return axes;
}

bool restate_slice(Movement& m, int64_t rank) {
  if (m.inputs.size() < 3 || !m.inputs[1].defined()) return false;
  m.inputs.resize(5);
  const auto axes = axes_of(m.inputs[3], m.inputs[1].size(), rank);
  if (!axes) return false;
  std::vector<int64_t> places;
  for (const int64_t axis : *axes) places.push_back(place_of(axis, rank));
  m.inputs[3] = list_of(places);
  return true;
}

bool restate_pad(Movement& m, int64_t rank) {
  if (m.inputs.size() < 2 || !m.inputs[1].defined()) return false;
  m.inputs.resize(4);
  const auto axes = axes_of(m.inputs[3], rank, rank);
  const std::vector<int64_t> pads = integers(m.inputs[1]);
  if (!axes || pads.size() != 2 * axes->size()) return false;
  std::vector<int64_t> places;
  for (const int64_t axis : *axes) places.push_back(place_of(axis, rank));
  m.inputs[3] = list_of(places);
  return true;
}

bool restate_axis(Movement& m, int64_t rank) {
  int64_t axis = attr_int(m.node, "axis", m.node.type == "Concat" ? 1 : 0);
  if (axis < 0) axis += rank;
  if (axis < 0 || axis >= rank) return false;
  set_attribute(m.node, "axis", place_of(axis, rank));
  return true;
}

bool restate_resize(Movement& m, int64_t rank) {
  if (find_attribute(m.node, "axes")) return false;
  for (size_t i = 1; i < m.inputs.size(); ++i) {
    Tensor& list = m.inputs[i];
    if (!list.defined() || list.size() == 0) continue;
    if (list.size() != rank) return false;  // a region of interest: rare
    Tensor moved(list.dtype(), list.shape());
    for (int64_t axis = 0; axis < rank; ++axis)
      moved.set_number(place_of(axis, rank), list.number(axis));
    list = std::move(moved);
  }
  return true;
}

class MovementKernel : public Kernel {
 public:
  MovementKernel(Movement movement, int64_t opset, size_t results)
      : movement_(std::move(movement)), opset_(opset), results_(results) {}

  void run(std::span<Array> inputs, std::span<Array> outputs) const override {
    std::vector<Tensor> tensors = movement_.inputs;
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (!tensors[i].defined() && inputs[i].defined()) tensors[i] = stored(inputs[i]);
      inputs[i] = Array();
    }
    std::vector<Tensor> moved = eval_node(movement_.node, opset_, tensors);
    for (size_t i = 0; i < outputs.size() && i < moved.size(); ++i)
      outputs[i] = results_[i].array(std::move(moved[i]));
  }

  std::string name() const override { return "channels last"; }

 private:
  Movement movement_;
  int64_t opset_;
  std::vector<ChannelsLast> results_;
};

// `restate` tells a node about axes as they are stored; false: it is one of the rare forms.
std::unique_ptr<Kernel> make_movement(const KernelRequest& request, size_t data_inputs,
                                      bool (*restate)(Movement&, int64_t rank)) {
  constexpr int64_t kOpset = 11;  // parameters are inputs since
  if (request.opset < kOpset || find_attribute(request.node, "code_min") ||
      find_attribute(request.node, "activation"))
    return nullptr;
  Movement m{request.node, {}};
  for (size_t i = 0; i < request.inputs.size(); ++i) {
    const bool data = i < data_inputs;
    if (data ? !is_channels_last(request.inputs[i]) : request.has(i) && !request.constant(i))
      return nullptr;
    m.inputs.push_back(!data && request.has(i) ? *request.constant(i) : Tensor());
  }
  if (m.inputs.empty() || !restate(m, static_cast<int64_t>(request.inputs[0].shape.size())))
    return nullptr;
  return std::make_unique<MovementKernel>(std::move(m), request.opset, request.node.outputs.size());
}

// Moving channels to the end, or back, of a value that lies that way already.
class ReadAnewKernel : public Kernel {
 public:
  explicit ReadAnewKernel(bool to_plain) : to_plain_(to_plain) {}
  void run(std::span<Array> inputs, std::span<Array> outputs) const override {
    if (to_plain_)
      outputs[0] = Array(stored(inputs[0]));
    else
      outputs[0] = result_.array(std::move(inputs[0].tensor));
  }
  std::string name() const override { return "channels last"; }

 private:
  bool to_plain_;
  ChannelsLast result_;
};

}  // namespace

std::unique_ptr<Kernel> make_moved_slice(const KernelRequest& request) {
  return make_movement(request, 1, restate_slice);
}
std::unique_ptr<Kernel> make_moved_pad(const KernelRequest& request) {
  return make_movement(request, 1, restate_pad);
}
std::unique_ptr<Kernel> make_moved_split(const KernelRequest& request) {
  return make_movement(request, 1, restate_axis);
}
std::unique_ptr<Kernel> make_moved_concat(const KernelRequest& request) {
  return make_movement(request, request.inputs.size(), restate_axis);
}
std::unique_ptr<Kernel> make_moved_resize(const KernelRequest& request) {
  return make_movement(request, 1, restate_resize);
}

std::unique_ptr<Kernel> make_moved_transpose(const KernelRequest& request) {
  const InputInfo& x = request.inputs[0];
  const auto rank = static_cast<int64_t>(x.shape.size());
  const std::vector<int64_t> perm = attr_ints(request.node, "perm");
  if (rank < 3 || rank > 5 || static_cast<int64_t>(perm.size()) != rank || !data_type(x.dtype) ||
      request.constant(0))
    return nullptr;
  std::vector<int64_t> axes(perm.size());
  std::iota(axes.begin(), axes.end(), 0);
  if (is_channels_last(x) && perm == as_stored(axes)) return std::make_unique<ReadAnewKernel>(true);
  if (!x.layout && as_stored(perm) == axes) return std::make_unique<ReadAnewKernel>(false);
  return nullptr;
}

}  // namespace qtool::onednn
