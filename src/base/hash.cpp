#include <array>
#include <cstring>

#include "base/sha256.hpp"
#include "qtool/base.hpp"

namespace qtool {
namespace {

constexpr size_t kBlockBytes = 64;

std::string hex(uint64_t value, int digits) {
  std::string out(static_cast<size_t>(digits), '0');
  for (auto c = out.rbegin(); c != out.rend(); ++c, value >>= 4)
    *c = "0123456789abcdef"[value & 15];
  return out;
}

}  // namespace

uint64_t fnv1a(std::string_view bytes, uint64_t seed) {
  uint64_t hash = seed;
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
  return hash;
}

std::string hex64(uint64_t value) { return hex(value, 16); }

std::string sha256_hex(std::string_view bytes) {
  Sha256State state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                       0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
  const size_t whole = bytes.size() / kBlockBytes * kBlockBytes;
  add_sha256_blocks(state, data, whole / kBlockBytes);

  // The rest, a one bit, zeros, and the length in bits fill one or two blocks more.
  std::array<unsigned char, 2 * kBlockBytes> tail{};
  const size_t rest = bytes.size() - whole;
  if (rest > 0) std::memcpy(tail.data(), data + whole, rest);
  tail[rest] = 0x80;
  const size_t end = rest + 9 <= kBlockBytes ? kBlockBytes : 2 * kBlockBytes;
  uint64_t length_bits = uint64_t{bytes.size()} * 8;
  for (size_t i = 1; i <= 8; ++i, length_bits >>= 8) {
    tail[end - i] = static_cast<unsigned char>(length_bits & 0xff);
  }
  add_sha256_blocks(state, tail.data(), end / kBlockBytes);

  std::string out;
  for (const uint32_t word : state) out += hex(word, 8);
  return out;
}

}  // namespace qtool
