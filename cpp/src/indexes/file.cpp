#include "indexes/file.h"

#include "kernels/table.h"
#include "storage/checksum.h"
#include "vicinal/file.h"

namespace vicinal {
namespace indexes {
namespace {

void choose_checksum() { storage::set_checksum(kernels::active().crc32c); }

}  // namespace

storage::File open_file(const std::string& path, OpenMode mode, const std::string& expected_kind) {
  choose_checksum();
  return storage::File::open(path, mode, expected_kind);
}

void save_file(const std::string& path, const std::string& kind, const storage::Json& config,
               const std::string& metadata, const std::vector<storage::SectionSource>& sections,
               const RunOptions& run, std::uint32_t version) {
  choose_checksum();
  storage::write_file(path, kind, config, metadata, sections, run, version);
}

}  // namespace indexes

FileInfo file_info(const std::string& path) { return storage::read_info(path); }

void verify_file(const std::string& path, const RunOptions& run) {
  indexes::choose_checksum();
  storage::verify_all(path, run);
}

}  // namespace vicinal
