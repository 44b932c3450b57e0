#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "vicinal/control.h"
#include "vicinal/types.h"
#include "vicinal/view.h"

namespace vicinal {

/// Two linear maps, A for stored vectors and B for queries, and an offset o. Whoever learned them,
/// an index only applies them: a vector x becomes y = A (x - o), a query q becomes B q, under L2
/// B (q - o).
///   Inner product, cosine of unit vectors:  <q, x> ~ <q, o> + <B q, y>, exact if B^T A = 1.
///   L2:  ||q - x||^2 ~ ||B (q - o) - y||^2 + what B drops of q - o; only where A = B has
///        orthonormal rows (fewer dimensions) or columns (as many or more; exact).
/// y stands for the vector o + B^T y: the estimates above are what that vector scores, but for
/// errors of a stored y that no vector has for its image (L2, more dimensions out than in).
/// Immutable; copies share the matrices.
class Transform {
 public:
  /// data: A, out() rows of in() columns. query: B, of the same shape; empty if it is A. offset:
  /// in() numbers, or none for zeros. All are copied. Throws ArgumentError for other shapes, for
  /// sizes of 0 or above kMaxDim, NaN and infinity.
  explicit Transform(MatrixView<const float> data, MatrixView<const float> query = {},
                     const std::vector<float>& offset = {});

  /// A random rotation that needs no matrices: time dim log dim, memory dim, decided by the seed
  /// alone. Throws ArgumentError for dim 0 or above kMaxDim.
  static Transform rotation(std::size_t dim, std::uint64_t seed);

  std::size_t in() const noexcept;   ///< dimensions of the vectors that callers hold
  std::size_t out() const noexcept;  ///< dimensions of what is stored

  bool fast() const noexcept;           ///< made by rotation()
  std::uint64_t seed() const noexcept;  ///< its seed; 0 for others

  /// Copies, row by row, without padding; of rotation() worked out here.
  std::vector<float> data_matrix() const;
  std::vector<float> query_matrix() const;
  std::vector<float> offset() const;  ///< in() numbers

  /// Whether distances of this metric can be taken after the transform at all. Always true but for
  /// L2; see above.
  bool fits(Metric metric) const noexcept;
  /// Whether they are those of the vectors that went in, to 1e-4 of their lengths. Tried on random
  /// vectors when the transform is made.
  bool exact(Metric metric) const noexcept;

  /// out: vectors.rows x out(). Throws DimensionError, ArgumentError for NaN, infinity and
  /// vectors whose image float32 cannot hold.
  void data(const VectorsView& vectors, MatrixView<float> out, const RunOptions& run = {}) const;
  /// As data(). shifts, unless null: queries.rows numbers, each to be added to the scores of its
  /// query (||q - y||^2 or -<q, y>) to make them the distances above.
  void queries(const VectorsView& queries, Metric metric, MatrixView<float> out,
               float* shifts = nullptr, const RunOptions& run = {}) const;
  /// What transformed vectors stand for. transformed: out() columns; out: in() columns.
  void inverse(const VectorsView& transformed, MatrixView<float> out,
               const RunOptions& run = {}) const;

  struct Impl;
  /// For the library itself.
  const Impl& impl() const noexcept { return *impl_; }

 private:
  explicit Transform(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<const Impl> impl_;
};

}  // namespace vicinal
