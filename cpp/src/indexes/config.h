#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "quantizers/codec.h"
#include "storage/container.h"
#include "vicinal/codec.h"
#include "vicinal/hnsw.h"
#include "vicinal/transform.h"
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
  const std::string& text(const char* key) const;
  [[noreturn]] void unknown(const char* key, const std::string& got) const;

 private:
  const storage::File& file_;
};

/// Puts what makes up a spec into an index's header.
void write_codec(const CodecSpec& spec, storage::Json::Object& config);
/// The same for what stands before the codec; returns what belongs into sections.
std::vector<quantizers::Learned> write_transform(const std::optional<Transform>& transform,
                                                 storage::Json::Object& config);
/// One section for each array; the arrays must outlive the sections.
void write_learned(const std::vector<quantizers::Learned>& learned,
                   std::vector<storage::SectionSource>& sections);
/// What write_transform() wrote, or nothing. Throws FormatError.
std::optional<Transform> read_transform(storage::File& file, std::size_t dim);
/// The codec of an index whose vectors have `dim` numbers, behind the transform if there is one,
/// from its sections, whose names begin with `prefix`. Throws FormatError.
std::shared_ptr<const quantizers::Codec> read_codec(storage::File& file, const CodecSpec& spec,
                                                    std::size_t dim, Metric metric,
                                                    const std::optional<Transform>& transform = {},
                                                    const std::string& prefix = {});

}  // namespace vicinal::indexes
