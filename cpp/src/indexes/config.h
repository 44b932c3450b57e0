#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "quantizers/codec.h"
#include "storage/container.h"
#include "vicinal/codec.h"
#include "vicinal/hnsw.h"
#include "vicinal/types.h"

namespace vicinal::indexes {

/// Reads what an index wrote of itself into a file's header. Every mistake is a FormatError.
class ConfigReader {
 public:
  explicit ConfigReader(const storage::File& file) : file_(file) {}

  std::uint64_t number(const char* key, std::uint64_t least, std::uint64_t most) const;
  Metric metric() const;
  CodecSpec codec() const;
  BitMetric bit_metric() const;
  RefineKind refine() const;
  HnswParams::Builder builder() const;  ///< kAuto if it is not there

 private:
  const std::string& text(const char* key) const;
  [[noreturn]] void unknown(const char* key, const std::string& got) const;

  const storage::File& file_;
};

/// Puts what makes up a spec into an index's header.
void write_codec(const CodecSpec& spec, storage::Json::Object& config);
/// One section for each array; the arrays must outlive the sections.
void write_learned(const std::vector<quantizers::Learned>& learned,
                   std::vector<storage::SectionSource>& sections);
/// The arrays that a codec of this spec learns, checked. Throws FormatError. Names of sections
/// begin with `prefix`.
std::vector<quantizers::Learned> read_learned(storage::File& file, const CodecSpec& spec,
                                              std::size_t dim, const std::string& prefix = {});
/// Codec::restore, whose refusals become a FormatError of this file.
std::shared_ptr<const quantizers::Codec> restore_codec(const storage::File& file,
                                                       const CodecSpec& spec, std::size_t dim,
                                                       Metric metric,
                                                       std::vector<quantizers::Learned> learned);

}  // namespace vicinal::indexes
