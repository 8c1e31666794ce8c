#include <cmath>

#include "qtool/base.hpp"

namespace qtool {

uint64_t Rng::next() {
  state_ += 0x9e3779b97f4a7c15ull;
  uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

double Rng::uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }

double Rng::normal() {
  // Marsaglia's polar method; the second number is dropped to keep one word of state.
  while (true) {
    const double x = 2 * uniform() - 1, y = 2 * uniform() - 1;
    const double square = x * x + y * y;
    if (square > 0 && square < 1) return x * std::sqrt(-2 * std::log(square) / square);
  }
}

uint64_t Rng::below(uint64_t limit) {
  if (limit == 0) throw_internal("Rng::below: the limit is 0");
  // Values under 2^64 mod limit would make small results more likely.
  const uint64_t reject = (0 - limit) % limit;
  while (true) {
    const uint64_t value = next();
    if (value >= reject) return value % limit;
  }
}

}  // namespace qtool
