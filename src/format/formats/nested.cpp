// Codes whose highest bits are codes of fewer bits: one file, any width.
#include "format/formats/records.hpp"

namespace qtool {
namespace {

constexpr std::string_view kLeast[] = {"2", "3", "4", "5", "6", "7"};
constexpr FormatOption kOptions[] = {{"least", "2", kLeast}};

// Two odd numbers of 6 bits times 255 fit into int16.
constexpr int kMostIntegerBits = 6;

// Middles of 2^b even cells around 0, each of which is halved by one bit more. int8 has no odd numbers of 8 bits: of
// a cell of 7 bits they are its middle and the number below.
Codebook codebook(const CodebookRequest& request) {
  Codebook book;
  if (request.bits == 8) {
    for (int level = -128; level < 128; ++level) book.levels.push_back(static_cast<float>(level));
    book.unit = normal_unit(book.levels);
  } else {
    std::vector<int> odd;
    for (int level = 1; level < 1 << request.bits; level += 2) odd.push_back(level);
    book = symmetric_codebook(odd, false);
  }
  book.spare_bits = spare_bits(request.format, request.bits);
  book.overflows_pairs = request.bits > kMostIntegerBits;
  return book;
}

}  // namespace

extern const FormatDef kNested = {
    .name = "nested",
    .summary =
        "a code's highest bits are its code of fewer bits, down to `least`: one file, any width",
    .levels = "+-1, +-3 ... +-(2^b-1); at 8 bits -128 ... 127",
    .paper = "arXiv 2402.10517, 2502.06786",
    .min_bits = 2,
    .max_bits = 8,
    .most_integer_bits = kMostIntegerBits,
    .options = kOptions,
    .of = CodebookOf::kFixed,
    .codebook = codebook,
    .least_bits = [](const WeightFormat& format) { return format.number("least"); },
    .nests = true};

}  // namespace qtool
