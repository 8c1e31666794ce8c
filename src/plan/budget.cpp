#include "qtool/budget.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace qtool {
namespace {

constexpr std::string_view kExample = "for example --budget 4.5bits or --budget 25%size,act=6bits";
constexpr size_t kMaxLimits = 64;

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

std::string_view trim(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

[[noreturn]] void fail(std::string code, std::string message, std::string hint) {
  throw Error(ErrorKind::kUsage, std::move(code), std::move(message)).hint(std::move(hint));
}

// "key=12.5unit@profile" taken apart; keys and units in lower case.
struct Parts {
  std::string key;
  double number = 0;
  std::string unit;
  std::string profile;
  bool at = false;  // an "@" was there
};

Parts take_apart(std::string_view text) {
  Parts parts;
  std::string_view rest = text;
  if (const size_t at = rest.find('@'); at != std::string_view::npos) {
    parts.at = true;
    parts.profile = trim(rest.substr(at + 1));
    rest = rest.substr(0, at);
  }
  if (const size_t equals = rest.find('='); equals != std::string_view::npos) {
    parts.key = lower(trim(rest.substr(0, equals)));
    if (parts.key.empty()) {
      fail("QT-E110", cat("budget '", printable(text), "': nothing stands before '='"),
           std::string(kExample));
    }
    rest = rest.substr(equals + 1);
  }
  rest = trim(rest);
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), parts.number);
  // from_chars takes "inf" and "nan" too; a limit is a number that one can write out.
  if (error != std::errc() || !std::isfinite(parts.number)) {
    fail("QT-E110", cat("budget '", printable(text), "': expected a number and a unit"),
         std::string(kExample));
  }
  parts.unit = lower(trim(rest.substr(static_cast<size_t>(end - rest.data()))));
  return parts;
}

// The key or unit that is nearest to what was written, as a hint.
std::string suggestion(const Parts& parts) {
  std::vector<std::string> keys, units;
  for (const LimitForm& form : limit_forms()) {
    if (!form.key.empty()) keys.emplace_back(form.key);
    if (form.key == parts.key) units.emplace_back(form.unit);
  }
  if (units.empty()) {
    const std::string near = nearest(parts.key, keys);
    return near.empty() ? std::string(kExample) : cat("did you mean '", near, "='?");
  }
  const auto lowered = [&] {
    std::vector<std::string> out;
    for (const std::string& unit : units) out.push_back(lower(unit));
    return out;
  }();
  const std::string near = nearest(parts.unit, lowered);
  if (near.empty()) {
    std::string all;
    for (const std::string& unit : units) all += (all.empty() ? "" : ", ") + unit;
    return cat("units here: ", all);
  }
  const auto at = std::find(lowered.begin(), lowered.end(), near) - lowered.begin();
  return cat("did you mean '", units[static_cast<size_t>(at)], "'?");
}

bool takes_profile(Limit::Kind kind) {
  return kind == Limit::kLatency || kind == Limit::kLatencyFraction;
}

void check_profile(std::string_view text, const Parts& parts, const LimitForm& form) {
  if (!takes_profile(form.kind)) {
    if (parts.at) {
      fail("QT-E113", cat("budget '", printable(text), "': only latency takes a profile"),
           "write the limit without '@…'");
    }
  } else if (parts.profile.empty()) {
    fail("QT-E113", cat("budget '", printable(text), "': latency needs the profile of a device"),
         cat("for example ", form.example.empty() ? "5ms@profile.json" : form.example));
  }
}

Limit parse_limit(std::string_view text) {
  const Parts parts = take_apart(text);
  for (const LimitForm& form : limit_forms()) {
    if (form.key != parts.key || lower(form.unit) != parts.unit) continue;
    check_profile(text, parts, form);
    const double value = parts.number * form.factor;
    if (!(value >= form.min && value <= form.max)) {
      fail("QT-E112",
           cat("budget '", printable(text), "': expected ", form.min / form.factor, " to ",
               form.max / form.factor, " ", form.unit),
           std::string(form.meaning));
    }
    return {form.kind, value, parts.profile};
  }
  const std::string written = parts.key.empty() ? parts.unit : parts.key + "=…" + parts.unit;
  fail("QT-E111",
       cat("budget '", printable(text), "': there is no limit '", printable(written), "'"),
       suggestion(parts));
}

}  // namespace

const std::vector<LimitForm>& limit_forms() {
  using enum Limit::Kind;
  constexpr double kTiny = 1e-9, kBytes = 1e15, kOps = 1e18, kMs = 1e9;
  constexpr std::string_view kSizeText = "bytes of all weights as stored";
  constexpr std::string_view kBopsText = "sum of MACs x weight bits x activation bits";
  constexpr std::string_view kLatencyText = "predicted latency by a device's cost table";
  constexpr std::string_view kPeakText = "bytes of activations alive at once, a sample";
  static const std::vector<LimitForm> forms = {
      {kBits, "", "bits", 1, kTiny, 32, "4.5bits", "mean code width of the quantizable weights"},
      {kBpw, "", "bpw", 1, kTiny, 64, "4.5bpw",
       "stored bits per weight, with scales and codebooks"},
      {kSize, "", "B", 1, 1, kBytes, "", kSizeText},
      {kSize, "", "kB", 1e3, 1, kBytes, "", kSizeText},
      {kSize, "", "MB", 1e6, 1, kBytes, "1.2MB", kSizeText},
      {kSize, "", "GB", 1e9, 1, kBytes, "", kSizeText},
      {kSize, "", "KiB", 1024, 1, kBytes, "", kSizeText},
      {kSize, "", "MiB", 1048576, 1, kBytes, "", kSizeText},
      {kSize, "", "GiB", 1073741824, 1, kBytes, "", kSizeText},
      {kSizeFraction, "", "%size", 0.01, kTiny, 1, "25%size", "the same against the float model"},
      {kBops, "", "bops", 1, 1, kOps, "", kBopsText},
      {kBops, "", "kbops", 1e3, 1, kOps, "", kBopsText},
      {kBops, "", "Mbops", 1e6, 1, kOps, "", kBopsText},
      {kBops, "", "Gbops", 1e9, 1, kOps, "3Gbops", kBopsText},
      {kBops, "", "Tbops", 1e12, 1, kOps, "", kBopsText},
      {kBopsFraction, "", "%bops", 0.01, kTiny, 1, "20%bops", "the same against 32 x 32 bits"},
      {kLatency, "", "us", 1e-3, kTiny, kMs, "", kLatencyText},
      {kLatency, "", "ms", 1, kTiny, kMs, "5ms@profile.json", kLatencyText},
      {kLatency, "", "s", 1e3, kTiny, kMs, "", kLatencyText},
      {kLatencyFraction, "", "%latency", 0.01, kTiny, 1, "60%latency@profile.json",
       "the same against the float model"},
      {kPeakMemory, "peak", "B", 1, 1, kBytes, "", kPeakText},
      {kPeakMemory, "peak", "kB", 1e3, 1, kBytes, "peak=200kB", kPeakText},
      {kPeakMemory, "peak", "MB", 1e6, 1, kBytes, "", kPeakText},
      {kPeakMemory, "peak", "KiB", 1024, 1, kBytes, "", kPeakText},
      {kPeakMemory, "peak", "MiB", 1048576, 1, kBytes, "", kPeakText},
      {kActivationBits, "act", "bits", 1, kTiny, 32, "act=6bits",
       "mean activation width, weighted by tensor size"},
      {kDrop, "drop", "%", 0.01, 0, 1, "drop=0.5%", "quality that may be lost, measured"},
      {kAgreement, "agreement", "%", 0.01, kTiny, 1, "agreement=99%",
       "agreement with the float model, measured"},
      {kSqnr, "sqnr", "dB", 1, -20, 200, "sqnr=20dB", "SQNR of the outputs, measured"},
  };
  return forms;
}

std::vector<Limit> parse_budget(std::string_view text) {
  std::vector<Limit> limits;
  for (const std::string& part : split(text, ',')) {
    const std::string_view one = trim(part);
    if (one.empty()) {
      fail("QT-E110", cat("budget '", printable(text), "': a limit is empty"),
           std::string(kExample));
    }
    if (limits.size() == kMaxLimits) {
      fail("QT-E110", cat("more than ", kMaxLimits, " limits"), std::string(kExample));
    }
    limits.push_back(parse_limit(one));
  }
  return limits;
}

std::string limit_text(const Limit& limit) {
  for (const LimitForm& form : limit_forms()) {
    if (form.kind != limit.kind || form.example.empty()) continue;
    // The shortest text that reads back to the same number; rounding twice can miss it by an ulp,
    // so its neighbours are tried.
    std::array<char, 32> digits{};
    double number = limit.value / form.factor;
    for (double candidate :
         {number, std::nextafter(number, 0.0), std::nextafter(number, HUGE_VAL)}) {
      if (candidate * form.factor == limit.value) {
        number = candidate;
        break;
      }
    }
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
    std::string text = form.key.empty() ? "" : cat(form.key, "=");
    text.append(digits.data(), end);
    text += form.unit;
    return limit.profile.empty() ? text : text + "@" + limit.profile;
  }
  throw_internal("a limit has no written form");
}

bool is_quality_floor(const Limit& limit) {
  return limit.kind == Limit::kDrop || limit.kind == Limit::kAgreement ||
         limit.kind == Limit::kSqnr;
}

}  // namespace qtool
