// labels.csv beside pictures.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace qtool::data {

struct LabelRow {
  std::string file;  // relative to the folder
  int64_t label = 0;
};
// Rows "file,label_index" in their order; a first row without a number is a header, '#' begins a
// comment. Error{kData} with the line number when a row makes no sense.
std::vector<LabelRow> read_labels(const std::filesystem::path& path);

// Lines of a small text file without line ends; empty lines and '#' comments are kept out.
struct Line {
  int64_t number;
  std::string text;
};
std::vector<Line> read_lines(const std::filesystem::path& path);

}  // namespace qtool::data
