// .npy, .npz, and folders of one .npy per graph input.
#include <algorithm>
#include <optional>

#include "data/arrays.hpp"
#include "data/files.hpp"
#include "data/fit.hpp"
#include "data/npz.hpp"

namespace qtool::data {
namespace {

namespace fs = std::filesystem;

bool is_npy(const fs::path& path) { return path.extension() == ".npy"; }

std::unique_ptr<Reader> open_npy(const fs::path& path, const ReadContext& context) {
  if (context.inputs.size() != 1) {
    throw Error(ErrorKind::kData, "QT-E432",
                cat("'", shown(path), "' feeds one input, the model has ", context.inputs.size(),
                    ": ", input_names(context.inputs)))
        .hint("use an .npz or a folder with one array per input name");
  }
  return open_arrays({path.string(), {{context.inputs[0].name, read_npy(path)}}, {}}, context);
}

bool is_npz(const fs::path& path) { return path.extension() == ".npz"; }

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names)
    text += cat(text.empty() ? "" : ", ", "'", printable(name), "'");
  return text.empty() ? "nothing numeric" : text;
}

bool is_input(const ReadContext& context, const std::string& name) {
  return std::ranges::any_of(context.inputs,
                             [&](const InputSpec& input) { return input.name == name; });
}

// The member that holds labels, unless an input has that name.
std::optional<std::string> label_member(const NpzFile& file, const ReadContext& context) {
  for (const char* name : {"y", "labels"}) {
    if (file.contains(name) && !is_input(context, name)) return name;
  }
  return std::nullopt;
}

// The samples of a model with one input when its name is not in the archive: 'x', 'images', or the
// only array.
std::optional<std::string> sole_member(const NpzFile& file,
                                       const std::optional<std::string>& labels) {
  for (const char* name : {"x", "images"})
    if (file.contains(name)) return name;
  std::vector<std::string> names = file.names();
  if (labels) std::erase(names, *labels);
  return names.size() == 1 ? std::optional(names[0]) : std::nullopt;
}

std::unique_ptr<Reader> open_npz(const fs::path& path, const ReadContext& context) {
  NpzFile file(path);
  Arrays arrays{path.string(), {}, {}};
  std::optional<std::string> labels = label_member(file, context);
  for (const InputSpec& input : context.inputs) {
    std::optional<std::string> member;
    if (file.contains(input.name))
      member = input.name;
    else if (context.inputs.size() == 1)
      member = sole_member(file, labels);
    if (!member) {
      throw Error(ErrorKind::kData, "QT-E432",
                  cat("'", shown(path), "' has no array '", printable(input.name), "'; it holds ",
                      listed(file.names())))
          .hint("save one array per graph input: np.savez(path, **{name: array})");
    }
    arrays.by_input.emplace(input.name, file.read(*member));
  }
  if (labels) arrays.labels = labels_from(file.read(*labels), cat(path.string(), ":", *labels));
  return open_arrays(std::move(arrays), context);
}

std::vector<std::string> npy_names(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (is_npy(entry.path())) names.push_back(entry.path().stem().string());
  }
  std::ranges::sort(names);
  return names;
}

bool is_array_folder(const fs::path& path) {
  return fs::is_directory(path) && !npy_names(path).empty();
}

std::unique_ptr<Reader> open_array_folder(const fs::path& path, const ReadContext& context) {
  Arrays arrays{path.string(), {}, {}};
  std::vector<std::string> names = npy_names(path);
  for (const InputSpec& input : context.inputs) {
    // The input's name is compared with names that are there, never made into a path.
    if (std::ranges::find(names, input.name) == names.end()) {
      throw_data("QT-E432", cat("'", shown(path), "' has no '", printable(input.name),
                                ".npy'; it holds ", listed(names)));
    }
    arrays.by_input.emplace(input.name, read_npy(path / (input.name + ".npy")));
  }
  for (const char* name : {"y", "labels"}) {
    bool there = std::ranges::find(names, name) != names.end() && !is_input(context, name);
    if (!there || !arrays.labels.empty()) continue;
    fs::path file = path / cat(name, ".npy");
    arrays.labels = labels_from(read_npy(file), file.string());
  }
  return open_arrays(std::move(arrays), context);
}

}  // namespace

const ReaderDef kNpyReader = {
    "npy", "array file; axis 0 counts samples, or whole feeds with one axis more", is_npy,
    open_npy};
const ReaderDef kNpzReader = {
    "npz", "one array per graph input, or a sole array x/images with labels y/labels", is_npz,
    open_npz};
const ReaderDef kArrayFolderReader = {"npy-folder", "folder with one .npy per graph input",
                                      is_array_folder, open_array_folder};

}  // namespace qtool::data
