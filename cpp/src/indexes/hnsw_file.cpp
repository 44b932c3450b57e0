#include <algorithm>

#include "indexes/config.h"
#include "indexes/file.h"
#include "indexes/hnsw_impl.h"
#include "storage/container.h"
#include "vicinal/errors.h"

namespace vicinal {

using indexes::kMaxLevel;
using indexes::kMaxRows;
using indexes::Link;
using indexes::Snapshot;
using indexes::State;
using indexes::Tower;
using storage::File;
using storage::Json;
using storage::SectionSource;

void HnswIndex::Impl::save(const std::string& path, const std::string& metadata,
                           const RunOptions& run) const {
  // Searches go on; whatever would change links waits.
  const std::shared_lock<std::shared_mutex> lock(writer);
  const View now = view();
  const Snapshot at = now.at ? *now.at : Snapshot{};
  std::uint64_t slots = 0;
  std::vector<SectionSource> sections;
  Json::Object config;
  const std::vector<quantizers::Learned> space = indexes::write_transform(params.transform, config);
  indexes::write_learned(space, sections);
  std::vector<quantizers::Learned> learned;
  if (at.rows > 0) {
    const State& s = *at.state;
    const std::uint64_t rows = at.rows;
    const auto section = [&](const char* what, const Buffer& buffer, std::uint64_t bytes) {
      sections.push_back({what, {{buffer.data(), bytes}}});
    };
    section("codes", s.codes, rows * now.codec->stride());
    section("links", s.base_links, rows * s.width * sizeof(Link));
    if (at.towers > 0) {
      const Tower& last = s.tower(at.towers - 1);
      slots = last.first + std::uint64_t{last.level} * s.links;
      section("towers", s.towers, std::uint64_t{at.towers} * sizeof(Tower));
      section("tower_links", s.tower_links, slots * sizeof(Link));
    }
    if (refine) section("refine", s.refine, rows * refine->stride());
    if (s.ids.size() != 0) section("ids", s.ids, rows * sizeof(std::int64_t));
    if (at.dead) {
      const auto& words = at.dead->words();
      sections.push_back({"removed", {{words.data(), (rows + 63) / 64 * 8}}});
    }
    learned = quantizers::inner_of(*now.codec).learned();
    indexes::write_learned(learned, sections);
  }
  config["dim"] = static_cast<std::uint64_t>(dim);
  config["metric"] = name(metric);
  indexes::write_codec(params.codec, config);
  config["refine"] = name(params.refine);
  config["links"] = std::uint64_t{params.links};
  config["build_ef"] = std::uint64_t{params.build_ef};
  config["seed"] = params.seed;
  if (params.builder != HnswParams::Builder::kAuto) config["builder"] = name(params.builder);
  config["rows"] = std::uint64_t{at.rows};
  config["towers"] = std::uint64_t{at.towers};
  config["tower_slots"] = slots;
  config["removed"] = std::uint64_t{at.removed};
  config["next_id"] = static_cast<std::uint64_t>(next_id);
  if (at.entry != kNoRow) config["entry"] = std::uint64_t{at.entry};
  const std::uint32_t version =
      params.transform ? indexes::kTransformVersion : indexes::kPlainVersion;
  indexes::save_file(path, "hnsw", config, metadata, sections, run, version);
}

namespace {

/// What the towers claim is followed by every walk, so it is checked whole, mapped or not.
void check_towers(const File& file, const Snapshot& at, const State& state) {
  std::uint64_t slot = 0;
  for (std::uint32_t t = 0; t < at.towers; ++t) {
    const Tower& tower = state.tower(t);
    const auto fail = [&](const char* what, std::uint64_t got) {
      file.fail("towers",
                "tower " + std::to_string(t) + " has " + what + " " + std::to_string(got));
    };
    if (tower.row >= at.rows) fail("row", tower.row);
    if (tower.level == 0 || tower.level > kMaxLevel) fail("level", tower.level);
    if (tower.first != slot) fail("first slot", tower.first);
    slot += std::uint64_t{tower.level} * state.links;
  }
  if (slot != state.tower_slots) {
    file.fail("towers", "towers need " + std::to_string(slot) + " slots, the header says " +
                            std::to_string(state.tower_slots));
  }
}

void check_links(const File& file, const Snapshot& at) {
  const State& state = *at.state;
  const auto fail = [&](const char* section, const char* from, std::uint64_t node,
                        std::uint32_t to) {
    file.fail(section, std::string(from) + " " + std::to_string(node) + " has a link to " +
                           std::to_string(to) + ", which is not there");
  };
  for (std::uint32_t row = 0; row < at.rows; ++row) {
    const Link* links = state.base(row);
    for (std::uint32_t i = 0; i < state.width; ++i) {
      const std::uint32_t to = links[i].load(std::memory_order_relaxed);
      if (to >= at.rows && to != kNoRow) fail("links", "row", row, to);
    }
  }
  for (std::uint32_t t = 0; t < at.towers; ++t) {
    for (std::uint32_t level = 1; level <= state.tower(t).level; ++level) {
      const Link* links = state.upper(t, level);
      for (std::uint32_t i = 0; i < state.links; ++i) {
        const std::uint32_t to = links[i].load(std::memory_order_relaxed);
        if (to != kNoRow && (to >= at.towers || state.tower(to).level < level)) {
          fail("tower_links", "tower", t, to);
        }
      }
    }
  }
}

}  // namespace

void HnswIndex::Impl::trust_links(const Snapshot& at) {
  if (!unchecked) return;
  check_links(*unchecked, at);
  unchecked.reset();
}

std::unique_ptr<HnswIndex::Impl> HnswIndex::Impl::open(const std::string& path, OpenMode mode) {
  File file = indexes::open_file(path, mode, "hnsw");
  const indexes::ConfigReader config(file);
  const std::uint64_t dim = config.number("dim", 1, kMaxDim);
  const Metric metric = config.metric();
  HnswParams params;
  params.codec = config.codec();
  params.refine = config.refine();
  params.transform = indexes::read_transform(file, dim);
  params.links = static_cast<std::uint32_t>(config.number("links", 2, 512));
  params.build_ef = static_cast<std::uint32_t>(config.number("build_ef", 1, 0xFFFFFFFFu));
  params.seed = config.number("seed", 0, ~std::uint64_t{0});
  params.builder = config.builder();
  Snapshot at;
  at.rows = static_cast<std::uint32_t>(config.number("rows", 0, kMaxRows));
  at.towers = static_cast<std::uint32_t>(config.number("towers", 0, at.rows));
  at.removed = static_cast<std::uint32_t>(config.number("removed", 0, at.rows));
  const std::uint64_t slots =
      config.number("tower_slots", 0, std::uint64_t{at.towers} * kMaxLevel * params.links);
  const std::uint64_t next_id = config.number("next_id", 0, std::uint64_t{1} << 63);

  std::unique_ptr<Impl> impl;
  try {
    impl = std::make_unique<Impl>(dim, metric, params);
  } catch (const ArgumentError& error) {
    file.fail("", error.what());
  }
  impl->next_id = static_cast<std::int64_t>(std::min<std::uint64_t>(next_id, INT64_MAX));
  if (at.rows == 0) return impl;

  const auto codec = indexes::read_codec(file, params.codec, dim, metric, params.transform);
  const auto build = impl->build_codec(codec);

  // No product here can overflow: rows < 2^31, strides < 2^18.
  auto state = std::make_shared<State>();
  const std::uint64_t rows = at.rows;
  state->capacity = at.rows;
  state->links = params.links;
  state->width = 2 * params.links;
  state->codes = file.section("codes", rows * codec->stride());
  state->base_links = file.section("links", rows * state->width * sizeof(Link));
  if (impl->refine) state->refine = file.section("refine", rows * impl->refine->stride());
  if (file.has("ids")) state->ids = file.section("ids", rows * sizeof(std::int64_t));
  if (at.towers > 0) {
    file.verify("towers");
    state->tower_capacity = at.towers;
    state->tower_slots = slots;
    state->towers = file.section("towers", std::uint64_t{at.towers} * sizeof(Tower));
    state->tower_links = file.section("tower_links", slots * sizeof(Link));
    check_towers(file, at, *state);
    at.entry = static_cast<std::uint32_t>(config.number("entry", 0, at.towers - 1));
    at.top = state->tower(at.entry).level;
  } else if (slots != 0) {
    file.fail("", "the header counts tower slots but no towers");
  }
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
  at.state = std::move(state);
  impl->set_codecs(codec, build);
  impl->publish(at);
  if (mode == OpenMode::kMap) {
    impl->unchecked = std::make_unique<File>(std::move(file));
  } else {
    check_links(file, at);
  }
  return impl;
}

}  // namespace vicinal
