// Lookup (qtool): any function of one 8-bit code, as a table of its 256 results.
#include "exec/integer/kernels.hpp"
#include "exec/integer/loops.hpp"

namespace qtool::integer {
namespace {

class LookupKernel : public Kernel {
 public:
  LookupKernel(Tensor table, DType type) : table_(std::move(table)), type_(type) {}

  void run(std::span<Array> inputs, std::span<Array> outputs) const override {
    const Array& x = inputs[0];
    Tensor codes = Tensor::uninitialized(x.layout ? x.tensor.dtype() : type_, x.tensor.shape());
    lookup(static_cast<const uint8_t*>(x.tensor.raw()), static_cast<uint8_t*>(codes.mutable_raw()),
           x.tensor.size(), static_cast<const uint8_t*>(table_.raw()));
    outputs[0] = Array(type_, x.shape, std::move(codes), x.layout);
  }

  std::string name() const override { return "integer:lookup"; }

 private:
  Tensor table_;
  DType type_;
};

}  // namespace

std::unique_ptr<Kernel> make_lookup(const KernelRequest& request) {
  const Tensor* table = request.constant(1);
  // A layout belongs to one element type: only plain arrays may change it.
  const bool same_type = table && table->dtype() == request.inputs[0].dtype;
  if (!table || table->size() != 256 || !is_eight_bit(request.inputs[0].dtype)) return nullptr;
  if (request.inputs[0].layout && !same_type) return nullptr;
  return std::make_unique<LookupKernel>(*table, table->dtype());
}

}  // namespace qtool::integer
