// Lookup (qtool): any function of one 8-bit code, as a table of its 256 results.
#include "exec/integer/kernels.hpp"
#include "exec/integer/loops.hpp"
#include "exec/same_places.hpp"

namespace qtool::integer {
namespace {

class LookupKernel : public Kernel {
 public:
  LookupKernel(const InputInfo& input, Tensor table)
      : table_(std::move(table)), places_(input, table_.dtype()) {}

  void run(std::span<Array> inputs, std::span<Array> outputs) const override {
    const Array x = places_.source(inputs[0]);
    outputs[0] = places_.result(x);
    lookup(static_cast<const uint8_t*>(x.tensor.raw()),
           static_cast<uint8_t*>(outputs[0].tensor.mutable_raw()), element_count(x.shape),
           static_cast<const uint8_t*>(table_.raw()));
  }

  std::string name() const override { return "integer:lookup"; }

 private:
  Tensor table_;
  SamePlaces places_;
};

}  // namespace

std::unique_ptr<Kernel> make_lookup(const KernelRequest& request) {
  const Tensor* table = request.constant(1);
  if (!table || table->size() != 256 || !is_eight_bit(table->dtype()) ||
      !is_eight_bit(request.inputs[0].dtype))
    return nullptr;
  return std::make_unique<LookupKernel>(request.inputs[0], *table);
}

}  // namespace qtool::integer
