#include "evaluate/outputs.hpp"

#include <algorithm>
#include <cstring>

#include "qtool/data.hpp"

namespace qtool {
namespace {

Tensor stack(const std::string& name, const std::vector<Tensor>& parts) {
  Shape shape = parts[0].shape();
  shape[0] = 0;
  for (const Tensor& part : parts) {
    if (!std::equal(shape.begin() + 1, shape.end(), part.shape().begin() + 1, part.shape().end())) {
      throw Error(ErrorKind::kUsage, "QT-E161",
                  cat("output '", printable(name), "' is ", shape_text(parts[0].shape()),
                      " for some samples and ", shape_text(part.shape()),
                      " for others: it cannot be saved as one array"))
          .hint("evaluate samples of equal size");
    }
    shape[0] += part.dim(0);
  }
  Tensor all = Tensor::uninitialized(parts[0].dtype(), shape);
  char* out = static_cast<char*>(all.mutable_raw());
  for (const Tensor& part : parts) {
    if (part.size() == 0) continue;
    std::memcpy(out, part.raw(), static_cast<size_t>(part.bytes()));
    out += part.bytes();
  }
  return all;
}

}  // namespace

void OutputFile::add(const std::vector<Tensor>& outputs) {
  for (size_t i = 0; i < outputs.size(); ++i) {
    Tensor part = outputs[i];
    if (part.dtype() == DType::kString) continue;
    if (dtype_bits(part.dtype()) < 8) part = unpack_bits(part);
    parts_[i].push_back(part.rank() ? part : part.reshaped({1}));
  }
}

void OutputFile::write(const std::filesystem::path& path) const {
  std::map<std::string, Tensor> arrays;
  for (size_t i = 0; i < names_.size(); ++i)
    if (!parts_[i].empty()) arrays[names_[i]] = stack(names_[i], parts_[i]);
  write_npz(path, arrays);
}

}  // namespace qtool
