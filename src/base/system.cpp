#include "base/system.hpp"

#include <sched.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <fstream>
#include <thread>

#include "qtool/base.hpp"

namespace qtool {
namespace {

namespace fs = std::filesystem;

std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free, "signal handlers set it");

std::string first_line(const fs::path& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return line;
}

int affinity_cores() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
  return static_cast<int>(std::thread::hardware_concurrency());
}

// The tightest quota of this process's control group (version 2) and of those above it.
int quota_cores() {
  const std::string line = first_line("/proc/self/cgroup");
  if (!line.starts_with("0::")) return kNoQuota;
  fs::path group = fs::path(line.substr(3)).relative_path();
  int cores = kNoQuota;
  while (true) {
    cores =
        std::min(cores, quota_cores_of(first_line(fs::path("/sys/fs/cgroup") / group / "cpu.max")));
    if (group.empty()) return cores;
    group = group.parent_path();
  }
}

}  // namespace

int quota_cores_of(std::string_view cpu_max) {
  double quota = 0, period = 0;
  const char* end = cpu_max.data() + cpu_max.size();
  const auto first = std::from_chars(cpu_max.data(), end, quota);
  if (first.ec != std::errc() || first.ptr == end || *first.ptr != ' ') return kNoQuota;
  const auto second = std::from_chars(first.ptr + 1, end, period);
  if (second.ec != std::errc() || !(quota > 0) || !(period > 0)) return kNoQuota;
  const double cores = quota / period;
  return cores >= kNoQuota ? kNoQuota : std::max(1, static_cast<int>(cores + 0.999));
}

int default_threads() { return std::max(1, std::min(affinity_cores(), quota_cores())); }

int64_t peak_rss_bytes() {
  // Of this program alone; getrusage would count what its parent held before exec.
  std::ifstream in("/proc/self/status");
  for (std::string line; std::getline(in, line);) {
    int64_t kibibytes = 0;
    if (!line.starts_with("VmHWM:")) continue;
    const size_t digits = line.find_first_of("0123456789");
    if (digits == std::string::npos) break;
    std::from_chars(line.data() + digits, line.data() + line.size(), kibibytes);
    return kibibytes * 1024;
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<int64_t>(usage.ru_maxrss) * 1024;
}

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void request_interrupt() noexcept { interrupted.store(true, std::memory_order_relaxed); }

void check_interrupted() {
  if (interrupted.load(std::memory_order_relaxed))
    throw Error(ErrorKind::kInterrupted, "QT-E990", "interrupted");
  if (const auto& limit = ResourceLimit::current()) limit->check_time();
}

}  // namespace qtool
