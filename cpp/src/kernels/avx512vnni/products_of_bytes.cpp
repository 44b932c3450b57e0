#include "kernels/avx512vnni/avx512vnni.h"
#include "kernels/byte_tiles.h"
#include "kernels/x86_512.h"

namespace vicinal::kernels::avx512vnni {
namespace {

struct Ops {
  using Wide = __m512i;
  static constexpr std::size_t kStep = 64;
  static constexpr int kQueries = 4;

  static VICINAL_INLINE __m512i zero() noexcept { return _mm512_setzero_si512(); }
  static VICINAL_INLINE __m512i load_row(const std::uint8_t* at) noexcept { return load64(at); }
  static VICINAL_INLINE __m512i load_query(const std::int8_t* at) noexcept { return load64(at); }
  static VICINAL_INLINE __m512i added(__m512i sum, __m512i row, __m512i query) noexcept {
    return _mm512_dpbusd_epi32(sum, row, query);
  }
  static VICINAL_INLINE __m128i sum4(const __m512i four[4]) noexcept {
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

}  // namespace vicinal::kernels::avx512vnni
