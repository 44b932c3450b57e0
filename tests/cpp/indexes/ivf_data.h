#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "indexes/flat_data.h"
#include "indexes/hnsw_data.h"
#include "quantizers/codec.h"
#include "vicinal/errors.h"
#include "vicinal/ivf.h"

namespace vicinal::test {

inline IvfSearch probing(std::uint32_t nprobe, std::uint32_t candidates = 0,
                         const Allowed& allowed = {}) {
  IvfSearch how;
  how.nprobe = nprobe;
  how.candidates = candidates;
  how.allowed = allowed;
  return how;
}

inline Answers search(const IvfIndex& index, const VectorsView& queries, std::size_t k,
                      const IvfSearch& how, unsigned threads = 1, IvfStats* stats = nullptr) {
  Answers out{k, std::vector<std::int64_t>(queries.rows * k), std::vector<float>(queries.rows * k)};
  RunOptions run;
  run.threads = threads;
  index.search(queries, how, {out.ids.data(), queries.rows, k},
               {out.distances.data(), queries.rows, k}, run, stats);
  return out;
}

/// The same, a query at a time.
inline Answers search_singly(const IvfIndex& index, const Matrix& queries, std::size_t k,
                             const IvfSearch& how) {
  Answers out{k, {}, {}};
  for (std::size_t q = 0; q < queries.rows; ++q) {
    const Answers one =
        search(index, MatrixView<const float>(queries.row(q), 1, queries.cols), k, how);
    out.ids.insert(out.ids.end(), one.ids.begin(), one.ids.end());
    out.distances.insert(out.distances.end(), one.distances.begin(), one.distances.end());
  }
  return out;
}

inline CodecSpec spec(CodecKind kind, std::uint32_t parts = 0, std::uint32_t bits = 0,
                      std::uint32_t variant = 0) {
  CodecSpec out = kind;
  out.parts = parts;
  out.bits = bits;
  out.variant = variant;
  return out;
}

/// One of each sort that an IVF index of 24 dimensions takes.
inline std::vector<CodecSpec> ivf_codecs() {
  std::vector<CodecSpec> out;
  for (const CodecSpec& codec :
       {spec(CodecKind::kFloat32), spec(CodecKind::kFloat16), spec(CodecKind::kSq8),
        spec(CodecKind::kSq4), spec(CodecKind::kSq4x8), spec(CodecKind::kFloat8),
        spec(CodecKind::kPq, 12, 8), spec(CodecKind::kPq, 12, 4), spec(CodecKind::kRq, 8, 8, 2),
        spec(CodecKind::kRotation, 0, 1), spec(CodecKind::kRotation, 0, 4),
        spec(CodecKind::kBits, 0, 1)}) {
    try {
      quantizers::Codec::learns(codec, 24);
      out.push_back(codec);
    } catch (const ArgumentError&) {  // not held by this version
    }
  }
  return out;
}

inline std::string plain_name(const CodecSpec& codec) {
  std::string text = name(codec.kind);
  if (codec.parts != 0) text += "_" + std::to_string(codec.parts);
  if (codec.bits != 0) text += "_" + std::to_string(codec.bits);
  return text;
}

}  // namespace vicinal::test
