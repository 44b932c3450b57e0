#include "clustering/medoids_bits.h"

#include <algorithm>

#include "kernels/bits.h"
#include "kernels/table.h"

namespace vicinal::clustering {
namespace {

constexpr std::size_t kAtOnce = 256;

}  // namespace

void count_bits(const std::byte* zeros, const std::byte* rows, std::size_t stride, std::size_t n,
                std::size_t bytes, std::uint32_t* out) noexcept {
  kernels::active().bits->hamming_rows(zeros, rows, stride, n, bytes, out);
}

void hamming_distances(const std::byte* query, const std::byte* rows, std::size_t stride,
                       std::size_t n, std::size_t bytes, float* out) noexcept {
  const kernels::BitKernels& bits = *kernels::active().bits;
  std::uint32_t counts[kAtOnce];
  for (std::size_t done = 0; done < n; done += kAtOnce) {
    const std::size_t some = std::min(kAtOnce, n - done);
    bits.hamming_rows(query, rows + done * stride, stride, some, bytes, counts);
    for (std::size_t i = 0; i < some; ++i) out[done + i] = static_cast<float>(counts[i]);
  }
}

void jaccard_distances(const std::byte* query, std::uint32_t query_set, const std::byte* rows,
                       const std::uint32_t* rows_set, std::size_t stride, std::size_t n,
                       std::size_t bytes, float* out) noexcept {
  const kernels::BitKernels& bits = *kernels::active().bits;
  std::uint32_t common[kAtOnce];
  for (std::size_t done = 0; done < n; done += kAtOnce) {
    const std::size_t some = std::min(kAtOnce, n - done);
    bits.common_rows(query, rows + done * stride, stride, some, bytes, common);
    for (std::size_t i = 0; i < some; ++i) {
      const std::uint32_t either = query_set + rows_set[done + i] - common[i];
      // A quotient of whole numbers rounds once; where both sets are empty it is 0 / 1.
      out[done + i] =
          static_cast<float>(either - common[i]) / static_cast<float>(std::max(either, 1u));
    }
  }
}

}  // namespace vicinal::clustering
