// Rows times a constant matrix as a 1×1 convolution: a channels-last picture one element high is a
// row-major matrix, and convolution kernels keep the weights packed, which matrix products do not.
#pragma once

#include "exec/kernel.hpp"
#include "exec/onednn/primitive.hpp"

namespace qtool::onednn {

struct RowsShape {
  int64_t count, depth, columns;
};
// Empty where oneDNN has no compiled kernel. `bias`: empty, or of one value a column.
std::optional<dnnl::convolution_forward::primitive_desc> rows_descriptor(
    const RowsShape& shape, DType source, DType weights, const Descriptor& bias, DType result,
    const dnnl::primitive_attr& attr);

// The matrix [depth][columns] ([columns][depth] when transposed) packed for that convolution.
Tensor packed_rows(const Tensor& matrix, bool transposed, const Descriptor& weights);

// A primitive over rows of any number of leading dimensions with what it keeps of the constants, and the
// Gelu behind it where the node has one. Whoever derives makes the primitive.
class RowsKernel : public Kernel {
 public:
  void run(std::span<Array> inputs, std::span<Array> outputs) const override;
  std::string name() const override { return name_; }
  bool reads_constants() const override { return reads_constants_; }

 protected:
  RowsKernel(std::string name, const KernelRequest& request, Tensor packed, DType result,
             Shape output);
  // Source, result and packed weights as `pd` has them.
  template <typename PrimitiveDescriptor>
  std::vector<Primitive::Argument> arguments(const PrimitiveDescriptor& pd) const {
    return {{DNNL_ARG_SRC, pd.src_desc()},
            {DNNL_ARG_DST, pd.dst_desc()},
            {DNNL_ARG_WEIGHTS, pd.weights_desc(), packed_.raw()}};
  }
  Tensor bias_;
  std::optional<Primitive> primitive_;

 private:
  std::string name_;
  Tensor packed_;
  DType result_;
  Shape output_;
  bool gelu_, reads_constants_;
};

}  // namespace qtool::onednn
