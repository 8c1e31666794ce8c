// The makers that exec/list.cpp names.
#pragma once

#include "exec/kernel.hpp"

namespace qtool::onednn {

std::unique_ptr<Kernel> make_conv(const KernelRequest& request);
std::unique_ptr<Kernel> make_upconvolution(const KernelRequest& request);
std::unique_ptr<Kernel> make_conv_transpose(const KernelRequest& request);
std::unique_ptr<Kernel> make_gemm(const KernelRequest& request);
std::unique_ptr<Kernel> make_matmul(const KernelRequest& request);
std::unique_ptr<Kernel> make_eltwise(const KernelRequest& request);
std::unique_ptr<Kernel> make_prelu(const KernelRequest& request);
std::unique_ptr<Kernel> make_linear(const KernelRequest& request);
std::unique_ptr<Kernel> make_binary(const KernelRequest& request);
std::unique_ptr<Kernel> make_pool(const KernelRequest& request);
std::unique_ptr<Kernel> make_softmax(const KernelRequest& request);
// Of channels-last values.
std::unique_ptr<Kernel> make_moved_slice(const KernelRequest& request);
std::unique_ptr<Kernel> make_moved_pad(const KernelRequest& request);
std::unique_ptr<Kernel> make_moved_split(const KernelRequest& request);
std::unique_ptr<Kernel> make_moved_concat(const KernelRequest& request);
std::unique_ptr<Kernel> make_moved_resize(const KernelRequest& request);
std::unique_ptr<Kernel> make_moved_transpose(const KernelRequest& request);
std::unique_ptr<Kernel> make_quantized_conv(const KernelRequest& request);
std::unique_ptr<Kernel> make_quantized_gemm(const KernelRequest& request);
std::unique_ptr<Kernel> make_quantized_product(const KernelRequest& request);

}  // namespace qtool::onednn
