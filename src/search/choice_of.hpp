// What a candidate width means for a layer.
#pragma once

#include "qtool/assign.hpp"

namespace qtool {

// The width in the number format that the options give it.
inline LayerChoice choice_of(const LayerSite& site, int bits, const AssignOptions& options) {
  LayerChoice choice{.name = site.name, .weight_bits = bits};
  if (options.format_of && bits != kFloatBits) choice.format = options.format_of(site, bits);
  return choice;
}

}  // namespace qtool
