#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "loops.h"

namespace vicinal::bench {

/// Bytes that fit each cache with room to spare, from what the system reports.
struct CacheSizes {
  std::size_t l1 = 32 << 10;
  std::size_t l2 = 512 << 10;
  std::size_t l3 = 16 << 20;
};
CacheSizes cache_sizes();

/// Anonymous memory, touched, 2 MiB aligned, with 2 MiB pages asked for or refused.
class Pages {
 public:
  enum class Kind { kHuge, kSmall };
  Pages(std::size_t bytes, Kind kind);
  ~Pages();
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;

  std::byte* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }

 private:
  void* whole_ = nullptr;
  std::size_t whole_bytes_ = 0;
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

/// Share of this process's anonymous memory that lies in 2 MiB pages; -1 where it cannot be told.
double huge_page_share();

/// Widest loops this CPU runs; the portable ones at least.
const Loops& widest_loops();

/// Seconds on a clock that never goes back.
double now();
double median(std::vector<double> values);

// Each returns a rate or a time of one repeat, some tens of milliseconds long.
double clock_hz();
double fma_rate(const Loops& loops, unsigned threads);       ///< operations per second, all threads
double byte_mac_rate(const Loops& loops);                    ///< multiply-adds per second
double stream_rate(const Loops& loops, const std::byte* data, std::size_t bytes, std::size_t ahead,
                   double budget_seconds);  ///< bytes per second
/// Makes one ring through every line of the first `bytes` (a power of two), in random order.
void link_ring(const Pages& pages, std::size_t bytes);
double chase_seconds(const Pages& ring);                     ///< per dependent read
/// Rows of row_bytes (a power of two >= 64) at independent random places, every line of each read
/// once; rows so many lines further on (one row at least) are prefetched meanwhile, into the first
/// cache or, if far, into the second, which can wait for more. Bytes per second.
double random_rows_rate(const Pages& pages, std::size_t row_bytes, std::size_t lines_ahead,
                        bool far);

}  // namespace vicinal::bench
