#include "support.hpp"

namespace qtool {
namespace {

const std::vector<InputSpec> kPictures = {{"input", DType::kFloat, {-1, 3, 2, 2}}};
const std::vector<InputSpec> kVectors = {{"x", DType::kFloat, {-1, 2}}};

std::string code_of(const std::filesystem::path& path, const std::vector<InputSpec>& inputs,
                    const DataOptions& options = {}) {
  return error_code(ErrorKind::kData, [&] {
    auto source = open_data({path}, {}, inputs, options);
    for (int64_t i = 0; i < source->chunk_count(); ++i) source->chunk(i);
  });
}

TEST(Data, ReadsAFolderOfPicturesInTheOrderOfTheirNames) {
  TempFolder folder;
  folder.put("b.ppm", pnm({2, 2, 3, std::vector<uint8_t>(12, 2)}));
  folder.put("sub/c.ppm", pnm({2, 2, 3, std::vector<uint8_t>(12, 3)}));
  folder.put("a.PGM", pnm({2, 2, 1, std::vector<uint8_t>(4, 1)}));
  folder.put("notes.txt", "hello");
  folder.put(".hidden.png", "no picture");
  auto source = open_data({folder.path()}, {}, kPictures, {});
  ASSERT_EQ(source->samples(), 3);
  ASSERT_EQ(source->chunk_count(), 1);
  Batch batch = source->chunk(0);
  EXPECT_EQ(batch.feed.at("input").shape(), (Shape{3, 3, 2, 2}));
  EXPECT_EQ(batch.feed.at("input").data<float>()[0], 1.0f);
  EXPECT_EQ(batch.feed.at("input").data<float>()[24], 3.0f);
  EXPECT_FALSE(source->has_labels());
  EXPECT_NE(source->describe().find("3 pictures"), std::string::npos);
}

TEST(Data, TakesLabelsFromTheFolder) {
  TempFolder folder;
  for (const char* name : {"a.ppm", "b.ppm", "c.ppm"}) folder.put(name, pnm(pattern(2, 2, 3)));
  folder.put("labels.csv", "file,label\n# comment\nb.ppm,7\r\n\na.ppm, 1\n");
  auto source = open_data({folder.path()}, {}, kPictures, {});
  EXPECT_EQ(source->samples(), 2);
  EXPECT_TRUE(source->has_labels());
  EXPECT_EQ(source->chunk(0).labels, (std::vector<int64_t>{7, 1}));
  for (const char* bad :
       {"a.ppm,-1\n", "a.ppm,1\nb.ppm,x\n", "a.ppm\n", "nobody.ppm,1\n", "../a.ppm,1\n"}) {
    folder.put("labels.csv", bad);
    EXPECT_TRUE(code_of(folder.path(), kPictures).starts_with("QT-E44")) << bad;
  }
}

TEST(Data, ReadsAListOfPictures) {
  TempFolder folder;
  folder.put("deep/a.ppm", pnm(pattern(2, 2, 3)));
  auto list = folder.put("list.txt", "# pictures\ndeep/a.ppm\n\ndeep/a.ppm\n");
  EXPECT_EQ(open_data({list}, {}, kPictures, {})->samples(), 2);
  EXPECT_EQ(code_of(folder.put("bad.txt", "hello world\n"), kPictures), "QT-E402");
  EXPECT_EQ(code_of(folder.put("none.txt", "# nothing\n"), kPictures), "QT-E403");
}

TEST(Data, NamesOrSkipsABadPicture) {
  TempFolder folder;
  folder.put("a.ppm", pnm(pattern(2, 2, 3)));
  folder.put("broken.png", "\x89PNG");
  std::string cut = pnm(pattern(2, 2, 3));
  folder.put("cut.ppm", cut.substr(0, cut.size() - 1));
  EXPECT_NE(
      error_message([&] { open_data({folder.path()}, {}, kPictures, {}); }).find("broken.png"),
      std::string::npos);
  auto source = open_data({folder.path()}, {}, kPictures, {.skip_bad = true});
  EXPECT_EQ(source->samples(), 1);
  EXPECT_EQ(source->skipped(), 2);
  EXPECT_EQ(source->chunk(0).samples, 1);
}

TEST(Data, RefusesPicturesThatDoNotFitTheModel) {
  TempFolder folder;
  auto path = folder.put("a.ppm", pnm(pattern(3, 2, 3)));
  std::string message = error_message([&] { open_data({path}, {}, kPictures, {}); });
  EXPECT_NE(message.find("[?, 3, 2, 2]"), std::string::npos) << message;
  EXPECT_NE(message.find("[1, 3, 3, 2]"), std::string::npos) << message;
  EXPECT_EQ(code_of(path, kVectors), "QT-E432");
  EXPECT_EQ(code_of(path, {{"x", DType::kInt64, {-1, 3, 3, 2}}}), "QT-E431");
  EXPECT_EQ(code_of(path, {{"x", DType::kUint8, {-1, 3, 3, 2}}}), "");
}

TEST(Data, GreyPicturesStayGreyForAModelWithOneChannel) {
  TempFolder folder;
  auto path = folder.put("a.pgm", pnm(pattern(2, 2, 1)));
  EXPECT_EQ(code_of(path, {{"x", DType::kFloat, {1, 1, 2, 2}}}), "");
  EXPECT_EQ(code_of(folder.put("a.npy", npy_of<uint8_t>("|u1", "(1, 2, 2)", {1, 2, 3, 4})),
                    {{"x", DType::kFloat, {1, 1, 2, 2}}}),
            "");
}

TEST(Data, PreprocessesPictureArrays) {
  TempFolder folder;
  auto path = folder.put("x.npy", npy_of<uint8_t>("|u1", "(1, 1, 2, 3)", {1, 2, 3, 4, 5, 6}));
  Preprocess p;
  p.scale = 2;
  auto source = open_data({path}, p, {{"x", DType::kFloat, {-1, 3, 1, 2}}}, {});
  EXPECT_EQ(values<float>(source->chunk(0).feed.at("x")), (std::vector<float>{2, 8, 4, 10, 6, 12}));
  EXPECT_EQ(code_of(path, kPictures), "QT-E430");
  EXPECT_EQ(code_of(path, {{"x", DType::kUint8, {-1, 1, 2, 3}}}), "");
}

TEST(Data, RefusesPictureArraysWithoutPixels) {
  TempFolder folder;
  auto code = [&](const std::string& shape) {
    return code_of(folder.put("x.npy", npy_of<uint8_t>("|u1", shape, {})), kPictures);
  };
  EXPECT_EQ(code("(1, 0, 2, 3)"), "QT-E410");
  EXPECT_EQ(code("(0, 4611686018427387904, 2, 3)"), "QT-E403");
  EXPECT_EQ(
      code_of(folder.put("c.npy", npy_of<uint8_t>("|u1", "(1, 3, 2, 2)", std::vector<uint8_t>(12))),
              kPictures),
      "QT-E430");
}

TEST(Data, TakesFloatArraysAsTheyAre) {
  TempFolder folder;
  auto path = folder.put("x.npy", npy_of<double>("<f8", "(2, 2)", {1, 2, 3, 4}));
  EXPECT_EQ(values<float>(open_data({path}, {}, kVectors, {})->chunk(0).feed.at("x")),
            (std::vector<float>{1, 2, 3, 4}));
  EXPECT_EQ(code_of(folder.put("i.npy", npy_of<int32_t>("<i4", "(1, 2)", {1, 2})), kVectors),
            "QT-E431");
  EXPECT_EQ(code_of(folder.put("w.npy", npy_of<float>("<f4", "(1, 3)", {1, 2, 3})), kVectors),
            "QT-E430");
  EXPECT_EQ(code_of(folder.put("s.npy", npy_of<float>("<f4", "()", {1})), kVectors), "QT-E430");
  EXPECT_EQ(code_of(folder.put("n.npy", npy_of<float>("<f4", "(0, 2)", {})), kVectors), "QT-E403");
}

TEST(Data, ConvertsIntegersThatFit) {
  TempFolder folder;
  std::vector<InputSpec> ids = {{"ids", DType::kInt32, {-1, 2}}};
  auto path = folder.put("x.npy", npy_of<int64_t>("<i8", "(1, 2)", {-5, 1 << 30}));
  EXPECT_EQ(values<int32_t>(open_data({path}, {}, ids, {})->chunk(0).feed.at("ids")),
            (std::vector<int32_t>{-5, 1 << 30}));
  EXPECT_EQ(
      code_of(folder.put("big.npy", npy_of<int64_t>("<i8", "(1, 2)", {0, int64_t{1} << 40})), ids),
      "QT-E431");
}

TEST(Data, NamesTheSampleThatIsNotFinite) {
  TempFolder folder;
  auto path = folder.put(
      "x.npy",
      npy_of<float>("<f4", "(3, 2)", {1, 2, 3, std::numeric_limits<float>::quiet_NaN(), 5, 6}));
  auto source = open_data({path}, {}, kVectors, {});
  std::string message = error_message([&] { source->chunk(0); });
  EXPECT_NE(message.find("x.npy"), std::string::npos);
  EXPECT_NE(message.find("sample 1"), std::string::npos) << message;
  EXPECT_EQ(code_of(folder.put("inf.npy", npy_of<double>("<f8", "(1, 2)", {1e300, 0})), kVectors),
            "QT-E434");
}

TEST(Data, MatchesArchivesByInputName) {
  TempFolder folder;
  auto path = folder.path() / "x.npz";
  std::vector<InputSpec> two = {{"ids", DType::kInt64, {-1, 2}}, {"mask", DType::kInt64, {-1, 2}}};
  write_npz(path, {{"ids", Tensor::of<int64_t>({1, 2}, {1, 2})},
                   {"mask", Tensor::of<int64_t>({1, 2}, {3, 4})},
                   {"gold", Tensor::of<float>({1}, {1.f})},
                   {"y", Tensor::of<int64_t>({1}, {5})}});
  auto source = open_data({path}, {}, two, {});
  EXPECT_EQ(values<int64_t>(source->chunk(0).feed.at("mask")), (std::vector<int64_t>{3, 4}));
  EXPECT_EQ(source->chunk(0).labels, (std::vector<int64_t>{5}));
  two[1].name = "token_type";
  EXPECT_EQ(code_of(path, two), "QT-E432");
  write_npz(path, {{"ids", Tensor::of<int64_t>({1, 2}, {1, 2})},
                   {"mask", Tensor::of<int64_t>({2, 2}, {3, 4, 5, 6})}});
  two[1].name = "mask";
  EXPECT_EQ(code_of(path, two), "QT-E433");
}

TEST(Data, TakesASolePictureArrayWithLabels) {
  TempFolder folder;
  auto path = folder.path() / "x.npz";
  write_npz(path,
            {{"x", Tensor(DType::kUint8, {2, 2, 2, 3})}, {"y", Tensor::of<int64_t>({2}, {1, 0})}});
  auto source = open_data({path}, {}, kPictures, {});
  EXPECT_EQ(source->chunk(0).labels, (std::vector<int64_t>{1, 0}));
  write_npz(path,
            {{"x", Tensor(DType::kUint8, {2, 2, 2, 3})}, {"y", Tensor::of<int64_t>({1}, {1})}});
  EXPECT_EQ(code_of(path, kPictures), "QT-E440");
  write_npz(path, {{"x", Tensor(DType::kUint8, {2, 2, 2, 3})},
                   {"y", Tensor::of<float>({2}, {1.f, 1.f})}});
  EXPECT_EQ(code_of(path, kPictures), "QT-E440");
}

TEST(Data, ReadsAFolderOfArrays) {
  TempFolder folder;
  folder.put("x.npy", npy_of<float>("<f4", "(2, 2)", {1, 2, 3, 4}));
  folder.put("y.npy", npy_of<int64_t>("<i8", "(2,)", {8, 9}));
  auto source = open_data({folder.path()}, {}, kVectors, {});
  EXPECT_EQ(source->chunk(0).labels, (std::vector<int64_t>{8, 9}));
  EXPECT_EQ(code_of(folder.path(), {{"../x", DType::kFloat, {-1, 2}}}), "QT-E432");
}

TEST(Data, ReadsOnnxTestSets) {
  TempFolder folder;
  // TensorProto{dims: 1, dims: 2, data_type: FLOAT, raw_data: 1.0, value}.
  auto tensor = [](char high) {
    return std::string("\x08\x01\x08\x02\x10\x01\x4a\x08\0\0\x80\x3f\0\0", 14) + high + '\x40';
  };
  for (int i : {10, 2})
    folder.put(cat("test_data_set_", i, "/input_0.pb"), tensor(i == 2 ? '\x00' : '\x40'));
  auto source = open_data({folder.path()}, {}, kVectors, {});
  ASSERT_EQ(source->chunk_count(), 2);
  EXPECT_EQ(values<float>(source->chunk(0).feed.at("x")), (std::vector<float>{1, 2}));
  EXPECT_EQ(values<float>(source->chunk(1).feed.at("x")), (std::vector<float>{1, 3}));
  EXPECT_EQ(open_data({folder.path() / "test_data_set_2"}, {}, kVectors, {})->samples(), 1);
  EXPECT_EQ(code_of(folder.path(), {{"x", DType::kFloat, {1, 3}}}), "QT-E430");
  EXPECT_EQ(code_of(folder.path(), {{"x", DType::kFloat, {1, 2}}, {"y", DType::kFloat, {1, 2}}}),
            "QT-E432");
  folder.put("test_data_set_2/input_0.pb", "junk");
  EXPECT_NE(code_of(folder.path(), kVectors), "");
}

TEST(Data, RefusesWhatIsNoData) {
  TempFolder folder;
  EXPECT_EQ(code_of(folder.path(), kPictures), "QT-E403");
  EXPECT_EQ(code_of(folder.path() / "absent", kPictures), "QT-E401");
  EXPECT_EQ(code_of(folder.put("x.zip", ""), kPictures), "QT-E402");
  auto path = folder.put("x.npy", npy_of<float>("<f4", "(1, 2)", {1, 2}));
  EXPECT_EQ(code_of(path, {{"a", DType::kFloat, {-1, 2}}, {"b", DType::kFloat, {-1, 2}}}),
            "QT-E432");
  EXPECT_EQ(error_code(ErrorKind::kUsage, [&] { open_data({}, {}, kVectors, {}); }), "QT-E153");
}

TEST(Data, ListsItsReaders) {
  auto readers = list_readers();
  EXPECT_EQ(readers.size(), 7u);
  for (const ReaderInfo& reader : readers) EXPECT_FALSE(reader.summary.empty());
}

}  // namespace
}  // namespace qtool
