// Kernels on floats that oneDNN has not, or not as fast; the makers that exec/list.cpp names.
#pragma once

#include "base/clones.hpp"
#include "exec/kernel.hpp"

namespace qtool::floats {

std::unique_ptr<Kernel> make_erf(const KernelRequest& request);
std::unique_ptr<Kernel> make_channel_affine(const KernelRequest& request);
std::unique_ptr<Kernel> make_fake_quantize(const KernelRequest& request);
std::unique_ptr<Kernel> make_gelu(const KernelRequest& request);
std::unique_ptr<Kernel> make_group_normalization(const KernelRequest& request);
std::unique_ptr<Kernel> make_layer_normalization(const KernelRequest& request);
std::unique_ptr<Kernel> make_log(const KernelRequest& request);
std::unique_ptr<Kernel> make_mish(const KernelRequest& request);
std::unique_ptr<Kernel> make_power(const KernelRequest& request);
std::unique_ptr<Kernel> make_recurrent(const KernelRequest& request);
std::unique_ptr<Kernel> make_round(const KernelRequest& request);
std::unique_ptr<Kernel> make_selu(const KernelRequest& request);
std::unique_ptr<Kernel> make_sine(const KernelRequest& request);
std::unique_ptr<Kernel> make_softplus(const KernelRequest& request);
std::unique_ptr<Kernel> make_tanh(const KernelRequest& request);

}  // namespace qtool::floats
