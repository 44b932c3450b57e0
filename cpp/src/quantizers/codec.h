#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/buffer.h"
#include "kernels/table.h"
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
  std::size_t stride() const noexcept { return stride_; }
  unsigned ahead() const noexcept { return ahead_; }

 private:
  friend class Codec;
  const void* data_ = nullptr;
  kernels::ScoreIds ids_ = nullptr;
  kernels::ScoreBlock block_ = nullptr;
  std::size_t stride_ = 0;
  std::size_t dim_ = 0;
  unsigned ahead_ = 4;
  kernels::ScalarQuery scalar_{};
  Scratch<float> values_;
  Scratch<float> row_;
  Scratch<std::int8_t> codes_;
};

/// How exact a prepared query is: kExact compares float queries with decoded codes; kFast rounds
/// the query of scalar codes to 8 bits and computes in integers. The same for all other codecs.
enum class Precision : std::uint8_t { kExact, kFast };

/// How rows are stored and compared. Immutable: shared by every snapshot of an index.
/// Cosine is inner product over rows and queries that the caller has normalised; scores are then
/// -<q, x>, and the caller adds 1.
class Codec {
 public:
  /// sample: rows to learn the mean from (kSq8, kSq4; others ignore it), already normalised under
  /// cosine. Sums are ordered, so the mean does not depend on threads.
  static std::shared_ptr<const Codec> train(CodecKind kind, std::size_t dim, Metric metric,
                                            MatrixView<const float> sample);
  /// From a file. mean: dim floats for scalar codes, else empty.
  static std::shared_ptr<const Codec> restore(CodecKind kind, std::size_t dim, Metric metric,
                                              std::vector<float> mean);

  CodecKind kind() const noexcept { return kind_; }
  std::size_t dim() const noexcept { return dim_; }
  std::size_t stride() const noexcept { return stride_; }  ///< bytes of a stored row
  const std::vector<float>& mean() const noexcept { return mean_; }
  kernels::RowType row_type(Precision precision) const noexcept;

  /// rows: dense float32, in_stride floats apart. kInt8/kUint8: whole numbers in range, else
  /// ArgumentError naming the row (first_row + its place here).
  void encode(const float* rows, std::size_t in_stride, std::size_t n, std::byte* out,
              std::size_t first_row = 0) const;
  void decode(const std::byte* rows, std::size_t n, float* out, std::size_t out_stride) const;

  /// kInt8/kUint8: a query that is not whole numbers in range is an ArgumentError.
  void prepare(const float* query, Precision precision, Query& out) const;
  /// The stored row itself becomes the query: distances between stored rows. Under inner product
  /// of scalar codes this decodes first; scalar codes under L2 need next to nothing.
  void prepare_row(const std::byte* row, Query& out) const;
  /// Rows that score this or less against the stored row equal it but for rounding. Under inner
  /// product no score says so: -inf.
  float twin_limit(const std::byte* row) const noexcept;

 private:
  Codec(CodecKind kind, std::size_t dim, Metric metric, std::vector<float> mean);
  void use(kernels::RowType type, const void* data, Query& out) const;

  CodecKind kind_;
  std::size_t dim_;
  Metric metric_;
  std::size_t stride_;
  std::vector<float> mean_;
};

}  // namespace vicinal::quantizers
