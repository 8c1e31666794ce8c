// Geometry of convolutions and pools in oneDNN's terms.
#pragma once

#include "exec/onednn/common.hpp"

namespace qtool::onednn {

struct ConvShape {
  Shape output, weights;  // weights as [groups, out, in, kernel…] when grouped
  Shape strides, dilations, pads_begin, pads_end;  // dilations minus one, as oneDNN counts
  Shape input;                                     // of a transposed one: this operator's output
  bool valid() const { return !output.empty(); }
};
// Invalid (empty output) when a size is zero, which oneDNN does not take.
ConvShape conv_shape(const Node& node, const Shape& input, const Shape& weights);

// Whether pictures and kernels are one element wide; and everything with height and width in each other's place.
bool is_column(const ConvShape& shape, const Shape& input);
void turn(Shape& shape);
void turn(ConvShape& shape);
// A turned descriptor with its dimensions in their places again.
Descriptor upright(const Descriptor& descriptor, bool turned);
Shape upright(Shape shape, bool turned);

// Of the convolution that a ConvTranspose transposes: `output` is this operator's input. `weights` stay as
// ONNX has them, [in, out / groups, kernel…].
ConvShape transposed_shape(const Node& node, int64_t opset, const Shape& input,
                           const Shape& weights);

dnnl::convolution_forward::primitive_desc convolution_descriptor(
    const ConvShape& shape, const Descriptor& source, const Descriptor& weights,
    const Descriptor& bias, const Descriptor& result, const dnnl::primitive_attr& attr);

}  // namespace qtool::onednn
