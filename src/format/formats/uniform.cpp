// Evenly spaced levels.
#include "format/formats/records.hpp"

namespace qtool {

extern const FormatDef kUniform = {.name = "uniform",
                                   .summary = "all whole numbers of the width",
                                   .levels = "-2^(b-1) ... 2^(b-1)-1",
                                   .paper = "ONNX QuantizeLinear",
                                   .min_bits = 2,
                                   .max_bits = 8};

// Qm.f numbers: requantization is a shift.
extern const FormatDef kFixedPoint = {
    .name = "fixed-point",
    .summary =
        "all whole numbers of the width; scales of weights and activations are powers of two",
    .levels = "-2^(b-1) ... 2^(b-1)-1",
    .paper = "Q notation; arXiv 1903.08066",
    .min_bits = 2,
    .max_bits = 8,
    .power_of_two_scales = true,
    .shifts_activations = true};

}  // namespace qtool
