#pragma once

#include <string>

#include "storage/container.h"

namespace vicinal::indexes {

/// storage::File::open and storage::write_file with the checksum of this CPU: storage stands below
/// the kernels and cannot choose one. Throws ConfigError too, as kernels::active() does.
storage::File open_file(const std::string& path, OpenMode mode, const std::string& expected_kind);
void save_file(const std::string& path, const std::string& kind, const storage::Json& config,
               const std::string& metadata, const std::vector<storage::SectionSource>& sections,
               const RunOptions& run);

}  // namespace vicinal::indexes
