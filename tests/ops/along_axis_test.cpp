// Operators that walk an axis, against plain loops: sizes around those of vectors, the axis last and not.
#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/support.hpp"

namespace qtool {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kMost = std::numeric_limits<float>::max();

// Waves with repeated values; `special` at some places when it is not 0.
Tensor waves(const Shape& shape, float special) {
  Tensor x(DType::kFloat, shape);
  for (int64_t i = 0; i < x.size(); ++i)
    x.set_number(i, std::round(std::sin(static_cast<double>(i * i % 1013)) * 50) / 8);
  for (int64_t i = 5; special != 0 && i < x.size(); i += 37) x.set_number(i, special);
  return x;
}

// fn(x, column) for many x of [outer, length, inner] and each of its columns along axis 1.
struct Column {
  std::vector<double> values;
  int64_t outer, inner;
};
template <typename Fn>
void for_each_case(Fn&& fn) {
  for (const float special : {0.f, kInf, -kInf, kNan, -kMost}) {
    for (const int64_t inner : {1, 3, 16, 33}) {
      for (const int64_t length : {1, 2, 7, 8, 15, 31, 32, 33, 67, 200}) {
        SCOPED_TRACE(cat(special, ", ", length, " x ", inner));
        fn(waves({2, length, inner}, special));
      }
    }
  }
}

std::vector<Column> columns(const Tensor& x) {
  std::vector<Column> all;
  for (int64_t o = 0; o < x.dim(0); ++o)
    for (int64_t i = 0; i < x.dim(2); ++i) {
      Column c{{}, o, i};
      for (int64_t k = 0; k < x.dim(1); ++k)
        c.values.push_back(x.number((o * x.dim(1) + k) * x.dim(2) + i));
      all.push_back(c);
    }
  return all;
}

void expect_close(double got, double want, double tolerance) {
  if (want != want)
    EXPECT_TRUE(got != got) << got;
  else if (std::isinf(want))
    EXPECT_EQ(got, want);
  else
    EXPECT_NEAR(got, want, tolerance * (1 + std::abs(want)));
}

const Tensor kAxis = int64s({1}, {1});

}  // namespace

TEST(AlongAxis, Reductions) {
  for_each_case([](const Tensor& x) {
    const Tensor mean = run({"ReduceMean", {x, kAxis}})[0], sum = run({"ReduceSum", {x, kAxis}})[0],
                 l1 = run({"ReduceL1", {x, kAxis}})[0], l2 = run({"ReduceL2", {x, kAxis}})[0],
                 most = run({"ReduceMax", {x, kAxis}})[0],
                 least = run({"ReduceMin", {x, kAxis}})[0];
    int64_t at = 0;
    for (const auto& [values, o, i] : columns(x)) {
      double total = 0, magnitudes = 0, squares = 0;
      for (const double v : values) total += v, magnitudes += std::abs(v), squares += v * v;
      const bool nan = std::ranges::any_of(values, [](double v) { return v != v; });
      expect_close(mean.number(at), static_cast<float>(total / double(values.size())), 1e-6);
      expect_close(sum.number(at), static_cast<float>(total), 1e-6);
      expect_close(l1.number(at), static_cast<float>(magnitudes), 1e-6);
      expect_close(l2.number(at), static_cast<float>(std::sqrt(squares)), 1e-6);
      expect_close(least.number(at), nan ? kNan : *std::ranges::min_element(values), 0);
      expect_close(most.number(at), nan ? kNan : *std::ranges::max_element(values), 0);
      ++at;
    }
  });
}

TEST(AlongAxis, ArgExtremes) {
  for_each_case([](const Tensor& x) {
    for (const bool last : {false, true}) {
      const std::vector<Attribute> attributes = {attribute("axis", int64_t{1}),
                                                 attribute("select_last_index", int64_t{last})};
      const Tensor most = run({"ArgMax", {x}, attributes})[0],
                   least = run({"ArgMin", {x}, attributes})[0];
      int64_t at = 0;
      for (const auto& [values, o, i] : columns(x)) {
        const auto nan = std::ranges::find_if(values, [](double v) { return v != v; });
        const auto find = [&](double extreme) {
          if (nan != values.end()) return nan - values.begin();
          return last ? values.rend() - std::find(values.rbegin(), values.rend(), extreme) - 1
                      : std::ranges::find(values, extreme) - values.begin();
        };
        EXPECT_EQ(most.integer(at), find(*std::ranges::max_element(values)));
        EXPECT_EQ(least.integer(at), find(*std::ranges::min_element(values)));
        ++at;
      }
    }
  });
  for (const int64_t inner : {1, 70}) {
    Tensor whole(DType::kInt8, {3, inner});
    for (int64_t i = 0; i < inner; ++i)
      whole.set_number(inner + i, -128), whole.set_number(2 * inner + i, 127);
    const Tensor most = run({"ArgMax", {whole}})[0], least = run({"ArgMin", {whole}})[0];
    for (int64_t i = 0; i < inner; ++i) {
      EXPECT_EQ(most.integer(i), 2);
      EXPECT_EQ(least.integer(i), 1);
    }
  }
}

TEST(AlongAxis, RunningSums) {
  for_each_case([](const Tensor& x) {
    for (const bool exclusive : {false, true}) {
      for (const bool reverse : {false, true}) {
        const Tensor y = run({"CumSum",
                              {x, kAxis},
                              {attribute("exclusive", int64_t{exclusive}),
                               attribute("reverse", int64_t{reverse})}})[0];
        for (auto [values, o, i] : columns(x)) {
          if (reverse) std::ranges::reverse(values);
          double total = 0;
          const int64_t length = x.dim(1);
          for (int64_t k = 0; k < length; ++k) {
            const double before = total;
            total += values[static_cast<size_t>(k)];
            const int64_t row = reverse ? length - 1 - k : k;
            EXPECT_EQ(cat(y.number((o * length + row) * x.dim(2) + i)),
                      cat(static_cast<float>(exclusive ? before : total)));
          }
        }
      }
    }
  });
}

TEST(AlongAxis, FirstInOrder) {
  for_each_case([](const Tensor& x) {
    for (const int64_t k : {int64_t{0}, int64_t{1}, x.dim(1) / 3, x.dim(1)}) {
      for (const bool largest : {false, true}) {
        const auto out =
            run({"TopK",
                 {x, int64s({1}, {k})},
                 {attribute("axis", int64_t{1}), attribute("largest", int64_t{largest})},
                 22,
                 2});
        for (const auto& [values, o, i] : columns(x)) {
          std::vector<size_t> order(values.size());
          for (size_t n = 0; n < order.size(); ++n) order[n] = n;
          std::ranges::stable_sort(order, [&values = values, largest](size_t a, size_t b) {
            const double u = values[largest ? a : b], v = values[largest ? b : a];
            return u > v || (u != u && v == v);
          });
          for (int64_t n = 0; n < k; ++n) {
            const int64_t at = (o * k + n) * x.dim(2) + i;
            EXPECT_EQ(out[1].integer(at), static_cast<int64_t>(order[static_cast<size_t>(n)]));
            EXPECT_EQ(cat(out[0].number(at)), cat(values[order[static_cast<size_t>(n)]]));
          }
        }
      }
    }
  });
}

TEST(AlongAxis, Norms) {
  for_each_case([](const Tensor& x) {
    for (const int64_t p : {1, 2}) {
      const Tensor y =
          run({"LpNormalization", {x}, {attribute("axis", int64_t{1}), attribute("p", p)}})[0];
      for (const auto& [values, o, i] : columns(x)) {
        double sum = 0;
        for (const double v : values) sum += p == 1 ? std::abs(v) : v * v;
        const double norm = p == 1 ? sum : std::sqrt(sum);
        for (size_t k = 0; k < values.size(); ++k)
          expect_close(y.number((o * x.dim(1) + static_cast<int64_t>(k)) * x.dim(2) + i),
                       norm == 0 ? 0 : values[k] / norm, 1e-6);
      }
    }
  });
}

TEST(AlongAxis, ChannelsAreNormalized) {
  for_each_case([](const Tensor& x) {
    const int64_t channels = x.dim(1);
    const Tensor scale = waves({channels}, 0), bias = waves({channels + 1}, 0);
    std::vector<float> shift, mean, variance;
    for (int64_t c = 0; c < channels; ++c) {
      shift.push_back(static_cast<float>(bias.number(c + 1)));
      mean.push_back(static_cast<float>(c % 7) - 3);
      variance.push_back(0.1f + static_cast<float>(c % 5));
    }
    const auto vector = [&](const std::vector<float>& v) { return floats({channels}, v); };
    const Tensor y =
        run({"BatchNormalization", {x, scale, vector(shift), vector(mean), vector(variance)}})[0];
    for (const auto& [values, o, i] : columns(x)) {
      for (size_t c = 0; c < values.size(); ++c) {
        const double factor =
            scale.number(static_cast<int64_t>(c)) / std::sqrt(double(variance[c]) + double(1e-5f));
        expect_close(y.number((o * channels + static_cast<int64_t>(c)) * x.dim(2) + i),
                     static_cast<float>((values[c] - double(mean[c])) * factor + double(shift[c])),
                     1e-6);
      }
    }
  });
}

}  // namespace qtool
