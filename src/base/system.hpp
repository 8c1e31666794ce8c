// What the operating system grants this process.
#pragma once

#include <string_view>

namespace qtool {

inline constexpr int kNoQuota = 1 << 20;

// Cores that one line of a cgroup's cpu.max ("150000 100000") grants, rounded up; kNoQuota for "max".
int quota_cores_of(std::string_view cpu_max);

}  // namespace qtool
