#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "vicinal/binary.h"
#include "vicinal/errors.h"
#include "vicinal/file.h"
#include "vicinal/flat.h"
#include "vicinal/hnsw.h"
#include "vicinal/ivf.h"

namespace vicinal::test {

/// Calls what may be refused. Anything but an error of the library is a finding.
template <class Call>
void allow_refusal(const Call& call) {
  try {
    call();
  } catch (const Error&) {
  }
}

/// Two queries fit for every codec and metric: whole numbers from 0 to 4, not all zero.
struct Asked {
  explicit Asked(std::size_t dim) : values(2 * dim), queries(values.data(), 2, dim) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i] = static_cast<float>((i * 7 + 1) % 5);
    }
  }
  std::vector<float> values;
  MatrixView<const float> queries;
  std::vector<std::int64_t> ids = std::vector<std::int64_t>(10);
  std::vector<float> distances = std::vector<float>(10);
};

/// What both kinds of numbers can do, after they have been searched.
template <class Index>
void change(Index& index, const Asked& asked, const RunOptions& run) {
  index.memory();
  const std::vector<std::int64_t> all = index.ids();
  std::vector<float> row(index.dim());
  for (const std::int64_t id : {std::int64_t{0}, std::int64_t{3}, std::int64_t{-1}, INT64_MAX,
                                all.empty() ? std::int64_t{0} : all.back()}) {
    index.contains(id);
    allow_refusal([&] { index.get(id, row.data()); });
    allow_refusal([&] { index.remove(&id, 1); });
  }
  allow_refusal([&] { index.add(asked.queries, nullptr, run); });
}

inline void exercise_flat(const std::string& path, OpenMode mode) {
  FlatIndex index = FlatIndex::open(path, mode);
  RunOptions run;
  run.threads = 1;
  Asked asked(index.dim());
  const MatrixView<std::int64_t> ids(asked.ids.data(), 2, 5);
  const MatrixView<float> distances(asked.distances.data(), 2, 5);
  const auto search = [&](const Allowed& allowed) {
    allow_refusal([&] { index.search(asked.queries, ids, distances, allowed, run); });
  };
  const std::uint8_t mask[] = {1, 0, 1, 1, 0, 0, 1, 1, 1, 1, 0, 1};
  Allowed some;
  some.mask = mask;
  some.count = sizeof mask;
  Allowed listed;
  listed.ids = asked.ids.data();
  listed.count = asked.ids.size();
  search({});
  search(some);
  search(listed);
  allow_refusal([&] { index.range_search(asked.queries, 9.0f, {}, run); });
  change(index, asked, run);
  search({});
}

inline void exercise_hnsw(const std::string& path, OpenMode mode) {
  HnswIndex index = HnswIndex::open(path, mode);
  RunOptions run;
  run.threads = 1;
  Asked asked(index.dim());
  const MatrixView<std::int64_t> ids(asked.ids.data(), 2, 5);
  const MatrixView<float> distances(asked.distances.data(), 2, 5);
  float slack = 0.1f;
  const auto search = [&](std::uint32_t ef, const Allowed& allowed) {
    HnswSearch how;
    how.ef = ef;
    how.slack = slack;
    how.allowed = allowed;
    HnswStats stats;
    allow_refusal([&] { index.search(asked.queries, how, ids, distances, run, &stats); });
  };
  const std::uint8_t mask[] = {1, 0, 1, 1, 0, 0, 1, 1, 1, 1, 0, 1};
  Allowed some;
  some.mask = mask;
  some.count = sizeof mask;
  Allowed listed;
  listed.ids = asked.ids.data();
  listed.count = asked.ids.size();
  search(5, {});
  slack = HnswSearch::kNoSlack;
  search(64, {});
  search(20, some);
  search(20, listed);
  change(index, asked, run);
  search(20, {});
  allow_refusal([&] { index.reorder(run); });
  search(20, {});
  slack = 0.1f;
  search(20, {});
  slack = HnswSearch::kNoSlack;
  allow_refusal([&] { index.compact(run); });
  search(20, {});
}

inline void exercise_binary(const std::string& path, OpenMode mode) {
  BinaryIndex index = BinaryIndex::open(path, mode);
  RunOptions run;
  run.threads = 1;
  const std::size_t dim = index.dim();
  const std::size_t bytes = (dim + 7) / 8;
  std::vector<std::uint8_t> bits(2 * bytes);
  for (std::size_t i = 0; i < bits.size(); ++i) {
    bits[i] = static_cast<std::uint8_t>(i * 37 + 1);
    if (i % bytes + 1 == bytes) bits[i] &= static_cast<std::uint8_t>(0xFF << (bytes * 8 - dim));
  }
  const VectorsView queries(bits.data(), ElementType::kUint8, 2, bytes,
                            static_cast<std::ptrdiff_t>(bytes), 1);
  std::vector<std::int64_t> found(10);
  std::vector<float> far(10);
  const MatrixView<std::int64_t> ids(found.data(), 2, 5);
  const MatrixView<float> distances(far.data(), 2, 5);
  const auto search = [&](const Allowed& allowed) {
    allow_refusal([&] { index.search(queries, ids, distances, allowed, run); });
  };
  const std::uint8_t mask[] = {1, 0, 1, 1, 0, 0, 1, 1, 1, 1, 0, 1};
  Allowed some;
  some.mask = mask;
  some.count = sizeof mask;
  Allowed listed;
  listed.ids = found.data();
  listed.count = found.size();
  search({});
  search(some);
  search(listed);
  allow_refusal([&] { index.range_search(queries, 0.7f, {}, run); });
  if (dim <= kMaxDim) {
    const std::vector<std::int64_t> candidates = {0, 1, 7, 1000, -1, 997, 3, 3, INT64_MAX, 2};
    const std::vector<float> numbers(2 * dim, 0.5f);
    allow_refusal([&] {
      index.rescore(MatrixView<const float>(numbers.data(), 2, dim), {candidates.data(), 2, 5}, ids,
                    distances, run);
    });
  }
  index.memory();
  const std::vector<std::int64_t> all = index.ids();
  std::vector<std::uint8_t> row(bytes);
  for (const std::int64_t id : {std::int64_t{0}, std::int64_t{3}, std::int64_t{-1}, INT64_MAX,
                                all.empty() ? std::int64_t{0} : all.back()}) {
    index.contains(id);
    allow_refusal([&] { index.get(id, row.data()); });
    allow_refusal([&] { index.remove(&id, 1); });
  }
  allow_refusal([&] { index.add(queries, nullptr, run); });
  search({});
}

inline void exercise_ivf(const std::string& path, OpenMode mode) {
  IvfIndex index = IvfIndex::open(path, mode);
  RunOptions run;
  run.threads = 1;
  Asked asked(index.dim());
  const MatrixView<std::int64_t> ids(asked.ids.data(), 2, 5);
  const MatrixView<float> distances(asked.distances.data(), 2, 5);
  const auto search = [&](std::uint32_t nprobe, const Allowed& allowed) {
    IvfSearch how;
    how.nprobe = nprobe;
    how.allowed = allowed;
    IvfStats stats;
    allow_refusal([&] { index.search(asked.queries, how, ids, distances, run, &stats); });
  };
  // Enough queries that they are turned round list by list.
  const auto batch = [&] {
    std::vector<float> many;
    for (int i = 0; i < 10; ++i) many.insert(many.end(), asked.values.begin(), asked.values.end());
    std::vector<std::int64_t> many_ids(100);
    std::vector<float> many_distances(100);
    allow_refusal([&] {
      index.search(MatrixView<const float>(many.data(), 20, index.dim()), {},
                   {many_ids.data(), 20, 5}, {many_distances.data(), 20, 5}, run);
    });
  };
  const std::uint8_t mask[] = {1, 0, 1, 1, 0, 0, 1, 1, 1, 1, 0, 1};
  Allowed some;
  some.mask = mask;
  some.count = sizeof mask;
  Allowed listed;
  listed.ids = asked.ids.data();
  listed.count = asked.ids.size();
  index.list_sizes();
  search(1, {});
  search(64, {});
  search(2, some);
  search(2, listed);
  batch();
  change(index, asked, run);
  search(2, {});
  batch();
  const std::vector<std::int64_t> all = index.ids();
  allow_refusal([&] { index.remove(all.data(), all.size() / 2); });
  search(64, {});
}

/// Opens a file as every kind, in both modes, and uses what opens.
inline void exercise(const std::string& path) {
  for (const OpenMode mode : {OpenMode::kMap, OpenMode::kLoad}) {
    allow_refusal([&] { exercise_flat(path, mode); });
    allow_refusal([&] { exercise_hnsw(path, mode); });
    allow_refusal([&] { exercise_ivf(path, mode); });
    allow_refusal([&] { exercise_binary(path, mode); });
  }
  allow_refusal([&] { file_info(path); });
  allow_refusal([&] { verify_file(path); });
}

}  // namespace vicinal::test
