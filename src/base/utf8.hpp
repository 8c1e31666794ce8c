// UTF-8 as far as terminals need it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace qtool {

// Bytes of the character that `text` begins with when it is well-formed UTF-8 and harmless on a
// terminal; 0 for control characters (C0, DEL, C1), overlong forms, surrogates, marks that reorder
// text, and broken sequences.
size_t printable_length(std::string_view text);

// Columns that `text` takes, counting one per code point.
size_t utf8_width(std::string_view text);

// The text with every unprintable byte as \xNN, newlines and tabs kept.
std::string printable_lines(std::string_view text);

}  // namespace qtool
