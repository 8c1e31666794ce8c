#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>

#include "qtool/base.hpp"

namespace qtool {
namespace {

// Finished items that wait for those before them.
class InOrder {
 public:
  explicit InOrder(int64_t window) : window_(window) {}

  // Holds the caller back while its item is too far ahead; false when an item has failed meanwhile.
  bool wait_for_room(int64_t index) {
    std::unique_lock lock(mutex_);
    while (index >= next_ + window_ && !failed_) {
      changed_.wait_for(lock, std::chrono::milliseconds(100));
      check_interrupted();
    }
    return !failed_;
  }

  void finish(int64_t index, std::function<void()> merge) {
    const std::lock_guard lock(mutex_);
    waiting_.emplace(index, std::move(merge));
    while (!waiting_.empty() && waiting_.begin()->first == next_) {
      waiting_.begin()->second();
      waiting_.erase(waiting_.begin());
      ++next_;
    }
    changed_.notify_all();
  }

  void fail() {
    const std::lock_guard lock(mutex_);
    failed_ = true;
    changed_.notify_all();
  }

 private:
  const int64_t window_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<int64_t, std::function<void()>> waiting_;
  int64_t next_ = 0;
  bool failed_ = false;
};

// Tells the others when an item leaves by an exception.
struct Guard {
  InOrder& order;
  bool done = false;
  ~Guard() {
    if (!done) order.fail();
  }
};

}  // namespace

void parallel_ordered(int threads, int64_t count,
                      const std::function<std::function<void()>(int64_t, int)>& fn) {
  InOrder order(2 * static_cast<int64_t>(threads < 1 ? 1 : threads));
  parallel_for(threads, count, [&](int64_t index, int worker) {
    Guard guard{order};
    if (order.wait_for_room(index)) order.finish(index, fn(index, worker));
    guard.done = true;
  });
}

}  // namespace qtool
