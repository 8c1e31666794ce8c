// How every JSON result is written.
#pragma once

#include <string>

namespace qtool::report {

// Text of a nlohmann::ordered_json. ASCII alone: no byte of a name reaches a terminal as it is.
template <typename Json>
std::string json_text(const Json& json) {
  return json.dump(1, ' ', true, Json::error_handler_t::replace) + "\n";
}

// null where there is none.
template <typename Json>
Json text_or_null(const std::string& text) {
  return text.empty() ? Json() : Json(text);
}

}  // namespace qtool::report
