#include <algorithm>
#include <array>

#include "data/files.hpp"
#include "data/preprocess.hpp"
#include "data/reader.hpp"

namespace qtool {
namespace {

namespace fs = std::filesystem;

// In the order in which they are asked: any folder is a picture folder at last.
constexpr std::array<const data::ReaderDef*, 7> kReaders = {
    &data::kTestSetReader, &data::kArrayFolderReader, &data::kPictureFolderReader,
    &data::kNpyReader,     &data::kNpzReader,         &data::kPictureListReader,
    &data::kPictureReader,
};

std::unique_ptr<data::Reader> open_item(const fs::path& path, const data::ReadContext& context) {
  try {
    if (!fs::exists(path)) data::fail("QT-E401", path, "there is no such file or folder");
    for (const data::ReaderDef* reader : kReaders) {
      if (reader->accepts(path)) return reader->open(path, context);
    }
  } catch (const fs::filesystem_error& error) {
    data::fail("QT-E401", path, cat("cannot be read: ", error.code().message()));
  }
  throw Error(ErrorKind::kData, "QT-E402", cat("'", data::shown(path), "': unknown kind of data"))
      .hint(
          "known are pictures (.png .jpg .bmp .ppm .pgm), lists of them (.txt), .npy, .npz, and "
          "folders");
}

// Inputs that DATA has to feed.
std::vector<InputSpec> fed_inputs(const std::vector<InputSpec>& inputs,
                                  const DataOptions& options) {
  std::vector<std::string> names;
  for (const InputSpec& input : inputs) names.push_back(input.name);
  for (const auto& [name, value] : options.constants) {
    if (std::ranges::find(names, name) == names.end())
      data::throw_unknown_word("graph input", name, names);
  }
  std::vector<InputSpec> fed = inputs;
  std::erase_if(fed,
                [&](const InputSpec& input) { return options.constants.contains(input.name); });
  if (fed.empty()) throw_data("QT-E432", "the model has no input that data could feed");
  return fed;
}

}  // namespace

std::vector<ReaderInfo> list_readers() {
  std::vector<ReaderInfo> infos;
  for (const data::ReaderDef* reader : kReaders) infos.push_back({reader->name, reader->summary});
  return infos;
}

std::unique_ptr<SampleSource> open_data(const std::vector<std::filesystem::path>& paths,
                                        const Preprocess& preprocess,
                                        const std::vector<InputSpec>& inputs,
                                        const DataOptions& options) {
  if (paths.empty()) throw_usage("QT-E153", "no data is given");
  data::check_preprocess(preprocess);
  std::vector<InputSpec> fed = fed_inputs(inputs, options);
  data::ReadContext context{preprocess, fed, options.skip_bad};
  std::vector<std::unique_ptr<data::Reader>> readers;
  for (const fs::path& path : paths) readers.push_back(open_item(path, context));
  return data::make_source(std::move(readers), inputs, options);
}

}  // namespace qtool
