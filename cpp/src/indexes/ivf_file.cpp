#include <algorithm>
#include <cmath>
#include <cstring>

#include "indexes/config.h"
#include "indexes/file.h"
#include "indexes/ivf_impl.h"
#include "quantizers/transformed.h"
#include "storage/container.h"
#include "vicinal/errors.h"

namespace vicinal {

using indexes::IvfArena;
using indexes::IvfList;
using indexes::IvfModel;
using indexes::IvfStore;
using storage::File;
using storage::Json;
using storage::SectionSource;

namespace {

constexpr std::uint64_t kMostThousandths = 1'000'000;
const char* const kRefinePrefix = "refine_";  // of what the refine store's codec learned

std::uint64_t thousandths(float value) {
  return static_cast<std::uint64_t>(std::lround(static_cast<double>(value) * 1000.0));
}

void check_centroids(const File& file, const IvfModel& model) {
  const std::size_t width = model.exact->stride() / sizeof(float);
  for (std::uint32_t l = 0; l < model.lists; ++l) {
    const float* row = model.centroid(l);
    const float* bad = std::find_if(row, row + width, [](float v) { return !std::isfinite(v); });
    if (bad != row + width) {
      file.fail("list_centroids", "value " + std::to_string(bad - row) + " of centroid " +
                                      std::to_string(l) + " is not finite");
    }
  }
}

/// Searches look at each row number before they follow it; a loaded file is checked at once.
void check_rows_of(const File& file, const IvfList& list, std::size_t l, std::uint32_t rows) {
  for (std::uint32_t i = 0; i < list.count; ++i) {
    const std::uint32_t row = list.rows()[i];
    if (row < rows && (i == 0 || list.rows()[i - 1] < row)) continue;
    file.fail("list_rows",
              "entry " + std::to_string(i) + " of list " + std::to_string(l) + " is row " +
                  std::to_string(row) +
                  (row < rows ? ", not above the one before it" : ", which is not there"));
  }
}

}  // namespace

void IvfIndex::Impl::save(const std::string& path, const std::string& metadata,
                          const RunOptions& run) const {
  const View now = view();  // whatever is added or removed meanwhile is not in the file
  const std::uint64_t rows = now->rows;
  const std::uint64_t entries = now->entries();
  std::vector<SectionSource> sections;
  Json::Object config;
  const std::vector<quantizers::Learned> space = indexes::write_transform(params.transform, config);
  indexes::write_learned(space, sections);
  std::vector<quantizers::Learned> learned;
  std::vector<std::uint32_t> sizes;
  if (now->model) {
    const Model& model = *now->model;
    learned = quantizers::inner_of(*model.codec).learned();
    if (model.refine) {
      for (auto& array : model.refine->learned()) {
        learned.push_back({kRefinePrefix + array.name, std::move(array.values)});
      }
    }
    indexes::write_learned(learned, sections);
    sections.push_back(
        {"list_centroids", {{model.centroids.data(), model.lists * model.exact->stride()}}});
    SectionSource codes{"list_codes", {}}, numbers{"list_rows", {}}, terms{"list_terms", {}};
    for (const IvfList& list : *now->lists) {
      sizes.push_back(list.count);
      if (list.count == 0) continue;
      codes.pieces.emplace_back(list.codes(), model.code_bytes(list.count));
      numbers.pieces.emplace_back(list.rows(), list.count * sizeof(std::uint32_t));
      if (model.terms) terms.pieces.emplace_back(list.terms(), list.count * sizeof(float));
    }
    sections.push_back({"list_sizes", {{sizes.data(), sizes.size() * sizeof(std::uint32_t)}}});
    if (entries != 0) {
      sections.push_back(std::move(codes));
      sections.push_back(std::move(numbers));
      if (model.terms) sections.push_back(std::move(terms));
    }
    if (rows != 0) {
      if (model.refine) {
        sections.push_back(
            {"refine", {{now->store->refine.data(), rows * model.refine->stride()}}});
      }
      if (!now->numbered()) {
        sections.push_back({"ids", {{now->store->ids.data(), rows * sizeof(std::int64_t)}}});
      }
      if (now->dead) {
        sections.push_back({"removed", {{now->dead->words().data(), (rows + 63) / 64 * 8}}});
      }
    }
  }
  config["dim"] = static_cast<std::uint64_t>(dim);
  config["metric"] = name(metric);
  indexes::write_codec(params.codec, config);
  config["refine"] = name(params.refine);
  config["lists"] = std::uint64_t{params.lists};
  config["residual"] = std::uint64_t{params.residual ? 1u : 0u};
  config["soar"] = std::uint64_t{params.soar ? 1u : 0u};
  config["spill_thousandths"] = thousandths(params.spill);
  config["balance_thousandths"] = thousandths(params.balance);
  config["seed"] = params.seed;
  config["learned_lists"] = std::uint64_t{now->model ? now->model->lists : 0u};
  config["entries"] = entries;
  config["rows"] = rows;
  config["removed"] = std::uint64_t{now->removed};
  config["next_id"] = now->next_id;
  const std::uint32_t version =
      params.transform ? indexes::kTransformVersion : indexes::kPlainVersion;
  indexes::save_file(path, "ivf", config, metadata, sections, run, version);
}

std::unique_ptr<IvfIndex::Impl> IvfIndex::Impl::open(const std::string& path, OpenMode mode) {
  File file = indexes::open_file(path, mode, "ivf");
  const indexes::ConfigReader config(file);
  const std::uint64_t width = config.number("dim", 1, kMaxDim);
  const Metric rank = config.metric();
  IvfParams params;
  params.codec = config.codec();
  params.refine = config.refine();
  params.transform = indexes::read_transform(file, width);
  params.lists = static_cast<std::uint32_t>(config.number("lists", 0, kNoRow - 1));
  params.residual = config.number("residual", 0, 1) == 1;
  params.soar = config.number("soar", 0, 1) == 1;
  const auto real = [&](const char* key) {
    return static_cast<float>(static_cast<double>(config.number(key, 0, kMostThousandths)) /
                              1000.0);
  };
  params.spill = real("spill_thousandths");
  params.balance = real("balance_thousandths");
  params.seed = config.number("seed", 0, ~std::uint64_t{0});
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
  const auto lists = static_cast<std::uint32_t>(config.number("learned_lists", 0, kNoRow - 1));
  const std::uint64_t copies = params.soar && lists > 1 ? 2 : 1;
  // Each row lies in some list. Nothing else bounds the number of rows where they have no store of
  // their own.
  const std::uint64_t entries = config.number("entries", at.rows, copies * at.rows);
  if (lists == 0) {
    if (at.rows != 0) file.fail("", "the header counts rows but no lists");
    impl->publish(std::move(at));
    return impl;
  }

  // No product here can overflow: rows and lists < 2^32, strides < 2^18.
  auto model = impl->blank(lists);
  file.verify("list_centroids");
  model->centroids = file.section("list_centroids", std::uint64_t{lists} * model->exact->stride());
  check_centroids(file, *model);
  model->codec = indexes::read_codec(file, params.codec, width, impl->code_metric(),
                                     impl->code_transform());
  if (params.refine != RefineKind::kNone) {
    const CodecSpec fine = indexes::stored_as(params.refine);
    model->refine = indexes::read_codec(file, fine, width, rank, {}, kRefinePrefix);
  }
  impl->complete(*model);

  file.verify("list_sizes");
  const Buffer sizes = file.section("list_sizes", std::uint64_t{lists} * sizeof(std::uint32_t));
  auto made = std::make_shared<Lists>(lists);
  std::uint64_t code_at = 0;
  std::uint64_t entry_at = 0;
  for (std::uint32_t l = 0; l < lists; ++l) {
    IvfList& list = (*made)[l];
    std::memcpy(&list.count, sizes.data() + l * sizeof(std::uint32_t), sizeof list.count);
    if (list.count > entries - entry_at) {  // before what is made of it can overflow
      file.fail("list_sizes", "list " + std::to_string(l) + " has " + std::to_string(list.count) +
                                  " entries; " + std::to_string(entries - entry_at) + " of " +
                                  std::to_string(entries) + " are left");
    }
    list.capacity = list.count;
    list.code_at = code_at;
    list.at = entry_at;
    code_at += model->code_bytes(list.count);
    entry_at += list.count;
  }
  if (entry_at != entries) {
    file.fail("list_sizes", "the lists have " + std::to_string(entry_at) +
                                " entries; the header says " + std::to_string(entries));
  }
  if (entries != 0) {
    auto arena = std::make_shared<IvfArena>();
    arena->codes = file.section("list_codes", code_at);
    arena->rows = file.section("list_rows", entries * sizeof(std::uint32_t));
    if (model->terms) arena->terms = file.section("list_terms", entries * sizeof(float));
    for (std::uint32_t l = 0; l < lists; ++l) {
      (*made)[l].arena = arena;
      if (mode == OpenMode::kLoad) check_rows_of(file, (*made)[l], l, at.rows);
    }
  }
  if (at.rows != 0) {
    const std::uint64_t rows = at.rows;
    auto store = std::make_shared<IvfStore>();
    store->capacity = at.rows;
    if (model->refine) store->refine = file.section("refine", rows * model->refine->stride());
    if (file.has("ids")) store->ids = file.section("ids", rows * sizeof(std::int64_t));
    at.store = std::move(store);
  }
  if (at.rows != 0 && file.has("removed")) {
    file.verify("removed");
    const Buffer raw = file.section("removed", (std::uint64_t{at.rows} + 63) / 64 * 8);
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
  at.model = std::move(model);
  at.lists = std::move(made);
  impl->publish(std::move(at));
  return impl;
}

}  // namespace vicinal
