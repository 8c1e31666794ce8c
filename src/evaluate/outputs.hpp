// Outputs of all samples, for --save-outputs.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "qtool/tensor.hpp"

namespace qtool {

class OutputFile {
 public:
  explicit OutputFile(std::vector<std::string> names)
      : names_(std::move(names)), parts_(names_.size()) {}
  // The next chunk's outputs; they are stacked along axis 0.
  void add(const std::vector<Tensor>& outputs);
  // One array an output; strings are left out. Throws Error{kUsage, QT-E161} when pieces do not fit.
  void write(const std::filesystem::path& path) const;

 private:
  std::vector<std::string> names_;
  std::vector<std::vector<Tensor>> parts_;
};

}  // namespace qtool
