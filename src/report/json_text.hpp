// How every JSON result is written.
#pragma once

#include <string>

namespace qtool::report {

// Text of a nlohmann::ordered_json. ASCII alone: no byte of a name reaches a terminal as it is.
template <typename Json>
std::string json_text(const Json& json) {
  return json.dump(1, ' ', true, Json::error_handler_t::replace) + "\n";
}

}  // namespace qtool::report
