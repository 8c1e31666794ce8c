// Plan layer: what can be quantized, what must choose together, and what was chosen.
//
//   Sites sites = find_sites(prepared, find_target("ort-cpu"));
//   QuantPlan plan = uniform_plan(sites, {.weight_bits = 4, .activation_bits = 8});
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "qtool/format.hpp"
#include "qtool/graph.hpp"
#include "qtool/number_format.hpp"
#include "qtool/ops.hpp"

namespace qtool {

inline constexpr int kFloatBits = 32;

// A layer with weights: Conv, Gemm, MatMul …
struct LayerSite {
  std::string name;  // of the node
  std::string type;
  std::string input, output;    // activation value names; output is behind a folded activation
  std::string weight, bias;     // initializer names; bias may be empty
  bool takes_bias = false;      // the operator has a bias input
  bool dense = false;           // channels are the last axis of its input and output (Gemm, MatMul)
  bool matrix = false;          // dense, and its weight has rank 2
  bool column_product = false;  // QuantRule::column_product
  int64_t channel_axis = 0;     // of the weight
  int64_t channels = 0;
  int64_t weights = 0;  // elements
  int64_t macs = 0;     // per sample; 0 when shapes are not known
  std::string reason;   // why it cannot be quantized; empty when it can
  // Why the target computes it in float all the same, so that only its weights are codes; else empty.
  std::string float_input = {};
  // The main graph's node in whose bodies (of If, Loop, Scan) it stands; empty: it is in the main graph.
  std::string inside = {};
};

// An activation tensor that gets a quantizer.
struct ActivationSite {
  std::string name;      // of the value
  int64_t elements = 0;  // per sample; 0 when not known
  bool network_input = false;
  // Range known beforehand (Softmax, Sigmoid); empty otherwise.
  std::optional<std::pair<double, double>> fixed_range;
  // Values outside make no difference to any reader (HardSwish below −3); empty: all do.
  std::optional<std::pair<double, double>> sensitive = {};
  // Values that carry the same parameters: data movement and MaxPool pass them on. This value's own
  // parameters are those of `shares_with` when that is not empty.
  std::string shares_with;
  const std::string& owner() const { return shares_with.empty() ? name : shares_with; }
  // Nodes that read the codes while all others read the float value: a value that no integer kernel
  // makes loses nothing where none reads it. Empty: everything behind it reads codes.
  std::set<std::string> readers = {};
  // Layers among those that read codes, and whether others but data movement do, too, or it is an output (branches.hpp).
  std::set<std::string> layers = {};
  bool branches = false;
  // Further values that its own parameters have to cover (share_parameters).
  std::vector<std::string> covers = {};
};

// A node without weights: Add, Concat, pools, MatMul of two activations, data movement …
struct NodeSite {
  std::string name, type;
  std::string reason;  // why it stays in float; empty when it runs on codes
};

// A weight that is codes only as it is stored and is made real before it is computed with: an embedding
// table, weights of a recurrent cell, layers inside bodies that no calibration sample reached. It is rounded by
// itself; searches give it 8 bits. `name` is its reader's, `input` is empty, `float_input` says why.
struct StoredSite : LayerSite {
  std::string node;         // of the main graph: the reader, or what carries its body
  bool picks_rows = false;  // the reader picks rows, so that only those are made real
  // Why static plans leave it in float; empty: they need not.
  std::string cost = {};
};

struct Sites {
  std::vector<LayerSite> layers;  // in graph order
  std::vector<ActivationSite> activations;
  std::vector<NodeSite> nodes;
  std::vector<StoredSite> stored;
  const LayerSite* layer(const std::string& name) const;
  const StoredSite* stored_weight(const std::string& name) const;
  bool stored_rows(const std::string& node) const;  // whether a node picks rows of one of `stored`
  const ActivationSite* activation(const std::string& name) const;
  // The value whose parameters an activation has, maybe itself; of a value without a site, itself.
  const std::string& owner_of(const std::string& activation) const;
  std::vector<std::string> activation_names() const;
};

// What a runtime accepts (docs/export.md): src/plan/targets/<t>.cpp.
struct Target {
  std::string_view name, summary;
  std::span<const std::string_view>
      integer_types;  // operators with an integer kernel; data movement has one always
  std::span<const std::string_view>
      weight_types;  // that take weights as codes and inputs as floats
  bool runs_on_codes(const Node& node, const QuantRule& rule) const;
  bool takes_weight_codes(const Node& node) const;
};
std::span<const Target* const> targets();
const Target& find_target(std::string_view name);

// `model` is prepared; shapes of values are used where known. What stands inside the bodies of If, Loop and Scan has
// sites, too, each body looked at by itself; of those where all values to be quantized are among `unreached`
// (no calibration sample took that branch) nothing but weights can be codes.
Sites find_sites(const Model& model, const Target& target,
                 const std::set<std::string>& unreached = {});

// Gives what the operators of these types read (and make, where they only move values: Concat) one owner of their
// parameters, as some devices want it. Values with a range known beforehand keep their own, which is logged.
void share_parameters(Sites& sites, const Model& model, std::span<const std::string> types);
// Throws Error{kUsage, QT-E119} for a type around which parameters cannot be equal.
void check_shared_types(std::span<const std::string> types);

// Which weights of a layer share a scale; as it is, those of an output channel.
struct WeightScale {
  int64_t channels = 1;  // that share one; 0: all
  int64_t block = 0;     // weights along a channel's row that share one; 0: all
  bool operator==(const WeightScale&) const = default;
  bool by_channel() const { return *this == WeightScale(); }
};

// When what a layer reads gets its quantization parameters.
enum class ActivationMode {
  kStatic,   // in calibration
  kDynamic,  // at run time: one range for the tensor
  kToken,    // at run time: one for every row, the vector that a dense layer multiplies
};
// "static", "dynamic", "token".
std::span<const std::string_view> activation_modes();
std::string_view activation_mode_name(ActivationMode mode);
std::optional<ActivationMode> find_activation_mode(std::string_view name);

// One of the choices that a search has for a group: a width, of weights in a number format, of an activation
// with when it gets its parameters.
struct Width {
  Width(int bits = 8, std::string format = "uniform", ActivationMode mode = ActivationMode::kStatic)
      : bits(bits), format(std::move(format)), mode(mode) {}
  int bits;  // kFloatBits: float
  std::string format;
  ActivationMode mode;
  bool operator==(const Width&) const = default;
};
// Every one of `bits` in every format that has it, in this order; float once.
std::vector<Width> widths_in(const std::vector<std::string>& formats, const std::vector<int>& bits);

// What was chosen for one layer. Hand-editable in plan.json.
struct LayerChoice {
  std::string name;
  int weight_bits = 8;                            // 1 to 8, or kFloatBits
  int activation_bits = 8;                        // of its input: 1 to 16, or kFloatBits
  ActivationMode mode = ActivationMode::kStatic;  // others have 8 bits
  // One width an output channel, weight_bits the widest of them; empty: weight_bits for all.
  std::vector<int> filter_bits = {};
  WeightScale scale = {};
  std::string format = "uniform";  // number format of the weights, as parse_format() reads it
  std::string method = "rtn";      // weight optimiser
  std::string reason = {};         // why float, or "kept by --keep …"
  bool dynamic() const { return mode != ActivationMode::kStatic; }
};

// A layer's weights at a width; activations have 8 bits.
LayerChoice layer_choice(const std::string& layer, const Width& width, std::string method = "rtn");

// Mean width of a layer's weights.
double mean_bits(const LayerChoice& choice);

// How activations become codes: the same for all of them.
struct ActivationStyle {
  std::string range_method = "mse";
  bool signed_codes = false;                   // s8 symmetric rather than u8
  bool power_of_two_scales = false;            // and zero points 0 or the middle
  std::vector<std::string> equal_around = {};  // types of operators, see share_parameters
  bool narrow_branches = false;                // see join_branches
  bool operator==(const ActivationStyle&) const = default;
};

struct QuantPlan {
  std::string model_fingerprint;
  std::string source;  // "uniform w4a8", "search 4.5bits", "edited"
  std::vector<LayerChoice> layers;
  std::vector<LayerChoice> stored = {};  // of Sites::stored
  // By value. Below 8 bits it is what layers read, while a branch of the same value has 8 (branches.hpp).
  std::map<std::string, int> activation_bits;
  ActivationStyle style = {};
  std::string export_style = "qdq";  // that its sizes were counted in
  int64_t most_bytes = 0;            // of the written constants, by a size limit; 0: any
  LayerChoice* layer(const std::string& name);
  const LayerChoice* stored_weight(const std::string& name) const;
  const LayerChoice* layer(const std::string& name) const;
  // Width of what a layer reads; kFloatBits where only its weights are codes.
  int input_bits(const LayerSite& site) const;
};

struct UniformChoice {
  int weight_bits = 8, activation_bits = 8;
  std::optional<ActivationMode> mode = {};  // absent in a keep: that of all other layers
};
// Every layer the same; `keep`: node-name regex (or the words first, last) → choice.
QuantPlan uniform_plan(const Sites& sites, UniformChoice choice,
                       const std::vector<std::pair<std::string, UniformChoice>>& keep = {});

// Gives a value and all that have its parameters this width.
void set_activation_bits(QuantPlan& plan, const Sites& sites, const std::string& owner, int bits);

// Gives every layer of a plan these scales; layers that read codes, and all but dense ones, have
// one scale a channel where blocks are asked for: no integer kernel takes blocks. Stacks of matrices that read
// codes have one for the tensor. Throws Error{kUsage, QT-E129} when none could take a block, or for formats that have
// scales of their own.
void set_weight_scale(QuantPlan& plan, const Sites& sites, WeightScale scale);

// Gives every layer of a plan that is not kept by a rule this number format, and activations scales
// that are powers of two where the format says so. Throws Error{kUsage, QT-E136} when the format has
// no such width.
void set_format(QuantPlan& plan, const WeightFormat& format);

// Makes a plan in which some layers find parameters at run time one that can be written: what they read is
// float until then, for all its readers, which get the same mode. Layers without such a form read floats, which a
// warning says; convolutions, which have no rows, get one range for the tensor. Throws Error{kUsage, QT-E133}
// where such a layer reads other than 8 bits.
void settle_activation_modes(QuantPlan& plan, const Sites& sites, const Model& model);
// Why a layer cannot find its input's parameters at run time; empty: it can.
std::string why_not_dynamic(const Model& model, const LayerSite& site, const LayerChoice& choice);

// Sizes that budgets speak of.
struct PlanCost {
  double mean_weight_bits = 0;      // code width over quantizable weights
  double mean_activation_bits = 0;  // weighted by tensor size
  double bits_per_weight = 0;       // stored, with scales, zero points and codebooks
  // All weights as stored, Sites::stored, biases (with those that bias correction adds) and constants among them.
  int64_t size_bytes = 0;
  double bops = 0;  // Σ MACs · weight bits · activation bits
};
// What holds codes when weights are counted.
enum class Storage {
  kWidths,     // their own width, whatever a file would need
  kBytes,      // a byte, or half of one in 4-bit layers that read floats: `--export qdq`
  kClipped,    // the same, and bounds of codes narrower than what holds them: `--export qcdq`
  kOperators,  // as kBytes, and biases without scales: `--export qoperator`
  kPacked,     // of a layer, the smallest ONNX type that holds its widest: `--export packed`
  kSplit,      // of each output channel, the smallest that holds its width: `--export split`
};
inline bool in_bytes(Storage storage) {
  return storage == Storage::kBytes || storage == Storage::kClipped ||
         storage == Storage::kOperators;
}
PlanCost plan_cost(const QuantPlan& plan, const Sites& sites, const Model& model,
                   Storage storage = Storage::kWidths);

// plan.json: pretty-printed, keys sorted; unknown keys, widths and layers that are not there are
// Error{kUsage} with the nearest name.
void save_plan(const QuantPlan& plan, const std::filesystem::path& path);
QuantPlan load_plan(const std::filesystem::path& path, const Sites& sites,
                    const std::string& fingerprint);

}  // namespace qtool
