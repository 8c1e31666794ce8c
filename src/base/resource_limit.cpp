#include <atomic>
#include <utility>

#include "qtool/base.hpp"

namespace qtool {
namespace {

thread_local std::shared_ptr<ResourceLimit> current_limit;

}  // namespace

ResourceLimit::ResourceLimit(double seconds, int64_t bytes)
    : seconds_(seconds), end_(now_seconds() + seconds), bytes_(bytes) {}

void ResourceLimit::check_time() const {
  if (seconds_ <= 0 || now_seconds() < end_) return;
  throw Error(ErrorKind::kModel, "QT-E341", cat("it takes more than ", seconds_, " s"))
      .hint("raise the time limit if the model really needs it");
}

void ResourceLimit::take(int64_t bytes) {
  const int64_t used = used_.fetch_add(bytes, std::memory_order_relaxed) + bytes;
  if (bytes_ <= 0 || used <= bytes_) return;
  give(bytes);
  throw Error(ErrorKind::kModel, "QT-E342",
              cat("its tensors take more than ", human_bytes(static_cast<double>(bytes_))))
      .hint("raise the memory limit if the model really needs it");
}

void ResourceLimit::give(int64_t bytes) noexcept {
  used_.fetch_sub(bytes, std::memory_order_relaxed);
}

const std::shared_ptr<ResourceLimit>& ResourceLimit::current() { return current_limit; }

ResourceLimit::Scope::Scope(std::shared_ptr<ResourceLimit> limit)
    : before_(std::exchange(current_limit, std::move(limit))) {}

ResourceLimit::Scope::~Scope() { current_limit = std::move(before_); }

}  // namespace qtool
