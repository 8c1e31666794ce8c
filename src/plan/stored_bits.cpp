// What a layer's weight takes as it is stored.
#include <algorithm>
#include <map>

#include "qtool/branches.hpp"
#include "qtool/budget.hpp"

namespace qtool {
namespace {

// Scales that places in the kernel have besides the channels' own.
int64_t place_scales(const Tensor& weight, Subgroup subgroup) {
  int64_t rows = 1, pixels = 1;
  for (int64_t d = 2; d < weight.rank(); ++d) {
    pixels *= weight.dim(d);
    if (d + 1 < weight.rank()) rows *= weight.dim(d);
  }
  if (subgroup == Subgroup::kChannel) return 0;
  return subgroup == Subgroup::kPixel ? pixels : subgroup == Subgroup::kRow ? rows : 1;
}

int width_in(Storage storage, int bits) {
  return storage == Storage::kWidths ? bits : in_bytes(storage) ? 8 : container_bits(bits);
}

bool reads_codes(const LayerSite& layer, const LayerChoice& choice) {
  return layer.float_input.empty() && !layer.input.empty() &&
         choice.activation_bits != kFloatBits && !choice.dynamic();
}

// Of a layer whose codes are one tensor.
int width_of(const LayerSite& layer, const LayerChoice& choice, Storage storage) {
  const bool made_real = layer.float_input.empty() || layer.input.empty();
  if (in_bytes(storage) && choice.weight_bits == 4 && made_real && !choice.dynamic() &&
      !reads_codes(layer, choice))
    return 4;
  return width_in(storage, choice.weight_bits);
}

// A file has one for each channel where channels share some but not all.
int64_t scales_of(const LayerSite& layer, const LayerChoice& choice, Storage storage) {
  const int64_t columns = layer.weights / std::max<int64_t>(layer.channels, 1),
                block = choice.scale.block, share = choice.scale.channels;
  if (block > 0) return layer.channels * ((columns + block - 1) / block);
  // Codes that compute in float have a block a row.
  const WeightFormat format = parse_format(choice.format);
  const bool in_float = reads_codes(layer, choice) && format.def->of != CodebookOf::kType &&
                        !runs_on_integers(format, choice.weight_bits);
  if (in_float && storage != Storage::kWidths) return layer.channels;
  if (share == 0) return 1;
  return storage == Storage::kWidths ? (layer.channels + share - 1) / share : layer.channels;
}

// What the nodes of a join take in the file, roughly, and a row's place in the order.
constexpr int64_t kJoinBytes = 1024, kOrderBytes = 4;

// Zero points have the type of the codes behind DequantizeLinear: bytes where they were looked up or may be joined of
// rows, or where an integer kernel reads codes of 2 bits.
int zero_point_bits(const LayerSite& layer, const LayerChoice& choice, const WeightFormat& format,
                    Storage storage) {
  const bool looked_up =
      format.def->codebook && shared_codebook_bits(format, choice.weight_bits) +
                                      codebook_bits(format, choice.weight_bits, 1) >
                                  0;
  const int width = width_of(layer, choice, storage);
  const bool folded =
      width == 2 && (choice.scale.block == 0 || layer.matrix) && reads_codes(layer, choice);
  const bool joined = storage == Storage::kSplit && !choice.filter_bits.empty();
  return looked_up || folded || joined ? 8 : width;
}

// Of `scales`.
int64_t zero_points_bits(const LayerSite& layer, const LayerChoice& choice, int64_t scales,
                         Storage storage) {
  if (storage == Storage::kWidths) return 0;
  if (choice.dynamic()) return 8;  // of the product
  const WeightFormat format = parse_format(choice.format);
  if (subgroup_of(format) != Subgroup::kChannel) return 0;
  return scales * zero_point_bits(layer, choice, format, storage);
}

// Bounds of whole numbers narrower than their container, where they are clipped.
int64_t bounds_bits(const LayerSite& layer, const LayerChoice& choice, Storage storage) {
  const WeightFormat format = parse_format(choice.format);
  const int width = width_of(layer, choice, storage);
  const bool in_rows = choice.scale.block > 0 && !layer.matrix;
  return storage == Storage::kClipped && !format.def->codebook && !in_rows &&
                 choice.weight_bits < width
             ? 2 * width
             : 0;
}

// Of a layer with uniform weights. Tensors in a file end with a byte.
int64_t code_bits(const LayerSite& layer, const LayerChoice& choice, Storage storage) {
  const auto bytes = [](int64_t bits) { return (bits + 7) / 8 * 8; };
  const int64_t whole = layer.weights * width_of(layer, choice, storage);
  if (storage == Storage::kPacked || in_bytes(storage)) return bytes(whole);
  std::map<int, int64_t> parts;  // by width
  for (int bits : choice.filter_bits) {
    const int width = width_in(storage, bits);
    parts[width] += layer.weights / layer.channels * width;
  }
  int64_t codes = 0;
  for (const auto& [width, bits] : parts) codes += storage == Storage::kWidths ? bits : bytes(bits);
  if (storage == Storage::kWidths) return parts.empty() ? whole : codes;
  return parts.size() > 1 && split_saves(whole, codes, layer.channels)
             ? codes + 8 * kOrderBytes * layer.channels
             : bytes(whole);
}

// Codes, scales, and the layer's own codebook.
int64_t stored_format_bits(const LayerSite& layer, const LayerChoice& choice, const Tensor& weight,
                           Storage storage) {
  const WeightFormat format = parse_format(choice.format);
  const int64_t dim = dim_of(format),
                columns = layer.weights / std::max<int64_t>(layer.channels, 1);
  const int64_t codes = layer.channels * ((columns + dim - 1) / dim);
  const int64_t scales =
      scales_of(layer, choice, storage) + place_scales(weight, subgroup_of(format));
  const int64_t rest = 32 * scales + zero_points_bits(layer, choice, scales, storage);
  // Operators take what indices stand for.
  if (storage == Storage::kOperators) return 8 * layer.weights + rest;
  const int64_t spaces = spaces_of(format, columns);
  const int64_t firsts = storage == Storage::kWidths || spaces == 1 ? 0 : 32 * spaces;
  return codes * width_in(storage, choice.weight_bits * static_cast<int>(dim)) +
         codebook_bits(format, choice.weight_bits, columns) + firsts +
         bounds_bits(layer, choice, storage) + rest;
}

}  // namespace

int container_bits(int bits) { return bits <= 2 ? 2 : bits <= 4 ? 4 : 8; }

int64_t stored_bits(const LayerSite& layer, const LayerChoice& choice, const Model& model,
                    Storage storage) {
  if (choice.weight_bits == kFloatBits) return 32 * layer.weights;
  if (choice.format != "uniform")
    return stored_format_bits(layer, choice, *model.graph.constant(model.graph.find(layer.weight)),
                              storage);
  const int64_t scales = scales_of(layer, choice, storage);
  return code_bits(layer, choice, storage) + bounds_bits(layer, choice, storage) + 32 * scales +
         zero_points_bits(layer, choice, scales, storage);
}

int64_t added_bias_bits(const LayerSite& layer, const LayerChoice& choice, Storage storage) {
  const bool corrected = layer.takes_bias && layer.inside.empty();
  if (choice.weight_bits == kFloatBits || (layer.bias.empty() && !corrected)) return 0;
  const WeightFormat format = parse_format(choice.format);
  const int64_t copies =
      (layer.bias.empty() ? 1 : 0) +
      (storage == Storage::kOperators ? 0 : spare_bits(format, choice.weight_bits));
  // Sums of codes with several scales a channel have no one scale for an integer bias.
  const bool integer = reads_codes(layer, choice) && choice.activation_bits <= 8 &&
                       choice.scale.block == 0 && runs_on_integers(format, choice.weight_bits);
  const bool scaled = integer && storage != Storage::kOperators && storage != Storage::kWidths;
  return (32 * copies + (scaled ? 64 : 0)) * layer.channels;
}

int64_t quantizer_bits(const QuantPlan& plan, const Sites& sites, Storage storage) {
  if (storage == Storage::kWidths) return 0;
  const auto of_width = [&](int bits) {
    const int width = bits > 8 ? 16 : 8, bound = storage == Storage::kClipped ? width : 32;
    return 32 + width + (bits == width ? 0 : 2 * bound);
  };
  const std::set<std::string> branched = branched_values(sites);
  int64_t total = 0;
  for (const ActivationSite& site : sites.activations) {
    const int bits = plan.activation_bits.at(site.name);
    if (bits == kFloatBits) continue;
    total += of_width(bits);
    if (bits < kBranchBits && branched.contains(site.name)) total += of_width(kBranchBits);
  }
  return total;
}

bool split_saves(int64_t whole_bits, int64_t parts_bits, int64_t rows) {
  return (whole_bits - parts_bits) / 8 > kJoinBytes + kOrderBytes * rows;
}

}  // namespace qtool
