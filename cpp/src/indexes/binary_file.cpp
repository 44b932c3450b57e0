#include <cstring>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "indexes/binary_impl.h"
#include "indexes/config.h"
#include "indexes/file.h"
#include "kernels/bits.h"
#include "storage/container.h"
#include "vicinal/errors.h"

namespace vicinal {
namespace {

using indexes::BitPart;
using indexes::BitSegment;
using indexes::BitSpan;
using storage::File;
using storage::Json;
using storage::SectionSource;

/// One segment in the section of that name. docs/file-format.md tells of it.
struct SavedSegment {
  std::uint32_t rows;
  std::uint32_t table;  ///< 1: ids are in the section "ids"
  std::int64_t first_id;
};
static_assert(sizeof(SavedSegment) == 16);

/// Consecutive pieces of a section. They keep it alive.
class Slices {
 public:
  Slices(File& file, const char* section, std::uint64_t bytes)
      : whole_(std::make_shared<Buffer>(file.section(section, bytes))) {}
  Buffer take(std::uint64_t bytes) {
    const std::byte* at = whole_->data() + taken_;
    taken_ += bytes;
    return Buffer::borrow(at, bytes, whole_);
  }

 private:
  std::shared_ptr<Buffer> whole_;
  std::uint64_t taken_ = 0;
};

std::vector<SavedSegment> read_segments(File& file, std::uint64_t count) {
  file.verify("segments");
  const Buffer raw = file.section("segments", count * sizeof(SavedSegment));
  std::vector<SavedSegment> out(count);
  std::memcpy(out.data(), raw.data(), count * sizeof(SavedSegment));
  for (std::size_t i = 0; i < out.size(); ++i) {
    const SavedSegment& s = out[i];
    const auto where = [i] { return "segment " + std::to_string(i); };
    if (s.rows == 0) file.fail("segments", where() + " has no rows");
    if (s.table > 1) file.fail("segments", where() + " neither has ids nor has none");
    const auto room = std::numeric_limits<std::int64_t>::max() - std::int64_t{s.rows};
    if (s.table == 0 && (s.first_id < 0 || s.first_id > room)) {
      file.fail("segments", where() + " has ids from " + std::to_string(s.first_id));
    }
  }
  return out;
}

void read_removed(File& file, std::uint64_t rows, std::uint64_t removed,
                  std::vector<BitPart>& parts) {
  if (!file.has("removed")) {
    if (removed != 0) file.fail("", "the header counts removed rows that no section marks");
    return;
  }
  file.verify("removed");
  const Buffer raw = file.section("removed", (rows + 63) / 64 * 8);
  std::uint64_t at = 0;
  std::uint64_t marked = 0;
  for (BitPart& part : parts) {
    auto dead = std::make_shared<Bitmap>(part.segment->rows);
    for (std::uint32_t row = 0; row < part.segment->rows; ++row, ++at) {
      if ((static_cast<unsigned>(raw.data()[at / 8]) >> (at % 8) & 1u) == 0) continue;
      dead->set(row);
      ++part.removed;
    }
    marked += part.removed;
    if (part.removed != 0) part.dead = std::move(dead);
    if (part.live() == 0) file.fail("removed", "all rows of a segment are marked removed");
  }
  if (marked != removed) {
    file.fail("removed", std::to_string(marked) + " rows are marked removed; the header says " +
                             std::to_string(removed));
  }
}

}  // namespace

void BinaryIndex::Impl::save(const std::string& path, const std::string& metadata,
                             const RunOptions& run) const {
  const View now = view();  // whatever is added or removed meanwhile is not in the file
  const std::uint64_t rows = now->rows();
  std::vector<SavedSegment> segments;
  Bitmap dead(rows);
  std::uint64_t removed = 0;
  SectionSource codes{"codes", {}}, ids{"ids", {}}, counts{"counts", {}}, order{"order", {}},
      spans{"spans", {}}, sums{"sums", {}};
  std::uint64_t at = 0;
  for (const BitPart& part : now->parts) {
    const BitSegment& s = *part.segment;
    const bool table = s.ids.size() != 0;
    segments.push_back({s.rows, table ? 1u : 0u, table ? 0 : s.first_id});
    const auto put = [](SectionSource& to, const Buffer& from) {
      if (from.size() != 0) to.pieces.emplace_back(from.data(), from.size());
    };
    put(codes, s.codes);
    put(ids, s.ids);
    put(counts, s.counts);
    put(order, s.order);
    put(spans, s.spans);
    put(sums, s.sums);
    if (part.dead) {
      for (std::uint32_t row = 0; row < s.rows; ++row) {
        if (part.gone(row)) dead.set(at + row);
      }
    }
    removed += part.removed;
    at += s.rows;
  }
  std::vector<SectionSource> sections;
  if (!segments.empty()) {
    sections.push_back(
        {"segments", {{segments.data(), segments.size() * sizeof(SavedSegment)}}});
  }
  for (SectionSource* section : {&codes, &ids, &counts, &order, &spans, &sums}) {
    if (!section->pieces.empty()) sections.push_back(std::move(*section));
  }
  if (removed != 0) {
    sections.push_back({"removed", {{dead.words().data(), dead.words().size() * 8}}});
  }
  Json::Object config;
  config["dim"] = static_cast<std::uint64_t>(dim);
  config["metric"] = name(metric);
  config["rows"] = rows;
  config["removed"] = removed;
  config["segments"] = static_cast<std::uint64_t>(segments.size());
  config["next_id"] = now->next_id;
  indexes::save_file(path, "binary", config, metadata, sections, run);
}

std::unique_ptr<BinaryIndex::Impl> BinaryIndex::Impl::open(const std::string& path,
                                                           OpenMode mode) {
  File file = indexes::open_file(path, mode, "binary");
  const indexes::ConfigReader config(file);
  const std::uint64_t width = config.number("dim", 1, kMaxBits);
  const BitMetric rank = config.bit_metric();
  auto impl = std::make_unique<Impl>(width, rank);
  const std::uint64_t rows = config.number("rows", 0, kNoRow - 1);
  const std::uint64_t removed = config.number("removed", 0, rows);
  const std::uint64_t count = config.number("segments", 0, rows);
  auto made = std::make_shared<Snapshot>();
  made->next_id = config.number("next_id", 0, std::uint64_t{1} << 63);

  const std::vector<SavedSegment> segments =
      count != 0 ? read_segments(file, count) : std::vector<SavedSegment>();
  // No product here can overflow: rows < 2^32, blocks of at most 2^18 bytes.
  const std::uint64_t block_bytes = kernels::bit_block_bytes(impl->words);
  std::uint64_t total = 0;
  std::uint64_t blocks = 0;
  std::uint64_t tables = 0;
  std::uint64_t spans = 0;
  for (const SavedSegment& s : segments) {
    total += s.rows;
    blocks += (std::uint64_t{s.rows} + 7) / 8;
    tables += s.table != 0 ? s.rows : 0;
    spans += indexes::spans_of(s.rows);
  }
  if (total != rows) {
    file.fail("", "the segments have " + std::to_string(total) + " rows; the header says " +
                              std::to_string(rows));
  }
  if (count != 0) {
    const bool jaccard = rank == BitMetric::kJaccard;
    Slices codes(file, "codes", blocks * block_bytes);
    const std::uint64_t sum_bytes =
        kernels::bit_block_bytes(indexes::sum_words(impl->words, rank));
    std::vector<Slices> ids, counts, order, span_list, sums;
    if (tables != 0) ids.emplace_back(file, "ids", tables * sizeof(std::int64_t));
    if (jaccard) {
      counts.emplace_back(file, "counts", rows * sizeof(std::uint32_t));
      order.emplace_back(file, "order", rows * sizeof(std::uint32_t));
      span_list.emplace_back(file, "spans", spans * sizeof(BitSpan));
    }
    if (sum_bytes != 0) sums.emplace_back(file, "sums", blocks * sum_bytes);
    for (const SavedSegment& s : segments) {
      auto segment = std::make_shared<BitSegment>();
      segment->rows = s.rows;
      segment->words = impl->words;
      segment->mapped = mode == OpenMode::kMap;
      segment->first_id = s.first_id;
      segment->codes = codes.take(segment->block_count() * block_bytes);
      if (s.table != 0) segment->ids = ids.front().take(s.rows * sizeof(std::int64_t));
      if (jaccard) {
        segment->counts = counts.front().take(s.rows * sizeof(std::uint32_t));
        segment->order = order.front().take(s.rows * sizeof(std::uint32_t));
        segment->spans = span_list.front().take(indexes::spans_of(s.rows) * sizeof(BitSpan));
      }
      if (sum_bytes != 0) segment->sums = sums.front().take(segment->block_count() * sum_bytes);
      segment->bound_ids();
      BitPart part;
      part.segment = std::move(segment);
      made->parts.push_back(std::move(part));
    }
    read_removed(file, rows, removed, made->parts);
  } else if (removed != 0) {
    file.fail("", "the header counts removed rows, and there are none");
  }
  impl->publish(std::move(made));
  return impl;
}

}  // namespace vicinal
