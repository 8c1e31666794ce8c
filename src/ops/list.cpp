#include "ops/list.hpp"

namespace qtool {

#define QTOOL_OP(record) extern const OpDef record;
#include "ops/list_contrib.hpp"
#include "ops/list_data.hpp"
#include "ops/list_math.hpp"
#undef QTOOL_OP

std::span<const OpDef* const> op_list() {
  static const OpDef* const kOps[] = {
#define QTOOL_OP(record) &record,
#include "ops/list_contrib.hpp"
#include "ops/list_data.hpp"
#include "ops/list_math.hpp"
#undef QTOOL_OP
  };
  return kOps;
}

}  // namespace qtool
