#include <zlib.h>

#include "support.hpp"

namespace qtool {
namespace {

void put(std::string& out, uint64_t value, int width) {
  for (int i = 0; i < width; ++i) out += static_cast<char>(value >> (8 * i));
}

std::string deflated(const std::string& bytes) {
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, -MAX_WBITS, 9, Z_DEFAULT_STRATEGY);
  std::string out(compressBound(bytes.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

// A zip archive of one deflated member that claims `claimed` bytes.
std::string archive(const std::string& name, const std::string& content, uint64_t claimed) {
  std::string packed = deflated(content), fields, out, directory;
  put(fields, 20, 2);
  put(fields, 0, 2);
  put(fields, 8, 2);
  put(fields, 0, 4);
  put(fields,
      crc32(0, reinterpret_cast<const Bytef*>(content.data()), static_cast<uInt>(content.size())),
      4);
  put(fields, packed.size(), 4);
  put(fields, claimed, 4);
  put(fields, name.size(), 2);
  put(fields, 0, 2);
  put(out, 0x04034b50, 4);
  out += fields + name + packed;
  put(directory, 0x02014b50, 4);
  put(directory, 20, 2);
  directory += fields + std::string(14, '\0') + name;
  size_t start = out.size();
  out += directory;
  put(out, 0x06054b50, 4);
  put(out, 0, 4);
  put(out, 1, 2);
  put(out, 1, 2);
  put(out, directory.size(), 4);
  put(out, start, 4);
  put(out, 0, 2);
  return out;
}

TEST(Data, NpzSurvivesARoundTrip) {
  TempFolder folder;
  auto path = folder.path() / "x.npz";
  write_npz(path, {{"a/../b", Tensor::of<float>({2, 1}, {1.5f, -2.0f})},
                   {"n", Tensor::scalar<int64_t>(7)},
                   {"empty", Tensor(DType::kUint8, {0, 3})},
                   {"flag", Tensor::of<uint8_t>({3}, {1, 2, 3})}});
  auto arrays = read_npz(path);
  ASSERT_EQ(arrays.size(), 4u);
  EXPECT_EQ(values<float>(arrays.at("a/../b")), (std::vector<float>{1.5f, -2.0f}));
  EXPECT_EQ(arrays.at("a/../b").shape(), (Shape{2, 1}));
  EXPECT_EQ(arrays.at("n").rank(), 0);
  EXPECT_EQ(arrays.at("empty").shape(), (Shape{0, 3}));
}

TEST(Data, WritesTheSameNpzTwice) {
  TempFolder folder;
  auto write = [&](const char* name) {
    write_npz(folder.path() / name, {{"x", Tensor::of<float>({1}, {3.f})}});
    return read_file(folder.path() / name, ErrorKind::kData);
  };
  EXPECT_EQ(write("a.npz"), write("b.npz"));
}

TEST(Data, WritesTypesThatNumpyLacks) {
  TempFolder folder;
  auto path = folder.path() / "x.npz";
  write_npz(path, {{"b", cast(Tensor::of<float>({2}, {1.f, -2.f}), DType::kBfloat16)},
                   {"i", pack_bits(Tensor::of<int8_t>({3}, {-8, 7, 1}), DType::kInt4)}});
  auto arrays = read_npz(path);
  EXPECT_EQ(values<float>(arrays.at("b")), (std::vector<float>{1.f, -2.f}));
  EXPECT_EQ(values<int8_t>(arrays.at("i")), (std::vector<int8_t>{-8, 7, 1}));
}

TEST(Data, ReadsDeflatedMembersAndLeavesTextOut) {
  TempFolder folder;
  std::string content = npy_of<uint8_t>("|u1", "(1000,)", std::vector<uint8_t>(1000, 9));
  auto arrays = read_npz(folder.put("x.npz", archive("x.npy", content, content.size())));
  EXPECT_EQ(values<uint8_t>(arrays.at("x")), std::vector<uint8_t>(1000, 9));
  std::string text = npy_of<uint8_t>("<U1", "(1,)", {65, 0, 0, 0});
  EXPECT_TRUE(read_npz(folder.put("t.npz", archive("name.npy", text, text.size()))).empty());
}

TEST(Data, RefusesArchivesThatLie) {
  TempFolder folder;
  auto code = [&](const std::string& bytes) {
    auto path = folder.put("x.npz", bytes);
    return error_code(ErrorKind::kData, [&] { read_npz(path); });
  };
  std::string content = npy_of<uint8_t>("|u1", "(4,)", {1, 2, 3, 4});
  EXPECT_EQ(code(archive("x.npy", content, content.size() + 1)), "QT-E422");
  EXPECT_EQ(code(archive("x.npy", content, 0xfffffff0u)), "QT-E425");
  std::string bomb = npy_of<uint8_t>("|u1", "(4000000000,)", std::vector<uint8_t>(100000, 0));
  EXPECT_EQ(code(archive("x.npy", bomb, bomb.size())), "QT-E422");
  std::string object = npy_of<uint8_t>("|O", "(1,)", {0x80, 4});
  EXPECT_EQ(code(archive("x.npy", object, object.size())), "QT-E421");
  EXPECT_EQ(code("PK\x05\x06 hello"), "QT-E425");
}

TEST(Data, RefusesDamagedArchives) {
  TempFolder folder;
  std::string content = npy_of<uint8_t>("|u1", "(300,)", std::vector<uint8_t>(300, 5));
  std::string good = archive("x.npy", content, content.size());
  for (size_t length = 0; length < good.size(); length += 3) {
    auto path = folder.put("cut.npz", good.substr(0, length));
    EXPECT_NE(error_code(ErrorKind::kData, [&] { read_npz(path); }), "") << length;
  }
  for (size_t at = 0; at < good.size(); at += 2) {
    std::string bytes = good;
    bytes[at] = static_cast<char>(bytes[at] ^ 0xff);
    auto path = folder.put("damaged.npz", bytes);
    error_code(ErrorKind::kData, [&] { read_npz(path); });
  }
}

}  // namespace
}  // namespace qtool
