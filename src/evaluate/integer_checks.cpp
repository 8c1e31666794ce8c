#include "evaluate/integer_checks.hpp"

#include <algorithm>
#include <cstdlib>

namespace qtool {

const IntegerArithmetic::Layer* IntegerArithmetic::widest() const {
  const auto at = std::ranges::max_element(accumulators, {}, [](const Layer& layer) {
    return std::pair{layer.bits, layer.bound_bits};
  });
  return at == accumulators.end() ? nullptr : &*at;
}

namespace metrics {
namespace {

// The least width of signed numbers that holds both.
int bits_of(int64_t lowest, int64_t highest) {
  int bits = 1;
  while (lowest < -(int64_t{1} << (bits - 1)) || highest >= int64_t{1} << (bits - 1)) ++bits;
  return bits;
}

class Watch : public Tap {
 public:
  Watch(const std::set<std::string>& codes, IntegerTally& tally) : codes_(codes), tally_(tally) {}

  void on_value(const std::string& name, Tensor& value) override {
    if (codes_.contains(name)) {
      made_[name] = value;
      return;
    }
    const auto sums = value.data<int32_t>();
    if (sums.empty()) return;
    const auto [low, high] = std::ranges::minmax(sums);
    const auto [at, fresh] = tally_.ranges.try_emplace(name, low, high);
    if (fresh) return;
    at->second.first = std::min<int64_t>(at->second.first, low);
    at->second.second = std::max<int64_t>(at->second.second, high);
  }
  bool replaces() const override { return false; }

  const std::map<std::string, Tensor>& made() const { return made_; }

 private:
  const std::set<std::string>& codes_;
  IntegerTally& tally_;
  std::map<std::string, Tensor> made_;
};

// Puts the integer network's codes in place of the lowered one's once they are compared, so that every
// requantization is judged by itself.
class Compare : public Tap {
 public:
  Compare(const std::map<std::string, Tensor>& made, IntegerTally& tally)
      : made_(made), tally_(tally) {}

  void on_value(const std::string& name, Tensor& value) override {
    const auto found = made_.find(name);
    if (found == made_.end()) return;
    value.dtype() == DType::kUint8 ? compare<uint8_t>(found->second, value)
                                   : compare<int8_t>(found->second, value);
    value = found->second;
  }

 private:
  template <typename T>
  void compare(const Tensor& have, const Tensor& want) {
    const auto a = have.data<T>(), b = want.data<T>();
    tally_.codes += static_cast<int64_t>(a.size());
    for (size_t i = 0; i < a.size(); ++i) {
      const int difference = std::abs(int{a[i]} - int{b[i]});
      tally_.different += difference != 0;
      tally_.largest_difference = std::max<int64_t>(tally_.largest_difference, difference);
    }
  }

  const std::map<std::string, Tensor>& made_;
  IntegerTally& tally_;
};

}  // namespace

void IntegerTally::add(const IntegerTally& other) {
  for (const auto& [name, range] : other.ranges) {
    const auto [at, fresh] = ranges.try_emplace(name, range);
    if (fresh) continue;
    at->second.first = std::min(at->second.first, range.first);
    at->second.second = std::max(at->second.second, range.second);
  }
  codes += other.codes;
  different += other.different;
  largest_difference = std::max(largest_difference, other.largest_difference);
}

IntegerChecks::IntegerChecks(const IntegerOnly& integers, const Model& lowered)
    : accumulators_(integers.accumulators),
      codes_(integers.requantized.begin(), integers.requantized.end()),
      multiplier_error_(integers.multiplier_error),
      float_nodes_(integers.float_nodes),
      lowered_(lowered, {.observe = codes_}) {}

std::set<std::string> IntegerChecks::observed() const {
  std::set<std::string> names = codes_;
  for (const Accumulator& sums : accumulators_) names.insert(sums.value);
  return names;
}

std::vector<Tensor> IntegerChecks::run(const Executor& integers, const Feed& feed,
                                       IntegerTally& tally) const {
  Watch watch(codes_, tally);
  std::vector<Tensor> outputs = integers.run(feed, &watch);
  Compare compare(watch.made(), tally);
  lowered_.run(feed, &compare);
  return outputs;
}

IntegerArithmetic IntegerChecks::result(const IntegerTally& tally) const {
  IntegerArithmetic result;
  for (const Accumulator& sums : accumulators_) {
    const auto seen = tally.ranges.find(sums.value);
    result.accumulators.push_back(
        {sums.layer,
         seen == tally.ranges.end() ? 0 : bits_of(seen->second.first, seen->second.second),
         bits_of(sums.lowest, sums.highest)});
  }
  result.codes = tally.codes;
  result.different = tally.different;
  result.largest_difference = tally.largest_difference;
  result.multiplier_error = multiplier_error_;
  result.float_nodes = float_nodes_;
  return result;
}

}  // namespace metrics
}  // namespace qtool
