#include <gtest/gtest.h>

#include "base/sha256.hpp"
#include "qtool/base.hpp"

namespace qtool {
namespace {

TEST(Sha256, KnownAnswers) {
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(sha256_hex(std::string(1000000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, PadsEveryLength) {
  // The hash of the hashes of 0 to 129 bytes 'a': every way to fill one or two last blocks.
  std::string all;
  for (size_t n = 0; n < 130; ++n) all += sha256_hex(std::string(n, 'a'));
  EXPECT_EQ(sha256_hex(all), "c665ed20ef30f158e90c7e921d8182bc0943c4b087a82f64a18d417bcdfadce7");
}

TEST(Sha256, BothWaysToCompressAgree) {
  Rng rng(1);
  std::array<unsigned char, 64 * 5> blocks;
  for (auto& byte : blocks) byte = static_cast<unsigned char>(rng.next());
  Sha256State a, b;
  for (size_t i = 0; i < a.size(); ++i) a[i] = b[i] = static_cast<uint32_t>(rng.next());
  add_sha256_blocks(a, blocks.data(), 5);
  add_sha256_blocks_portably(b, blocks.data(), 5);
  EXPECT_EQ(a, b);
}

TEST(Fnv1a, KnownAnswers) {
  EXPECT_EQ(hex64(fnv1a("")), "cbf29ce484222325");
  EXPECT_EQ(hex64(fnv1a("a")), "af63dc4c8601ec8c");
  EXPECT_EQ(hex64(fnv1a("foobar")), "85944171f73967e8");
  EXPECT_EQ(fnv1a("bar", fnv1a("foo")), fnv1a("foobar"));
}

TEST(Hex64, HasSixteenDigits) {
  EXPECT_EQ(hex64(0), "0000000000000000");
  EXPECT_EQ(hex64(UINT64_MAX), "ffffffffffffffff");
}

}  // namespace
}  // namespace qtool
