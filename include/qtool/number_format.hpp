// Number formats of weights (layer format): which numbers a code can stand for. One record a format in
// src/format/formats/.
//
//   WeightFormat f = parse_format("syq:levels=ternary,subgroup=pixel");
//   Codebook book = f.def->codebook({f, 2, samples});      // {−1, 0, 1}
//
// Every format here is a set of whole numbers, times a scale: layers whose scales go by output channel
// run on integer kernels whatever their format is. Levels of at most 64 can never overflow the int16
// pairs of CPUs without VNNI.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "qtool/base.hpp"

namespace qtool {

// Numbers, or vectors of numbers, that weights are rounded to.
struct Codebook {
  int64_t dim = 1;             // weights that one code stands for
  std::vector<int8_t> levels;  // [entries][dim]; of dim 1 ascending and different
  float unit = 1;              // scale for weights whose root mean square is 1
  int64_t entries() const { return static_cast<int64_t>(levels.size()) / dim; }
  int largest() const;  // magnitude
  // Index of the nearest level; dim 1 only. Ties go to the smaller magnitude.
  size_t nearest(float value) const;
  // Index of the entry closest to `values`, of which there are at most dim; `weight` one each.
  size_t nearest(std::span<const float> values, std::span<const float> weight) const;
  // The index whose entry begins with these levels; entries() when there is none.
  size_t index_of(std::span<const int8_t> entry) const;
};

// Weights that share a scale. All but kChannel have a factor an output channel besides, which is where
// the batch normalization behind the layer went.
enum class Subgroup { kChannel, kLayer, kRow, kPixel };

// What a codebook is fitted to: rows of weights with a root mean square of 1, and what an error of
// each costs.
struct FormatSamples {
  std::vector<float> values, importance;  // padded to whole vectors with importance 0
};

// Whose codebook it is: known without data, or fitted to a layer's weights, or to all layers'.
enum class CodebookOf { kNone, kFixed, kLayer, kModel };

struct FormatDef;
// A format with its options.
struct WeightFormat {
  const FormatDef* def = nullptr;
  std::map<std::string, std::string> options;  // all of the record's
  std::string text() const;                    // as parse_format() reads it; defaults left out
  int number(const std::string& option) const { return std::stoi(options.at(option)); }
};

struct CodebookRequest {
  const WeightFormat& format;
  int bits;
  const FormatSamples& samples;
};

struct FormatOption {
  std::string_view name, fallback;
  std::span<const std::string_view> values;  // that it may have
};

struct FormatDef {
  std::string_view name, summary, levels, paper;
  int min_bits = 2, max_bits = 8;
  std::span<const FormatOption> options = {};
  CodebookOf of = CodebookOf::kNone;
  Codebook (*codebook)(const CodebookRequest& request) = nullptr;  // nullptr: all integers
  bool free_levels = false;  // levels have no shape to keep: optimisers may move them
  bool power_of_two_scales = false;
  bool shifts_activations = false;  // activations have scales that are powers of two, too
  Subgroup (*subgroup)(const WeightFormat& format) = nullptr;  // nullptr: kChannel
  int64_t scale_block = 0;  // weights of a row that share a scale
  // Weights that one code stands for at a width; nullptr: 1.
  int64_t (*dim)(const WeightFormat& format) = nullptr;
};
std::span<const FormatDef* const> formats();

// "name" or "name:option=value,…". Throws Error{kUsage}: QT-E134 for names, QT-E135 for options.
WeightFormat parse_format(std::string_view text);
// Several joined by commas; what has "=" before any ":" is one more option of the format before.
std::vector<std::string> parse_formats(std::string_view text);
// Widths that a format has; the widest may depend on its options.
bool has_bits(const WeightFormat& format, int bits);
int most_bits(const WeightFormat& format);
// Throws Error{kUsage, QT-E136} when a format has no such width.
void check_format_bits(const WeightFormat& format, int bits);
Subgroup subgroup_of(const WeightFormat& format);
int64_t dim_of(const WeightFormat& format);
// Bits that a layer's own codebook takes as stored, and one that all layers share; 0 without.
int64_t codebook_bits(const WeightFormat& format, int bits);
int64_t shared_codebook_bits(const WeightFormat& format, int bits);

// Least mean square error of a standard normal number rounded to unit · levels, over units.
float normal_unit(std::span<const int8_t> levels);
// Exact least weighted squared error by dynamic programming over the sorted values (Wang and Song,
// Ckmeans.1d.dp, 2011): at most `count` levels, ascending. Many values are put into bins first.
std::vector<double> kmeans_1d(const FormatSamples& samples, int count);

}  // namespace qtool
