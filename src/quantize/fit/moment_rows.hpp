// The rows that second moments are sums over: a layer's columns at some positions, in both networks.
#pragma once

#include "quantize/fit/moments.hpp"

namespace qtool::qdq {

// What is collected beside the quantized network's columns.
struct MomentKinds {
  bool shift = false;     // what the float network's columns differ by
  bool residual = false;  // what the values added to the output differ by
  bool output = false;    // what the output differs by, as part of the residual
};

// Of some neighbouring groups, [group][position][column].
class MomentRows {
 public:
  // `positions` by chunk; `weights`: the layer's float rows, where `kinds` has the output. All must outlive it.
  MomentRows(const ColumnReader& reader, int64_t first, int64_t groups,
             const std::vector<std::vector<int64_t>>& positions, MomentKinds kinds,
             std::span<const float> weights);

  // Of one chunk; several threads may read one each.
  void read(int64_t chunk, const ReadLayerValue& value);
  void merge_sums();
  std::vector<float> mean(int64_t g) const;
  // Takes the means off a group's rows: taken off the matrices, nothing would be left of a value that
  // hardly leaves its mean.
  void centre(int64_t g);
  // Rows [begin, end) of a group's square matrices, of h only what lies right of the diagonal block; and these
  // columns of what belongs to the output.
  void panel(int64_t g, int64_t begin, int64_t end, GroupMoments& moments) const;

  int64_t count() const { return count_; }
  int64_t channels() const { return channels_; }  // of what belongs to the output

 private:
  // Floats in memory that the next layer's take over, which need not be zeroed.
  class Matrix {
   public:
    Matrix() = default;
    explicit Matrix(int64_t size)
        : storage_(Tensor::uninitialized(DType::kFloat, {size})),
          data_(storage_.mutable_data<float>().data()) {}
    float* data() const { return data_; }

   private:
    Tensor storage_;
    float* data_ = nullptr;
  };
  // Column sums of one chunk's rows.
  struct Sums {
    std::vector<double> quantized, shift;  // [groups][columns]
    std::vector<double> residual;          // [groups][channels of a group]
  };
  struct Residuals {
    ChannelBlocks added, quantized_added, output;
  };
  Residuals residuals_of(int64_t chunk, const ReadLayerValue& value) const;
  void read_residual(const Residuals& values, std::span<const int64_t> positions, int64_t group,
                     float* r) const;
  std::vector<float> means(const std::vector<double>& sums, int64_t g, int64_t width) const;
  void centre(const Matrix& rows, const std::vector<double>& sums, int64_t g, int64_t width);

  const ColumnReader& reader_;
  int64_t first_, groups_, channels_;
  const std::vector<std::vector<int64_t>>& positions_;
  MomentKinds kinds_;
  std::span<const float> weights_;
  std::vector<int64_t> offsets_;  // of a chunk's rows
  int64_t count_ = 0;
  Matrix quantized_, shift_, residual_;
  std::vector<Sums> sums_;  // by chunk; the first is all of them after merge_sums()
};

}  // namespace qtool::qdq
