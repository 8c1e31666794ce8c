// Operators on text: StringConcat, StringSplit, StringNormalizer.
#include <algorithm>
#include <iterator>

#include "ops/movable.hpp"

namespace qtool {
namespace {

constexpr std::string_view kSpaces = " \t\n\v\f\r";
constexpr QuantRule kText{.reason = "works on text"};

const std::vector<std::string>& text_data(const Call& call, size_t i) {
  const Tensor& t = call.in(i);
  if (t.dtype() != DType::kString) unsupported_type(call, t.dtype());
  return t.string_data();
}

std::vector<Tensor> eval_string_concat(const Call& call) {
  const auto &x = text_data(call, 0), &y = text_data(call, 1);
  const Shape &a = call.in(0).shape(), &b = call.in(1).shape();
  const Shape shape = broadcast(a, b);
  const LoopNest<2> nest{shape, {broadcast_strides(a, shape), broadcast_strides(b, shape)}};
  std::vector<std::string> out;
  int64_t bytes = 0;
  for_each_run(simplified(nest), [&](const auto& at, int64_t count, const auto& step) {
    for (int64_t i = 0; i < count; ++i) {
      out.push_back(x[static_cast<size_t>(at[0] + i * step[0])] +
                    y[static_cast<size_t>(at[1] + i * step[1])]);
      bytes += static_cast<int64_t>(sizeof(std::string) + out.back().size());
      if (out.size() % 4096 == 0) check_allocation(bytes);
    }
  });
  return {Tensor::strings(shape, std::move(out))};
}

// Parts of a text between delimiters, or between runs of white space when there is none.
std::vector<std::string> split_text(std::string_view text, const std::string& delimiter,
                                    int64_t splits) {
  const bool spaces = delimiter.empty();
  std::vector<std::string> parts;
  while (true) {
    if (spaces) {
      const size_t begin = text.find_first_not_of(kSpaces);
      if (begin == std::string_view::npos) return parts;
      text.remove_prefix(begin);
    }
    const size_t end = splits-- == 0
                           ? std::string_view::npos
                           : (spaces ? text.find_first_of(kSpaces) : text.find(delimiter));
    parts.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + (spaces ? 1 : delimiter.size()));
  }
}

std::vector<Tensor> eval_string_split(const Call& call) {
  const std::vector<std::string>& x = text_data(call, 0);
  const std::string delimiter = call.text("delimiter", "");
  const int64_t splits = call.integer("maxsplit", -1);
  require(splits >= -1, call, "maxsplit is ", splits);
  std::vector<std::vector<std::string>> all;
  Tensor counts(DType::kInt64, call.in(0).shape());
  const auto count = counts.mutable_data<int64_t>();
  size_t most = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    all.push_back(split_text(x[i], delimiter, splits));
    count[i] = static_cast<int64_t>(all[i].size());
    most = std::max(most, all[i].size());
  }
  Shape shape = call.in(0).shape();
  shape.push_back(static_cast<int64_t>(most));
  check_allocation(checked_multiply(element_count(shape), sizeof(std::string), call));
  std::vector<std::string> out;
  for (std::vector<std::string>& parts : all) {
    parts.resize(most);
    out.insert(out.end(), std::make_move_iterator(parts.begin()),
               std::make_move_iterator(parts.end()));
  }
  return {Tensor::strings(shape, std::move(out)), counts};
}

// ASCII letters only: other letters' case depends on the locale, and is refused.
std::string change_case(const Call& call, std::string text, bool upper) {
  for (char& c : text) {
    refuse(static_cast<unsigned char>(c) >= 0x80, call,
           "the case of letters beyond ASCII is not supported");
    if (upper && c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    if (!upper && c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

std::vector<Tensor> eval_string_normalizer(const Call& call) {
  const Tensor& x = call.in(0);
  const std::string action = call.text("case_change_action", "NONE");
  require(action == "NONE" || action == "LOWER" || action == "UPPER", call, "case_change_action '",
          printable(action), "' is not known");
  require(x.rank() == 1 || (x.rank() == 2 && x.dim(0) == 1), call, "input ", shape_text(x.shape()),
          " is neither [C] nor [1, C]");
  std::vector<std::string> stops;
  if (const Attribute* a = find_attribute(call.node, "stopwords")) {
    if (const auto* list = std::get_if<std::vector<std::string>>(&a->value)) stops = *list;
  }
  const bool exact = call.integer("is_case_sensitive", 0) != 0;
  const auto key = [&](const std::string& s) { return exact ? s : change_case(call, s, false); };
  for (std::string& s : stops) s = key(s);
  std::sort(stops.begin(), stops.end());
  std::vector<std::string> kept;
  for (const std::string& s : text_data(call, 0)) {
    if (!stops.empty() && std::binary_search(stops.begin(), stops.end(), key(s))) continue;
    kept.push_back(action == "NONE" ? s : change_case(call, s, action == "UPPER"));
  }
  if (kept.empty()) kept.emplace_back();
  Shape shape(x.shape().size(), 1);
  shape.back() = static_cast<int64_t>(kept.size());
  return {Tensor::strings(shape, std::move(kept))};
}

}  // namespace

extern const OpDef kStringConcat{
    .type = "StringConcat", .since = 20, .eval = eval_string_concat, .quant = kText};
extern const OpDef kStringSplit{
    .type = "StringSplit", .since = 20, .eval = eval_string_split, .quant = kText};
extern const OpDef kStringNormalizer{
    .type = "StringNormalizer", .since = 10, .eval = eval_string_normalizer, .quant = kText};

}  // namespace qtool
