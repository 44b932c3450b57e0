#include "indexes/packed_rows.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>
#include <numeric>
#include <thread>
#include <vector>

#include "base/random.h"
#include "kernels/table.h"
#include "quantizers/nibbles.h"
#include "vicinal/errors.h"

namespace vicinal::indexes {
namespace {

using quantizers::BlockQuery;
using quantizers::kBlockRows;

constexpr std::size_t kDim = 10;  // nibbles: not a whole line

/// A stored row is a float and kDim bytes 0..15, and scores (query - bytes)^2 + the float, the
/// squares rounded to bytes.
class FakeCodec final : public quantizers::Codec {
 public:
  explicit FakeCodec(bool blocks = true)
      : Codec(CodecSpec(CodecKind::kPq), kDim, Metric::kL2, 4 + kDim), blocks_(blocks) {}

  std::vector<quantizers::Learned> learned() const override { return {}; }
  std::shared_ptr<const Codec> for_metric(Metric) const override { return nullptr; }
  void encode(const float*, std::size_t, std::size_t, std::byte*, std::size_t) const override {}
  void decode(const std::byte*, std::size_t, float*, std::size_t) const override {}
  void prepare(const float*, quantizers::Precision, quantizers::Query&) const override {}

  std::size_t block_bytes() const noexcept override { return blocks_ ? add_at() + 128 : 0; }
  void pack(const std::byte* row, std::size_t place, std::byte* block) const override {
    quantizers::put_nibbles(reinterpret_cast<const std::uint8_t*>(row + 4), kDim, place, block);
    std::memcpy(block + add_at() + 4 * place, row, 4);
  }
  void unpack(const std::byte* block, std::size_t place, std::byte* row) const override {
    std::memset(row, 0, stride());
    quantizers::get_nibbles(block, kDim, place, reinterpret_cast<std::uint8_t*>(row + 4));
    std::memcpy(row, block + add_at() + 4 * place, 4);
  }
  void prepare_blocks(const float* query, BlockQuery& out) const override {
    float tables[kDim * 16];
    for (std::size_t j = 0; j < kDim; ++j) {
      for (std::size_t v = 0; v < 16; ++v) {
        const float difference = query[j] - static_cast<float>(v);
        tables[16 * j + v] = difference * difference;
      }
    }
    std::uint8_t* bytes = out.tables().get(quantizers::nibble_table_bytes(kDim));
    const auto scale = quantizers::round_tables(tables, kDim, bytes);
    auto* scan = new (out.state().get(sizeof(quantizers::NibbleScan)))
        quantizers::NibbleScan{bytes, kDim, block_bytes(), scale, add_at(), 0};
    out.use(
        scan,
        [](const void* state, const std::byte* blocks, std::size_t count, float* to) {
          quantizers::score_nibbles(*static_cast<const quantizers::NibbleScan*>(state), blocks,
                                    count, to);
        },
        [](const void* const* states, std::size_t queries, const std::byte* blocks,
           std::size_t count, float* const* to) {
          const quantizers::NibbleScan* scans[BlockQuery::kMany];
          for (std::size_t q = 0; q < queries; ++q) {
            scans[q] = static_cast<const quantizers::NibbleScan*>(states[q]);
          }
          quantizers::score_nibbles(scans, queries, blocks, count, to);
        });
  }

 private:
  static std::size_t add_at() { return quantizers::nibble_block_bytes(kDim); }
  bool blocks_;
};

std::shared_ptr<const quantizers::Codec> codec() {
  static const auto one = std::make_shared<const FakeCodec>();
  return one;
}

/// Few different rows, so that distances tie.
std::vector<std::byte> stored(std::size_t n, std::uint64_t seed = 1) {
  const std::size_t stride = codec()->stride();
  std::vector<std::byte> rows(n * stride);
  for (std::size_t r = 0; r < n; ++r) {
    const std::uint64_t like = random_below(40, seed, 1, r);
    const auto add = static_cast<float>(like % 5) * 0.5f;
    std::memcpy(rows.data() + r * stride, &add, 4);
    for (std::size_t j = 0; j < kDim; ++j) {
      rows[r * stride + 4 + j] = static_cast<std::byte>(random_below(16, 9, like, j));
    }
  }
  return rows;
}

PackedRows packed(const std::vector<std::byte>& rows) {
  PackedRows out(codec());
  out.append(rows.data(), rows.size() / codec()->stride());
  return out;
}

std::vector<std::byte> file_bytes(const PackedRows& rows) {
  std::vector<std::byte> out;
  for (std::size_t b = 0; b < rows.blocks(); ++b) {
    out.insert(out.end(), rows.block(b), rows.block(b) + codec()->block_bytes());
  }
  EXPECT_EQ(out.size(), rows.bytes());
  return out;
}

void expect_holds(const PackedRows& rows, const std::vector<std::byte>& want) {
  const std::size_t stride = codec()->stride();
  ASSERT_EQ(rows.rows() * stride, want.size());
  std::vector<std::byte> got(want.size());
  for (std::size_t r = 0; r < rows.rows(); ++r) rows.get(r, got.data() + r * stride);
  EXPECT_TRUE(got == want);
}

struct Prepared {
  explicit Prepared(std::uint64_t seed) {
    float values[kDim];
    for (std::size_t j = 0; j < kDim; ++j) {
      values[j] = static_cast<float>(random_unit(seed, 2, j)) * 16;
    }
    codec()->prepare_blocks(values, query);
  }
  BlockQuery query;
};

/// Distance of a stored row, by the definition: sums of the table's bytes, every step rounded.
float distance_of(const Prepared& prepared, const std::byte* row, std::size_t number,
                  const PackedTerms& terms) {
  // The query's tables and scale are tested with the codecs; here they are taken as they are.
  const auto& scan = *reinterpret_cast<const quantizers::NibbleScan*>(
      const_cast<Prepared&>(prepared).query.state().get(sizeof(quantizers::NibbleScan)));
  std::uint32_t sum = 0;
  for (std::size_t j = 0; j < kDim; ++j) {
    sum += scan.tables[16 * j + static_cast<std::size_t>(row[4 + j])];
  }
  float add;
  std::memcpy(&add, row, 4);
  volatile float d = static_cast<float>(sum) * scan.scale.scale;
  d = d + scan.scale.offset;
  d = d + add;
  d = terms.factor * d;
  d = d + terms.offset;
  if (terms.add != nullptr) d = d + terms.add[number];
  const float distance = d;
  return std::max(terms.least, distance);
}

std::vector<Hit> exhaustive(const Prepared& prepared, const std::vector<std::byte>& rows,
                            std::size_t first, std::size_t last, std::size_t k,
                            const PackedTerms& terms) {
  std::vector<Hit> hits;
  for (std::size_t r = first; r < last; ++r) {
    if (terms.allowed != nullptr && !terms.allowed->test(r)) continue;
    const float d = distance_of(prepared, rows.data() + r * codec()->stride(), r, terms);
    const auto plain = terms.base + static_cast<std::uint32_t>(r);
    hits.push_back({d, terms.numbers != nullptr ? terms.numbers[r] : plain});
  }
  std::sort(hits.begin(), hits.end(), nearer);
  hits.resize(std::min(k, hits.size()));
  return hits;
}

void expect_same(const std::vector<Hit>& got, const std::vector<Hit>& want) {
  ASSERT_EQ(got.size(), want.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    ASSERT_EQ(got[i].distance, want[i].distance) << i;
    ASSERT_EQ(got[i].row, want[i].row) << i;
  }
}

TEST(PackedRows, HoldWhatIsAppendedHoweverItIsCut) {
  const std::size_t stride = codec()->stride();
  for (const std::size_t n : {0, 1, 31, 32, 33, 64, 100, 300}) {
    const auto rows = stored(n);
    const auto want = file_bytes(packed(rows));
    for (const std::size_t piece : {1, 5, 32, 33, 64, 77}) {
      PackedRows got(codec());
      for (std::size_t at = 0; at < n; at += piece) {
        got.append(rows.data() + at * stride, std::min(piece, n - at));
      }
      expect_holds(got, rows);
      EXPECT_EQ(got.blocks(), (n + 31) / 32);
      EXPECT_TRUE(file_bytes(got) == want) << n << " by " << piece;
      EXPECT_GE(got.memory(), got.bytes());
    }
  }
}

TEST(PackedRows, ACodecWithoutBlocksIsRefused) {
  EXPECT_THROW(PackedRows(std::make_shared<const FakeCodec>(false)), ArgumentError);
}

TEST(PackedRows, ScoreAnyRange) {
  const auto rows = stored(200);
  const PackedRows packed_rows = packed(rows);
  const Prepared query(3);
  std::vector<float> add(200);
  std::iota(add.begin(), add.end(), -20.0f);
  PackedTerms shifted;
  shifted.factor = 2.0f;
  shifted.offset = -0.3f;
  shifted.add = add.data();
  shifted.least = 1.0f;
  for (const PackedTerms& terms : {PackedTerms{}, shifted}) {
    for (const std::size_t first : {0, 1, 31, 32, 100, 191, 199, 200}) {
      for (const std::size_t last : {0, 1, 32, 33, 101, 192, 193, 200}) {
        std::vector<float> got(last > first ? last - first : 0);
        packed_rows.score(query.query, first, last, terms, got.data());
        for (std::size_t i = 0; i < got.size(); ++i) {
          const std::byte* row = rows.data() + (first + i) * codec()->stride();
          ASSERT_EQ(got[i], distance_of(query, row, first + i, terms)) << first << " + " << i;
        }
      }
    }
  }
}

TEST(PackedRows, ScansKeepWhatAnExhaustiveSortKeeps) {
  constexpr std::size_t kRows = 3000;
  const auto rows = stored(kRows);
  const PackedRows packed_rows = packed(rows);
  const Prepared query(4);
  std::vector<std::uint32_t> numbers(kRows);
  std::vector<float> add(kRows);
  Bitmap few(kRows), many(kRows + 70), none(kRows);
  for (std::size_t r = 0; r < kRows; ++r) {
    numbers[r] = static_cast<std::uint32_t>(kRows - r) * 3;
    add[r] = static_cast<float>(random_below(7, 5, 5, r));
    if (random_below(100, 6, 6, r) == 0) few.set(r);
    if (r / 64 % 3 != 0 && random_below(5, 6, 7, r) != 0) many.set(r);
  }
  std::vector<PackedTerms> all(6);
  all[1].base = 77;
  all[2].numbers = numbers.data();
  all[2].factor = -1.0f;
  all[3].allowed = &few;
  all[3].add = add.data();
  all[4].allowed = &many;
  all[4].numbers = numbers.data();
  all[4].offset = -200.0f;
  all[4].least = 0.0f;  // many distances become the same
  all[5].allowed = &none;
  BlockTopK top(1, kernels::active().below);
  for (std::size_t t = 0; t < all.size(); ++t) {
    for (const std::size_t k : {1, 10, 500}) {
      for (const std::size_t first : {0, 7, 64, 1500}) {
        for (const std::size_t last : {8, 64, 1600, 2987, 3000}) {
          SCOPED_TRACE(testing::Message()
                       << "terms " << t << ", k " << k << ", rows " << first << " to " << last);
          top.reset(k);
          packed_rows.scan(query.query, first, last, all[t], top);
          expect_same(top.finish(), exhaustive(query, rows, first, last, k, all[t]));
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

TEST(PackedRows, SeveralQueriesScanAsEachAlone) {
  constexpr std::size_t kRows = 1500;
  const auto rows = stored(kRows);
  const PackedRows packed_rows = packed(rows);
  Bitmap odd(kRows);
  for (std::size_t r = 1; r < kRows; r += 2) odd.set(r);
  for (const std::size_t count : {0, 1, 2, 4, 5, 11}) {
    std::vector<std::unique_ptr<Prepared>> prepared;
    std::vector<const BlockQuery*> queries;
    std::vector<PackedTerms> terms(count);
    std::vector<BlockTopK> tops;
    std::vector<BlockTopK*> to;
    for (std::size_t q = 0; q < count; ++q) {
      prepared.push_back(std::make_unique<Prepared>(q));
      queries.push_back(&prepared[q]->query);
      terms[q].base = static_cast<std::uint32_t>(1000 * q);
      if (q % 3 == 1 || count == 4) terms[q].allowed = &odd;
      tops.emplace_back(10, kernels::active().below);
    }
    for (BlockTopK& top : tops) to.push_back(&top);
    packed_rows.scan(queries.data(), count, 3, kRows - 2, terms.data(), to.data());
    for (std::size_t q = 0; q < count; ++q) {
      SCOPED_TRACE(testing::Message() << "query " << q << " of " << count);
      expect_same(tops[q].finish(), exhaustive(*prepared[q], rows, 3, kRows - 2, 10, terms[q]));
      if (HasFatalFailure()) return;
    }
  }
}

TEST(PackedRows, CopiesKeepTheRowsThereWere) {
  const std::size_t stride = codec()->stride();
  const auto rows = stored(200), others = stored(200, 2);
  for (const std::size_t n : {0, 1, 20, 32, 50, 64, 100}) {
    PackedRows first(codec());
    first.reserve(40);
    first.append(rows.data(), n);
    const std::vector<std::byte> was(rows.begin(),
                                     rows.begin() + static_cast<std::ptrdiff_t>(n * stride));
    PackedRows second = first;
    second.append(rows.data() + n * stride, 100);
    expect_holds(first, was);
    // The older one goes another way; the newer one must not notice.
    PackedRows third = first;
    third.append(others.data(), 70);
    first.append(others.data() + 70 * stride, 33);
    auto want = was;
    want.insert(want.end(), rows.begin() + static_cast<std::ptrdiff_t>(n * stride),
                rows.begin() + static_cast<std::ptrdiff_t>((n + 100) * stride));
    expect_holds(second, want);
    const PackedRows before = second;
    for (const std::size_t row : {n + 99, n + 3, n / 2}) {
      second.set(row, others.data() + row * stride);
      second.remove(row / 3);
    }
    expect_holds(before, want);
    EXPECT_TRUE(file_bytes(third) != file_bytes(first));
    PackedRows fourth = before;
    fourth.remove(0);
    fourth.append(others.data(), 64);
    expect_holds(before, want);
  }
}

TEST(PackedRows, RemovalMovesTheLastRowAndLeavesNoTrace) {
  const std::size_t stride = codec()->stride();
  for (const std::size_t n : {1, 2, 32, 33, 64, 65, 130}) {
    auto model = stored(n);
    PackedRows rows = packed(model);
    for (std::size_t step = 0; model.size() != 0; ++step) {
      const std::size_t count = model.size() / stride;
      const std::size_t row = random_below(count, 8, n, step);
      rows.remove(row);
      std::memmove(model.data() + row * stride, model.data() + (count - 1) * stride, stride);
      model.resize((count - 1) * stride);
      if (step % 7 == 3) {  // and grow again in between
        const auto more = stored(5, step);
        rows.append(more.data(), 5);
        model.insert(model.end(), more.begin(), more.end());
      }
      ASSERT_EQ(rows.rows(), model.size() / stride);
      ASSERT_TRUE(file_bytes(rows) == file_bytes(packed(model))) << n << " step " << step;
    }
  }
}

TEST(PackedRows, BorrowedBlocksAreReadAndNeverWritten) {
  const std::size_t stride = codec()->stride();
  for (const std::size_t n : {0, 5, 32, 70}) {
    const auto rows = stored(n + 50);
    PackedRows made(codec());
    made.append(rows.data(), n);
    const auto bytes = file_bytes(made);
    auto memory = std::make_shared<Buffer>(Buffer::allocate(bytes.size()));
    if (!bytes.empty()) std::memcpy(memory->mutable_data(), bytes.data(), bytes.size());
    PackedRows borrowed = PackedRows::borrow(codec(), memory->data(), n, memory);
    const std::vector<std::byte> was(rows.begin(),
                                     rows.begin() + static_cast<std::ptrdiff_t>(n * stride));
    expect_holds(borrowed, was);
    borrowed.append(rows.data() + n * stride, 50);
    expect_holds(borrowed, rows);
    PackedRows changed = PackedRows::borrow(codec(), memory->data(), n, memory);
    if (n > 1) {
      changed.set(0, rows.data() + stride * n);
      changed.remove(1);
      changed.append(rows.data(), 40);
      EXPECT_EQ(changed.rows(), n + 39);
    }
    EXPECT_TRUE(bytes.empty() || std::memcmp(memory->data(), bytes.data(), bytes.size()) == 0);
  }
}

TEST(PackedRows, ReadersOfASnapshotNeedNoLock) {
  const auto rows = stored(2000);
  const std::size_t stride = codec()->stride();
  PackedRows newest(codec());
  newest.append(rows.data(), 45);
  const PackedRows snapshot = newest;
  const Prepared query(1);
  const auto want = exhaustive(query, rows, 0, 45, 10, {});
  std::thread reader([&] {
    BlockTopK top(10);
    for (int i = 0; i < 200; ++i) {
      top.reset(10);
      snapshot.scan(query.query, 0, 45, {}, top);
      expect_same(top.finish(), want);
    }
  });
  for (std::size_t at = 45; at + 3 <= 2000; at += 3) newest.append(rows.data() + at * stride, 3);
  newest.set(0, rows.data() + 7 * stride);
  reader.join();
}

}  // namespace
}  // namespace vicinal::indexes
