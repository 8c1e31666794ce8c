// Widths and keep rules as they are written on the command line.
#include <algorithm>
#include <charconv>
#include <optional>
#include <regex>

#include "qtool/budget.hpp"

namespace qtool {
namespace {

constexpr int kMaxBits = 16;
// A regular expression compiles to at most about this many states; more could exhaust the stack.
constexpr size_t kMaxPattern = 500;
constexpr int64_t kMaxRepeats = 1000;

[[noreturn]] void fail(std::string code, std::string message, std::string hint) {
  throw Error(ErrorKind::kUsage, std::move(code), std::move(message)).hint(std::move(hint));
}

// A width of 1 to 16 at the start of `text`, which it removes.
std::optional<int> take_bits(std::string_view& text) {
  int bits = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), bits);
  if (error != std::errc() || bits < 1 || bits > kMaxBits) return std::nullopt;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return bits;
}

bool take(std::string_view& text, char letter) {
  if (text.empty() || (text[0] | 0x20) != letter) return false;
  text.remove_prefix(1);
  return true;
}

std::optional<UniformChoice> read_widths(std::string_view text) {
  if (!take(text, 'w')) return std::nullopt;
  const std::optional<int> weight = take_bits(text);
  if (!weight) return std::nullopt;
  if (text.empty()) return UniformChoice{*weight, kFloatBits};
  if (!take(text, 'a')) return std::nullopt;
  const std::optional<int> activation = take_bits(text);
  if (!activation) return std::nullopt;
  if (text.empty()) return UniformChoice{*weight, *activation};
  if (!take(text, ':')) return std::nullopt;
  const std::optional<ActivationMode> mode = find_activation_mode(text);
  if (!mode) return std::nullopt;
  return UniformChoice{*weight, *activation, mode};
}

// Product of the counts of all {n,m}: how far an expression can grow when it is compiled.
int64_t repeats(const std::string& pattern) {
  int64_t product = 1;
  for (size_t at = pattern.find('{'); at != std::string::npos; at = pattern.find('{', at + 1)) {
    int64_t largest = 1;
    const char* p = pattern.data() + at + 1;
    const char* const end = pattern.data() + pattern.size();
    while (p != end && *p != '}') {
      int64_t count = 0;
      const auto [next, error] = std::from_chars(p, end, count);
      if (error == std::errc::result_out_of_range) return kMaxRepeats + 1;
      largest = std::max(largest, count);
      p = next == p ? p + 1 : next;
    }
    if (largest > kMaxRepeats) return kMaxRepeats + 1;
    product *= largest;
    if (product > kMaxRepeats) return product;
  }
  return product;
}

std::regex compile(const std::string& pattern) {
  const std::string hint =
      "layers are named as `qtool inspect` shows them; for example --keep '^conv1$=w8a8'";
  if (pattern.size() > kMaxPattern || repeats(pattern) > kMaxRepeats) {
    fail("QT-E115", cat("keep: the expression '", printable(pattern, 60), "' is too large"), hint);
  }
  try {
    auto syntax = std::regex::ECMAScript | std::regex::nosubs;
#ifdef __GLIBCXX__
    // Breadth first: neither time nor stack grows with the name as backtracking's would.
    syntax |= std::regex_constants::__polynomial;
#endif
    return std::regex(pattern, syntax);
  } catch (const std::regex_error& e) {
    fail("QT-E115",
         cat("keep: '", printable(pattern, 60), "' is no regular expression: ", e.what()), hint);
  }
}

// Parts at commas that stand outside of brackets and are not escaped.
std::vector<std::string> split_patterns(std::string_view text) {
  std::vector<std::string> parts(1);
  int depth = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\\' && i + 1 < text.size()) {
      parts.back() += c;
      parts.back() += text[++i];
      continue;
    }
    if (c == '(' || c == '[' || c == '{') ++depth;
    if (c == ')' || c == ']' || c == '}') --depth;
    if (c == ',' && depth <= 0) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

}  // namespace

UniformChoice parse_uniform(std::string_view text) {
  if (const std::optional<UniformChoice> choice = read_widths(text)) return *choice;
  fail("QT-E114",
       cat("'", printable(text, 60), "': expected wN, wNaM or wNa8:token with 1 to ", kMaxBits,
           " bits"),
       "for example --uniform w4a8, --uniform w4 for float activations, or w8a8:dynamic or :token "
       "for "
       "ranges found at run time");
}

WeightScale parse_weight_scale(std::string_view text) {
  constexpr std::string_view kBlock = "block:", kGroup = "group:";
  // What MatMulNBits takes: powers of two from 16 on.
  constexpr int64_t kSmallest = 16, kLargest = 1 << 16;
  if (text == "channel") return {};
  if (text == "tensor") return {.channels = 0};
  const bool block = text.starts_with(kBlock);
  if (block || text.starts_with(kGroup)) {
    int64_t n = 0;
    const char* const end = text.data() + text.size();
    const auto [next, error] =
        std::from_chars(text.data() + (block ? kBlock : kGroup).size(), end, n);
    const bool number = error == std::errc() && next == end && n <= kLargest;
    if (number && block && n >= kSmallest && (n & (n - 1)) == 0) return {.block = n};
    if (number && !block && n >= 2) return {.channels = n};
  }
  fail("QT-E117",
       cat("weight scale '", printable(text, 60),
           "': expected tensor, channel, group:N with at least 2 channels, or block:N with a power "
           "of "
           "two of at least ",
           kSmallest),
       "for example --weight-scale block:32");
}

std::string weight_scale_text(WeightScale scale) {
  if (scale.block > 0) return cat("block:", scale.block);
  if (scale.channels == 0) return "tensor";
  return scale.channels == 1 ? "channel" : cat("group:", scale.channels);
}

std::string choice_text(UniformChoice choice) {
  if (choice.weight_bits == kFloatBits) return "float";
  if (choice.activation_bits == kFloatBits) return cat("w", choice.weight_bits);
  const std::string widths = cat("w", choice.weight_bits, "a", choice.activation_bits);
  const ActivationMode mode = choice.mode.value_or(ActivationMode::kStatic);
  return mode == ActivationMode::kStatic ? widths : cat(widths, ":", activation_mode_name(mode));
}

std::vector<Keep> parse_keep(std::string_view text) {
  const std::string hint = "for example --keep first,last=w8a8 or --keep '^head=float'";
  // The expression may hold "=" itself, the widths never do.
  const size_t equals = text.rfind('=');
  if (equals == std::string_view::npos) {
    fail("QT-E115", cat("keep '", printable(text, 60), "': expected REGEX=widths"), hint);
  }
  const std::string_view right = text.substr(equals + 1);
  const std::optional<UniformChoice> choice =
      right == "float" ? UniformChoice{kFloatBits, kFloatBits} : read_widths(right);
  if (!choice) {
    fail("QT-E115",
         cat("keep '", printable(text, 60),
             "': expected wN, wNaM, wNa8:token or float after '=', got '", printable(right, 60),
             "'"),
         hint);
  }
  std::vector<Keep> keeps;
  for (std::string& pattern : split_patterns(text.substr(0, equals))) {
    if (pattern.empty()) {
      fail("QT-E115", cat("keep '", printable(text, 60), "': a layer's expression is empty"), hint);
    }
    compile(pattern);
    keeps.emplace_back(std::move(pattern), *choice);
  }
  return keeps;
}

bool name_matches(const std::string& pattern, const std::string& name) {
  return std::regex_search(name, compile(pattern));
}

std::vector<int> parse_bits_list(std::string_view text) {
  std::vector<int> bits;
  for (const std::string& part : split(text, ',')) {
    std::string_view rest = part;
    const bool word = part == "float" || part == "0";
    const std::optional<int> width = word ? (part == "0" ? 0 : kFloatBits) : take_bits(rest);
    if (!width || (!word && !rest.empty())) {
      fail("QT-E116",
           cat("'", printable(part, 60), "': expected a width of 1 to ", kMaxBits,
               " bits, 0 (pruned) or float"),
           "for example --weights 2,3,4,8 or --activations 8,float");
    }
    if (std::find(bits.begin(), bits.end(), *width) != bits.end()) {
      fail("QT-E116", cat("'", part, "' is given twice"), "name each width once");
    }
    bits.push_back(*width);
  }
  std::sort(bits.begin(), bits.end());
  return bits;
}

}  // namespace qtool
