// ONNX test sets: test_data_set_*/input_N.pb, one whole feed each.
#include <algorithm>
#include <charconv>

#include "data/files.hpp"
#include "data/fit.hpp"
#include "data/reader.hpp"
#include "qtool/onnx.hpp"

namespace qtool::data {
namespace {

namespace fs = std::filesystem;
constexpr std::string_view kPrefix = "test_data_set_";

bool is_set(const fs::path& path) { return fs::is_regular_file(path / "input_0.pb"); }

// The set itself, or those in the folder in the order of their numbers.
std::vector<fs::path> sets_of(const fs::path& folder) {
  if (is_set(folder)) return {folder};
  std::vector<std::pair<int64_t, fs::path>> numbered;
  for (const auto& entry : fs::directory_iterator(folder)) {
    std::string name = entry.path().filename().string();
    if (!name.starts_with(kPrefix) || !is_set(entry.path())) continue;
    int64_t number = 0;
    std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), number);
    numbered.emplace_back(number, entry.path());
  }
  std::ranges::sort(numbered);
  std::vector<fs::path> sets;
  for (auto& [number, path] : numbered) sets.push_back(std::move(path));
  return sets;
}

class TestSetReader : public Reader {
 public:
  TestSetReader(std::vector<fs::path> sets, const ReadContext& context, std::string where)
      : sets_(std::move(sets)), inputs_(context.inputs), where_(std::move(where)) {
    for (const fs::path& set : sets_) check_count(set);
  }

  int64_t count() const override { return static_cast<int64_t>(sets_.size()); }
  bool gluable() const override { return false; }
  std::vector<Shape> shapes(int64_t) const override { return {}; }
  std::string origin(int64_t index) const override {
    return cat("'", sets_[static_cast<size_t>(index)].string(), "'");
  }
  std::string describe() const override {
    return cat(count(), " ONNX test sets in ", shown(where_));
  }
  const std::vector<int64_t>& labels() const override { return labels_; }

  Feed read(int64_t index) const override {
    Feed feed;
    for (size_t i = 0; i < inputs_.size(); ++i) {
      fs::path file = input_path(sets_[static_cast<size_t>(index)], i);
      std::string what = cat("'", file.string(), "'");
      Tensor tensor = load(file);
      check_type(inputs_[i], tensor.dtype(), what);
      check_shape(inputs_[i], tensor.shape(), Axis0::kFixed, what);
      feed.emplace(inputs_[i].name, converted(tensor, inputs_[i], what));
    }
    return feed;
  }

 private:
  static fs::path input_path(const fs::path& set, size_t index) {
    return set / cat("input_", index, ".pb");
  }

  void check_count(const fs::path& set) const {
    size_t files = 0;
    while (fs::is_regular_file(input_path(set, files))) ++files;
    if (files != inputs_.size()) {
      throw_data("QT-E432", cat("'", shown(set), "' holds ", files, " inputs, the model has ",
                                inputs_.size(), ": ", input_names(inputs_)));
    }
  }

  // A tensor file that cannot be read is bad data, not a bad model.
  static Tensor load(const fs::path& path) {
    try {
      return load_tensor_pb(path).tensor;
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kModel) throw;
      throw_data("QT-E450", cat("'", shown(path), "': ", error.message()));
    }
  }

  std::vector<fs::path> sets_;
  std::vector<InputSpec> inputs_;
  std::string where_;
  std::vector<int64_t> labels_;
};

bool is_test_set_folder(const fs::path& path) {
  return fs::is_directory(path) && !sets_of(path).empty();
}

std::unique_ptr<Reader> open_test_sets(const fs::path& path, const ReadContext& context) {
  return std::make_unique<TestSetReader>(sets_of(path), context, path.string());
}

}  // namespace

const ReaderDef kTestSetReader = {"onnx-test-set",
                                  "folder of test_data_set_*/input_N.pb, or one such set",
                                  is_test_set_folder, open_test_sets};

}  // namespace qtool::data
