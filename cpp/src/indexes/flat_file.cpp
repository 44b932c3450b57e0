#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "indexes/config.h"
#include "indexes/file.h"
#include "indexes/flat_impl.h"
#include "quantizers/transformed.h"
#include "storage/container.h"
#include "vicinal/errors.h"

namespace vicinal {

using indexes::PackedRows;
using quantizers::Codec;
using storage::File;
using storage::Json;
using storage::SectionSource;

void FlatIndex::Impl::save(const std::string& path, const std::string& metadata,
                           const RunOptions& run) const {
  const View now = view();  // whatever is added or removed meanwhile is not in the file
  const std::uint64_t rows = now->rows;
  std::vector<SectionSource> sections;
  if (rows != 0) {
    if (now->packed) {
      // Whole blocks lie together, the one begun apart.
      const std::size_t block = now->codec->block_bytes();
      const std::size_t whole = rows / quantizers::kBlockRows;
      SectionSource blocks{"blocks", {}};
      if (whole != 0) blocks.pieces.emplace_back(now->packed->block(0), whole * block);
      if (whole != now->packed->blocks()) {
        blocks.pieces.emplace_back(now->packed->block(whole), block);
      }
      sections.push_back(std::move(blocks));
    } else {
      sections.push_back({"codes", {{now->store->codes.data(), rows * now->codec->stride()}}});
    }
    if (!now->numbered())
      sections.push_back({"ids", {{now->store->ids.data(), rows * sizeof(std::int64_t)}}});
    if (now->dead)
      sections.push_back({"removed", {{now->dead->words().data(), (rows + 63) / 64 * 8}}});
  }
  Json::Object config;
  const std::vector<quantizers::Learned> space = indexes::write_transform(params.transform, config);
  indexes::write_learned(space, sections);
  std::vector<quantizers::Learned> learned;
  if (now->codec) learned = quantizers::inner_of(*now->codec).learned();
  indexes::write_learned(learned, sections);
  config["dim"] = static_cast<std::uint64_t>(dim);
  config["metric"] = name(metric);
  indexes::write_codec(params.codec, config);
  config["rows"] = rows;
  config["removed"] = std::uint64_t{now->removed};
  config["next_id"] = now->next_id;
  config["ascending"] = std::uint64_t{now->ascending ? 1u : 0u};
  const std::uint32_t version = params.transform ? indexes::kTransformVersion
                                : now->packed    ? indexes::kBlocksVersion
                                                 : indexes::kPlainVersion;
  indexes::save_file(path, "flat", config, metadata, sections, run, version);
}

std::unique_ptr<FlatIndex::Impl> FlatIndex::Impl::open(const std::string& path, OpenMode mode) {
  File file = indexes::open_file(path, mode, "flat");
  const indexes::ConfigReader config(file);
  const std::uint64_t width = config.number("dim", 1, kMaxDim);
  const Metric rank = config.metric();
  FlatParams params;
  params.codec = config.codec();
  params.transform = indexes::read_transform(file, width);
  std::unique_ptr<Impl> impl;
  try {
    impl = std::make_unique<Impl>(width, rank, params);
  } catch (const ArgumentError& error) {
    file.fail("", error.what());
  }

  Snapshot at;
  at.rows = static_cast<std::uint32_t>(config.number("rows", 0, kNoRow - 1));
  at.removed = static_cast<std::uint32_t>(config.number("removed", 0, at.rows));
  at.next_id = config.number("next_id", 0, std::uint64_t{1} << 63);
  at.ascending = config.number("ascending", 0, 1) == 1;
  const auto wanted =
      Codec::learns(params.codec, params.transform ? params.transform->out() : width);
  if (at.rows != 0 || wanted.empty() || file.has(wanted.front().first)) {
    at.codec = indexes::read_codec(file, params.codec, width, rank, params.transform);
  }
  if (at.rows != 0) {
    // No product here can overflow: rows < 2^32, strides < 2^18.
    const std::uint64_t rows = at.rows;
    auto store = std::make_shared<indexes::FlatStore>();
    store->capacity = at.rows;
    if (!Snapshot::blocks(*at.codec)) {
      store->codes = file.section("codes", rows * at.codec->stride());
    } else if (file.has("blocks")) {
      const std::size_t bytes = PackedRows::blocks_of(rows) * at.codec->block_bytes();
      const auto blocks = std::make_shared<const Buffer>(file.section("blocks", bytes));
      at.packed = std::make_shared<const PackedRows>(
          PackedRows::borrow(at.codec, blocks->data(), rows, blocks, mode == OpenMode::kMap));
    } else {  // from before there were blocks in files
      const Buffer codes = file.section("codes", rows * at.codec->stride());
      auto packed = std::make_shared<PackedRows>(at.codec);
      packed->append(codes.data(), rows);
      at.packed = std::move(packed);
    }
    if (file.has("ids")) store->ids = file.section("ids", rows * sizeof(std::int64_t));
    if (file.has("removed")) {
      file.verify("removed");
      const Buffer raw = file.section("removed", (rows + 63) / 64 * 8);
      auto dead = std::make_shared<Bitmap>(at.rows);
      for (std::uint32_t row = 0; row < at.rows; ++row) {
        if ((static_cast<unsigned>(raw.data()[row / 8]) >> (row % 8) & 1u) != 0) dead->set(row);
      }
      if (dead->count() != at.removed) {
        file.fail("removed", std::to_string(dead->count()) +
                                 " rows are marked removed; the header says " +
                                 std::to_string(at.removed));
      }
      at.dead = std::move(dead);
    } else if (at.removed != 0) {
      file.fail("", "the header counts removed rows that no section marks");
    }
    at.store = std::move(store);
  }
  impl->publish(std::move(at));
  return impl;
}

}  // namespace vicinal
