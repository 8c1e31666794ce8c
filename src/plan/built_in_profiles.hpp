// The files of tools/profiles/; cmake/profiles.cmake writes the list.
#pragma once

#include <span>
#include <string_view>

namespace qtool {

struct BuiltInProfile {
  std::string_view name, json;
};
extern const std::span<const BuiltInProfile> kBuiltInProfiles;

}  // namespace qtool
