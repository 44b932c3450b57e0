#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/random.h"
#include "vicinal/binary.h"
#include "vicinal/flat.h"
#include "vicinal/hnsw.h"
#include "vicinal/ivf.h"

namespace vicinal::test {

/// A small saved index of each sort; save() writes it to a path.
struct SavedSample {
  std::string name;
  std::function<void(const std::string& path)> save;
};

/// Whole numbers from 0 to 4: every codec holds them.
inline std::vector<float> small_rows(std::size_t rows, std::size_t dim) {
  std::vector<float> out(rows * dim);
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = static_cast<float>(random_below(5, /*seed=*/1, 0, i));
  }
  return out;
}

template <class Index>
void fill(Index& index, bool named, bool removed) {
  constexpr std::size_t kRows = 40;
  RunOptions run;
  run.threads = 1;
  const std::vector<float> rows = small_rows(kRows, index.dim());
  std::vector<std::int64_t> ids(kRows);
  for (std::size_t i = 0; i < kRows; ++i) {
    ids[i] = static_cast<std::int64_t>(1000 - i * 3);
  }
  index.add(MatrixView<const float>(rows.data(), kRows, index.dim()), named ? ids.data() : nullptr,
            run);
  if (removed) {
    const std::vector<std::int64_t> all = index.ids();
    index.remove(all.data() + 3, 5);
  }
}

inline void fill_bits(BinaryIndex& index, bool named, bool removed) {
  constexpr std::size_t kRows = 40;
  RunOptions run;
  run.threads = 1;
  const std::size_t bytes = (index.dim() + 7) / 8;
  std::vector<std::uint8_t> rows(kRows * bytes);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    rows[i] = static_cast<std::uint8_t>(random_u64(/*seed=*/3, 0, i));
    const bool last = i % bytes + 1 == bytes;
    if (last) rows[i] &= static_cast<std::uint8_t>(0xFF << (bytes * 8 - index.dim()));
  }
  std::vector<std::int64_t> ids(kRows);
  for (std::size_t i = 0; i < kRows; ++i) ids[i] = static_cast<std::int64_t>(1000 - i * 3);
  const auto part = [&](std::size_t begin, std::size_t end) {
    return VectorsView(rows.data() + begin * bytes, ElementType::kUint8, end - begin, bytes,
                       static_cast<std::ptrdiff_t>(bytes), 1);
  };
  index.add(part(0, 30), named ? ids.data() : nullptr, run);  // two segments
  index.add(part(30, kRows), named ? ids.data() + 30 : nullptr, run);
  if (removed) {
    const std::vector<std::int64_t> all = index.ids();
    index.remove(all.data() + 3, 5);
  }
}

inline std::vector<SavedSample> saved_samples() {
  std::vector<SavedSample> out;
  const auto binary = [&](BitMetric metric, std::size_t dim, bool named, bool removed) {
    out.push_back({"binary-" + std::string(name(metric)), [=](const std::string& path) {
                     BinaryIndex index(dim, metric);
                     fill_bits(index, named, removed);
                     index.save(path);
                   }});
  };
  const auto flat = [&](CodecKind codec, Metric metric, std::size_t dim, bool named, bool removed) {
    out.push_back(
        {"flat-" + std::string(name(codec)) + "-" + name(metric), [=](const std::string& path) {
           FlatIndex index(dim, metric, {codec});
           fill(index, named, removed);
           index.save(path);
         }});
  };
  const auto hnsw = [&](CodecKind codec, RefineKind refine, Metric metric, std::size_t dim,
                        bool named, bool removed) {
    out.push_back({"hnsw-" + std::string(name(codec)) + "-" + name(refine) + "-" + name(metric),
                   [=](const std::string& path) {
                     HnswParams params;
                     params.codec = codec;
                     params.refine = refine;
                     params.links = 3;
                     params.build_ef = 20;
                     HnswIndex index(dim, metric, params);
                     fill(index, named, removed);
                     index.save(path);
                   }});
  };
  const auto ivf = [&](CodecKind codec, RefineKind refine, Metric metric, std::size_t dim,
                       bool named, bool removed) {
    out.push_back({"ivf-" + std::string(name(codec)) + "-" + name(refine) + "-" + name(metric),
                   [=](const std::string& path) {
                     IvfParams params;
                     params.codec = codec;
                     params.refine = refine;
                     params.lists = 4;
                     params.residual = codec != CodecKind::kFloat32;
                     params.soar = metric == Metric::kCosine;
                     IvfIndex index(dim, metric, params);
                     fill(index, named, removed);
                     index.save(path);
                   }});
  };
  flat(CodecKind::kFloat32, Metric::kL2, 5, false, false);
  flat(CodecKind::kFloat16, Metric::kCosine, 9, true, false);
  flat(CodecKind::kInt8, Metric::kInnerProduct, 3, false, true);
  flat(CodecKind::kUint8, Metric::kL2, 17, true, true);
  flat(CodecKind::kSq8, Metric::kL2, 6, true, true);
  hnsw(CodecKind::kFloat32, RefineKind::kNone, Metric::kL2, 5, false, false);
  hnsw(CodecKind::kFloat16, RefineKind::kFloat32, Metric::kInnerProduct, 4, true, false);
  hnsw(CodecKind::kSq8, RefineKind::kFloat16, Metric::kCosine, 7, true, true);
  hnsw(CodecKind::kSq4, RefineKind::kNone, Metric::kL2, 11, false, true);
  ivf(CodecKind::kFloat32, RefineKind::kNone, Metric::kL2, 5, false, false);
  ivf(CodecKind::kSq8, RefineKind::kFloat16, Metric::kCosine, 7, true, true);
  ivf(CodecKind::kSq4, RefineKind::kSq8, Metric::kL2, 11, true, false);
  ivf(CodecKind::kSq8, RefineKind::kFloat32, Metric::kInnerProduct, 6, false, true);
  // The first four of six dimensions, after an offset; a rotation, of an index without rows.
  const std::vector<float> keep = {1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0,
                                   0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0};
  const Transform fewer({keep.data(), 4, 6}, {}, {1, 1, 1, 1, 1, 1});
  out.push_back({"flat-transform", [fewer](const std::string& path) {
                   FlatIndex index(6, Metric::kL2, {CodecKind::kSq8, fewer});
                   fill(index, true, true);
                   index.save(path);
                 }});
  out.push_back({"hnsw-transform", [fewer](const std::string& path) {
                   HnswParams params;
                   params.codec = CodecKind::kSq4;
                   params.refine = RefineKind::kFloat16;
                   params.transform = fewer;
                   params.links = 3;
                   HnswIndex index(6, Metric::kCosine, params);
                   fill(index, false, true);
                   index.save(path);
                 }});
  out.push_back({"ivf-transform", [fewer](const std::string& path) {
                   IvfParams params;
                   params.transform = fewer;
                   params.lists = 4;
                   IvfIndex index(6, Metric::kL2, params);
                   fill(index, true, false);
                   index.save(path);
                 }});
  out.push_back({"hnsw-rotation-empty", [](const std::string& path) {
                   HnswParams params;
                   params.transform = Transform::rotation(9, 0x123456789ABCDEFu);
                   HnswIndex(9, Metric::kL2, params).save(path);
                 }});
  binary(BitMetric::kHamming, 70, true, false);
  binary(BitMetric::kJaccard, 300, true, true);
  out.push_back({"binary-empty", [](const std::string& path) {
                   BinaryIndex(4, BitMetric::kHamming).save(path);
                 }});
  out.push_back(
      {"flat-empty", [](const std::string& path) { FlatIndex(4, Metric::kL2).save(path); }});
  out.push_back(
      {"hnsw-empty", [](const std::string& path) { HnswIndex(4, Metric::kL2).save(path); }});
  out.push_back(
      {"ivf-empty", [](const std::string& path) { IvfIndex(4, Metric::kL2).save(path); }});
  return out;
}

}  // namespace vicinal::test
