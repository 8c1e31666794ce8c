// What a device allows and what it costs (layer plan).
//
//   DeviceProfile p = load_profile("mcu-int8");          // or a file
//   double ms = p.layer_ms(site, 4, 8);
//
// A profile is a JSON file; tools/profiles/ are built in. docs/search.md describes its keys.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "qtool/plan.hpp"

namespace qtool {

struct DeviceProfile {
  // Widths that the device's kernels take; kFloatBits for float.
  struct Allowed {
    std::vector<std::string> ops;  // "*": all
    std::vector<int> weights, activations;
    std::vector<MacKind> macs =
        {};  // what a weight takes; empty: any format runs, as whole numbers
  };
  // Time of a layer: overhead + MACs / rate, of the row with its op, or "*", whose widths are the least
  // that hold its own.
  struct Cost {
    std::string op;
    int weights = 8, activations = 8;
    double gmacs_per_second = 0, overhead_us = 0;
    // Of formats whose weights take this, so often as they do; absent: of all, as multiplications.
    std::optional<MacKind> mac = {};
  };
  // A layer of one model as it was measured.
  struct Measured {
    std::string layer;
    double float_ms = 0, integer_ms = 0;
    double conversion_ms = 0;  // that codes around it take when it computes in float
  };

  std::string name, summary;
  std::string target = "ort-cpu";  // whose graphs it runs
  std::vector<Allowed> allowed;
  bool symmetric_activations = false;
  bool power_of_two_scales = false;            // of weights and activations
  std::string weight_scale = "channel";        // or "tensor"
  std::vector<std::string> equal_around = {};  // see ActivationStyle
  double conversion_ns = 0;                    // per element between codes and floats
  std::vector<Cost> costs;
  // By `qtool profile`, of the model with this fingerprint: they go before `costs`.
  std::string model_fingerprint;
  std::vector<Measured> layers;
  double other_float_ms = 0, other_integer_ms = 0;  // of all that is no layer

  // Weights of kFloatBits are multiplied.
  bool allows(std::string_view op, const Width& weights, int activations) const;
  // At some operator, beside some activation.
  bool allows_weights(const Width& weights) const;
  bool multiplies() const {
    return allows_weights({8, "uniform"}) || allows_weights({4, "uniform"});
  }
  // Formats with a scale a channel, without options, that it allows at some width.
  std::vector<std::string> formats() const;
  // Milliseconds a sample. Throws Error{kUsage, QT-E118} when no row prices it.
  double layer_ms(const LayerSite& site, const Width& weights, int activations) const;
  // Of so many elements made real in front of a layer and codes behind it.
  double conversion_ms(const LayerSite& site, int64_t elements) const;
  // Of everything that no width changes.
  double other_ms(bool any_integer) const {
    return any_integer ? other_integer_ms : other_float_ms;
  }
};

// A built-in profile by name, or a file (".json"). Throws Error{kUsage}: QT-E118 unknown name (with the
// nearest) or no such file, QT-E119 wrong content, naming the key.
DeviceProfile load_profile(const std::string& name_or_file);
DeviceProfile parse_profile(std::string_view json, const std::string& origin);
std::string profile_json(const DeviceProfile& profile);

// Names and summaries of the built-in ones.
std::vector<std::pair<std::string, std::string>> built_in_profiles();
bool is_profile(const std::string& name_or_file);

}  // namespace qtool
