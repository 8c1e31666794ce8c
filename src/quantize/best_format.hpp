// Which of several number formats suits a layer.
#pragma once

#include "qtool/quantize.hpp"

namespace qtool {

// Of the formats that have the choice's width, the one whose rounded weights leave the least output
// error (row_errors); ties go to the earlier. Throws Error{kUsage, QT-E136} when none has it.
std::string best_format(const Tensor& weight, const LayerSite& site, LayerChoice choice,
                        const std::vector<std::string>& formats, const CalibrationTable& table);

// The grid of one layer by itself, with a codebook of its own where layers would share one.
WeightGrid weight_grid(const Tensor& weight, const LayerSite& site, const LayerChoice& choice,
                       const CalibrationTable& table);

// The widths that at least one of the formats has; kFloatBits stays.
std::vector<int> widths_of(const std::vector<std::string>& formats, const std::vector<int>& bits);

}  // namespace qtool
