#include <omp.h>

#include "exec/program.hpp"
#include "qtool/exec.hpp"
#include "qtool/passes.hpp"

namespace qtool {

struct State::Impl : Run {};

namespace {

// Of ChannelBlocks; 0: elements lie otherwise.
int64_t block_of(const Array& array) { return array.layout ? array.layout->channel_block() : 1; }

// x [rows][columns] += shift [columns]
void add_rows(float* x, int64_t rows, const float* shift, int64_t columns) {
  if (columns == 1) {
    for (int64_t r = 0; r < rows; ++r) x[r] += *shift;
    return;
  }
  for (int64_t r = 0; r < rows; ++r, x += columns)
    for (int64_t c = 0; c < columns; ++c) x[c] += shift[c];
}

}  // namespace

ChannelBlocks row_major(const Tensor& value) {
  if (!value.defined()) return {};
  return {value.data<float>().data(), value.shape(), 1, value};
}

State::State() : impl(std::make_unique<Impl>()) {}
State::State(const State& other) : impl(std::make_unique<Impl>(*other.impl)) {}
State::State(State&&) noexcept = default;
State& State::operator=(const State& other) {
  *impl = *other.impl;
  return *this;
}
State& State::operator=(State&&) noexcept = default;
State::~State() = default;

int64_t live_bytes(const State& state) {
  int64_t bytes = 0;
  for (const Array& array : state.impl->arrays) bytes += array.tensor.bytes();
  return bytes;
}

struct Executor::Impl {
  Impl(const Model& model, ExecOptions how)
      : options(std::move(how)),
        program(prepare_for_execution(
                    model, {.observe = options.observe,
                            .fuse = options.fuse && options.backend == Backend::kOneDnn}),
                options) {}

  ValueId id_of(const std::string& name) const {
    const ValueId id = program.find(name);
    if (id == ValueId::kNone)
      throw_internal(cat("value '", printable(name), "' is not in the compiled graph; observe it"));
    return id;
  }

  Array array(const Run& run, const std::string& name) const {
    Array found = program.array(run, id_of(name));
    if (!found.defined()) throw_internal(cat("value '", printable(name), "' is not live"));
    return found;
  }

  // oneDNN reads the calling thread's OpenMP setting when it makes and when it runs a primitive.
  void set_threads() const {
    if (omp_get_max_threads() != options.intra_threads) omp_set_num_threads(options.intra_threads);
  }

  ExecOptions options;
  Program program;
};

Executor::Executor(const Model& model, ExecOptions options)
    : impl_(std::make_unique<Impl>(model, std::move(options))) {}
Executor::~Executor() = default;
Executor::Executor(Executor&&) noexcept = default;

State Executor::start(const Feed& feed) const {
  const Program& program = impl_->program;
  State state;
  static_cast<Run&>(*state.impl) = program.start();
  for (const auto& [name, id] : program.feeds()) {
    auto it = feed.find(name);
    if (it == feed.end()) {
      if (!program.is_read(id)) continue;
      throw Error(ErrorKind::kData, "QT-E410",
                  cat("the model's input '", printable(name), "' gets no data"));
    }
    const Value& value = program.graph().value(id);
    if (value.dtype != DType::kUndefined && it->second.dtype() != value.dtype) {
      throw Error(ErrorKind::kData, "QT-E411",
                  cat("input '", printable(name), "' wants ", dtype_name(value.dtype), " and gets ",
                      dtype_name(it->second.dtype())));
    }
    program.set(*state.impl, id, Array(it->second));
  }
  return state;
}

void Executor::advance(State& state, int step, Tap* tap) const {
  impl_->set_threads();
  while (state.impl->next_step < step) impl_->program.advance(*state.impl, tap);
}

std::vector<Tensor> Executor::finish(State& state, Tap* tap) const {
  advance(state, step_count(), tap);
  std::vector<Tensor> outputs;
  for (ValueId v : impl_->program.graph().outputs)
    outputs.push_back(get(state, impl_->program.graph().value(v).name));
  return outputs;
}

std::vector<Tensor> Executor::run(const Feed& feed, Tap* tap) const {
  State state = start(feed);
  if (tap) {
    for (const auto& [name, id] : impl_->program.feeds()) {
      const Array array = impl_->program.array(*state.impl, id);
      if (!impl_->program.observed(id) || !array.defined()) continue;
      Tensor value = array.tensor;
      tap->on_value(name, value);
      impl_->program.set(*state.impl, id, Array(std::move(value)));
    }
  }
  return finish(state, tap);
}

Tensor Executor::get(const State& state, const std::string& name) const {
  impl_->set_threads();  // for the reorder
  return impl_->array(*state.impl, name).plain();
}

void Executor::set(State& state, const std::string& name, Tensor value) const {
  impl_->program.set(*state.impl, impl_->id_of(name), Array(std::move(value)));
}

ChannelBlocks Executor::blocks(const State& state, const std::string& name) const {
  impl_->set_threads();
  Array array = impl_->array(*state.impl, name);
  const int64_t block = block_of(array);
  if (block == 0) array = array.plain();
  return {static_cast<const float*>(array.tensor.raw()), array.shape, std::max<int64_t>(block, 1),
          array.tensor};
}

void Executor::shift_channels(State& state, const std::string& name, std::span<const float> shift,
                              bool last_axis) const {
  impl_->set_threads();
  Array array = impl_->array(*state.impl, name);
  impl_->program.set(*state.impl, impl_->id_of(name), Array());  // so that it is moved in place
  const auto channels = static_cast<int64_t>(shift.size());
  int64_t block = block_of(array), positions = 1;
  if (block == 0 || (last_axis && block > 1)) array = array.plain();
  if (last_axis || block == 0) block = last_axis ? channels : 1;
  for (size_t d = 2; !last_axis && d < array.shape.size(); ++d) positions *= array.shape[d];
  auto* x = static_cast<float*>(array.tensor.mutable_raw());
  for (int64_t left = element_count(array.shape); left > 0; left -= channels * positions) {
    for (int64_t c = 0; c < channels; c += block, x += positions * block)
      add_rows(x, positions, shift.data() + c, block);
  }
  impl_->program.set(*state.impl, impl_->id_of(name), std::move(array));
}

int Executor::next_step(const State& state) const { return state.impl->next_step; }
int Executor::step_count() const { return impl_->program.step_count(); }
int Executor::step_of(const std::string& node) const { return impl_->program.step_of(node); }
void Executor::forget(int first, int last) const {
  for (int step = first; step < last; ++step) impl_->program.forget(step);
}
std::vector<StepInfo> Executor::steps() const { return impl_->program.steps(); }
void Executor::enable_timing() const { impl_->program.enable_timing(); }

}  // namespace qtool
