#include <algorithm>

#include "qtool/number_format.hpp"

namespace qtool {

extern const FormatDef kUniform, kFixedPoint, kBlockFloat, kFloatE2, kMx, kPowerOfTwo, kApot,
    kLogRoot, kKmeans, kPiecewise, kCompanding, kVector, kBinary, kTernary, kResidualBinary, kSyq;

std::span<const FormatDef* const> formats() {
  static const FormatDef* const kList[] = {&kUniform, &kFixedPoint, &kBlockFloat,     &kFloatE2,
                                           &kMx,      &kPowerOfTwo, &kApot,           &kLogRoot,
                                           &kKmeans,  &kPiecewise,  &kCompanding,     &kVector,
                                           &kBinary,  &kTernary,    &kResidualBinary, &kSyq};
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

int most_bits(const WeightFormat& format) {
  return std::min(format.def->max_bits, static_cast<int>(8 / dim_of(format)));
}

bool has_bits(const WeightFormat& format, int bits) {
  return bits >= format.def->min_bits && bits <= most_bits(format);
}

void check_format_bits(const WeightFormat& format, int bits) {
  if (has_bits(format, bits)) return;
  const FormatDef& def = *format.def;
  const int most = most_bits(format);
  throw Error(ErrorKind::kUsage, "QT-E136",
              cat("format ", format.text(), " has no weights of ", bits, " bits"))
      .hint(def.min_bits == most ? cat("it has ", most)
                                 : cat("it has ", def.min_bits, " to ", most));
}

Subgroup subgroup_of(const WeightFormat& format) {
  return format.def->subgroup ? format.def->subgroup(format) : Subgroup::kChannel;
}

int64_t dim_of(const WeightFormat& format) { return format.def->dim ? format.def->dim(format) : 1; }

namespace {

int64_t all_levels_bits(const WeightFormat& format, int bits) {
  return (int64_t{1} << (bits * dim_of(format))) * dim_of(format) * 8;
}

}  // namespace

int64_t codebook_bits(const WeightFormat& format, int bits) {
  return format.def->of == CodebookOf::kLayer ? all_levels_bits(format, bits) : 0;
}

int64_t shared_codebook_bits(const WeightFormat& format, int bits) {
  const CodebookOf of = format.def->of;
  return of == CodebookOf::kModel || of == CodebookOf::kFixed ? all_levels_bits(format, bits) : 0;
}

}  // namespace qtool
