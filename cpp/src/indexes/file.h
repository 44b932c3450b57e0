#pragma once

#include <string>

#include "storage/container.h"

namespace vicinal::indexes {

/// storage::File::open and storage::write_file with the checksum of this CPU: storage stands below
/// the kernels and cannot choose one. Throws ConfigError too, as kernels::active() does.
storage::File open_file(const std::string& path, OpenMode mode, const std::string& expected_kind);
constexpr std::uint32_t kPlainVersion = 1;   ///< what every reader knows
constexpr std::uint32_t kBlocksVersion = 2;  ///< a flat index whose rows lie in blocks
constexpr std::uint32_t kTransformVersion = 3;  ///< codes of transformed rows

/// version: the oldest that says what the file holds.
void save_file(const std::string& path, const std::string& kind, const storage::Json& config,
               const std::string& metadata, const std::vector<storage::SectionSource>& sections,
               const RunOptions& run, std::uint32_t version = kPlainVersion);

}  // namespace vicinal::indexes
