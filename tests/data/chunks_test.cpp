#include <set>

#include "support.hpp"

namespace qtool {
namespace {

const std::vector<InputSpec> kVectors = {{"x", DType::kFloat, {-1, 1}}};

// An .npy [count, 1] of 0, 1, 2 …
std::filesystem::path counted(const TempFolder& folder, int count) {
  std::vector<float> numbers;
  for (int i = 0; i < count; ++i) numbers.push_back(static_cast<float>(i));
  return folder.put("x.npy", npy_of<float>("<f4", cat("(", count, ", 1)"), numbers));
}

std::vector<float> all_values(const SampleSource& source) {
  std::vector<float> all;
  for (int64_t c = 0; c < source.chunk_count(); ++c) {
    Batch batch = source.chunk(c);
    EXPECT_EQ(batch.first_sample, static_cast<int64_t>(all.size()));
    auto data = batch.feed.at("x").data<float>();
    all.insert(all.end(), data.begin(), data.begin() + batch.samples);
  }
  return all;
}

TEST(Data, ChunksHoldAtMost8Samples) {
  TempFolder folder;
  auto source = open_data({counted(folder, 70)}, {}, kVectors, {});
  ASSERT_EQ(source->chunk_count(), 9);
  EXPECT_EQ(source->chunk(0).samples, 8);
  EXPECT_EQ(source->chunk(8).samples, 6);
  EXPECT_EQ(source->samples_in(0), 8);
  EXPECT_EQ(source->samples_in(8), 6);
  EXPECT_EQ(source->chunk(8).feed.at("x").shape(), (Shape{6, 1}));
  EXPECT_EQ(all_values(*source).size(), 70u);
}

TEST(Data, ChunksHoldAboutTwoMegabytes) {
  TempFolder folder;
  auto path =
      folder.put("x.npy", npy_of<float>("<f4", "(4, 200000)", std::vector<float>(800000, 1.f)));
  auto source = open_data({path}, {}, {{"x", DType::kFloat, {-1, 200000}}}, {});
  EXPECT_EQ(source->chunk(0).samples, 2);
}

TEST(Data, LimitAndShuffleChooseSamples) {
  TempFolder folder;
  auto path = counted(folder, 50);
  auto first = all_values(*open_data({path}, {}, kVectors, {.limit = 5}));
  EXPECT_EQ(first, (std::vector<float>{0, 1, 2, 3, 4}));
  auto shuffled = all_values(*open_data({path}, {}, kVectors, {.shuffle_seed = 3}));
  EXPECT_EQ(std::set<float>(shuffled.begin(), shuffled.end()).size(), 50u);
  EXPECT_NE(shuffled[0] + shuffled[1] + shuffled[2], 3.0f);
  auto again = all_values(*open_data({path}, {}, kVectors, {.limit = 7, .shuffle_seed = 3}));
  EXPECT_TRUE(std::equal(again.begin(), again.end(), shuffled.begin()));
}

TEST(Data, AFixedBatchIsFilledWithTheLastSample) {
  TempFolder folder;
  auto path = counted(folder, 5);
  auto source = open_data({path}, {}, {{"x", DType::kFloat, {4, 1}}}, {});
  ASSERT_EQ(source->chunk_count(), 2);
  Batch last = source->chunk(1);
  EXPECT_EQ(last.samples, 1);
  EXPECT_EQ(values<float>(last.feed.at("x")), (std::vector<float>{4, 4, 4, 4}));
  EXPECT_EQ(open_data({path}, {}, {{"x", DType::kFloat, {1, 1}}}, {})->chunk_count(), 5);
}

TEST(Data, OneAxisMoreIsOneFeedPerEntry) {
  TempFolder folder;
  auto path = folder.path() / "x.npz";
  write_npz(path, {{"input", Tensor(DType::kFloat, {6, 1, 4})},
                   {"state", Tensor(DType::kFloat, {6, 2, 1, 3})}});
  std::vector<InputSpec> inputs = {{"input", DType::kFloat, {1, 4}},
                                   {"state", DType::kFloat, {2, 1, 3}},
                                   {"sr", DType::kInt64, {}}};
  auto source = open_data({path}, {}, inputs, {.constants = {{"sr", 16000}}});
  ASSERT_EQ(source->chunk_count(), 6);
  Batch batch = source->chunk(5);
  EXPECT_EQ(batch.feed.at("input").shape(), (Shape{1, 4}));
  EXPECT_EQ(batch.feed.at("state").shape(), (Shape{2, 1, 3}));
  EXPECT_EQ(batch.feed.at("sr").shape(), Shape{});
  EXPECT_EQ(batch.feed.at("sr").integer(0), 16000);
  EXPECT_EQ(error_code(ErrorKind::kData, [&] { open_data({path}, {}, inputs, {}); }), "QT-E432");
  EXPECT_EQ(error_code(ErrorKind::kUsage,
                       [&] {
                         open_data({path}, {}, inputs, {.constants = {{"sx", 1}}});
                       }),
            "QT-E152");
}

TEST(Data, PicturesOfUnequalSizeAreNotGlued) {
  TempFolder folder;
  for (int i = 0; i < 6; ++i) folder.put(cat(i, ".ppm"), pnm(pattern(2, i < 3 ? 4 : i, 3)));
  auto source = open_data({folder.path()}, {}, {{"x", DType::kFloat, {-1, 3, -1, -1}}}, {});
  ASSERT_EQ(source->chunk_count(), 4);
  EXPECT_EQ(source->chunk(0).feed.at("x").shape(), (Shape{3, 3, 2, 4}));
  EXPECT_EQ(source->chunk(1).feed.at("x").shape(), (Shape{1, 3, 2, 3}));
  EXPECT_EQ(source->chunk(3).first_sample, 5);
}

TEST(Data, ItemsAreReadOneAfterAnother) {
  TempFolder folder;
  auto path = counted(folder, 3);
  auto source = open_data({path, path}, {}, kVectors, {});
  EXPECT_EQ(all_values(*source), (std::vector<float>{0, 1, 2, 0, 1, 2}));
  EXPECT_EQ(source->chunk_count(), 1);
}

TEST(Data, ThreadsSeeTheSameChunks) {
  TempFolder folder;
  auto source = open_data({counted(folder, 500)}, {}, kVectors, {});
  std::vector<std::vector<float>> seen(static_cast<size_t>(source->chunk_count()));
  parallel_for(4, source->chunk_count(), [&](int64_t c, int) {
    seen[static_cast<size_t>(c)] = values<float>(source->chunk(c).feed.at("x"));
  });
  std::vector<float> all;
  for (const auto& part : seen) all.insert(all.end(), part.begin(), part.end());
  EXPECT_EQ(all, all_values(*source));
}

TEST(Data, RandomDataDependsOnTheSeedAlone) {
  std::vector<InputSpec> inputs = {{"x", DType::kFloat, {-1, 3, -1}},
                                   {"ids", DType::kInt64, {-1, -1}}};
  auto a = random_data(40, 1, inputs, 5), b = random_data(3, 1, inputs, 5),
       c = random_data(3, 2, inputs, 5);
  EXPECT_EQ(a->chunk(0).feed.at("x").shape(), (Shape{8, 3, 5}));
  EXPECT_EQ(a->chunk(0).feed.at("ids").shape(), (Shape{8, 5}));
  auto first = values<float>(a->chunk(0).feed.at("x")),
       second = values<float>(b->chunk(0).feed.at("x"));
  EXPECT_TRUE(std::equal(second.begin(), second.end(), first.begin()));
  EXPECT_NE(values<float>(c->chunk(0).feed.at("x")), values<float>(b->chunk(0).feed.at("x")));
  auto whole =
      random_data(2, 1, {{"input", DType::kFloat, {1, 4}}, {"state", DType::kFloat, {2, 1, 3}}}, 1);
  EXPECT_EQ(whole->chunk(1).feed.at("state").shape(), (Shape{2, 1, 3}));
  EXPECT_NE(a->describe().find("random"), std::string::npos);
}

}  // namespace
}  // namespace qtool
