#include "tensor/buffer.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <mutex>
#include <utility>

#include "qtool/base.hpp"

namespace qtool {
namespace {

constexpr size_t kAlignment = 64;
#ifdef __SANITIZE_ADDRESS__
constexpr size_t kRecycledBytes = SIZE_MAX;  // every block of its own, so that overruns are seen
#else
constexpr size_t kRecycledBytes = size_t{32} << 10;
#endif
constexpr size_t kMaxIdleBytes = size_t{256} << 20;
constexpr size_t kMaxIdleBlocks = 256;
constexpr size_t kIdleToSplit = kMaxIdleBytes / 4;

size_t page_size() {
  static const auto size = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return size;
}

struct Block {
  void* address;
  size_t capacity;
};

// Executors ask for the same large sizes run after run; fresh pages would have to be zeroed by the
// system each time. So freed blocks wait here, within limits, for the next request of their size. Where many bytes
// wait, a network's sizes have moved on, and larger blocks are cut; while few do, cut ones would only be missed in
// the next run.
class Recycler {
 public:
  // nullptr when there is none.
  void* take(size_t capacity) {
    const std::lock_guard lock(mutex_);
    size_t best = idle_.size();  // the smallest that is large enough, of these the one freed last
    for (size_t i = idle_.size(); i-- > 0;)
      if (idle_[i].capacity >= capacity &&
          (best == idle_.size() || idle_[i].capacity < idle_[best].capacity))
        best = i;
    if (best == idle_.size()) return nullptr;
    Block& block = idle_[best];
    if (block.capacity > capacity && idle_bytes_ < kIdleToSplit) return nullptr;
    void* const address = block.address;
    idle_bytes_ -= capacity;
    block = {static_cast<std::byte*>(address) + capacity, block.capacity - capacity};
    if (block.capacity == 0) idle_.erase(idle_.begin() + static_cast<std::ptrdiff_t>(best));
    return address;
  }

  void give(Block block) {
    if (block.capacity > kMaxIdleBytes / 2) {
      munmap(block.address, block.capacity);
      return;
    }
    const std::lock_guard lock(mutex_);
    idle_.push_back(block);
    idle_bytes_ += block.capacity;
    while (idle_bytes_ > kMaxIdleBytes || idle_.size() > kMaxIdleBlocks) {
      munmap(idle_.front().address, idle_.front().capacity);
      idle_bytes_ -= idle_.front().capacity;
      idle_.pop_front();
    }
  }

  int64_t idle_bytes() {
    const std::lock_guard lock(mutex_);
    return static_cast<int64_t>(idle_bytes_);
  }

 private:
  std::mutex mutex_;
  std::deque<Block> idle_;  // oldest first
  size_t idle_bytes_ = 0;
};

Recycler& recycler() {
  static auto* const the_recycler = new Recycler;  // tensors may outlive every static object
  return *the_recycler;
}

// Eight sizes an octave, whole pages: blocks of nearly the same size are interchangeable, an eighth is lost.
size_t capacity_of(size_t bytes) {
  const size_t step = std::max(std::bit_floor(bytes) / 8, page_size());
  return (bytes + step - 1) / step * step;
}

[[noreturn]] void throw_no_memory(int64_t bytes) {
  throw Error(ErrorKind::kInternal, "QT-E903",
              cat("out of memory: no ", human_bytes(static_cast<double>(bytes)), " for a tensor"))
      .hint("use fewer threads, a smaller batch or a machine with more memory");
}

std::shared_ptr<void> allocate_unlimited(int64_t bytes, Fill fill) {
  const size_t wanted = bytes > 0 ? static_cast<size_t>(bytes) : 1;
  if (wanted < kRecycledBytes) {
    const size_t capacity = (wanted + kAlignment - 1) / kAlignment * kAlignment;
    void* const address = std::aligned_alloc(kAlignment, capacity);
    if (address == nullptr) throw_no_memory(bytes);
    if (fill == Fill::kZero) std::memset(address, 0, capacity);
    return {address, [](void* p) { std::free(p); }};
  }
  const size_t capacity = capacity_of(wanted);
  void* address = recycler().take(capacity);
  if (address != nullptr) {
    if (fill == Fill::kZero) std::memset(address, 0, wanted);
  } else {
    // Fresh pages are zero without being touched.
    address = mmap(nullptr, capacity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (address == MAP_FAILED) throw_no_memory(bytes);
  }
  return {address, [capacity](void* p) { recycler().give({p, capacity}); }};
}

}  // namespace

std::shared_ptr<void> allocate_bytes(int64_t bytes, Fill fill) {
  std::shared_ptr<ResourceLimit> limit = ResourceLimit::current();
  if (!limit) return allocate_unlimited(bytes, fill);
  limit->take(bytes);
  std::shared_ptr<void> memory = allocate_unlimited(bytes, fill);
  void* const address = memory.get();
  return {address, [memory = std::move(memory), limit = std::move(limit), bytes](void*) {
            limit->give(bytes);
          }};
}

void drop_mapped_pages(const void* address, size_t bytes) {
  const auto begin = reinterpret_cast<uintptr_t>(address) / page_size() * page_size();
  const auto end = reinterpret_cast<uintptr_t>(address) + bytes;
  // Only advice: where the system refuses, the pages stay.
  if (bytes >= kRecycledBytes) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

int64_t recyclable_bytes() { return recycler().idle_bytes(); }

}  // namespace qtool
