#include "quantizers/transformed.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "support/transform_matrices.h"
#include "vicinal/errors.h"

namespace vicinal::quantizers {
namespace {

using test::Matrix;
using test::random_floats;
using test::reflection;
using test::triangular;

constexpr std::size_t kDim = 50, kRows = 40;

Transform made(const Matrix& data, const Matrix& query, const std::vector<float>& offset) {
  const std::vector<float> a = data.floats(), b = query.floats();
  return Transform({a.data(), data.rows, data.cols}, {b.data(), query.rows, query.cols}, offset);
}

struct Named {
  const char* what;
  Transform transform;
};

std::vector<Named> transforms() {
  const std::vector<float> offset = random_floats(kDim, 9);
  const Matrix rotation = reflection(kDim, kDim, kDim, 1);
  const Matrix fewer = reflection(kDim, 24, kDim, 1);
  const test::Pair pair = triangular(kDim, 2);
  return {{"rotation", made(rotation, rotation, {})},
          {"rotation with offset", made(rotation, rotation, offset)},
          {"fast rotation", Transform::rotation(kDim, 0xFEDCBA9876543210u)},
          {"fewer dimensions", made(fewer, fewer, offset)},
          {"whitening", made(pair.data, pair.query, {})},
          {"whitening with offset", made(pair.data, pair.query, offset)}};
}

/// As a file would have it: the arrays of the transform, then those of the codec behind it.
std::shared_ptr<const Codec> restored(const CodecSpec& spec, Metric metric,
                                      const std::vector<Learned>& learned) {
  const Transform transform = restore_transform(learned, kDim);
  const std::size_t own = Codec::learns(spec, transform.out()).size();
  std::vector<Learned> arrays(learned.begin(),
                              learned.begin() + static_cast<std::ptrdiff_t>(
                                                    std::min(own, learned.size())));
  return transformed(transform,
                     Codec::restore(spec, transform.out(), transformed_metric(metric),
                                    std::move(arrays)),
                     metric);
}

double score(Metric metric, const float* q, const float* x) {
  double l2 = 0, dot = 0;
  for (std::size_t i = 0; i < kDim; ++i) {
    l2 += std::pow(static_cast<double>(q[i]) - x[i], 2);
    dot += static_cast<double>(q[i]) * x[i];
  }
  return metric == Metric::kL2 ? l2 : -dot;
}

// Values below 8 through a few sums of 50 terms, squared and added.
constexpr double kTolerance = 64.0 * kDim * 4 * (kDim + 8) * 0x1p-23;

struct Store {
  std::shared_ptr<const Codec> codec;
  Buffer rows;
  std::vector<float> decoded;
};

Store store(const CodecSpec& spec, const Transform& transform, Metric metric,
            const std::vector<float>& rows) {
  Store s;
  const std::size_t n = rows.size() / kDim;
  s.codec = train_codec(spec, metric, {rows.data(), n, kDim}, transform);
  s.rows = Buffer::allocate(n * s.codec->stride());
  s.codec->encode(rows.data(), kDim, n, s.rows.mutable_data());
  s.decoded.resize(n * kDim);
  s.codec->decode(s.rows.data(), n, s.decoded.data(), kDim);
  return s;
}

// A stored row of scalar codes that became a query under inner product is rounded to 254 steps of
// its range: half a step times the codes it meets.
double rounding(const Store& s, Metric metric, std::size_t from, std::size_t row) {
  if (s.codec->kind() != CodecKind::kSq8 || metric == Metric::kL2) return 0;
  const Codec& inner = inner_of(*s.codec);
  const std::size_t out = inner.dim();
  const std::vector<float> mean = inner.learned().front().values;
  std::vector<float> query(out), met(out);
  transform_of(*s.codec)->queries(MatrixView<const float>(s.decoded.data() + from * kDim, 1, kDim),
                                  metric, {query.data(), 1, out});
  inner.decode(s.rows.data() + row * s.codec->stride(), 1, met.data(), out);
  double codes = 0;
  for (std::size_t i = 0; i < out; ++i) codes += std::fabs(met[i] - mean[i]);
  const auto [low, high] = std::minmax_element(query.begin(), query.end());
  return codes * (*high - *low) / 254 / 2;
}

class Transformed : public testing::TestWithParam<CodecKind> {};

TEST_P(Transformed, ScoresWhatItsRowsStandFor) {
  const std::vector<float> rows = random_floats(kRows * kDim, 3), query = random_floats(kDim, 4);
  for (const Named& named : transforms()) {
    for (const Metric metric : {Metric::kL2, Metric::kInnerProduct, Metric::kCosine}) {
      if (!named.transform.fits(metric)) continue;
      const Store s = store(GetParam(), named.transform, metric, rows);
      EXPECT_EQ(s.codec->dim(), kDim);
      EXPECT_EQ(s.codec->metric(), metric);
      EXPECT_EQ(s.codec->bytes(), inner_of(*s.codec).bytes());
      Query q;
      s.codec->prepare(query.data(), Precision::kExact, q);
      float block[kRows], gathered[2];
      q.score_block(s.rows.data(), kRows, block);
      const std::uint32_t ids[] = {kRows - 1, 3};
      q.score_ids(s.rows.data(), ids, 2, gathered);
      EXPECT_EQ(gathered[0], block[kRows - 1]);
      EXPECT_EQ(gathered[1], block[3]);
      for (std::size_t r = 0; r < kRows; ++r) {
        EXPECT_NEAR(block[r] + q.shift(), score(metric, query.data(), s.decoded.data() + r * kDim),
                    kTolerance)
            << named.what << ", " << name(metric) << ", row " << r;
      }
    }
  }
}

TEST_P(Transformed, ComparesStoredRows) {
  const std::vector<float> rows = random_floats(kRows * kDim, 3);
  for (const Named& named : transforms()) {
    for (const Metric metric : {Metric::kL2, Metric::kInnerProduct}) {
      if (!named.transform.fits(metric)) continue;
      const Store s = store(GetParam(), named.transform, metric, rows);
      for (std::size_t from = 0; from < 3; ++from) {
        Query q;
        s.codec->prepare_row(s.rows.data() + from * s.codec->stride(), q);
        float block[kRows];
        q.score_block(s.rows.data(), kRows, block);
        for (std::size_t r = 0; r < kRows; ++r) {
          const double want =
              score(metric, s.decoded.data() + from * kDim, s.decoded.data() + r * kDim);
          EXPECT_NEAR(block[r] + q.shift(), want, kTolerance + rounding(s, metric, from, r))
              << named.what << ", " << name(metric) << ", rows " << from << " and " << r;
        }
        if (metric == Metric::kL2) {
          EXPECT_LE(block[from], s.codec->twin_limit(s.rows.data() + from * s.codec->stride()));
        }
      }
    }
  }
}

TEST_P(Transformed, ComesBackFromItsArrays) {
  const std::vector<float> rows = random_floats(kRows * kDim, 3), query = random_floats(kDim, 4);
  for (const Named& named : transforms()) {
    const Metric metric = Metric::kInnerProduct;
    const Store s = store(GetParam(), named.transform, metric, rows);
    const std::vector<Learned> learned = s.codec->learned();
    auto wanted = Codec::learns(GetParam(), named.transform.out());
    for (auto& array : transform_arrays(kDim, named.transform.out(), named.transform.fast())) {
      wanted.push_back(std::move(array));
    }
    ASSERT_EQ(learned.size(), wanted.size());
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      EXPECT_EQ(learned[i].name, wanted[i].first);
      EXPECT_EQ(learned[i].values.size(), wanted[i].second) << wanted[i].first;
    }
    const auto again = restored(GetParam(), metric, learned);
    std::vector<std::byte> bytes(kRows * again->stride());
    again->encode(rows.data(), kDim, kRows, bytes.data());
    EXPECT_EQ(std::memcmp(bytes.data(), s.rows.data(), bytes.size()), 0) << named.what;
    Query first, second;
    s.codec->prepare(query.data(), Precision::kFast, first);
    again->prepare(query.data(), Precision::kFast, second);
    float a[kRows], b[kRows];
    first.score_block(s.rows.data(), kRows, a);
    second.score_block(s.rows.data(), kRows, b);
    EXPECT_EQ(std::memcmp(a, b, sizeof a), 0) << named.what;
    EXPECT_EQ(first.shift(), second.shift());
  }
}

INSTANTIATE_TEST_SUITE_P(Codecs, Transformed, testing::Values(CodecKind::kFloat32, CodecKind::kSq8),
                         [](const auto& kind) { return std::string(name(kind.param)); });

TEST(TransformedCodec, ForgetsTheShiftOfTheQueryBefore) {
  const std::vector<float> rows = random_floats(kRows * kDim, 3), query = random_floats(kDim, 4);
  const auto all = transforms();
  const Store with = store(CodecKind::kFloat32, all[1].transform, Metric::kInnerProduct, rows);
  const Store without = store(CodecKind::kFloat32, all[0].transform, Metric::kInnerProduct, rows);
  Query q;
  with.codec->prepare(query.data(), Precision::kExact, q);
  EXPECT_NE(q.shift(), 0.0f);
  const float shift = q.shift();
  with.codec->prepare(query.data(), Precision::kExact, q);
  EXPECT_EQ(q.shift(), shift);
  without.codec->prepare(query.data(), Precision::kExact, q);
  EXPECT_EQ(q.shift(), 0.0f);
}

TEST(TransformedCodec, PacksBlocksAsTheCodecBehindIt) {
  const std::vector<float> rows = random_floats(kBlockRows * kDim, 3);
  const std::vector<float> query = random_floats(kDim, 4);
  CodecSpec spec(CodecKind::kPq);
  spec.parts = 12;
  spec.bits = 4;
  const Transform transform = transforms()[1].transform;  // with an offset
  const Store s = store(spec, transform, Metric::kInnerProduct, rows);
  const Codec& inner = inner_of(*s.codec);
  ASSERT_GT(s.codec->block_bytes(), 0u);
  ASSERT_EQ(s.codec->block_bytes(), inner.block_bytes());
  Buffer block = Buffer::allocate(inner.block_bytes());
  std::vector<std::byte> row(s.codec->stride());
  for (std::size_t r = 0; r < kBlockRows; ++r) {
    s.codec->pack(s.rows.data() + r * s.codec->stride(), r, block.mutable_data());
  }
  s.codec->unpack(block.data(), 17, row.data());
  EXPECT_EQ(std::memcmp(row.data(), s.rows.data() + 17 * row.size(), row.size()), 0);

  std::vector<float> image(transform.out());
  float shift = 0;
  transform.queries(MatrixView<const float>(query.data(), 1, kDim), Metric::kInnerProduct,
                    {image.data(), 1, transform.out()}, &shift);
  BlockQuery through, direct;
  s.codec->prepare_blocks(query.data(), through);
  inner.prepare_blocks(image.data(), direct);
  float got[kBlockRows], want[kBlockRows];
  through.score(block.data(), 1, got);
  direct.score(block.data(), 1, want);
  EXPECT_EQ(std::memcmp(got, want, sizeof got), 0);
  EXPECT_NE(shift, 0.0f);
  EXPECT_EQ(through.shift(), shift);
  s.codec->prepare_blocks(query.data(), through);
  EXPECT_EQ(through.shift(), shift);
}

TEST(TransformedCodec, TellsWhatIsInIt) {
  const std::vector<float> rows = random_floats(kRows * kDim, 3);
  const Store s = store(CodecKind::kFloat32, transforms()[3].transform, Metric::kCosine, rows);
  ASSERT_NE(transform_of(*s.codec), nullptr);
  EXPECT_EQ(transform_of(*s.codec)->out(), 24u);
  EXPECT_EQ(inner_of(*s.codec).dim(), 24u);
  EXPECT_EQ(inner_of(*s.codec).metric(), Metric::kInnerProduct);
  const auto plain = Codec::train(CodecKind::kFloat32, 3, Metric::kL2, {});
  EXPECT_EQ(transform_of(*plain), nullptr);
  EXPECT_EQ(&inner_of(*plain), plain.get());
  const auto l2 = s.codec->for_metric(Metric::kL2);
  EXPECT_EQ(l2->metric(), Metric::kL2);
  EXPECT_EQ(inner_of(*l2).metric(), Metric::kL2);
}

TEST(TransformedCodec, RefusesWhatCannotWork) {
  const auto all = transforms();
  const std::vector<float> rows = random_floats(kRows * kDim, 3);
  const MatrixView<const float> sample(rows.data(), kRows, kDim);
  EXPECT_THROW(train_codec(CodecKind::kFloat32, Metric::kL2, sample, all[4].transform),
               ArgumentError);
  EXPECT_THROW(train_codec(CodecKind::kInt8, Metric::kL2, sample, all[0].transform),
               ArgumentError);
  EXPECT_THROW(
      transformed(all[0].transform, Codec::train(CodecKind::kFloat32, kDim + 1, Metric::kL2, {}),
                  Metric::kL2),
      ArgumentError);
  EXPECT_THROW(
      transformed(all[0].transform, Codec::train(CodecKind::kFloat32, kDim, Metric::kL2, {}),
                  Metric::kCosine),
      ArgumentError);
  const Store s = store(CodecKind::kFloat32, all[4].transform, Metric::kInnerProduct, rows);
  EXPECT_THROW(s.codec->for_metric(Metric::kL2), ArgumentError);
}

TEST(TransformedCodec, RefusesWhatBecomesInfinite) {
  Matrix half(kDim, kDim), twice(kDim, kDim);
  for (std::size_t i = 0; i < kDim; ++i) {
    half.at(i, i) = 0.5;
    twice.at(i, i) = 2;
  }
  const std::vector<float> huge(kDim, 3e38f);
  const Store grows = store(CodecKind::kFloat32, made(twice, half, {}), Metric::kInnerProduct,
                            random_floats(kDim, 1));
  const Store asks = store(CodecKind::kFloat32, made(half, twice, {}), Metric::kInnerProduct,
                           random_floats(kDim, 1));
  std::vector<std::byte> out(grows.codec->stride());
  Query q;
  EXPECT_NO_THROW(grows.codec->prepare(huge.data(), Precision::kExact, q));
  EXPECT_NO_THROW(asks.codec->encode(huge.data(), kDim, 1, out.data(), 7));
  EXPECT_THROW(asks.codec->prepare(huge.data(), Precision::kExact, q), ArgumentError);
  try {
    grows.codec->encode(huge.data(), kDim, 1, out.data(), 7);
    FAIL();
  } catch (const ArgumentError& error) {
    EXPECT_NE(std::string(error.what()).find("row 7"), std::string::npos) << error.what();
  }
}

TEST(TransformedCodec, RefusesDamagedArrays) {
  const std::vector<float> rows = random_floats(kRows * kDim, 3);
  const Store s =
      store(CodecKind::kFloat32, transforms()[4].transform, Metric::kInnerProduct, rows);
  const std::vector<Learned> good = s.codec->learned();
  const auto restore = [](std::vector<Learned> learned, Metric metric = Metric::kInnerProduct) {
    return restored(CodecKind::kFloat32, metric, learned);
  };
  EXPECT_NO_THROW(restore(good));
  EXPECT_THROW(restore(good, Metric::kL2), ArgumentError);
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::vector<Learned> bad = good;
    bad.erase(bad.begin() + static_cast<std::ptrdiff_t>(i));
    EXPECT_THROW(restore(bad), ArgumentError) << "without " << good[i].name;
    for (const std::size_t size : {std::size_t{0}, std::size_t{1}, good[i].values.size() - 1,
                                   good[i].values.size() + kDim}) {
      bad = good;
      bad[i].values.resize(size);
      EXPECT_THROW(restore(bad), ArgumentError) << good[i].name << " of " << size;
    }
    bad = good;
    bad[i].values.back() = std::nanf("");
    EXPECT_THROW(restore(bad), ArgumentError) << "NaN in " << good[i].name;
  }
  const auto seed = [](std::vector<float> values) {
    return std::vector<Learned>{{"transform/rotation", std::move(values)}};
  };
  EXPECT_EQ(transform_of(*restore(seed({1, 2, 0, 65535})))->seed(), 0xFFFF000000020001u);
  for (const auto& values : std::vector<std::vector<float>>{{},
                                                            {1, 2, 3},
                                                            {1, 2, 3, 4, 5},
                                                            {-1, 0, 0, 0},
                                                            {65536, 0, 0, 0},
                                                            {0.5f, 0, 0, 0},
                                                            {std::nanf(""), 0, 0, 0}}) {
    EXPECT_THROW(restore(seed(values)), ArgumentError) << values.size();
  }
}

}  // namespace
}  // namespace vicinal::quantizers
