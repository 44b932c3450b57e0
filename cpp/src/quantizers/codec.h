#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/buffer.h"
#include "kernels/packed_bits.h"
#include "kernels/table.h"
#include "vicinal/codec.h"
#include "vicinal/control.h"
#include "vicinal/types.h"
#include "vicinal/view.h"

namespace vicinal::quantizers {

/// Zeroed, 64-byte aligned, reused memory of a thread.
template <class T>
class Scratch {
 public:
  /// At least n elements, all zero only when freshly grown.
  T* get(std::size_t n) {
    if (n > size_) {
      buffer_ = Buffer::allocate(n * sizeof(T));
      size_ = n;
    }
    return reinterpret_cast<T*>(buffer_.mutable_data());
  }

 private:
  Buffer buffer_;
  std::size_t size_ = 0;
};

/// A query made ready for one codec: what to call, and with what. Reused between queries.
class Query {
 public:
  void score_ids(const std::byte* rows, const std::uint32_t* ids, std::size_t n,
                 float* out) const noexcept {
    ids_(data_, rows, stride_, ids, n, dim_, ahead_, out);
  }
  void score_block(const std::byte* rows, std::size_t n, float* out) const noexcept {
    block_(data_, rows, stride_, n, dim_, out);
  }
  /// The bits that score_block() gives for several queries prepared alike, queries[q] to out[q].
  /// Where there is a kernel for it, rows are read once for some of them.
  static void score_block_many(const Query* const* queries, std::size_t count,
                               const std::byte* rows, std::size_t n, float* const* out) noexcept;
  std::size_t stride() const noexcept { return stride_; }
  unsigned ahead() const noexcept { return ahead_; }
  /// What whoever answers adds to each score, being the same for all rows.
  float shift() const noexcept { return shift_; }

  // For codecs. data: what the kernels take as query; width: what they take as dim. Both kernels
  // give the same bits for the same row.
  void use(const void* data, kernels::ScoreIds ids, kernels::ScoreBlock block, std::size_t stride,
           std::size_t width) noexcept;
  void use_many(kernels::ScoreMany many) noexcept { many_ = many; }  ///< after use()
  void add_shift(float shift) noexcept { shift_ += shift; }  ///< after use(), which sets it to 0
  Scratch<float>& values() noexcept { return values_; }
  Scratch<float>& row() noexcept { return row_; }
  Scratch<std::int8_t>& codes() noexcept { return codes_; }
  Scratch<std::byte>& state() noexcept { return state_; }
  /// Of codecs that stand on another codec.
  Query& inner();

 private:
  const void* data_ = nullptr;
  kernels::ScoreIds ids_ = nullptr;
  kernels::ScoreBlock block_ = nullptr;
  kernels::ScoreMany many_ = nullptr;
  std::size_t stride_ = 0;
  std::size_t dim_ = 0;
  unsigned ahead_ = 4;
  float shift_ = 0.0f;
  Scratch<float> values_;
  Scratch<float> row_;
  Scratch<std::int8_t> codes_;
  Scratch<std::byte> state_;
  std::unique_ptr<Query> inner_;
};

/// A query made ready for rows that lie in blocks of kBlockRows, packed for scanning.
class BlockQuery {
 public:
  using Score = void (*)(const void* state, const std::byte* blocks, std::size_t count, float* out);
  using Slack = float (*)(const void* state, const std::byte* block, std::size_t place);
  using ScoreMany = void (*)(const void* const* states, std::size_t queries,
                             const std::byte* blocks, std::size_t count, float* const* out);
  static constexpr std::size_t kMany = 4;  ///< queries that share one reading of the blocks

  /// out: kBlockRows scores for each of `count` blocks that follow one another; those of places
  /// never packed mean nothing.
  void score(const std::byte* blocks, std::size_t count, float* out) const {
    score_(state_, blocks, count, out);
  }
  /// After prepare_bounds(): how far the exact score of a row may lie above the one given here.
  float slack(const std::byte* block, std::size_t place) const {
    return slack_(state_, block, place);
  }
  /// The same bits for several queries prepared by one codec, queries[q] to out[q], in less time:
  /// blocks are read and taken apart once for kMany of them.
  static void score_many(const BlockQuery* const* queries, std::size_t n, const std::byte* blocks,
                         std::size_t count, float* const* out);
  /// As that of Query.
  float shift() const noexcept { return shift_; }

  // For codecs.
  void use(const void* state, Score how, ScoreMany many, Slack above = nullptr) noexcept {
    state_ = state;
    score_ = how;
    many_ = many;
    slack_ = above;
    shift_ = 0.0f;
  }
  void add_shift(float shift) noexcept { shift_ += shift; }  ///< after use(), which sets it to 0
  Scratch<float>& values() noexcept { return values_; }
  Scratch<std::uint8_t>& tables() noexcept { return tables_; }
  Scratch<std::byte>& state() noexcept { return own_; }

 private:
  const void* state_ = nullptr;
  Score score_ = nullptr;
  Slack slack_ = nullptr;
  ScoreMany many_ = nullptr;
  float shift_ = 0.0f;
  Scratch<float> values_;
  Scratch<std::uint8_t> tables_;
  Scratch<std::byte> own_;
};

/// How exact a prepared query is: kExact compares float queries with decoded codes; kFast rounds
/// the query of scalar codes to 8 bits and computes in integers. The same for all other codecs.
enum class Precision : std::uint8_t { kExact, kFast };

/// What a codec learned: named float32 arrays, as a file keeps them.
struct Learned {
  std::string name;
  std::vector<float> values;
};

constexpr std::size_t kBlockRows = 32;

/// How rows are stored and compared. Immutable: shared by every snapshot of an index.
/// Cosine is inner product over rows and queries that the caller has normalised; scores are then
/// -<q, x>, and the caller adds 1.
/// Scores are -<q, y> or ||q - y||^2 of the query and y = decode(row), unless reconstructs() is
/// false: then they are unbiased estimates for the vector itself.
class Codec {
 public:
  virtual ~Codec() = default;
  Codec(const Codec&) = delete;
  Codec& operator=(const Codec&) = delete;

  /// sample: dense rows to learn from, already normalised under cosine. The same sample gives the
  /// same codec for any number of threads. Throws ArgumentError for a spec that this dimension does
  /// not allow, or a sample too small to learn from.
  static std::shared_ptr<const Codec> train(const CodecSpec& spec, std::size_t dim, Metric metric,
                                            MatrixView<const float> sample,
                                            const RunOptions& run = {});
  /// From a file. Throws ArgumentError unless the arrays are those that learns() asks for, finite.
  static std::shared_ptr<const Codec> restore(const CodecSpec& spec, std::size_t dim, Metric metric,
                                              std::vector<Learned> learned);
  /// Names and lengths of the arrays that a codec of this spec learns; throws as train() does.
  static std::vector<std::pair<std::string, std::size_t>> learns(const CodecSpec& spec,
                                                                 std::size_t dim);
  /// Rows worth learning from; 0 if nothing is learned.
  static std::size_t sample_rows(const CodecSpec& spec) noexcept;

  const CodecSpec& spec() const noexcept { return spec_; }
  CodecKind kind() const noexcept { return spec_.kind; }
  std::size_t dim() const noexcept { return dim_; }
  Metric metric() const noexcept { return metric_; }
  std::size_t stride() const noexcept { return stride_; }  ///< bytes of a stored row, padded to 16
  std::size_t bytes() const noexcept { return bytes_; }    ///< of them, those that carry something

  virtual std::vector<Learned> learned() const = 0;
  /// What was learned, for rows of another metric; stored rows may differ.
  virtual std::shared_ptr<const Codec> for_metric(Metric metric) const = 0;

  /// rows: dense float32, in_stride floats apart; `n` rows of stride() bytes come out. A row that
  /// cannot be held is an ArgumentError naming it (first_row + its place here).
  virtual void encode(const float* rows, std::size_t in_stride, std::size_t n, std::byte* out,
                      std::size_t first_row = 0) const = 0;
  virtual void decode(const std::byte* rows, std::size_t n, float* out,
                      std::size_t out_stride) const = 0;

  virtual bool reconstructs() const noexcept { return true; }
  /// Whether Precision::kFast gives other scores than kExact.
  virtual bool has_fast() const noexcept { return false; }
  virtual void prepare(const float* query, Precision precision, Query& out) const = 0;
  /// The stored row itself becomes the query: distances between stored rows.
  virtual void prepare_row(const std::byte* row, Query& out) const;
  /// Rows that score this or less against the stored row equal it but for rounding; -inf if no
  /// score says so.
  virtual float twin_limit(const std::byte* row) const noexcept;

  // Blocks: kBlockRows rows packed together, scored by one pass of in-register lookups.
  /// Bytes of a block, a multiple of 64; 0 if this codec has none.
  virtual std::size_t block_bytes() const noexcept { return 0; }
  /// Stored row -> place `place` of a block; other places stay.
  virtual void pack(const std::byte* row, std::size_t place, std::byte* block) const;
  virtual void unpack(const std::byte* block, std::size_t place, std::byte* row) const;
  virtual void prepare_blocks(const float* query, BlockQuery& out) const;
  /// Whether prepare_bounds() does anything.
  virtual bool has_bounds() const noexcept { return false; }
  /// As prepare_blocks(), but no score is above the one that Query gives to the same row under
  /// kExact, NaN aside: whoever wants the nearest rows needs the exact scores of few. False, and
  /// `out` is not to be used, where numbers leave the range of floats.
  virtual bool prepare_bounds(const float* query, BlockQuery& out) const;

 protected:
  Codec(const CodecSpec& spec, std::size_t dim, Metric metric, std::size_t bytes);

 private:
  CodecSpec spec_;
  std::size_t dim_;
  Metric metric_;
  std::size_t bytes_;
  std::size_t stride_;
};

}  // namespace vicinal::quantizers
