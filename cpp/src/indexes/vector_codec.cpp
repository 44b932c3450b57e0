#include "vicinal/vector_codec.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "base/parallel.h"
#include "base/rows_reader.h"
#include "indexes/learn.h"
#include "quantizers/codec.h"
#include "vicinal/errors.h"

namespace vicinal {
namespace {

constexpr std::size_t kPiece = 256;  // rows coded together

void check_width(const char* what, std::size_t got, std::size_t want) {
  if (got == want) return;
  throw ArgumentError(std::string(what) + " has " + std::to_string(got) +
                      " columns; this codec has " + std::to_string(want) + " bytes a vector");
}

/// Codes as rows of the codec's stride, zero padded.
const std::byte* padded(MatrixView<const std::uint8_t> codes, std::size_t begin, std::size_t end,
                        std::size_t stride, Buffer& room) {
  if (room.size() < (end - begin) * stride) room = Buffer::allocate(kPiece * stride);
  for (std::size_t r = begin; r < end; ++r) {
    std::memcpy(room.mutable_data() + (r - begin) * stride, codes.row(r), codes.cols());
  }
  return room.data();
}

}  // namespace

VectorCodec::VectorCodec(std::shared_ptr<const quantizers::Codec> codec)
    : codec_(std::move(codec)) {}
VectorCodec::~VectorCodec() = default;
VectorCodec::VectorCodec(VectorCodec&&) noexcept = default;
VectorCodec& VectorCodec::operator=(VectorCodec&&) noexcept = default;

VectorCodec VectorCodec::train(const CodecSpec& spec, Metric metric, const VectorsView& vectors,
                               const RunOptions& run) {
  quantizers::Codec::learns(spec, vectors.cols);  // refuses what this dimension does not allow
  const bool unit = metric == Metric::kCosine;
  check_rows(vectors, "vectors", unit, run);
  return VectorCodec(indexes::learn_codec(spec, vectors, metric, unit, {}, run));
}

const CodecSpec& VectorCodec::spec() const noexcept { return codec_->spec(); }
std::size_t VectorCodec::dim() const noexcept { return codec_->dim(); }
Metric VectorCodec::metric() const noexcept { return codec_->metric(); }
std::size_t VectorCodec::bytes() const noexcept { return codec_->bytes(); }

void VectorCodec::encode(const VectorsView& vectors, MatrixView<std::uint8_t> codes,
                         const RunOptions& run) const {
  if (vectors.cols != dim()) throw DimensionError("vectors", vectors.cols, dim());
  const bool unit = metric() == Metric::kCosine;
  check_rows(vectors, "vectors", unit, run);
  Ticker ticker(run, "encoding", vectors.rows);
  parallel_for(
      vectors.rows, kPiece, run,
      [&](std::size_t begin, std::size_t end, unsigned) {
        std::vector<float> floats((end - begin) * dim());
        read_rows(vectors, begin, end, floats.data(), dim());
        if (unit) normalize_rows(floats.data(), end - begin, dim(), dim());
        Buffer rows = Buffer::allocate((end - begin) * codec_->stride());
        codec_->encode(floats.data(), dim(), end - begin, rows.mutable_data(), begin);
        for (std::size_t r = begin; r < end; ++r) {
          std::memcpy(codes.row(r), rows.data() + (r - begin) * codec_->stride(), bytes());
        }
      },
      &ticker);
}

void VectorCodec::decode(MatrixView<const std::uint8_t> codes, MatrixView<float> vectors,
                         const RunOptions& run) const {
  check_width("codes", codes.cols(), bytes());
  parallel_for(codes.rows(), kPiece, run, [&](std::size_t begin, std::size_t end, unsigned) {
    Buffer room;
    const std::byte* rows = padded(codes, begin, end, codec_->stride(), room);
    codec_->decode(rows, end - begin, vectors.row(begin), dim());
  });
}

void VectorCodec::distances(const VectorsView& queries, MatrixView<const std::uint8_t> codes,
                            MatrixView<float> distances, const RunOptions& run) const {
  if (queries.cols != dim()) throw DimensionError("queries", queries.cols, dim());
  check_width("codes", codes.cols(), bytes());
  const bool unit = metric() == Metric::kCosine;
  check_rows(queries, "queries", unit, run);
  parallel_for(queries.rows, 1, run, [&](std::size_t begin, std::size_t end, unsigned) {
    std::vector<float> floats(dim());
    quantizers::Query query;
    Buffer room;
    for (std::size_t q = begin; q < end; ++q) {
      read_rows(queries, q, q + 1, floats.data(), dim());
      if (unit) normalize_rows(floats.data(), 1, dim(), dim());
      codec_->prepare(floats.data(), quantizers::Precision::kExact, query);
      for (std::size_t r = 0; r < codes.rows(); r += kPiece) {
        const std::size_t n = std::min(kPiece, codes.rows() - r);
        float* out = distances.row(q) + r;
        query.score_block(padded(codes, r, r + n, codec_->stride(), room), n, out);
        for (std::size_t i = 0; i < n; ++i) {
          out[i] += query.shift();
          if (unit) out[i] = std::max(0.0f, 1.0f + out[i]);
        }
      }
    }
  });
}

}  // namespace vicinal
