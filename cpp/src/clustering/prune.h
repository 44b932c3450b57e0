#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/buffer.h"
#include "clustering/centroids.h"
#include "clustering/rows.h"
#include "vicinal/control.h"

namespace vicinal::clustering {

// Most centroids are too far from a row to be its nearest, and a few dimensions tell. With P the
// projection onto some directions, x' = P (x - m) and x" what is left of x - m,
//   <x - m, c - m> <= <x', c'> + |x"| |c"|,
// which is an inner product of one dimension more than P has. So a small matrix product bounds all
// distances from below, and only centroids whose bound is below the distance to the row's centroid
// of the iteration before are compared in full: the answer is that of comparing all, up to the
// rounding of floats. That a partial product prunes is the idea of SuperKMeans; the bound
// by the lengths of the rest makes it exact, and the directions are those in which the centroids
// differ most.
class Pruner {
 public:
  /// Null where it would not pay: few clusters or dimensions, or directions that tell too little.
  /// labels: a cluster of each row.
  static std::unique_ptr<Pruner> make(const Rows& rows, const Centroids& centroids,
                                      const std::vector<std::uint32_t>& labels,
                                      const RunOptions& run);

  /// The centroids have moved.
  void prepare(const Centroids& centroids);
  /// The nearest centroid of each of the dense rows [begin, end). before: any cluster of each, the
  /// nearer the better.
  void nearest(const float* rows, std::size_t begin, std::size_t end, const Centroids& centroids,
               const std::uint32_t* before, std::uint32_t* labels, Scratch& scratch) const;

 private:
  explicit Pruner(const Centroids& centroids);
  void learn(const Centroids& centroids);
  /// The heads of n dense rows, and their squared distances from the origin.
  void project(const float* rows, std::size_t n, float* heads, float* lengths) const;
  bool pays(const Rows& rows, const Centroids& centroids,
            const std::vector<std::uint32_t>& labels) const;
  /// Returns how many pairs were compared in full.
  std::uint64_t compare(const float* rows, const float* heads, const float* lengths,
                        std::size_t n, const Centroids& centroids, const std::uint32_t* before,
                        std::uint32_t* labels, Scratch& scratch) const;

  std::size_t dim_;
  std::size_t width_;             // floats of a head: the directions and one for the rest
  bool l2_;
  std::vector<float> origin_;     // m: the centroids' mean under L2, zero otherwise
  double origin_length_ = 0.0;
  std::vector<float> basis_;      // width_ - 1 rows of dim_
  std::vector<float> shift_;      // <m, direction>
  Buffer heads_;                  // of the rows
  std::vector<float> lengths_;
  Buffer centroid_heads_;
  std::vector<float> bias_;
  double reach_ = 0.0;            // of the centroids from the origin
};

}  // namespace vicinal::clustering
