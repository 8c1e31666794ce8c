#include <algorithm>
#include <atomic>
#include <mutex>
#include <system_error>
#include <thread>

#include "qtool/base.hpp"

namespace qtool {
namespace {

// The items of one parallel_for: handed out in order, none after the first failure.
class Work {
 public:
  Work(int64_t count, const std::function<void(int64_t, int)>& fn) : count_(count), fn_(fn) {}

  void drain(int worker) {
    while (!failed_.load(std::memory_order_relaxed)) {
      const int64_t index = next_.fetch_add(1, std::memory_order_relaxed);
      if (index >= count_) return;
      try {
        check_interrupted();
        fn_(index, worker);
      } catch (...) {
        keep(index, std::current_exception());
      }
    }
  }

  void rethrow() const {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  void keep(int64_t index, std::exception_ptr error) {
    const std::lock_guard lock(mutex_);
    failed_ = true;
    if (error_ && index > error_index_) return;
    error_ = std::move(error);
    error_index_ = index;
  }

  const int64_t count_;
  const std::function<void(int64_t, int)>& fn_;
  std::atomic<int64_t> next_{0};
  std::atomic<bool> failed_{false};
  std::mutex mutex_;
  std::exception_ptr error_;
  int64_t error_index_ = 0;
};

}  // namespace

void parallel_for(int threads, int64_t count, const std::function<void(int64_t, int)>& fn) {
  const int64_t workers = std::min<int64_t>(threads, count);
  if (workers <= 1) {
    for (int64_t i = 0; i < count; ++i) {
      check_interrupted();
      fn(i, 0);
    }
    return;
  }
  Work work(count, fn);
  const auto& limit = ResourceLimit::current();
  {
    std::vector<std::jthread> helpers;
    helpers.reserve(static_cast<size_t>(workers - 1));
    try {
      for (int w = 1; w < workers; ++w)
        helpers.emplace_back([&work, &limit, w] {
          const ResourceLimit::Scope scope(limit);
          work.drain(w);
        });
    } catch (const std::system_error&) {
      // No more threads to be had: those that run do the work.
    }
    work.drain(0);
  }
  work.rethrow();
}

}  // namespace qtool
