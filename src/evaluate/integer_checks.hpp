// What integer-only kernels take, and what they change against float scales.
#pragma once

#include <map>

#include "qtool/evaluate.hpp"
#include "qtool/integer_only.hpp"

namespace qtool::metrics {

// What the chunks up to now, or one of them, add up to.
struct IntegerTally {
  std::map<std::string, std::pair<int64_t, int64_t>> ranges;  // of sums, by value
  int64_t codes = 0, different = 0, largest_difference = 0;
  void add(const IntegerTally& other);
};

class IntegerChecks {
 public:
  // `lowered`: the same network with float scales.
  IntegerChecks(const IntegerOnly& integers, const Model& lowered);
  // What the integer-only executor must observe.
  std::set<std::string> observed() const;
  std::vector<Tensor> run(const Executor& integers, const Feed& feed, IntegerTally& tally) const;
  IntegerArithmetic result(const IntegerTally& tally) const;

 private:
  std::vector<Accumulator> accumulators_;
  std::set<std::string> codes_;
  double multiplier_error_;
  std::vector<std::string> float_nodes_;
  Executor lowered_;
};

}  // namespace qtool::metrics
