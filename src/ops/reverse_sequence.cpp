// ReverseSequence: the first elements of every sequence of a batch, backwards.
#include "ops/movable.hpp"

namespace qtool {
namespace {

std::vector<Tensor> eval_reverse_sequence(const Call& call) {
  const Tensor& x = call.in(0);
  const int64_t time = call.integer("time_axis", 0), batch = call.integer("batch_axis", 1);
  require(x.rank() >= 2 && time >= 0 && time <= 1 && batch == 1 - time, call, "time_axis ", time,
          " and batch_axis ", batch, " of input ", shape_text(x.shape()));
  const std::vector<int64_t> lengths = index_data(call, 1);
  require(static_cast<int64_t>(lengths.size()) == x.dim(batch), call, lengths.size(),
          " lengths for a batch of ", x.dim(batch));
  const Movable m(call, {x});
  Tensor out = m[0];
  if (out.size() == 0) return {x};
  const int64_t block = x.size() / (x.dim(0) * x.dim(1)) * width_of(out);
  const int64_t time_step = time == 0 ? block * x.dim(1) : block;
  const int64_t batch_step = time == 0 ? block : block * x.dim(1);
  char* to = bytes_of(out);
  const char* from = bytes_of(m[0]);
  for (int64_t b = 0; b < x.dim(batch); ++b) {
    const int64_t length = lengths[static_cast<size_t>(b)];
    require(length >= 0 && length <= x.dim(time), call, "a length of ", length, " of ",
            x.dim(time));
    for (int64_t t = 0; t < length; ++t) {
      std::memcpy(to + b * batch_step + t * time_step,
                  from + b * batch_step + (length - 1 - t) * time_step, static_cast<size_t>(block));
    }
  }
  return {m.restore(out)};
}

}  // namespace

extern const OpDef kReverseSequence{
    .type = "ReverseSequence",
    .since = 10,
    .eval = eval_reverse_sequence,
    .quant = {.reason = "reorders sequences by lengths that are data; left in float"}};

}  // namespace qtool
