#include <utility>

#include "qtool/base.hpp"

namespace qtool {

Error::Error(ErrorKind kind, std::string code, std::string message)
    : kind_(kind), code_(std::move(code)), message_(std::move(message)) {}

Error& Error::hint(std::string text) & {
  hint_ = std::move(text);
  return *this;
}

Error&& Error::hint(std::string text) && {
  hint_ = std::move(text);
  return std::move(*this);
}

Error& Error::context(std::string line) {
  context_.push_back(std::move(line));
  return *this;
}

void throw_model(std::string code, std::string message) {
  throw Error(ErrorKind::kModel, std::move(code), std::move(message));
}

void throw_data(std::string code, std::string message) {
  throw Error(ErrorKind::kData, std::move(code), std::move(message));
}

void throw_usage(std::string code, std::string message) {
  throw Error(ErrorKind::kUsage, std::move(code), std::move(message));
}

void throw_unsupported(std::string message) {
  throw Error(ErrorKind::kModel, std::string(kUnsupportedCode), std::move(message));
}

void throw_internal(std::string message) {
  throw Error(ErrorKind::kInternal, "QT-E900", std::move(message));
}

}  // namespace qtool
