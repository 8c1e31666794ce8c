#include "exec/floats/kernels.hpp"
#include "exec/integer/kernels.hpp"
#include "exec/onednn/kernels.hpp"

namespace qtool {

std::span<const KernelDef> fast_kernels() {
  static constexpr std::string_view kMicrosoft = "com.microsoft";
  static constexpr KernelDef kList[] = {
      {"Conv", "", onednn::make_conv},
      {"ConvTranspose", "", onednn::make_upconvolution},
      {"ConvTranspose", "", onednn::make_conv_transpose},
      {"Gemm", "", onednn::make_gemm},
      {"MatMul", "", onednn::make_matmul},
      {"Relu", "", onednn::make_eltwise},
      {"LeakyRelu", "", onednn::make_eltwise},
      {"PRelu", "", onednn::make_prelu},
      {"Swish", "", onednn::make_eltwise},
      {"Elu", "", onednn::make_eltwise},
      {"Sigmoid", "", onednn::make_eltwise},
      {"Tanh", "", floats::make_tanh},
      {"Abs", "", onednn::make_eltwise},
      {"Sqrt", "", onednn::make_eltwise},
      {"Exp", "", onednn::make_eltwise},
      {"Softplus", "", floats::make_softplus},
      {"Mish", "", floats::make_mish},
      {"Clip", "", onednn::make_eltwise},
      {"Gelu", "", floats::make_gelu},
      {"Erf", "", floats::make_erf},
      {"LayerNormalization", "", floats::make_layer_normalization},
      {"RMSNormalization", "", floats::make_layer_normalization},
      {"InstanceNormalization", "", floats::make_group_normalization},
      {"GroupNormalization", "", floats::make_group_normalization},
      {"LSTM", "", floats::make_recurrent},
      {"GRU", "", floats::make_recurrent},
      {"RNN", "", floats::make_recurrent},
      {"Add", "", onednn::make_linear},
      {"Add", "", onednn::make_binary},
      {"Sub", "", onednn::make_linear},
      {"Sub", "", onednn::make_binary},
      {"Mul", "", onednn::make_linear},
      {"Mul", "", onednn::make_binary},
      {"Div", "", onednn::make_linear},
      {"Div", "", onednn::make_binary},
      {"MaxPool", "", onednn::make_pool},
      {"AveragePool", "", onednn::make_pool},
      {"GlobalMaxPool", "", onednn::make_pool},
      {"GlobalAveragePool", "", onednn::make_pool},
      {"Softmax", "", onednn::make_softmax},
      {"LogSoftmax", "", onednn::make_softmax},
      {"QLinearConv", "", onednn::make_quantized_conv},
      {"QGemm", kMicrosoft, onednn::make_quantized_gemm},
      {"QMatMul", "qtool", onednn::make_quantized_gemm},
      {"QMatMul", "qtool", onednn::make_quantized_product},
      {"ConvInteger", "", integer::make_conv_sums},
      {"MatMulInteger", "", integer::make_product_sums},
      {"QuantizeLinear", "", integer::make_quantize},
      {"DequantizeLinear", "", integer::make_dequantize},
      {"QLinearAdd", kMicrosoft, integer::make_add},
      {"QLinearAdd", kMicrosoft, integer::make_broadcast_add},
      {"QLinearMul", kMicrosoft, integer::make_mul},
      {"QLinearConcat", kMicrosoft, integer::make_concat},
      {"Lookup", "qtool", integer::make_lookup},
      {"ChannelAffine", "qtool", floats::make_channel_affine},
      {"FakeQuantize", "qtool", floats::make_fake_quantize},
      {"QLinearGlobalAveragePool", kMicrosoft, integer::make_global_average_pool},
  };
  return kList;
}

}  // namespace qtool
