#include "data/labels.hpp"

#include <charconv>

#include "data/files.hpp"

namespace qtool::data {
namespace {

constexpr int64_t kMaxTextBytes = int64_t{256} << 20;

std::string trimmed(std::string_view text) {
  size_t first = text.find_first_not_of(" \t\r\"");
  if (first == std::string_view::npos) return "";
  return std::string(text.substr(first, text.find_last_not_of(" \t\r\"") - first + 1));
}

}  // namespace

std::vector<Line> read_lines(const std::filesystem::path& path) {
  std::string bytes = read_all(path, kMaxTextBytes);
  std::string_view rest = bytes;
  if (rest.starts_with("\xef\xbb\xbf")) rest.remove_prefix(3);
  if (rest.find('\0') != std::string_view::npos) fail("QT-E402", path, "is not a text file");
  std::vector<Line> lines;
  for (int64_t number = 1; !rest.empty(); ++number) {
    size_t end = std::min(rest.find('\n'), rest.size());
    std::string text = trimmed(rest.substr(0, end));
    if (!text.empty() && text[0] != '#') lines.push_back({number, std::move(text)});
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return lines;
}

std::vector<LabelRow> read_labels(const std::filesystem::path& path) {
  std::vector<LabelRow> rows;
  bool first = true;
  for (const Line& line : read_lines(path)) {
    size_t comma = line.text.rfind(',');
    std::string number =
        comma == std::string::npos ? "" : trimmed(std::string_view(line.text).substr(comma + 1));
    int64_t label = -1;
    auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), label);
    bool is_number =
        !number.empty() && error == std::errc() && end == number.data() + number.size();
    bool is_header = first && comma != std::string::npos && !is_number;
    first = false;
    if (is_header) continue;
    if (!is_number || label < 0) {
      fail("QT-E440", path,
           cat("line ", line.number, " is not 'file,label_index': '", printable(line.text, 80),
               "'"));
    }
    rows.push_back({trimmed(std::string_view(line.text).substr(0, comma)), label});
  }
  return rows;
}

}  // namespace qtool::data
