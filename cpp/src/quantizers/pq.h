#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/buffer.h"
#include "quantizers/codec.h"

namespace vicinal::quantizers {

/// CodecSpec::variant of kPq: codebooks and codes that make the part of the error along a vector
/// dearer than the rest, because that part changes its large scores (Guo et al., ICML 2020). Not
/// under L2, where no direction is special.
constexpr std::uint32_t kPqScoreAware = 1;
constexpr std::size_t kPqSampleRows = 65536;  ///< worth learning from

/// Codebooks of `entries` centroids for each of `parts` runs of dimensions. The first dim % parts
/// runs are one dimension longer than the others.
class PqBooks {
 public:
  /// codebooks: part after part, entries x width(part) each.
  PqBooks(std::size_t dim, std::size_t parts, std::size_t entries, std::vector<float> codebooks);

  std::size_t dim() const noexcept { return dim_; }
  std::size_t parts() const noexcept { return parts_; }
  std::size_t entries() const noexcept { return entries_; }
  std::size_t first(std::size_t part) const noexcept {
    const std::size_t longer = dim_ % parts_;
    return part * (dim_ / parts_) + (part < longer ? part : longer);
  }
  std::size_t width(std::size_t part) const noexcept {
    return dim_ / parts_ + (part < dim_ % parts_ ? 1 : 0);
  }
  const std::vector<float>& codebooks() const noexcept { return codebooks_; }
  const float* rows(std::size_t part) const noexcept {
    return codebooks_.data() + entries_ * first(part);
  }
  /// The same, width(part) x entries.
  const float* columns(std::size_t part) const noexcept {
    return reinterpret_cast<const float*>(columns_.data()) + entries_ * first(part);
  }
  const float* half_norms(std::size_t part) const noexcept {
    return half_norms_.data() + part * entries_;
  }

  /// codes: n x parts. rows: dense floats, stride apart.
  void nearest(const float* rows, std::size_t stride, std::size_t n, std::uint8_t* codes) const;
  /// From the nearest on, part by part as long as that lowers ||r||^2 + weight * <r, x / ||x||>^2,
  /// r what the codes leave of x.
  void nearest_in_score(float weight, const float* rows, std::size_t stride, std::size_t n,
                        std::uint8_t* codes) const;

 private:
  std::size_t dim_;
  std::size_t parts_;
  std::size_t entries_;
  std::vector<float> codebooks_;
  Buffer columns_;
  // Centroids of each part, and half of their squared lengths, from their mean: rows are compared
  // with these, for far from zero floats would lose what tells two centroids apart.
  std::vector<float> centred_;
  std::vector<float> centred_half_norms_;
  std::vector<float> means_;  // parts side by side
  std::vector<float> half_norms_;  // ||c||^2 / 2
};

/// Product quantization: Jegou, Douze & Schmid, TPAMI 33(1), 2011. A row is one code per part: a
/// byte each, or two nibbles a byte, the earlier part in the low one.
/// Rows are scored by tables of the query, a row of 4-bit codes by tables of pairs of parts, which
/// halve its look-ups. Stored rows of 4-bit codes are compared by symmetric tables of parts x 16 x
/// 16; those of 8-bit codes would be parts x 256 x 256, megabytes read at random, so such a row is
/// decoded and becomes a query.
/// Inner products of vectors that are all of one length l, as under cosine: centroids are shorter
/// than what they stand for, and the worse they fit the shorter, so <q, y> would put first what
/// fits best. As ||q - x||^2 = ||q||^2 + l^2 - 2 <q, x> for a query of that length, scores are
/// (||q - y||^2 - ||q||^2 - l^2) / 2 then, scaled to the length that the query has; the entries of
/// the tables have room for that. Recall@10 of 100,000 sentence embeddings in 16 bytes: 0.353 by
/// <q, y>, 0.387 so; in 32 bytes 0.588 and 0.612. Not with score-aware codebooks, whose sums are
/// long enough.
class PqCodec final : public Codec {
 public:
  /// length: that all vectors have, 0 if they differ.
  PqCodec(const CodecSpec& spec, Metric metric, float length,
          std::shared_ptr<const PqBooks> books);

  std::vector<Learned> learned() const override;
  std::shared_ptr<const Codec> for_metric(Metric metric) const override;
  void encode(const float* rows, std::size_t in_stride, std::size_t n, std::byte* out,
              std::size_t first_row) const override;
  void decode(const std::byte* rows, std::size_t n, float* out,
              std::size_t out_stride) const override;
  bool reconstructs() const noexcept override { return !by_length(); }
  void prepare(const float* query, Precision precision, Query& out) const override;
  void prepare_row(const std::byte* row, Query& out) const override;
  float twin_limit(const std::byte* row) const noexcept override;
  std::size_t block_bytes() const noexcept override;
  void pack(const std::byte* row, std::size_t place, std::byte* block) const override;
  void unpack(const std::byte* block, std::size_t place, std::byte* row) const override;
  void prepare_blocks(const float* query, BlockQuery& out) const override;
  bool has_bounds() const noexcept override { return nibbles(); }
  bool prepare_bounds(const float* query, BlockQuery& out) const override;

  const PqBooks& books() const noexcept { return *books_; }

 private:
  bool nibbles() const noexcept { return books_->entries() == 16; }
  std::size_t code(const std::byte* row, std::size_t part) const noexcept;
  bool by_length() const noexcept { return metric() != Metric::kL2 && length_ > 0; }
  /// Returns what to add to the sum of the entries.
  float part_tables(const float* query, float* out) const noexcept;
  void use_tables(const float* tables, float bias, Query& out) const;

  std::shared_ptr<const PqBooks> books_;
  float length_;
  std::vector<float> symmetric_;  // 4 bits, unless by_length(): parts x 16 x 16
};

/// What the factories of Codec call for kPq. All throw ArgumentError for a spec or metric that
/// cannot be.
/// Throws ArgumentError where codes of this kind do not go with a metric.
void check_pq_metric(const CodecSpec& spec, Metric metric);
std::shared_ptr<const Codec> train_pq(const CodecSpec& spec, std::size_t dim, Metric metric,
                                      MatrixView<const float> sample, const RunOptions& run);
std::shared_ptr<const Codec> restore_pq(const CodecSpec& spec, std::size_t dim, Metric metric,
                                        std::vector<Learned> learned);
std::vector<std::pair<std::string, std::size_t>> learns_pq(const CodecSpec& spec, std::size_t dim);

}  // namespace vicinal::quantizers
