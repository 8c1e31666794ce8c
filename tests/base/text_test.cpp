#include <gtest/gtest.h>

#include <clocale>
#include <limits>

#include "base/utf8.hpp"
#include "qtool/base.hpp"

namespace qtool {
namespace {

TEST(Printable, KeepsPlainTextAndUtf8) {
  EXPECT_EQ(printable("conv1/weight_0"), "conv1/weight_0");
  EXPECT_EQ(printable("größe 重み 🙂"), "größe 重み 🙂");
}

TEST(Printable, EscapesControlBytes) {
  EXPECT_EQ(printable("\x1b[31mred"), "\\x1b[31mred");
  EXPECT_EQ(printable(std::string_view("a\0b\n\t\x7f", 6)), "a\\x00b\\x0a\\x09\\x7f");
  EXPECT_EQ(printable("\xc2\x9b"
                      "31m"),
            "\\xc2\\x9b31m");  // C1: another way to begin an escape
}

TEST(Printable, EscapesInvalidUtf8) {
  EXPECT_EQ(printable("\xff"), "\\xff");
  EXPECT_EQ(printable("\xc3"), "\\xc3");           // cut short
  EXPECT_EQ(printable("\xc0\xaf"), "\\xc0\\xaf");  // overlong '/'
  EXPECT_EQ(printable("\xe0\x80\xaf"), "\\xe0\\x80\\xaf");
  EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80");  // surrogate
  EXPECT_EQ(printable("\xf5\x80\x80\x80"), "\\xf5\\x80\\x80\\x80");
  EXPECT_EQ(printable("\x80"
                      "a"),
            "\\x80a");
}

TEST(Printable, EscapesMarksThatReorderText) {
  EXPECT_EQ(printable("a\u202eb"), "a\\xe2\\x80\\xaeb");
  EXPECT_EQ(printable("a\u2066b"), "a\\xe2\\x81\\xa6b");
}

TEST(Printable, CutsLongText) {
  EXPECT_EQ(printable("abcdef", 3), "abc…");
  EXPECT_EQ(printable("abc", 3), "abc");
  EXPECT_LT(printable(std::string(1 << 20, 'x')).size(), 300u);
}

TEST(Printable, EveryByteAloneIsHarmless) {
  for (int byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    for (const char out : printable(std::string_view(&c, 1))) {
      EXPECT_GE(out, 0x20) << byte;
      EXPECT_LT(out, 0x7f) << byte;
    }
  }
}

TEST(Printable, LinesKeepNewlines) {
  EXPECT_EQ(printable_lines("a\n\tb\x1b\n"), "a\n\tb\\x1b\n");
  EXPECT_EQ(printable_lines(""), "");
}

TEST(Nearest, FindsTheClosestCandidate) {
  const std::vector<std::string> names = {"calibrate", "quantize", "evaluate", "search"};
  EXPECT_EQ(nearest("quantise", names), "quantize");
  EXPECT_EQ(nearest("serach", names), "search");  // a swap is one mistake
  EXPECT_EQ(nearest("SEARCH", names), "search");
  EXPECT_EQ(nearest("search", names), "search");
}

TEST(Nearest, IsEmptyWhenNothingIsNear) {
  EXPECT_EQ(nearest("xyzzy", {"calibrate", "quantize"}), "");
  EXPECT_EQ(nearest("", {"a"}), "");
  EXPECT_EQ(nearest("a", {}), "");
  EXPECT_EQ(nearest(std::string(1 << 20, 'a'), {std::string(1 << 20, 'b')}), "");
}

TEST(HumanBytes, ScalesByThousands) {
  EXPECT_EQ(human_bytes(0), "0 B");
  EXPECT_EQ(human_bytes(999), "999 B");
  EXPECT_EQ(human_bytes(1000), "1.0 kB");
  EXPECT_EQ(human_bytes(12345), "12.3 kB");
  EXPECT_EQ(human_bytes(999960), "1.0 MB");
  EXPECT_EQ(human_bytes(1.2e6), "1.2 MB");
  EXPECT_EQ(human_bytes(3e12), "3.0 TB");
}

TEST(Split, KeepsEmptyParts) {
  EXPECT_EQ(split("a,b,,c", ','), (std::vector<std::string>{"a", "b", "", "c"}));
  EXPECT_EQ(split("", ','), (std::vector<std::string>{""}));
  EXPECT_EQ(split(",", ','), (std::vector<std::string>{"", ""}));
}

TEST(Fixed, IgnoresTheLocale) {
  setlocale(LC_ALL, "de_DE.UTF-8");
  EXPECT_EQ(fixed(1234.5678, 2), "1234.57");
  setlocale(LC_ALL, "C");
  EXPECT_EQ(fixed(-0.5, 0), "-0");
  EXPECT_EQ(fixed(2, 3), "2.000");
  EXPECT_EQ(fixed(std::numeric_limits<double>::max(), 1).size(), 311u);
  EXPECT_EQ(fixed(std::numeric_limits<double>::infinity(), 1), "inf");
}

TEST(FormatTable, AlignsNumbersRight) {
  EXPECT_EQ(format_table({{"layer", "bits", "loss"}, {"conv1", "8", "0.5"}, {"fc", "4", "12.25"}}),
            "layer  bits   loss\n"
            "-----  ----  -----\n"
            "conv1     8    0.5\n"
            "fc        4  12.25\n");
}

TEST(FormatTable, CountsCharactersAndToleratesShortRows) {
  EXPECT_EQ(format_table({{"ä", "b"}, {"xyz"}, {"ö", "-"}}),
            "ä    b\n"
            "---  -\n"
            "xyz\n"
            "ö    -\n");
  EXPECT_EQ(format_table({}), "");
  EXPECT_EQ(format_table({{"only", "header"}}), "only  header\n----  ------\n");
}

}  // namespace
}  // namespace qtool
