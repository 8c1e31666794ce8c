// The one list of operator records, in no particular order.
#pragma once

#include <span>

#include "qtool/ops.hpp"

namespace qtool {

std::span<const OpDef* const> op_list();

}  // namespace qtool
