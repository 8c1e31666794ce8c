// What Preprocess does to sizes, and its checks.
#pragma once

#include "qtool/data.hpp"

namespace qtool::data {

struct Size {
  int64_t height = 0, width = 0;
  bool operator==(const Size&) const = default;
};

// Error{kUsage}: "unknown interpolation 'bicubix'", with the nearest word.
[[noreturn]] void throw_unknown_word(const std::string& what, const std::string& word,
                                     const std::vector<std::string>& known);
// Error{kUsage} when a field is out of range or two resizing rules are given at once.
void check_preprocess(const Preprocess& p);
// Says so where pictures pass as they are, 0 to 255, which few models expect.
void tell_unscaled(const Preprocess& p);
bool wants_grey(const Preprocess& p);
// Height and width of the tensor that a picture of this size becomes.
Size preprocessed_size(Size picture, const Preprocess& p);
// [1, C, H, W] or [1, H, W, C].
Shape tensor_shape(Size size, int64_t channels, const Preprocess& p);

}  // namespace qtool::data
