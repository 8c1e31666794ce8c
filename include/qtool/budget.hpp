// Budgets and widths as they are written on the command line (layer plan).
//
//   for (const Limit& l : parse_budget("4.5bits,25%size")) …        // kBits 4.5, kSizeFraction 0.25
//   UniformChoice u = parse_uniform("w4a8");                         // {4, 8}
//   std::vector<Keep> k = parse_keep("first,last=w8a8");             // {"first", {8, 8}}, {"last", …
//   std::vector<int> b = parse_bits_list("2,3,4,8,float");           // {2, 3, 4, 8, kFloatBits}
//
// A new limit is one row in src/plan/budget.cpp.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "qtool/plan.hpp"

namespace qtool {

struct Limit {
  enum Kind {
    kBits,             // mean code width of the quantizable weights, bits
    kBpw,              // stored bits per weight, with scales, zero points and codebooks
    kSize,             // bytes of all weights as stored
    kSizeFraction,     // the same against the float model, (0, 1]
    kBops,             // sum of MACs × weight bits × activation bits
    kBopsFraction,     // the same against 32 × 32, (0, 1]
    kLatency,          // predicted milliseconds by the cost table of `profile`
    kLatencyFraction,  // the same against the float model, (0, 1]
    kPeakMemory,       // bytes of activations alive at once, per sample
    kActivationBits,   // mean activation width weighted by tensor size, bits
    kDrop,             // quality may fall by this fraction at most, [0, 1)
    kAgreement,        // agreement with the float model at least this fraction, (0, 1]
    kSqnr,             // output SQNR at least this many dB
  };
  Kind kind = kBits;
  double value = 0;
  std::string profile;  // latency limits: profile name or file
  bool operator==(const Limit&) const = default;
};

// One way of writing a limit: [key=]NUMBER unit[@PROFILE].
struct LimitForm {
  Limit::Kind kind;
  std::string_view key;      // "act" in "act=6bits"; "" when there is none
  std::string_view unit;     // what follows the number; upper and lower case are the same
  double factor;             // Limit::value = NUMBER × factor
  double min, max;           // of Limit::value
  std::string_view example;  // "" for the further units of a limit
  std::string_view meaning;
};
const std::vector<LimitForm>& limit_forms();

// Limits joined by commas, in their order. Throws Error{kUsage}: QT-E110 not of the form
// [key=]NUMBER unit, QT-E111 unknown key or unit (with the nearest), QT-E112 value out of range,
// QT-E113 profile missing or out of place.
std::vector<Limit> parse_budget(std::string_view text);
// The limit as parse_budget reads it back, in the first unit of its kind.
std::string limit_text(const Limit& limit);
// True for drop, agreement and sqnr: measured on real outputs, not a sum of costs.
bool is_quality_floor(const Limit& limit);

// "w4a8", "w8a8:token", or "w4" for float activations; 1 to 16 bits each. Throws Error{kUsage} QT-E114.
UniformChoice parse_uniform(std::string_view text);
// "w4a8", "w8a8:token", "w4" or "float".
std::string choice_text(UniformChoice choice);

// Bits that a layer's weights take: codes, scales, its own codebook, and in a file's containers zero points.
int64_t stored_bits(const LayerSite& site, const LayerChoice& choice, const Model& model,
                    Storage storage = Storage::kWidths);
// Bits that its bias takes beyond those of the float model: all of one that bias correction gives it, those of
// narrower nested codes, and in a file's containers the scales and zero points of int32.
int64_t added_bias_bits(const LayerSite& site, const LayerChoice& choice,
                        Storage storage = Storage::kWidths);
// Bits of the activations' scales and zero points in a file, and of the bounds of narrow codes.
int64_t quantizer_bits(const QuantPlan& plan, const Sites& sites, Storage storage);
// Whether rows of several widths are stored apart (Storage::kSplit): what joins them takes bytes, too.
bool split_saves(int64_t whole_bits, int64_t parts_bits, int64_t rows);
// The width of the smallest ONNX type that holds codes of so many bits: 2, 4 or 8.
int container_bits(int bits);

// "tensor", "channel", "group:N" (channels) or "block:N". Throws Error{kUsage} QT-E117.
WeightScale parse_weight_scale(std::string_view text);
// The same as parse_weight_scale reads it back.
std::string weight_scale_text(WeightScale scale);

// A rule that pins layers: the word "first" or "last" (weighted layer) or a regular expression for
// name_matches, and the widths.
using Keep = std::pair<std::string, UniformChoice>;
// "REGEX=w8a8", "REGEX=float", "first,last=w8a8": words and expressions joined by commas (outside
// brackets), one Keep each, in their order. Throws Error{kUsage} QT-E115.
std::vector<Keep> parse_keep(std::string_view text);
// Whether an expression (ECMAScript without back references) is found anywhere in `name`; "^conv1$"
// is one layer. Time and memory stay bounded. Throws Error{kUsage} QT-E115 for a wrong expression.
bool name_matches(const std::string& pattern, const std::string& name);

// "0,2,3,4,8,float": distinct widths of 1 to 16 bits or 0 (pruned), returned ascending with float as
// kFloatBits.
// Throws Error{kUsage} QT-E116.
std::vector<int> parse_bits_list(std::string_view text);

}  // namespace qtool
