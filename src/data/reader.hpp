// One item of DATA: a reader gives its samples one by one; chunks.cpp glues them.
#pragma once

#include <memory>

#include "qtool/data.hpp"

namespace qtool::data {

// What a reader needs to know of the run.
struct ReadContext {
  const Preprocess& preprocess;
  const std::vector<InputSpec>& inputs;  // those that DATA must feed: constants are not among them
  bool skip_bad = false;
};

// Immutable once opened: `read` may be called from several threads.
class Reader {
 public:
  virtual ~Reader() = default;
  virtual int64_t count() const = 0;
  // One sample: one tensor per input of the context, of the input's element type.
  virtual Feed read(int64_t index) const = 0;
  // True when a sample's tensors begin with an axis of length 1 along which samples can be glued;
  // false when a sample is a whole feed.
  virtual bool gluable() const = 0;
  // Shapes of a gluable sample's tensors in the order of the inputs, without decoding it.
  virtual std::vector<Shape> shapes(int64_t index) const = 0;
  // The sample in words, for messages.
  virtual std::string origin(int64_t index) const = 0;
  // "500 pictures in calib_images".
  virtual std::string describe() const = 0;
  // One per sample, or empty.
  virtual const std::vector<int64_t>& labels() const = 0;
  virtual int64_t skipped() const { return 0; }
};

// A kind of DATA; `open` is called for the first one that accepts the path.
struct ReaderDef {
  const char* name;
  const char* summary;
  bool (*accepts)(const std::filesystem::path& path);
  std::unique_ptr<Reader> (*open)(const std::filesystem::path& path, const ReadContext& context);
};
extern const ReaderDef kTestSetReader, kArrayFolderReader, kPictureFolderReader, kPictureReader,
    kPictureListReader, kNpyReader, kNpzReader;

// Samples in `order`-independent chunks; `inputs` are all inputs, constants included.
std::unique_ptr<SampleSource> make_source(std::vector<std::unique_ptr<Reader>> readers,
                                          const std::vector<InputSpec>& inputs,
                                          const DataOptions& options);

}  // namespace qtool::data
