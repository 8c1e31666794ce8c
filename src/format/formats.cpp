#include <algorithm>
#include <array>
#include <numeric>

#include "qtool/number_format.hpp"

namespace qtool {

extern const FormatDef kUniform, kFixedPoint, kBlockFloat, kFloatE2, kMx, kPowerOfTwo, kApot,
    kLogRoot, kKmeans, kPiecewise, kCompanding, kVector, kProduct, kBinary, kTernary,
    kResidualBinary, kSyq, kFloat8, kNested;

std::span<const FormatDef* const> formats() {
  static const FormatDef* const kList[] = {
      &kUniform, &kFixedPoint, &kBlockFloat,     &kFloatE2,   &kMx,         &kFloat8, &kPowerOfTwo,
      &kApot,    &kLogRoot,    &kKmeans,         &kPiecewise, &kCompanding, &kVector, &kProduct,
      &kBinary,  &kTernary,    &kResidualBinary, &kSyq,       &kNested};
  return kList;
}

namespace {

const FormatDef& find_format(std::string_view name) {
  std::vector<std::string> names;
  for (const FormatDef* f : formats()) {
    if (f->name == name) return *f;
    names.emplace_back(f->name);
  }
  const std::string near = nearest(name, names);
  throw Error(ErrorKind::kUsage, "QT-E134", cat("unknown number format '", printable(name), "'"))
      .hint(near.empty() ? "`qtool list formats` shows them" : cat("did you mean '", near, "'?"));
}

std::string listed(std::span<const std::string_view> words) {
  std::string text;
  for (std::string_view word : words) text += cat(text.empty() ? "" : ", ", word);
  return text;
}

void set_option(WeightFormat& format, std::string_view part) {
  const size_t equals = part.find('=');
  const std::string_view name = part.substr(0, equals);
  const std::string_view value =
      equals == std::string_view::npos ? std::string_view() : part.substr(equals + 1);
  std::vector<std::string_view> names;
  for (const FormatOption& option : format.def->options) {
    names.push_back(option.name);
    if (option.name != name) continue;
    if (std::find(option.values.begin(), option.values.end(), value) == option.values.end()) {
      throw Error(
          ErrorKind::kUsage, "QT-E135",
          cat("format ", format.def->name, ": ", name, " cannot be '", printable(value), "'"))
          .hint(cat("available: ", listed(option.values)));
    }
    format.options[std::string(name)] = value;
    return;
  }
  throw Error(ErrorKind::kUsage, "QT-E135",
              cat("format ", format.def->name, " has no option '", printable(name), "'"))
      .hint(names.empty() ? std::string("it has none") : cat("it has ", listed(names)));
}

}  // namespace

std::string WeightFormat::text() const {
  std::string text(def->name);
  char separator = ':';
  for (const FormatOption& option : def->options) {
    const std::string& value = options.at(std::string(option.name));
    if (value == option.fallback) continue;
    text += cat(std::string(1, separator), option.name, "=", value);
    separator = ',';
  }
  return text;
}

WeightFormat parse_format(std::string_view text) {
  const size_t colon = text.find(':');
  WeightFormat format;
  format.def = &find_format(text.substr(0, colon));
  for (const FormatOption& option : format.def->options)
    format.options[std::string(option.name)] = option.fallback;
  if (colon == std::string_view::npos) return format;
  for (const std::string& part : split(text.substr(colon + 1), ',')) set_option(format, part);
  return format;
}

std::vector<std::string> parse_formats(std::string_view text) {
  std::vector<std::string> parts;
  for (const std::string& part : split(text, ',')) {
    const size_t equals = part.find('=');
    const bool option = equals != std::string::npos && part.find(':') > equals;
    if (option && !parts.empty()) {
      parts.back() += cat(",", part);
    } else {
      parts.push_back(part);
    }
  }
  for (std::string& part : parts) part = parse_format(part).text();
  return parts;
}

int least_bits(const WeightFormat& format) {
  return format.def->least_bits ? format.def->least_bits(format) : format.def->min_bits;
}

int most_bits(const WeightFormat& format) {
  return std::min(format.def->max_bits, static_cast<int>(8 / dim_of(format)));
}

bool has_bits(const WeightFormat& format, int bits) {
  return bits >= least_bits(format) && bits <= most_bits(format);
}

void check_format_bits(const WeightFormat& format, int bits) {
  if (has_bits(format, bits)) return;
  const int least = least_bits(format), most = most_bits(format);
  throw Error(ErrorKind::kUsage, "QT-E136",
              cat("format ", format.text(), " has no weights of ", bits, " bits"))
      .hint(least == most ? cat("it has ", most) : cat("it has ", least, " to ", most));
}

Subgroup subgroup_of(const WeightFormat& format) {
  return format.def->subgroup ? format.def->subgroup(format) : Subgroup::kChannel;
}

int64_t dim_of(const WeightFormat& format) { return format.def->dim ? format.def->dim(format) : 1; }

int64_t spaces_of(const WeightFormat& format, int64_t columns) {
  if (!format.def->spaces) return 1;
  const int64_t dim = dim_of(format);
  return std::gcd((columns + dim - 1) / dim, format.def->spaces(format));
}

int spare_bits(const WeightFormat& format, int bits) {
  return format.def->nests ? bits - least_bits(format) : 0;
}

int macs_of(const WeightFormat& format, int bits) {
  return format.def->macs ? format.def->macs(bits) : 1;
}

bool runs_on_integers(const WeightFormat& format, int bits) {
  return subgroup_of(format) == Subgroup::kChannel && format.def->of != CodebookOf::kType &&
         bits <= format.def->most_integer_bits;
}

namespace {

constexpr std::array<std::string_view, 4> kMacs = {"multiply", "shift", "add", "lookup"};

}  // namespace

std::string_view mac_name(MacKind kind) { return kMacs[static_cast<size_t>(kind)]; }

std::optional<MacKind> find_mac(std::string_view name) {
  const auto at = std::ranges::find(kMacs, name);
  if (at == kMacs.end()) return std::nullopt;
  return static_cast<MacKind>(at - kMacs.begin());
}

namespace {

int64_t all_levels_bits(const WeightFormat& format, int bits) {
  return (int64_t{1} << (bits * dim_of(format))) * dim_of(format) * 8;
}

}  // namespace

int64_t codebook_bits(const WeightFormat& format, int bits, int64_t columns) {
  if (format.def->of != CodebookOf::kLayer) return 0;
  return spaces_of(format, columns) * all_levels_bits(format, bits);
}

int64_t shared_codebook_bits(const WeightFormat& format, int bits) {
  if (format.def->of == CodebookOf::kModel) return all_levels_bits(format, bits);
  if (format.def->of != CodebookOf::kFixed) return 0;
  const Codebook book = format.def->codebook({format, bits, {}});
  return book.codes_are_levels() ? 0 : 8 * book.entries() * (1 + book.spare_bits);
}

}  // namespace qtool
