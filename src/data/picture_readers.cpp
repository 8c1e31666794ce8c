// Folders, lists and single files of pictures.
#include <algorithm>
#include <map>

#include "data/files.hpp"
#include "data/fit.hpp"
#include "data/labels.hpp"
#include "data/picture.hpp"
#include "data/preprocess.hpp"
#include "data/reader.hpp"

namespace qtool::data {
namespace {

namespace fs = std::filesystem;

struct Picture {
  fs::path path;
  Size size{};  // after preprocessing
};

class PictureReader : public Reader {
 public:
  PictureReader(std::vector<Picture> pictures, std::vector<int64_t> labels, std::string where,
                int64_t skipped, const ReadContext& context, Preprocess preprocess)
      : pictures_(std::move(pictures)),
        labels_(std::move(labels)),
        where_(std::move(where)),
        skipped_(skipped),
        input_(context.inputs[0]),
        preprocess_(std::move(preprocess)) {}

  int64_t count() const override { return static_cast<int64_t>(pictures_.size()); }
  bool gluable() const override { return true; }
  const std::vector<int64_t>& labels() const override { return labels_; }
  int64_t skipped() const override { return skipped_; }
  std::string origin(int64_t index) const override {
    return cat("'", at(index).path.string(), "'");
  }
  std::string describe() const override {
    if (count() == 1 && skipped_ == 0) return shown(pictures_[0].path);
    return cat(count(), " pictures in ", shown(where_));
  }
  std::vector<Shape> shapes(int64_t index) const override {
    return {tensor_shape(at(index).size, wants_grey(preprocess_) ? 1 : 3, preprocess_)};
  }
  Feed read(int64_t index) const override {
    Tensor tensor = preprocess_image(read_image(at(index).path), preprocess_);
    if (tensor.shape() != shapes(index)[0])
      fail("QT-E401", at(index).path, "has changed while it was in use");
    return {{input_.name, converted(tensor, input_, origin(index))}};
  }

 private:
  const Picture& at(int64_t index) const { return pictures_[static_cast<size_t>(index)]; }

  std::vector<Picture> pictures_;
  std::vector<int64_t> labels_;
  std::string where_;
  int64_t skipped_;
  InputSpec input_;
  Preprocess preprocess_;
};

void check_input(const ReadContext& context, const std::string& where) {
  if (context.inputs.size() != 1 || context.inputs[0].shape.size() != 4) {
    throw_data("QT-E432",
               cat("'", printable(where),
                   "' holds pictures, which feed one input [N, C, H, W]; the model's inputs are ",
                   input_names(context.inputs)));
  }
  DType type = context.inputs[0].dtype;
  if (!can_convert(DType::kFloat, type) && type != DType::kUint8) {
    throw_data("QT-E431", cat("'", printable(where), "' holds pictures, input '",
                              printable(context.inputs[0].name), "' wants ", dtype_name(type)));
  }
}

// Grey pictures stay grey for a model with one channel; nothing is converted.
Preprocess adapted(const ReadContext& context, const std::vector<PictureInfo>& infos) {
  Preprocess p = context.preprocess;
  bool all_grey =
      std::ranges::all_of(infos, [](const PictureInfo& info) { return info.channels == 1; });
  if (all_grey && context.inputs[0].shape[p.layout == "NHWC" ? 3 : 1] == 1) p.grayscale = true;
  return p;
}

// Header of one picture; with skip_bad all of it, so that what is kept can be decoded later.
PictureInfo examine(const fs::path& path, bool skip_bad) {
  PictureInfo info = picture_info(path);
  if (skip_bad) read_image(path);
  return info;
}

std::unique_ptr<Reader> open_pictures(const std::vector<fs::path>& paths,
                                      const std::vector<int64_t>& labels, const std::string& where,
                                      const ReadContext& context) {
  check_input(context, where);
  std::vector<Picture> pictures;
  std::vector<PictureInfo> infos;
  std::vector<int64_t> kept_labels;
  std::vector<Error> bad;
  for (size_t i = 0; i < paths.size(); ++i) {
    check_interrupted();
    try {
      infos.push_back(examine(paths[i], context.skip_bad));
    } catch (const Error& error) {
      bad.push_back(error);
      if (context.skip_bad) log(LogLevel::kWarning, cat(error.message(), "; left out"));
      continue;
    }
    pictures.push_back({paths[i], {infos.back().height, infos.back().width}});
    if (!labels.empty()) kept_labels.push_back(labels[i]);
  }
  if (!bad.empty() && !context.skip_bad) {
    if (bad.size() > 1)
      bad[0].context(cat(bad.size(), " of ", paths.size(), " pictures cannot be read"));
    throw bad[0];
  }
  Preprocess p = adapted(context, infos);
  tell_unscaled(p);
  for (Picture& picture : pictures) {
    picture.size = preprocessed_size(picture.size, p);
    check_picture_size(picture.size.height, picture.size.width, picture.path.string());
    check_shape(context.inputs[0], tensor_shape(picture.size, wants_grey(p) ? 1 : 3, p),
                Axis0::kSamples, cat("'", picture.path.string(), "'"));
  }
  return std::make_unique<PictureReader>(std::move(pictures), std::move(kept_labels), where,
                                         static_cast<int64_t>(bad.size()), context, std::move(p));
}

// --- single files -------------------------------------------------------------------------------

bool is_picture(const fs::path& path) {
  return has_picture_extension(path) && !fs::is_directory(path);
}

std::unique_ptr<Reader> open_picture(const fs::path& path, const ReadContext& context) {
  return open_pictures({path}, {}, path.string(), context);
}

// --- folders ------------------------------------------------------------------------------------

// Paths relative to the folder, in the order of their bytes; hidden files are not looked at.
std::vector<std::string> pictures_below(const fs::path& folder) {
  std::vector<std::string> names;
  for (auto it = fs::recursive_directory_iterator(folder); it != fs::recursive_directory_iterator();
       ++it) {
    check_interrupted();
    bool hidden = it->path().filename().string().starts_with('.');
    if (hidden)
      it.disable_recursion_pending();
    else if (is_picture(it->path()))
      names.push_back(it->path().lexically_relative(folder).generic_string());
  }
  std::ranges::sort(names);
  return names;
}

bool is_folder(const fs::path& path) { return fs::is_directory(path); }

std::unique_ptr<Reader> open_picture_folder(const fs::path& folder, const ReadContext& context) {
  std::vector<std::string> names = pictures_below(folder);
  if (names.empty()) {
    throw Error(ErrorKind::kData, "QT-E403", cat("'", shown(folder), "' holds no samples"))
        .hint(
            "a folder holds pictures (PNG, JPEG, BMP, PPM), one .npy per graph input, or "
            "test_data_set_*/");
  }
  std::vector<fs::path> paths;
  std::vector<int64_t> labels;
  fs::path label_file = folder / "labels.csv";
  if (!fs::exists(label_file)) {
    for (const std::string& name : names) paths.push_back(folder / name);
    return open_pictures(paths, {}, folder.string(), context);
  }
  for (const LabelRow& row : read_labels(label_file)) {
    if (!std::ranges::binary_search(names, row.file)) {
      fail("QT-E441", label_file,
           cat("names '", printable(row.file), "', which is not a picture in the folder"));
    }
    paths.push_back(folder / row.file);
    labels.push_back(row.label);
  }
  if (paths.size() < names.size()) {
    log(LogLevel::kWarning, cat(shown(label_file), " names ", paths.size(), " of ", names.size(),
                                " pictures; the others are left out"));
  }
  return open_pictures(paths, labels, folder.string(), context);
}

// --- lists --------------------------------------------------------------------------------------

bool is_list(const fs::path& path) {
  return path.extension() == ".txt" || path.extension() == ".lst";
}

std::unique_ptr<Reader> open_picture_list(const fs::path& path, const ReadContext& context) {
  std::vector<fs::path> paths;
  for (const Line& line : read_lines(path)) {
    fs::path picture = path.parent_path() / line.text;
    if (!has_picture_extension(picture))
      fail("QT-E402", path,
           cat("line ", line.number, " is not the path of a picture: '", printable(line.text, 80),
               "'"));
    paths.push_back(std::move(picture));
  }
  return open_pictures(paths, {}, path.string(), context);
}

}  // namespace

const ReaderDef kPictureReader = {"picture", "PNG, JPEG, BMP, PPM or PGM file", is_picture,
                                  open_picture};
const ReaderDef kPictureFolderReader = {
    "picture-folder", "folder of pictures, with labels.csv (file,label_index) or without",
    is_folder, open_picture_folder};
const ReaderDef kPictureListReader = {"picture-list",
                                      ".txt with one picture path per line, relative to the list",
                                      is_list, open_picture_list};

}  // namespace qtool::data
