#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>
#include <tuple>
#include <utility>

#include "indexes/ivf_data.h"

namespace vicinal {
namespace {

using namespace test;
using Ids = std::vector<std::int64_t>;

std::string label_of(const CodecSpec& codec, Metric metric, bool residual) {
  std::string text = plain_name(codec) + "_" + name(metric) + (residual ? "_residual" : "_raw");
  for (char& c : text) c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return text;
}

class IvfSearchOf : public testing::TestWithParam<std::tuple<CodecSpec, Metric, bool>> {
 protected:
  void SetUp() override {
    std::tie(params_.codec, metric_, params_.residual) = GetParam();
    params_.lists = 40;
  }
  const Matrix rows_ = spread(2500, 24, 1);
  const Matrix queries_ = spread(60, 24, 2);
  IvfParams params_;
  Metric metric_ = Metric::kL2;
};

TEST_P(IvfSearchOf, AnswersABatchAsEachQueryAlone) {
  IvfIndex index(24, metric_, params_);
  index.add(rows_.view());
  const Ids gone{3, 77, 2000};
  for (const bool removed : {false, true}) {
    if (removed) index.remove(gone.data(), gone.size());
    for (const std::uint32_t nprobe : {1u, 3u, 12u, 40u}) {
      const IvfSearch how = probing(nprobe);
      const Answers batch = search(index, queries_.view(), 10, how);
      EXPECT_EQ(search_singly(index, queries_, 10, how), batch) << nprobe;
      EXPECT_EQ(search(index, queries_.view(), 10, how, 3), batch) << nprobe;
      for (const std::int64_t id : batch.ids) {
        EXPECT_TRUE(id >= 0 && id < 2500);
        if (removed) EXPECT_EQ(std::count(gone.begin(), gone.end(), id), 0);
      }
    }
  }
}

TEST_P(IvfSearchOf, FindsEverythingWithAllListsAndARefineStore) {
  if (params_.codec.kind == CodecKind::kFloat32) return;
  params_.refine = RefineKind::kFloat32;
  IvfIndex index(24, metric_, params_);
  index.add(rows_.view());
  FlatIndex flat(24, metric_);
  flat.add(rows_.view());
  // With every row compared again the codec does not matter.
  const Answers want = search(flat, queries_.view(), 10);
  EXPECT_EQ(search(index, queries_.view(), 10, probing(40, 2500)), want);
  // With a tenth of them only what the codec ranks worst is lost. Measured: the least is 0.97 for
  // one bit a dimension, else 1.
  const Answers some = search(index, queries_.view(), 10, probing(40, 250));
  EXPECT_GE(recall(some, metric_, queries_, rows_, counted(2500)), 0.9);
}

/// Codecs whose scores are those of what they decode.
// Others estimate distances of the vector itself, not of what decode() gives: product codes of
// vectors that are all of one length among them.
bool reconstructs(const CodecSpec& codec, Metric metric) {
  const bool lengths = codec.kind == CodecKind::kPq && metric != Metric::kL2;
  return codec.kind != CodecKind::kRotation && codec.kind != CodecKind::kBits && !lengths;
}

TEST_P(IvfSearchOf, AnswersWithTheDistancesOfWhatItStores) {
  if (!reconstructs(params_.codec, metric_)) return;
  // Its L2 scores of raw rows use norms that are kept in one byte.
  if (params_.codec.kind == CodecKind::kRq && metric_ == Metric::kL2 && !params_.residual) return;
  IvfIndex index(24, metric_, params_);
  index.add(rows_.view());
  Matrix kept{2500, 24, std::vector<float>(2500 * 24)};
  for (std::size_t r = 0; r < 2500; ++r) {
    index.get(static_cast<std::int64_t>(r), kept.values.data() + r * 24);
  }
  const Answers found = search(index, queries_.view(), 10, probing(40));
  // Look-ups in registers round 12 tables to steps of 1/255 of what the widest spans, at most
  // (3 sqrt 2)^2 here: two numbers a part, each within 1.5 of zero. Everything else is float32.
  const bool rounded = params_.codec.kind == CodecKind::kPq && params_.codec.bits == 4;
  const double tolerance = rounded ? 12 * 18.0 / 255 / 2 : 1e-4;
  for (std::size_t q = 0; q < queries_.rows; ++q) {
    const float* query = queries_.row(q);
    const std::vector<float> zero(24);
    const double length = std::sqrt(distance(Metric::kL2, query, zero.data(), 24));
    const auto to = [&](std::size_t r) {
      // Stored rows were of length 1 before they were rounded.
      return metric_ == Metric::kCosine
                 ? 1 + distance(Metric::kInnerProduct, query, kept.row(r), 24) / length
                 : distance(metric_, query, kept.row(r), 24);
    };
    std::vector<double> all(2500);
    for (std::size_t r = 0; r < 2500; ++r) all[r] = to(r);
    for (std::size_t i = 0; i < 10; ++i) {
      const std::size_t at = q * 10 + i;
      EXPECT_NEAR(found.distances[at], all[static_cast<std::size_t>(found.ids[at])], tolerance);
    }
    std::sort(all.begin(), all.end());
    for (std::size_t i = 0; i < 10; ++i) {
      EXPECT_NEAR(found.distances[q * 10 + i], all[i], 2 * tolerance);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(EveryCodec, IvfSearchOf,
                         testing::Combine(testing::ValuesIn(ivf_codecs()),
                                          testing::ValuesIn(kMetrics), testing::Bool()),
                         [](const auto& info) {
                           return label_of(std::get<0>(info.param), std::get<1>(info.param),
                                           std::get<2>(info.param));
                         });

class IvfAgainstFlat : public testing::TestWithParam<std::tuple<CodecKind, Metric>> {};

TEST_P(IvfAgainstFlat, AllListsAreAnExactSearchOverTheCodec) {
  const auto [codec, metric] = GetParam();
  const Matrix rows = clustered(1500, 13, 3), queries = clustered(40, 13, 4);
  IvfParams params;
  params.codec = codec;
  params.residual = false;
  params.lists = 30;
  IvfIndex index(13, metric, params);
  FlatIndex flat(13, metric, {codec});
  Ids ids = counted(1500);
  std::reverse(ids.begin(), ids.end());
  index.add(rows.view(), ids.data());
  flat.add(rows.view(), ids.data());
  // Twins lie in pairs: k + 1 rows at most share the last distance.
  EXPECT_EQ(search(index, queries.view(), 9, probing(30)), search(flat, queries.view(), 9));
  for (const unsigned every : {2u, 40u, 700u}) {
    std::vector<std::uint8_t> mask(1500);
    for (std::size_t i = 0; i < mask.size(); i += every) mask[i] = 1;
    Allowed allowed;
    allowed.mask = mask.data();
    allowed.count = mask.size();
    EXPECT_EQ(search(index, queries.view(), 9, probing(30, 0, allowed)),
              search(flat, queries.view(), 9, allowed))
        << every;
  }
  Ids gone;
  for (std::int64_t id = 0; id < 300; ++id) gone.push_back(id * 5);
  index.remove(gone.data(), gone.size());
  flat.remove(gone.data(), gone.size());
  EXPECT_EQ(search(index, queries.view(), 9, probing(30)), search(flat, queries.view(), 9));
}

INSTANTIATE_TEST_SUITE_P(PlainCodecs, IvfAgainstFlat,
                         testing::Combine(testing::Values(CodecKind::kFloat32, CodecKind::kFloat16,
                                                          CodecKind::kSq8),
                                          testing::ValuesIn(kMetrics)),
                         [](const auto& info) {
                           return label_of(std::get<0>(info.param), std::get<1>(info.param), false);
                         });

TEST(IvfRefine, InEightBitsAnswersAsAnExactSearchOverThem) {
  const Matrix rows = spread(1500, 24, 3), queries = spread(40, 24, 4);
  for (const Metric metric : kMetrics) {
    IvfParams params;
    params.codec = CodecKind::kSq4;
    params.refine = RefineKind::kSq8;
    params.lists = 20;
    IvfIndex index(24, metric, params);
    index.add(rows.view());
    FlatIndex flat(24, metric, {CodecKind::kSq8});
    flat.add(rows.view());
    EXPECT_EQ(search(index, queries.view(), 10, probing(20, 1500)),
              search(flat, queries.view(), 10));
  }
}

TEST(IvfSearch, AnswersABatchAsEachQueryAloneWhereCentroidsAreLookedThroughInEightBits) {
  constexpr std::size_t kDim = 260;  // 300 lists: a quarter of a megabyte and more of centroids
  const Matrix rows = spread(3000, kDim, 1), queries = spread(75, kDim, 2);
  for (const Metric metric : {Metric::kL2, Metric::kCosine}) {
    for (const CodecSpec& codec :
         {spec(CodecKind::kPq, 130, 4), spec(CodecKind::kRotation, 0, 1)}) {
      IvfParams params;
      params.codec = codec;
      params.lists = 300;
      params.refine = RefineKind::kFloat16;
      IvfIndex index(kDim, metric, params);
      index.add(rows.view());
      std::vector<std::uint8_t> mask(3000);
      for (std::size_t i = 0; i < mask.size(); i += 3) mask[i] = 1;
      for (const bool restricted : {false, true}) {
        Allowed allowed;
        if (restricted) {
          allowed.mask = mask.data();
          allowed.count = mask.size();
        }
        for (const std::uint32_t nprobe : {9u, 40u}) {
          const IvfSearch how = probing(nprobe, 30, allowed);
          EXPECT_EQ(search(index, queries.view(), 10, how), search_singly(index, queries, 10, how))
              << nprobe;
        }
      }
    }
  }
}

TEST(IvfSearch, MoreListsFindMore) {
  const Matrix rows = spread(4000, 16, 5), queries = spread(100, 16, 6);
  IvfParams params;
  params.codec = CodecKind::kFloat32;
  params.residual = false;
  params.lists = 64;
  IvfIndex index(16, Metric::kL2, params);
  index.add(rows.view());
  // Measured 0.572, 0.999, 1 and 1.
  double before = 0.0;
  const std::pair<std::uint32_t, double> wanted[] = {{1, 0.5}, {4, 0.97}, {16, 0.99}, {64, 1.0}};
  for (const auto& [nprobe, least] : wanted) {
    const double now = recall(search(index, queries.view(), 10, probing(nprobe)), Metric::kL2,
                              queries, rows, counted(4000));
    EXPECT_GE(now, least) << nprobe;
    EXPECT_GE(now, before);
    before = now;
  }
}

// Enough centroids that they are looked through in 8 bits first.
TEST(IvfSearch, FindsARowInTheListItLiesIn) {
  const Matrix rows = spread(3000, 128, 7);
  for (const Metric metric : kMetrics) {
    IvfParams params;
    params.codec = CodecKind::kFloat32;
    params.residual = false;
    params.lists = 600;
    IvfIndex index(128, metric, params);
    index.add(rows.view());
    IvfStats stats;
    const Answers found = search(index, rows.view(), 1, probing(1), 1, &stats);
    EXPECT_EQ(stats.lists, 3000u);
    if (metric != Metric::kL2) continue;  // rows lie with the centroid at the least distance
    std::size_t self = 0;
    for (std::size_t r = 0; r < 3000; ++r) {
      self += found.ids[r] == static_cast<std::int64_t>(r) ? 1u : 0u;
    }
    // But for centroids equally near to within rounding.
    EXPECT_GE(self, 2999u) << name(metric);
  }
}

TEST(IvfSearch, LooksFurtherWhereListsHoldTooLittle) {
  const Matrix rows = spread(400, 8, 8), queries = spread(30, 8, 9);
  IvfParams params;
  params.lists = 100;
  IvfIndex index(8, Metric::kL2, params);
  index.add(rows.view());
  for (const std::size_t k : {std::size_t{1}, std::size_t{50}, std::size_t{400}}) {
    const Answers found = search(index, queries.view(), k, probing(1));
    EXPECT_EQ(search_singly(index, queries, k, probing(1)), found);
    for (std::size_t q = 0; q < queries.rows; ++q) {
      const auto first = found.ids.begin() + static_cast<std::ptrdiff_t>(q * k);
      const std::set<std::int64_t> ids(first, first + static_cast<std::ptrdiff_t>(k));
      EXPECT_EQ(ids.size(), k);
      EXPECT_EQ(ids.count(-1), 0u);
    }
  }
  const Answers more = search(index, queries.view(), 405, probing(2));
  EXPECT_NE(more.ids[399], -1);
  EXPECT_EQ(more.ids[400], -1);
  EXPECT_EQ(more.distances[404], std::numeric_limits<float>::infinity());
}

TEST(IvfSearch, RestrictsToAllowedIdsAtEverySelectivity) {
  const Matrix rows = spread(4000, 16, 7), queries = spread(60, 16, 8);
  IvfParams params;
  params.refine = RefineKind::kFloat32;
  params.lists = 60;
  IvfIndex index(16, Metric::kL2, params);
  index.add(rows.view());
  for (const unsigned every : {1u, 2u, 5u, 20u, 100u, 1000u, 3999u}) {
    std::vector<std::uint8_t> mask(rows.rows);
    Ids ids;
    Matrix kept{0, 16, {}};
    for (std::size_t r = 0; r < rows.rows; r += every) {
      mask[r] = 1;
      ids.push_back(static_cast<std::int64_t>(r));
      kept.values.insert(kept.values.end(), rows.row(r), rows.row(r) + 16);
      ++kept.rows;
    }
    Allowed by_mask, by_ids;
    by_mask.mask = mask.data();
    by_mask.count = mask.size();
    by_ids.ids = ids.data();
    by_ids.count = ids.size();
    const Answers found = search(index, queries.view(), 10, probing(30, 0, by_mask));
    EXPECT_EQ(search(index, queries.view(), 10, probing(30, 0, by_ids)), found);
    EXPECT_EQ(search_singly(index, queries, 10, probing(30, 0, by_mask)), found);
    const std::size_t most = std::min<std::size_t>(10, ids.size());
    for (std::size_t i = 0; i < found.ids.size(); ++i) {
      if (i % 10 < most) {
        ASSERT_GE(found.ids[i], 0) << "every " << every;
        ASSERT_EQ(found.ids[i] % every, 0);
      } else {
        ASSERT_EQ(found.ids[i], -1);
      }
    }
    EXPECT_GE(recall(found, Metric::kL2, queries, kept, ids) * 10.0 / static_cast<double>(most),
              0.97)
        << every;
  }
  const Ids absent{4000, 7000, -4};
  Allowed nobody;
  nobody.ids = absent.data();
  nobody.count = absent.size();
  EXPECT_EQ(search(index, queries.view(), 2, probing(3, 0, nobody)).ids, Ids(120, -1));
}

TEST(IvfSearch, CutsOffListsThatAreFar) {
  const Matrix rows = spread(3000, 16, 9), queries = spread(40, 16, 10);
  for (const Metric metric : {Metric::kL2, Metric::kCosine}) {
    IvfParams params;
    params.lists = 50;
    IvfIndex index(16, metric, params);
    index.add(rows.view());
    IvfSearch how = probing(20);
    const Answers all = search(index, queries.view(), 3, how);
    how.cut = 1e9f;
    EXPECT_EQ(search(index, queries.view(), 3, how), all);
    how.cut = 0.0f;
    IvfStats stats;
    const Answers nearest = search(index, queries.view(), 3, how, 1, &stats);
    EXPECT_EQ(stats.lists, 40u);
    EXPECT_EQ(nearest, search(index, queries.view(), 3, probing(1)));
    EXPECT_EQ(nearest, search_singly(index, queries, 3, how));
    how.cut = 0.5f;
    stats = {};
    const Answers some = search(index, queries.view(), 3, how, 1, &stats);
    EXPECT_EQ(some, search_singly(index, queries, 3, how));
    EXPECT_GT(stats.lists, 40u);
    EXPECT_LT(stats.lists, 20u * 40u);
  }
}

TEST(IvfSoar, PutsEveryRowIntoTwoListsAndFindsItOnce) {
  const Matrix rows = spread(2000, 16, 11), queries = spread(40, 16, 12);
  for (const Metric metric : kMetrics) {
    IvfParams params;
    params.soar = true;
    params.lists = 40;
    params.refine = RefineKind::kFloat32;
    IvfIndex index(16, metric, params);
    index.add(rows.view());
    const auto sizes = index.list_sizes();
    EXPECT_EQ(std::accumulate(sizes.begin(), sizes.end(), 0u), 4000u);
    FlatIndex flat(16, metric);
    flat.add(rows.view());
    EXPECT_EQ(search(index, queries.view(), 10, probing(40, 2000)),
              search(flat, queries.view(), 10));
    const Answers found = search(index, queries.view(), 20, probing(6));
    EXPECT_EQ(found, search_singly(index, queries, 20, probing(6)));
    for (std::size_t q = 0; q < queries.rows; ++q) {
      const auto first = found.ids.begin() + static_cast<std::ptrdiff_t>(q * 20);
      const std::set<std::int64_t> once(first, first + 20);
      EXPECT_EQ(once.size(), 20u);
    }
  }
}

TEST(IvfSoar, OfOneListIsOneList) {
  const Matrix rows = spread(30, 4, 13);
  IvfParams params;
  params.soar = true;
  params.lists = 1;
  IvfIndex index(4, Metric::kL2, params);
  index.add(rows.view());
  EXPECT_EQ(index.list_sizes(), std::vector<std::uint32_t>{30});
  EXPECT_EQ(search(index, MatrixView<const float>(rows.row(9), 1, 4), 1, probing(1)).ids[0], 9);
}

TEST(IvfSearch, CountsItsWork) {
  const Matrix rows = spread(3000, 16, 3), queries = spread(20, 16, 4);
  IvfParams params;
  params.refine = RefineKind::kFloat16;
  params.lists = 50;
  IvfIndex index(16, Metric::kL2, params);
  index.add(rows.view());
  IvfStats few, all;
  search(index, queries.view(), 5, probing(5, 30), 1, &few);
  search(index, queries.view(), 5, probing(50, 30), 2, &all);
  EXPECT_EQ(few.lists, 100u);
  EXPECT_LT(few.distances, std::uint64_t{20} * 3000 / 2);
  EXPECT_EQ(few.reranked, 600u);
  EXPECT_EQ(all.lists, 1000u);
  EXPECT_EQ(all.distances, std::uint64_t{20} * 3000);
}

TEST(IvfMisuse, IsToldInPlainWords) {
  EXPECT_THROW(IvfIndex(0, Metric::kL2), ArgumentError);
  EXPECT_THROW(IvfIndex(kMaxDim + 1, Metric::kL2), ArgumentError);
  const auto refuses = [](auto change) {
    IvfParams params;
    change(params);
    EXPECT_THROW(IvfIndex(4, Metric::kL2, params), ArgumentError);
  };
  refuses([](IvfParams& p) { p.codec = CodecKind::kInt8; });
  refuses([](IvfParams& p) { p.codec = CodecKind::kUint8; });
  refuses([](IvfParams& p) { p.codec = CodecKind::kBfloat16; });
  refuses([](IvfParams& p) {
    p.codec = CodecKind::kFloat32;
    p.refine = RefineKind::kFloat32;
  });
  refuses([](IvfParams& p) { p.refine = RefineKind::kSq8; });  // beside sq8 codes
  refuses([](IvfParams& p) { p.spill = -1.0f; });
  refuses([](IvfParams& p) { p.spill = std::nanf(""); });
  refuses([](IvfParams& p) { p.balance = 0.5f; });
  refuses([](IvfParams& p) { p.balance = std::numeric_limits<float>::infinity(); });

  IvfParams params;
  params.lists = 9;
  IvfIndex index(4, Metric::kL2, params);
  const Matrix rows = spread(10, 4, 1), wide = spread(10, 5, 1);
  EXPECT_THROW(index.add(wide.view()), DimensionError);
  EXPECT_THROW(index.train(wide.view()), DimensionError);
  EXPECT_THROW(index.add(MatrixView<const float>(rows.row(0), 8, 4)), ArgumentError);
  EXPECT_THROW(index.train(MatrixView<const float>(rows.row(0), 0, 4)), ArgumentError);
  EXPECT_EQ(index.lists(), 0u);
  index.add(rows.view());
  EXPECT_EQ(index.lists(), 9u);
  EXPECT_THROW(index.train(rows.view()), ArgumentError);
  EXPECT_THROW(search(index, wide.view(), 3, probing(8)), DimensionError);
  EXPECT_THROW(search(index, rows.view(), 3, probing(0)), ArgumentError);
  EXPECT_THROW(search(index, rows.view(), 0, probing(8)), ArgumentError);
  IvfSearch how = probing(8);
  how.cut = -0.1f;
  EXPECT_THROW(search(index, rows.view(), 3, how), ArgumentError);
  how.cut = std::nanf("");
  EXPECT_THROW(search(index, rows.view(), 3, how), ArgumentError);
  how.cut = 2.0f;
  IvfIndex products(4, Metric::kInnerProduct);
  EXPECT_THROW(search(products, rows.view(), 3, how), ArgumentError);
}

}  // namespace
}  // namespace vicinal
