#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "storage/container.h"

namespace vicinal::test {

/// A small file with a section of each awkward length: odd, long, empty, of a page, of a byte.
struct Sample {
  storage::Json config = storage::Json::Object{{"dim", 7u}, {"metric", "l2"}, {"scale", 0.5}};
  std::string metadata = "two words \xC3\xA9";
  std::vector<std::pair<std::string, std::string>> sections;

  Sample() {
    const std::pair<const char*, std::size_t> lengths[] = {
        {"rows", 333}, {"links", 5000}, {"empty", 0}, {"page", 4096}, {"last", 1}};
    for (const auto& [name, length] : lengths) {
      std::string bytes(length, '\0');
      for (std::size_t i = 0; i < length; ++i) {
        bytes[i] = static_cast<char>(random_u64(/*seed=*/9, sections.size(), i));
      }
      sections.emplace_back(name, std::move(bytes));
    }
  }

  void write(const std::string& path, const RunOptions& run = {}) const {
    std::vector<storage::SectionSource> sources;
    for (const auto& [name, bytes] : sections) {
      sources.push_back({name, {{bytes.data(), bytes.size()}}});
    }
    storage::write_file(path, "sample", config, metadata, sources, run);
  }
};

}  // namespace vicinal::test
