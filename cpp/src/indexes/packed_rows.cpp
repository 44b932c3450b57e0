#include "indexes/packed_rows.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "kernels/lookup.h"
#include "kernels/table.h"
#include "vicinal/errors.h"

namespace vicinal::indexes {
namespace {

using quantizers::BlockQuery;
using quantizers::kBlockRows;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
// Blocks scored before the best are picked. While they are, nothing is asked of memory: from there,
// 32 take 1.3 ns a row of 64 nibbles, 16 take 1.03 and 8 take 1.05; from cache 0.83, 0.83, 0.89.
constexpr std::size_t kChunk = 16;
constexpr std::size_t kSharedBytes = std::size_t{128} << 10;  // of codes that several queries share
constexpr std::size_t kLine = 64;

/// Scores of rows first .. first + n - 1, made distances.
void shape(const PackedTerms& terms, std::size_t first, std::size_t n, float* scores) noexcept {
  if (terms.factor == 1.0f && terms.offset == 0.0f && terms.add == nullptr &&
      terms.least == -kInfinity) {
    return;
  }
  kernels::active().lookup->shift(scores, terms.add == nullptr ? nullptr : terms.add + first,
                                  terms.factor, terms.offset, terms.least, n);
}

/// Scores of `blocks` blocks, of which rows [first, last) count, to the best.
void offer(const PackedTerms& terms, std::size_t block, std::size_t blocks, std::size_t first,
           std::size_t last, float* scores, BlockTopK& top) {
  const std::size_t begin = std::max(first, block * kBlockRows);
  const std::size_t n = std::min(last, (block + blocks) * kBlockRows) - begin;
  float* const distances = scores + (begin - block * kBlockRows);
  shape(terms, begin, n, distances);
  if (terms.allowed != nullptr) PackedRows::hide(*terms.allowed, block, blocks, scores);
  if (terms.numbers != nullptr) {
    top.push_ids(distances, n, terms.numbers + begin);
  } else {
    top.push_block(distances, n, terms.base + static_cast<std::uint32_t>(begin));
  }
}

}  // namespace

PackedRows::PackedRows(std::shared_ptr<const quantizers::Codec> codec)
    : codec_(std::move(codec)), block_bytes_(codec_->block_bytes()) {
  if (block_bytes_ == 0) {
    throw ArgumentError("codec is " + std::string(name(codec_->kind())) +
                        ", whose rows are not packed in blocks");
  }
  assert(block_bytes_ % kLine == 0);
}

PackedRows PackedRows::borrow(std::shared_ptr<const quantizers::Codec> codec,
                              const std::byte* blocks, std::size_t rows,
                              std::shared_ptr<const void> owner, bool mapped) {
  PackedRows out(std::move(codec));
  out.rows_ = rows;
  out.mapped_ = mapped && rows != 0;
  const std::size_t whole = out.full();
  if (whole != 0) {
    out.store_ = std::make_shared<Store>(
        Store{Buffer::borrow(blocks, whole * out.block_bytes_, owner), whole, whole});
  }
  if (rows % kBlockRows != 0) {
    out.tail_ = std::make_shared<Buffer>(
        Buffer::borrow(blocks + whole * out.block_bytes_, out.block_bytes_, std::move(owner)));
  }
  return out;
}

void PackedRows::hide(const Bitmap& allowed, std::size_t first_block, std::size_t blocks,
                      float* distances) noexcept {
  for (std::size_t b = 0; b < blocks; ++b, distances += kBlockRows) {
    const std::uint32_t bits = bits_of(allowed, first_block + b);
    if (bits == 0xFFFFFFFFu) continue;
    for (std::size_t r = 0; r < kBlockRows; ++r) {
      if ((bits >> r & 1u) == 0) distances[r] = kInfinity;
    }
  }
}

const std::byte* PackedRows::block(std::size_t b) const noexcept {
  assert(b < blocks());
  return b < full() ? store_->blocks.data() + b * block_bytes_ : tail_->data();
}

std::size_t PackedRows::memory() const noexcept {
  const std::size_t store = store_ == nullptr ? 0 : store_->capacity * block_bytes_;
  return store + (tail_ == nullptr ? 0 : block_bytes_);
}

/// `capacity` blocks of its own, with the whole blocks there are.
void PackedRows::copy_store(std::size_t capacity) {
  assert(capacity >= full());
  auto next =
      std::make_shared<Store>(Store{Buffer::allocate(capacity * block_bytes_), capacity, full()});
  if (full() != 0) {
    std::memcpy(next->blocks.mutable_data(), store_->blocks.data(), full() * block_bytes_);
  }
  store_ = std::move(next);
  store_alone_.set();
  mapped_ = false;
}

/// Memory for so many whole blocks, those beyond full() for this object alone to fill.
void PackedRows::room_for(std::size_t blocks) {
  const std::size_t capacity = store_ == nullptr ? 0 : store_->capacity;
  const bool taken = store_ != nullptr && store_->used != full();  // by a newer copy
  if (blocks <= capacity && !taken) return;
  const std::size_t grown = capacity + capacity / 2;
  copy_store(blocks <= capacity ? capacity : std::max(blocks, grown));
}

/// The begun block, in memory that no copy looks at; zero if there is none.
std::byte* PackedRows::new_tail() {
  if (tail_ != nullptr && tail_alone_.get()) return tail_->mutable_data();
  auto next = std::make_shared<Buffer>(Buffer::allocate(block_bytes_));
  if (tail_ != nullptr) std::memcpy(next->mutable_data(), tail_->data(), block_bytes_);
  tail_ = std::move(next);
  tail_alone_.set();
  return tail_->mutable_data();
}

std::byte* PackedRows::writable(std::size_t b) {
  if (b >= full()) return new_tail();
  if (!store_alone_.get()) copy_store(store_->capacity);
  return store_->blocks.mutable_data() + b * block_bytes_;
}

void PackedRows::reserve(std::size_t rows) {
  const std::size_t blocks = rows / kBlockRows;
  if (store_ == nullptr || blocks > store_->capacity) copy_store(std::max(blocks, full()));
}

void PackedRows::append(const std::byte* rows, std::size_t n) {
  const std::size_t stride = codec_->stride();
  const std::size_t whole = (rows_ + n) / kBlockRows;
  if (whole > full()) room_for(whole);
  while (n != 0) {
    const std::size_t place = rows_ % kBlockRows;
    const std::size_t count = std::min(n, kBlockRows - place);
    std::byte* to;
    if (place == 0 && count == kBlockRows) {
      to = store_->blocks.mutable_data() + full() * block_bytes_;
      std::memset(to, 0, block_bytes_);
    } else {
      to = new_tail();
    }
    for (std::size_t i = 0; i < count; ++i) codec_->pack(rows + i * stride, place + i, to);
    if (place + count == kBlockRows) {
      if (place != 0) {
        std::memcpy(store_->blocks.mutable_data() + full() * block_bytes_, to, block_bytes_);
        tail_.reset();
      }
      ++store_->used;
    }
    rows_ += count;
    rows += count * stride;
    n -= count;
  }
}

void PackedRows::set(std::size_t row, const std::byte* stored) {
  assert(row < rows_);
  codec_->pack(stored, row % kBlockRows, writable(row / kBlockRows));
}

void PackedRows::get(std::size_t row, std::byte* stored) const {
  assert(row < rows_);
  codec_->unpack(block(row / kBlockRows), row % kBlockRows, stored);
}

void PackedRows::remove(std::size_t row) {
  assert(row < rows_);
  const std::size_t last = rows_ - 1;
  std::vector<std::byte> stored(codec_->stride());
  if (row != last) {
    get(last, stored.data());
    set(row, stored.data());
  }
  if (rows_ % kBlockRows == 0) {  // the last whole block becomes the one begun
    auto next = std::make_shared<Buffer>(Buffer::allocate(block_bytes_));
    std::memcpy(next->mutable_data(), block(full() - 1), block_bytes_);
    tail_ = std::move(next);
    tail_alone_.set();
    if (store_alone_.get()) --store_->used;
  }
  --rows_;
  if (rows_ % kBlockRows == 0) {
    tail_.reset();
    return;
  }
  // The same rows are the same bytes in a file, whatever was removed.
  std::fill(stored.begin(), stored.end(), std::byte{0});
  codec_->pack(stored.data(), rows_ % kBlockRows, new_tail());
}

void PackedRows::scan(const BlockQuery& query, std::size_t first, std::size_t last,
                      const PackedTerms& terms, BlockTopK& top) const {
  assert(last <= rows_);
  alignas(kLine) float scores[kChunk * kBlockRows];
  walk(first, last, kChunk, terms.allowed, [&](std::size_t b, std::size_t blocks) {
    query.score(block(b), blocks, scores);
    offer(terms, b, blocks, first, last, scores, top);
  });
}

void PackedRows::scan(const BlockQuery* const* queries, std::size_t count, std::size_t first,
                      std::size_t last, const PackedTerms* terms, BlockTopK* const* tops) const {
  assert(last <= rows_);
  if (count == 0) return;
  constexpr std::size_t kMany = BlockQuery::kMany;
  alignas(kLine) float scores[kMany][kChunk * kBlockRows];
  float* out[kMany];
  for (std::size_t q = 0; q < kMany; ++q) out[q] = scores[q];
  const Bitmap* common = terms[0].allowed;
  for (std::size_t q = 1; q < count; ++q) {
    if (terms[q].allowed != common) common = nullptr;
  }
  const std::size_t most = std::clamp<std::size_t>(kSharedBytes / block_bytes_, 1, kChunk);
  walk(first, last, most, common, [&](std::size_t b, std::size_t blocks) {
    for (std::size_t q = 0; q < count; q += kMany) {
      const std::size_t together = std::min(kMany, count - q);
      BlockQuery::score_many(queries + q, together, block(b), blocks, out);
      for (std::size_t i = 0; i < together; ++i) {
        offer(terms[q + i], b, blocks, first, last, scores[i], *tops[q + i]);
      }
    }
  });
}

void PackedRows::score(const BlockQuery& query, std::size_t first, std::size_t last,
                       const PackedTerms& terms, float* out) const {
  assert(last <= rows_);
  alignas(kLine) float scores[kChunk * kBlockRows];
  walk(first, last, kChunk, nullptr, [&](std::size_t b, std::size_t blocks) {
    query.score(block(b), blocks, scores);
    const std::size_t begin = std::max(first, b * kBlockRows);
    const std::size_t n = std::min(last, (b + blocks) * kBlockRows) - begin;
    float* const distances = scores + (begin - b * kBlockRows);
    shape(terms, begin, n, distances);
    std::memcpy(out + (begin - first), distances, n * sizeof(float));
  });
}

}  // namespace vicinal::indexes
