#include <algorithm>

#include "quantize/internal.hpp"

namespace qtool {

std::span<const ExportStyle* const> export_styles() {
  static const ExportStyle kQdq = {
      .name = "qdq",
      .summary = "QuantizeLinear and DequantizeLinear pairs, as onnxruntime fuses them",
      .storage = Storage::kBytes};
  static const ExportStyle kPacked = {
      .name = "packed",
      .summary = "qdq with weights of up to 4 bits in int4 and int2 (opset 21, 25): true storage",
      .storage = Storage::kPacked};
  static const ExportStyle kQcdq = {
      .name = "qcdq",
      .summary = "codes of fewer than 8 bits clipped as integers between Q and DQ (FINN, qonnx)",
      .storage = Storage::kClipped,
      .clips_codes = true};
  static const ExportStyle kSplit = {
      .name = "split",
      .summary =
          "packed, with the rows of a layer stored by their own widths and joined in front of it",
      .storage = Storage::kSplit};
  static const ExportStyle kCodebook = {
      .name = "codebook",
      .summary = "qdq with all weights as indices into codebooks, also those of whole numbers",
      .looks_up = true};
  static const ExportStyle kQoperator = {
      .name = "qoperator",
      .summary = "QLinearConv, QGemm, QLinearAdd … instead of pairs, for runtimes that do not fuse",
      .storage = Storage::kOperators,
      .rewrite = qdq::to_operators};
  static const ExportStyle kInteger = {
      .name = "integer",
      .summary = "integer operators of ONNX alone: sums, multipliers and shifts instead of scales",
      .rewrite = qdq::to_integers};
  static const ExportStyle kEncodings = {
      .name = "encodings",
      .summary =
          "the float model with weights on their grids, and OUTPUT.encodings in the form of AIMET",
      .describes = true};
  static const ExportStyle* const kList[] = {&kQdq,      &kPacked,    &kQcdq,    &kSplit,
                                             &kCodebook, &kQoperator, &kInteger, &kEncodings};
  return kList;
}

const ExportStyle& find_export_style(std::string_view name) {
  std::vector<std::string> names;
  for (const ExportStyle* style : export_styles()) {
    if (style->name == name) return *style;
    names.emplace_back(style->name);
  }
  const std::string near = nearest(name, names);
  throw Error(ErrorKind::kUsage, "QT-E122",
              cat("export style '", printable(name), "' is not available"))
      .hint(near.empty() ? "`qtool list exports` shows them" : cat("did you mean '", near, "'?"));
}

}  // namespace qtool
