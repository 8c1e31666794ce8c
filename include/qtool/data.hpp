// Data layer: unlabeled (or labelled) samples from pictures, arrays and ONNX test sets, preprocessed
// and cut into chunks that do not depend on any user option.
//
//   auto source = open_data({"images/"}, spec, model_inputs, {.limit = 256});
//   for (int64_t c = 0; c < source->chunk_count(); ++c) Batch b = source->chunk(c);
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "qtool/tensor.hpp"

namespace qtool {

// One value per graph input name.
using Feed = std::map<std::string, Tensor>;

// What the model wants: from its graph inputs (initializers excluded).
struct InputSpec {
  std::string name;
  DType dtype = DType::kFloat;
  Shape shape;  // −1 where free
};

// How a picture becomes a tensor: sidecar JSON (`preprocess`, `input.layout`) overridden by flags. In this
// order: orientation, resize, center_crop, grey, channel order, (x·scale − mean) / std in float32, padding.
// At most one of the three resizing rules: who sets one from a flag resets the other two.
struct Preprocess {
  std::string layout = "NCHW";        // or NHWC
  std::string channel_order = "RGB";  // RGB, BGR, GRAY
  bool grayscale = false;
  std::string interpolation = "bicubic";  // bicubic, bilinear, nearest, as Pillow defines them
  std::optional<int64_t> resize_width, resize_height_exact;  // --resize WxH: exact size
  std::optional<int64_t> resize_short_side;
  std::optional<int64_t> resize_height;  // keeps the aspect ratio
  std::optional<int64_t> pad_width_to;   // zeros on the right, after normalisation
  std::optional<int64_t> center_crop;
  double scale = 1.0;
  std::vector<double> mean = {0.0}, std = {1.0};
};
// Reads a sidecar; unknown keys inside "preprocess" are Error{kUsage} with the nearest known key. Keys with
// information only (formula, note …), null values and a "preprocess" that is a text are allowed.
struct Sidecar {
  Preprocess preprocess;
  std::map<std::string, double> constants;         // "constants": {"sr": 16000}, see DataOptions
  std::optional<std::string> calib, test, labels;  // paths relative to the sidecar, resolved
};
Sidecar read_sidecar(const std::filesystem::path& path);
// Canonical JSON of the preprocessing, for the workspace, and back.
std::string preprocess_json(const Preprocess& p);
Preprocess preprocess_from_json(std::string_view json);

// Samples glued along axis 0 where the model allows it (every feed array batched), else one sample. For a
// model whose batch is fixed to k > 1 the last samples are repeated until there are k; `samples` tells how
// many of them count.
struct Batch {
  Feed feed;
  int64_t samples = 0;
  std::vector<int64_t> labels;  // one per sample, or empty
  int64_t first_sample = 0;     // index of its first sample
};

struct DataOptions {
  int64_t limit = 0;  // 0: all
  std::optional<uint64_t> shuffle_seed = {};
  bool skip_bad = false;      // leave unreadable pictures out, counted
  int64_t chunk_samples = 0;  // 0: chosen from the input shapes alone
  // Inputs that the data does not hold, filled with one number in every feed ("sr": 16000).
  std::map<std::string, double> constants = {};
};

// The kinds of DATA that open_data knows, for `qtool list readers`.
struct ReaderInfo {
  std::string name, summary;
};
std::vector<ReaderInfo> list_readers();

// Chunks are runs of consecutive samples of equal shapes: as many as make 2 MB of input, at least 1 and at
// most 8 (exactly k when the model fixes its batch to k). They depend on the data and the model alone.
// Random access by chunk, safe from several threads at once.
class SampleSource {
 public:
  virtual ~SampleSource() = default;
  virtual int64_t samples() const = 0;
  virtual int64_t chunk_count() const = 0;
  virtual Batch chunk(int64_t index) const = 0;
  // Of a chunk, without decoding it where the source knows.
  virtual int64_t samples_in(int64_t chunk_index) const { return chunk(chunk_index).samples; }
  virtual bool has_labels() const = 0;
  virtual std::string describe() const = 0;  // "500 pictures in calib_images"
  virtual int64_t skipped() const { return 0; }
};

// DATA as in `qtool calibrate --help`: any mix of picture folders, lists (.txt), pictures, .npy, .npz, folders
// of one .npy per input, ONNX test sets. Headers and shapes are checked here, pictures are decoded by chunk():
// both throw Error{kData} that names the file and sample. With skip_bad pictures are decoded here once, too.
std::unique_ptr<SampleSource> open_data(const std::vector<std::filesystem::path>& paths,
                                        const Preprocess& preprocess,
                                        const std::vector<InputSpec>& inputs,
                                        const DataOptions& options);
// Seeded normal samples of the model's shapes (free dimensions: `free_dim`, batch 1); integers are 0 or 1.
std::unique_ptr<SampleSource> random_data(int64_t samples, uint64_t seed,
                                          const std::vector<InputSpec>& inputs, int64_t free_dim);

// --- parts, public for tests ----------------------------------------------------------------------
struct Image {
  int64_t height = 0, width = 0, channels = 0;  // 1 or 3
  std::vector<uint8_t> pixels;                  // HWC
};
// PNG, JPEG, BMP, PPM/PGM; EXIF orientation applied, alpha dropped, CMYK and 16 bits as Pillow's
// convert('RGB') (16-bit colour keeps its high byte, 16-bit grey is cut at 255). Grey stays one channel.
Image read_image(const std::filesystem::path& path);
// `upright`: false leaves the pixels as they are stored, whatever the EXIF orientation says.
Image parse_image(std::string_view bytes, const std::string& origin, bool upright = true);
// Luma of ITU-R 601 in 16-bit fixed point, as Pillow's convert('L').
Image to_grey(const Image& colour);
// As Pillow's Image.resize to the last bit: "bicubic", "bilinear" (both antialiased), "nearest".
Image resize(const Image& image, int64_t width, int64_t height, const std::string& interpolation);
// Float tensor [1, C, H, W] or [1, H, W, C]; grey pictures get three channels unless `p` asks for grey.
Tensor preprocess_image(const Image& image, const Preprocess& p);
// Versions 1 to 3, numbers and booleans; big endian and Fortran order are converted. The file is mapped
// where its bytes can be used as they are. Pickled objects are refused: Error{kData, QT-E421}.
Tensor read_npy(const std::filesystem::path& path);
Tensor parse_npy(std::string_view bytes, const std::string& origin);
// All numeric arrays, by name; arrays of text are left out.
std::map<std::string, Tensor> read_npz(const std::filesystem::path& path);
// Uncompressed .npz, atomically.
void write_npz(const std::filesystem::path& path, const std::map<std::string, Tensor>& arrays);

}  // namespace qtool
