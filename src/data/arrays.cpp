#include "data/arrays.hpp"

#include <algorithm>
#include <cstring>

#include "data/files.hpp"
#include "data/fit.hpp"
#include "data/picture.hpp"
#include "data/preprocess.hpp"

namespace qtool::data {
namespace {

// How an array holds samples.
enum class Form {
  kSlices,    // [N, …] with the rank of the input: sample i is [1, …]
  kWhole,     // one axis more: sample i is array[i]
  kPictures,  // uint8 [N, H, W] or [N, H, W, C] for a float input [N, C, H, W]
  kConstant,  // a scalar for a scalar input: the same for every sample
};

struct Column {
  InputSpec input;
  Tensor array;
  Form form;
};

// Entry i along axis 0, sharing the array's bytes.
Tensor entry(const Tensor& array, int64_t index) {
  Shape shape(array.shape().begin() + 1, array.shape().end());
  auto owner = std::make_shared<Tensor>(array);
  int64_t bytes = byte_size(array.dtype(), element_count(shape));
  return Tensor::view(array.dtype(), std::move(shape),
                      static_cast<const char*>(array.raw()) + index * bytes, owner);
}

Shape picture_shape(const Tensor& array, const Preprocess& p) {
  Size size = preprocessed_size({array.dim(1), array.dim(2)}, p);
  return tensor_shape(size, wants_grey(p) ? 1 : 3, p);
}

class ArrayReader : public Reader {
 public:
  ArrayReader(std::string origin, std::vector<Column> columns, std::vector<int64_t> labels,
              Preprocess preprocess, int64_t count)
      : origin_(std::move(origin)),
        columns_(std::move(columns)),
        labels_(std::move(labels)),
        preprocess_(std::move(preprocess)),
        count_(count) {}

  int64_t count() const override { return count_; }
  const std::vector<int64_t>& labels() const override { return labels_; }
  std::string describe() const override { return cat(count_, " samples in ", shown(origin_)); }
  std::string origin(int64_t index) const override {
    return cat("'", origin_, "', sample ", index);
  }

  bool gluable() const override {
    for (const Column& column : columns_) {
      if (column.form == Form::kWhole || column.form == Form::kConstant) return false;
    }
    return true;
  }

  std::vector<Shape> shapes(int64_t) const override {
    std::vector<Shape> shapes;
    for (const Column& column : columns_) {
      Shape shape = column.array.shape();
      if (column.form == Form::kPictures)
        shape = picture_shape(column.array, preprocess_);
      else
        shape[0] = 1;
      shapes.push_back(std::move(shape));
    }
    return shapes;
  }

  Feed read(int64_t index) const override {
    Feed feed;
    for (const Column& column : columns_) {
      Tensor tensor = column.form == Form::kConstant ? column.array : entry(column.array, index);
      if (column.form == Form::kPictures) {
        auto bytes = tensor.data<uint8_t>();
        Image image{tensor.dim(0),
                    tensor.dim(1),
                    tensor.rank() == 3 ? tensor.dim(2) : 1,
                    {bytes.begin(), bytes.end()}};
        tensor = preprocess_image(image, preprocess_);
      } else if (column.form == Form::kSlices) {
        Shape shape = tensor.shape();
        shape.insert(shape.begin(), 1);
        tensor = tensor.reshaped(std::move(shape));
      }
      feed.emplace(column.input.name, converted(tensor, column.input, origin(index)));
    }
    return feed;
  }

 private:
  std::string origin_;
  std::vector<Column> columns_;
  std::vector<int64_t> labels_;
  Preprocess preprocess_;
  int64_t count_;
};

bool is_float_input(const InputSpec& input) {
  return input.dtype == DType::kFloat || input.dtype == DType::kFloat16 ||
         input.dtype == DType::kBfloat16 || input.dtype == DType::kDouble;
}

Form form_of(const InputSpec& input, const Tensor& array, const std::string& origin) {
  auto rank = static_cast<int64_t>(input.shape.size());
  if (array.dtype() == DType::kUint8 && is_float_input(input) && rank == 4) {
    bool pictures =
        array.rank() == 3 || (array.rank() == 4 && (array.dim(3) == 1 || array.dim(3) == 3));
    if (pictures) {
      check_picture_size(array.dim(1), array.dim(2), origin);
      return Form::kPictures;
    }
    throw_data(
        "QT-E430",
        cat("'", printable(origin), "': a uint8 array for input '", printable(input.name),
            "' holds pictures [N, H, W, 1 or 3] or [N, H, W], got ", shape_text(array.shape())));
  }
  check_type(input, array.dtype(), cat("'", origin, "'"));
  if (array.rank() == rank) return rank == 0 ? Form::kConstant : Form::kSlices;
  if (array.rank() == rank + 1) return Form::kWhole;
  throw_data("QT-E430",
             cat("'", printable(origin), "' does not fit input '", printable(input.name),
                 "': the model expects ", shape_text(input.shape),
                 " (or one axis more, for whole feeds), got ", shape_text(array.shape())));
}

void check_column(const Column& column, const Preprocess& p, const std::string& origin) {
  std::string what = cat("'", origin, "'");
  Shape shape = column.array.shape();
  if (column.form == Form::kSlices) check_shape(column.input, shape, Axis0::kSamples, what);
  if (column.form == Form::kWhole)
    check_shape(column.input, Shape(shape.begin() + 1, shape.end()), Axis0::kFixed, what);
  if (column.form == Form::kPictures)
    check_shape(column.input, picture_shape(column.array, p), Axis0::kSamples, what);
}

}  // namespace

std::unique_ptr<Reader> open_arrays(Arrays arrays, const ReadContext& context) {
  std::vector<Column> columns;
  Preprocess preprocess = context.preprocess;
  int64_t count = -1;
  for (const InputSpec& input : context.inputs) {
    const Tensor& array = arrays.by_input.at(input.name);
    if (array.rank() > 0 && array.dim(0) == 0) {
      throw_data("QT-E403", cat("'", printable(arrays.origin), "' holds no samples"));
    }
    Column column{input, array, form_of(input, array, arrays.origin)};
    if (column.form == Form::kPictures) {
      size_t channel_axis = preprocess.layout == "NHWC" ? 3 : 1;
      bool grey = array.rank() == 3 || array.dim(3) == 1;
      // Nothing is converted: grey pictures stay grey for a model that wants one channel.
      if (grey && input.shape[channel_axis] == 1) preprocess.grayscale = true;
    }
    check_column(column, preprocess, arrays.origin);
    if (column.form != Form::kConstant) {
      if (count >= 0 && array.dim(0) != count) {
        throw_data("QT-E433",
                   cat("'", printable(arrays.origin), "': '", printable(input.name), "' holds ",
                       array.dim(0), " samples, the arrays before it ", count));
      }
      count = array.dim(0);
    }
    columns.push_back(std::move(column));
  }
  if (std::ranges::any_of(columns, [](const Column& c) { return c.form == Form::kPictures; }))
    tell_unscaled(preprocess);
  // Scalars alone are one sample.
  if (count < 0) count = 1;
  if (!arrays.labels.empty() && static_cast<int64_t>(arrays.labels.size()) != count) {
    throw_data("QT-E440", cat("'", printable(arrays.origin), "': ", arrays.labels.size(),
                              " labels for ", count, " samples"));
  }
  return std::make_unique<ArrayReader>(std::move(arrays.origin), std::move(columns),
                                       std::move(arrays.labels), std::move(preprocess), count);
}

std::vector<int64_t> labels_from(const Tensor& array, const std::string& origin) {
  bool flat = array.rank() == 1 || (array.rank() == 2 && array.dim(1) == 1);
  if (!flat || !is_integer(array.dtype())) {
    throw_data("QT-E440", cat("'", printable(origin), "': labels are integers [N], got ",
                              dtype_name(array.dtype()), " ", shape_text(array.shape())));
  }
  std::vector<int64_t> labels = array.to_int64s();
  for (size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] < 0)
      throw_data("QT-E440", cat("'", printable(origin), "': label ", labels[i], " of sample ", i,
                                " is negative"));
  }
  return labels;
}

}  // namespace qtool::data
