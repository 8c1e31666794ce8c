// Number formats of weights (layer format): which numbers a code can stand for. One record a format in
// src/format/formats/.
//
//   WeightFormat f = parse_format("syq:levels=ternary,subgroup=pixel");
//   Codebook book = f.def->codebook({f, 2, samples});      // {−1, 0, 1}
//
// Nearly every format is a set of whole numbers, times a scale: layers whose scales go by output channel
// run on integer kernels whatever their format is. Levels of at most 64 can never overflow the int16
// pairs of CPUs without VNNI; layers with larger ones compute in float. The levels of float8 are those of a type that
// no integer kernel takes.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "qtool/tensor.hpp"

namespace qtool {

// Numbers, or vectors of numbers, that weights are rounded to.
struct Codebook {
  int64_t dim = 1;     // weights that one code stands for
  int64_t spaces = 1;  // equal parts of a row, each with entries of its own
  // [spaces][entries][dim]; of dim 1 ascending and different. Whole numbers within int8, but for `type`.
  std::vector<float> levels;
  float unit = 1;             // scale for weights whose root mean square is 1
  DType type = DType::kInt8;  // that holds a level
  // Bits of an index that can be left out from below, one by one, and what is left tells the middle of a cell.
  int spare_bits = 0;
  bool overflows_pairs =
      false;  // the products of two levels with u8 may leave int16: no integer kernel takes them
  int64_t entries() const { return static_cast<int64_t>(levels.size()) / dim / spaces; }
  float largest() const;  // magnitude
  // Whether codes are stored as the levels themselves; else as indices, and the levels beside them.
  bool codes_are_levels() const;
  // The part of a row of so many columns that column j is in.
  size_t space_of(size_t j, size_t columns) const;
  // The levels that the indices stand for when so many of their bits are left out, one an index.
  std::vector<float> without_bits(int count) const;
  // Index of the nearest level; dim 1 only. Ties go to the smaller magnitude.
  size_t nearest(float value) const;
  // Index of the entry closest to `values`, of which there are at most dim; `weight` one each.
  size_t nearest(std::span<const float> values, std::span<const float> weight,
                 size_t space = 0) const;
  // The index whose entry begins with these levels; entries() when there is none.
  size_t index_of(std::span<const float> entry, size_t space = 0) const;
};

// Weights that share a scale. All but kChannel have a factor an output channel besides, which is where
// the batch normalization behind the layer went.
enum class Subgroup { kChannel, kLayer, kRow, kPixel };

// What a codebook is fitted to: rows of weights with a root mean square of 1, and what an error of
// each costs.
struct FormatSamples {
  std::vector<float> values, importance;  // rows padded to whole vectors with importance 0
  int64_t columns = 0;                    // of a padded row; 0: rows of several lengths
};

// Whose codebook it is: known without data, the numbers of a type that holds the codes, or fitted to a layer's
// weights, or to all layers'.
enum class CodebookOf { kNone, kFixed, kType, kLayer, kModel };

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

// What a device does for one weight in place of a multiplication.
enum class MacKind { kMultiply, kShift, kAdd, kLookup };
std::string_view mac_name(MacKind kind);  // "multiply", "shift", "add", "lookup"
std::optional<MacKind> find_mac(std::string_view name);

struct FormatOption {
  std::string_view name, fallback;
  std::span<const std::string_view> values;  // that it may have
};

struct FormatDef {
  std::string_view name, summary, levels, paper;
  int min_bits = 2, max_bits = 8;
  int most_integer_bits = 8;  // wider codes compute in float: Codebook::overflows_pairs
  std::span<const FormatOption> options = {};
  CodebookOf of = CodebookOf::kNone;
  Codebook (*codebook)(const CodebookRequest& request) = nullptr;  // nullptr: all integers
  // How far a number between the least and the largest level may be from one; nullptr: half of the widest gap.
  double (*error_bound)(const WeightFormat& format, int bits, double value) = nullptr;
  bool free_levels = false;  // levels have no shape to keep: optimisers may move them
  bool power_of_two_scales = false;
  bool shifts_activations = false;  // activations have scales that are powers of two, too
  MacKind mac = MacKind::kMultiply;
  int (*macs)(int bits) = nullptr;  // how many of them a weight takes; nullptr: one
  int (*least_bits)(const WeightFormat& format) = nullptr;     // nullptr: min_bits
  Subgroup (*subgroup)(const WeightFormat& format) = nullptr;  // nullptr: kChannel
  int64_t scale_block = 0;  // weights of a row that share a scale
  int64_t (*dim)(const WeightFormat& format) =
      nullptr;  // weights that one code stands for; nullptr: 1
  int64_t (*spaces)(const WeightFormat& format) = nullptr;  // parts of a row at most; nullptr: 1
  // See WeightGrid::threshold; nullptr: codes are the optimiser's.
  float (*threshold)(const WeightFormat& format, int bits) = nullptr;
  bool nests = false;  // a code's highest bits are a code of fewer bits, down to least_bits()
};
std::span<const FormatDef* const> formats();

// "name" or "name:option=value,…". Throws Error{kUsage}: QT-E134 for names, QT-E135 for options.
WeightFormat parse_format(std::string_view text);
// Several joined by commas; what has "=" before any ":" is one more option of the format before.
std::vector<std::string> parse_formats(std::string_view text);
// Widths that a format has; they may depend on its options.
bool has_bits(const WeightFormat& format, int bits);
int least_bits(const WeightFormat& format);
int most_bits(const WeightFormat& format);
// Throws Error{kUsage, QT-E136} when a format has no such width.
void check_format_bits(const WeightFormat& format, int bits);
Subgroup subgroup_of(const WeightFormat& format);
int64_t dim_of(const WeightFormat& format);
// Codebooks that a row of so many columns has; see Codebook::spaces.
int64_t spaces_of(const WeightFormat& format, int64_t columns);
// Bits of a code that can be left out; see Codebook::spare_bits.
int spare_bits(const WeightFormat& format, int bits);
int macs_of(const WeightFormat& format, int bits);
// Whether integer kernels take codes of so many bits, as far as these alone decide it.
bool runs_on_integers(const WeightFormat& format, int bits);
// Bits that a layer's own codebook takes as stored, and one that all layers share; 0 without.
int64_t codebook_bits(const WeightFormat& format, int bits, int64_t columns);
int64_t shared_codebook_bits(const WeightFormat& format, int bits);

// Least mean square error of a standard normal number rounded to unit · levels, over units.
float normal_unit(std::span<const float> levels);
// Exact least weighted squared error by dynamic programming over the sorted values (Wang and Song,
// Ckmeans.1d.dp, 2011): at most `count` levels, ascending. Many values are put into bins first.
std::vector<double> kmeans_1d(const FormatSamples& samples, int count);

}  // namespace qtool
