// More data from little: mirror images of the pictures that layers are fitted to.
#pragma once

#include "quantize/internal.hpp"

namespace qtool::qdq {

// The first chunks of a source, then their mirror images, then its other chunks.
class Mirrored : public SampleSource {
 public:
  // `source` must outlive it.
  Mirrored(const SampleSource& source, int64_t first_chunks)
      : source_(source), first_(first_chunks) {}
  int64_t samples() const override {
    return source_.samples() * chunk_count() / std::max<int64_t>(1, source_.chunk_count());
  }
  int64_t chunk_count() const override { return source_.chunk_count() + first_; }
  Batch chunk(int64_t index) const override;
  bool has_labels() const override { return source_.has_labels(); }
  std::string describe() const override { return source_.describe(); }

 private:
  const SampleSource& source_;
  int64_t first_;
};

// Whether the model has one input, of pictures, and takes those of chunks [first, last) for much the same
// when they are mirrored: photographs, not writing.
bool sees_mirrored_alike(const Model& model, const SampleSource& source, int64_t first,
                         int64_t last, int threads);

}  // namespace qtool::qdq
