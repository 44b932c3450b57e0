#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "vicinal/codec.h"
#include "vicinal/control.h"
#include "vicinal/types.h"
#include "vicinal/view.h"

namespace vicinal {

namespace quantizers {
class Codec;
}

/// Vectors in few bytes: learned once, then immutable. What the indexes store, usable alone.
/// Under cosine vectors and queries are made unit length first.
class VectorCodec {
 public:
  /// Learns from rows spread evenly over those given. Throws ArgumentError for a spec that these
  /// rows do not allow (too few, not so many dimensions), NaN, infinity, a zero vector under
  /// cosine.
  static VectorCodec train(const CodecSpec& spec, Metric metric, const VectorsView& vectors,
                           const RunOptions& run = {});
  ~VectorCodec();
  VectorCodec(VectorCodec&&) noexcept;
  VectorCodec& operator=(VectorCodec&&) noexcept;

  const CodecSpec& spec() const noexcept;
  std::size_t dim() const noexcept;
  Metric metric() const noexcept;
  std::size_t bytes() const noexcept;  ///< of one code, everything counted

  /// codes: vectors.rows x bytes(). Throws DimensionError, ArgumentError.
  void encode(const VectorsView& vectors, MatrixView<std::uint8_t> codes,
              const RunOptions& run = {}) const;
  /// vectors: codes.rows() x dim().
  void decode(MatrixView<const std::uint8_t> codes, MatrixView<float> vectors,
              const RunOptions& run = {}) const;
  /// distances: queries.rows x codes.rows(), as an index over these codes gives them.
  void distances(const VectorsView& queries, MatrixView<const std::uint8_t> codes,
                 MatrixView<float> distances, const RunOptions& run = {}) const;

 private:
  explicit VectorCodec(std::shared_ptr<const quantizers::Codec> codec);
  std::shared_ptr<const quantizers::Codec> codec_;
};

}  // namespace vicinal
