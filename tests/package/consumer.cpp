// Built against the installed headers and library alone. Indexes a grid whose neighbours are known,
// saves, reopens. `consumer levels` prints the instruction levels this machine can run, best first.
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "vicinal/vicinal.h"

namespace {

int failures = 0;

void expect(bool holds, const char* what) {
  if (!holds) {
    std::fprintf(stderr, "consumer: expected: %s\n", what);
    ++failures;
  }
}

// Row i is (i, 0, 0): the nearest rows of (7.2, 0, 0) are 7, 8, 6.
constexpr std::size_t kRows = 500;
constexpr std::size_t kDim = 3;
constexpr std::size_t kNeighbours = 3;

std::vector<float> grid() {
  std::vector<float> rows(kRows * kDim, 0.0f);
  for (std::size_t i = 0; i < kRows; ++i) rows[i * kDim] = static_cast<float>(i);
  return rows;
}

bool nearest_are_right(const std::vector<std::int64_t>& ids, const std::vector<float>& distances) {
  return ids == std::vector<std::int64_t>{7, 8, 6} && distances[0] < distances[1] &&
         distances[1] < distances[2];
}

void check_indexes(const std::string& path) {
  const std::vector<float> rows = grid();
  const std::vector<float> query{7.2f, 0.0f, 0.0f};
  const vicinal::MatrixView<const float> rows_view(rows.data(), kRows, kDim);
  const vicinal::MatrixView<const float> query_view(query.data(), 1, kDim);
  std::vector<std::int64_t> ids(kNeighbours);
  std::vector<float> distances(kNeighbours);
  const vicinal::MatrixView<std::int64_t> ids_view(ids.data(), 1, kNeighbours);
  const vicinal::MatrixView<float> distances_view(distances.data(), 1, kNeighbours);

  vicinal::FlatIndex flat(kDim, vicinal::Metric::kL2);
  flat.add(rows_view);
  flat.search(query_view, ids_view, distances_view);
  expect(nearest_are_right(ids, distances), "exact search finds rows 7, 8, 6");

  vicinal::HnswIndex graph(kDim, vicinal::Metric::kL2);
  graph.add(rows_view);
  graph.save(path);
  const vicinal::HnswIndex reopened = vicinal::HnswIndex::open(path);
  expect(reopened.size() == kRows, "the reopened index holds all rows");
  ids.assign(kNeighbours, vicinal::kNoId);
  reopened.search(query_view, {}, ids_view, distances_view);
  expect(nearest_are_right(ids, distances), "the reopened graph finds rows 7, 8, 6");
  std::remove(path.c_str());

  bool refused = false;
  try {
    flat.add(vicinal::MatrixView<const float>(rows.data(), 10, kDim + 1));
  } catch (const vicinal::DimensionError&) {
    refused = true;
  }
  expect(refused, "a wrong width throws DimensionError across the library's border");
}

}  // namespace

int main(int argc, char** argv) {
  const vicinal::CpuInfo cpu = vicinal::cpu_info();
  if (argc == 2 && std::strcmp(argv[1], "levels") == 0) {
    for (const std::string& level : cpu.available) std::printf("%s\n", level.c_str());
    return 0;
  }
  if (argc != 2) {
    std::fprintf(stderr, "usage: consumer levels | consumer FILE-TO-WRITE\n");
    return 2;
  }
  check_indexes(argv[1]);
  if (failures == 0) std::printf("vicinal %s, level %s: ok\n", VICINAL_VERSION, cpu.active.c_str());
  return failures == 0 ? 0 : 1;
}
