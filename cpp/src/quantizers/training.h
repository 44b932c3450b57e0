#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "quantizers/codec.h"
#include "vicinal/control.h"
#include "vicinal/errors.h"

// What the codecs that learn codebooks share.
namespace vicinal::quantizers {

/// How one step of `steps` runs: whatever it reports becomes "training", rows * step / steps of
/// rows. `run` must outlive it.
inline RunOptions step_of(const RunOptions& run, std::size_t step, std::size_t steps,
                          std::size_t rows) {
  RunOptions inner;
  inner.threads = run.threads;
  if (run.progress) {
    const Progress now{"training", rows * step / steps, rows};
    inner.progress = [&run, now](const Progress&) { return run.progress(now); };
  }
  return inner;
}

inline void check_sample(MatrixView<const float> sample, std::size_t dim, std::size_t least,
                         const char* what) {
  if (sample.cols() != dim) throw DimensionError("sample", sample.cols(), dim);
  if (sample.rows() < least) {
    throw ArgumentError("sample has " + std::to_string(sample.rows()) + " rows; " + what +
                        " learns codebooks of " + std::to_string(least) +
                        " entries and needs at least as many");
  }
}

/// Throws ArgumentError unless the arrays have these names and lengths, and hold finite numbers.
inline void check_learned(const std::vector<Learned>& learned,
                          const std::vector<std::pair<std::string, std::size_t>>& wanted,
                          const char* codec) {
  if (learned.size() != wanted.size()) {
    throw ArgumentError(std::string("a ") + codec + " codec has " +
                        std::to_string(learned.size()) + " learned arrays; wanted " +
                        std::to_string(wanted.size()));
  }
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const Learned& array = learned[i];
    if (array.name != wanted[i].first || array.values.size() != wanted[i].second) {
      throw ArgumentError("learned array " + std::to_string(i) + " of a " + codec + " codec is \"" +
                          array.name + "\" with " + std::to_string(array.values.size()) +
                          " values; wanted \"" + wanted[i].first + "\" with " +
                          std::to_string(wanted[i].second));
    }
    for (std::size_t j = 0; j < array.values.size(); ++j) {
      if (std::isfinite(array.values[j])) continue;
      throw ArgumentError("learned array \"" + array.name + "\" of a " + codec +
                          " codec is not finite at " + std::to_string(j));
    }
  }
}

/// Rows by code: those of code k are order[starts[k]] .. order[starts[k + 1] - 1], ascending.
/// codes: of row r at codes[r * step].
struct Buckets {
  std::vector<std::uint32_t> order;
  std::vector<std::size_t> starts;

  Buckets(const std::uint8_t* codes, std::size_t step, std::size_t rows, std::size_t entries)
      : order(rows), starts(entries + 1) {
    for (std::size_t r = 0; r < rows; ++r) ++starts[codes[r * step] + std::size_t{1}];
    for (std::size_t k = 0; k < entries; ++k) starts[k + 1] += starts[k];
    std::vector<std::size_t> next(starts.begin(), starts.end() - 1);
    for (std::size_t r = 0; r < rows; ++r) {
      order[next[codes[r * step]]++] = static_cast<std::uint32_t>(r);
    }
  }
};

}  // namespace vicinal::quantizers
