// RegexFullMatch, by the library that the specification names for the syntax: RE2, whose time is linear in
// the text whatever the pattern.
#include <re2/re2.h>

#include "ops/dispatch.hpp"

namespace qtool {
namespace {

std::vector<Tensor> eval_regex_full_match(const Call& call) {
  const Tensor& x = call.in(0);
  if (x.dtype() != DType::kString) unsupported_type(call, x.dtype());
  const std::string pattern = call.text("pattern", "");
  const re2::RE2 regex(pattern, re2::RE2::Quiet);
  require(regex.ok(), call, "pattern '", printable(pattern),
          "' is not a regular expression: ", regex.error());
  Tensor out = Tensor::uninitialized(DType::kBool, x.shape());
  const auto matches = out.mutable_data<bool>();
  const std::vector<std::string>& texts = x.string_data();
  for (size_t i = 0; i < texts.size(); ++i) matches[i] = re2::RE2::FullMatch(texts[i], regex);
  return {out};
}

}  // namespace

extern const OpDef kRegexFullMatch{.type = "RegexFullMatch",
                                   .since = 20,
                                   .eval = eval_regex_full_match,
                                   .quant = {.reason = "works on text"}};

}  // namespace qtool
