#include "kernels/avx2/avx2.h"
#include "kernels/byte_tiles.h"

namespace vicinal::kernels::avx2 {
namespace {

// Sixteen at a time as 16-bit numbers: pairs of byte products would not fit 16 bits.
struct Ops {
  using Wide = __m256i;
  static constexpr std::size_t kStep = 16;
  static constexpr int kQueries = 2;

  static VICINAL_INLINE __m256i zero() noexcept { return _mm256_setzero_si256(); }
  static VICINAL_INLINE __m256i load_row(const std::uint8_t* at) noexcept {
    return _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at)));
  }
  static VICINAL_INLINE __m256i load_query(const std::int8_t* at) noexcept {
    return _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at)));
  }
  static VICINAL_INLINE __m256i added(__m256i sum, __m256i row, __m256i query) noexcept {
    return _mm256_add_epi32(sum, _mm256_madd_epi16(row, query));
  }
  static VICINAL_INLINE __m128i sum4(const __m256i four[4]) noexcept {
    return kernels::sum4(four);
  }
};

}  // namespace

void byte_products(const std::int8_t* queries, std::size_t query_stride, std::size_t n_queries,
                   const std::uint8_t* rows, std::size_t row_stride, std::size_t n_rows,
                   std::size_t bytes, std::int32_t* out, std::size_t out_stride) noexcept {
  byte_tiles<Ops>(queries, query_stride, n_queries, rows, row_stride, n_rows, bytes, out,
                  out_stride);
}

}  // namespace vicinal::kernels::avx2
