#include "indexes/config.h"

#include <cmath>
#include <cstring>
#include <string>
#include <utility>

#include "vicinal/errors.h"

namespace vicinal::indexes {

using storage::ParseError;

std::uint64_t ConfigReader::number(const char* key, std::uint64_t least, std::uint64_t most) const {
  std::uint64_t value = 0;
  try {
    value = file_.config().at(key).as_u64(key);
  } catch (const ParseError& error) {
    file_.fail("", error.what);
  }
  if (value < least || value > most) {
    file_.fail("", std::string(key) + " is " + std::to_string(value) + "; wanted " +
                       std::to_string(least) + " to " + std::to_string(most));
  }
  return value;
}

const std::string& ConfigReader::text(const char* key) const {
  try {
    return file_.config().at(key).as_string(key);
  } catch (const ParseError& error) {
    file_.fail("", error.what);
  }
}

void ConfigReader::unknown(const char* key, const std::string& got) const {
  file_.fail("", std::string(key) + " is \"" + got + "\", which this version does not know");
}

Metric ConfigReader::metric() const {
  const std::string& got = text("metric");
  for (const Metric m : {Metric::kL2, Metric::kInnerProduct, Metric::kCosine}) {
    if (got == name(m)) return m;
  }
  unknown("metric", got);
}

BitMetric ConfigReader::bit_metric() const {
  const std::string& got = text("metric");
  for (const BitMetric m : {BitMetric::kHamming, BitMetric::kJaccard}) {
    if (got == name(m)) return m;
  }
  unknown("metric", got);
}

CodecSpec ConfigReader::codec() const {
  const std::string& got = text("codec");
  for (const CodecKind c :
       {CodecKind::kFloat32, CodecKind::kFloat16, CodecKind::kBfloat16, CodecKind::kInt8,
        CodecKind::kUint8, CodecKind::kSq8, CodecKind::kSq4, CodecKind::kSq4x8,
        CodecKind::kFloat8, CodecKind::kPq, CodecKind::kRq, CodecKind::kRotation,
        CodecKind::kBits}) {
    if (got != name(c)) continue;
    CodecSpec spec = c;
    const auto optional = [&](const char* key, std::uint64_t most) {
      return file_.config().has(key) ? number(key, 0, most) : 0;
    };
    spec.parts = static_cast<std::uint32_t>(optional("codec_parts", kMaxDim));
    spec.bits = static_cast<std::uint32_t>(optional("codec_bits", 32));
    spec.variant = static_cast<std::uint32_t>(optional("codec_variant", 0xFFFFFFFFu));
    spec.seed = optional("codec_seed", ~std::uint64_t{0});
    return spec;
  }
  unknown("codec", got);
}

RefineKind ConfigReader::refine() const {
  const std::string& got = text("refine");
  for (const RefineKind r :
       {RefineKind::kNone, RefineKind::kFloat16, RefineKind::kFloat32, RefineKind::kSq8}) {
    if (got == name(r)) return r;
  }
  unknown("refine", got);
}

HnswParams::Builder ConfigReader::builder() const {
  using Builder = HnswParams::Builder;
  if (!file_.config().has("builder")) return Builder::kAuto;
  const std::string& got = text("builder");
  for (const Builder b : {Builder::kAuto, Builder::kBatch, Builder::kInsert}) {
    if (got == name(b)) return b;
  }
  unknown("builder", got);
}

void write_codec(const CodecSpec& spec, storage::Json::Object& config) {
  config["codec"] = name(spec.kind);
  // Only what is set: files of plain codecs stay as they were.
  if (spec.parts != 0) config["codec_parts"] = std::uint64_t{spec.parts};
  if (spec.bits != 0) config["codec_bits"] = std::uint64_t{spec.bits};
  if (spec.variant != 0) config["codec_variant"] = std::uint64_t{spec.variant};
  if (spec.seed != 0) config["codec_seed"] = spec.seed;
}

void write_learned(const std::vector<quantizers::Learned>& learned,
                   std::vector<storage::SectionSource>& sections) {
  for (const quantizers::Learned& array : learned) {
    sections.push_back(
        {array.name, {{array.values.data(), array.values.size() * sizeof(float)}}});
  }
}

std::vector<quantizers::Learned> read_learned(storage::File& file, const CodecSpec& spec,
                                              std::size_t dim, const std::string& prefix) {
  std::vector<std::pair<std::string, std::size_t>> wanted;
  try {
    wanted = quantizers::Codec::learns(spec, dim);
  } catch (const ArgumentError& error) {
    file.fail("", error.what());
  }
  std::vector<quantizers::Learned> learned;
  for (const auto& [array, count] : wanted) {
    const std::string what = prefix + array;
    file.verify(what);
    const Buffer raw = file.section(what, count * sizeof(float));
    std::vector<float> values(count);
    if (count != 0) std::memcpy(values.data(), raw.data(), count * sizeof(float));
    for (std::size_t i = 0; i < count; ++i) {
      if (!std::isfinite(values[i])) {
        file.fail(what, "value " + std::to_string(i) + " is not finite");
      }
    }
    learned.push_back({array, std::move(values)});
  }
  return learned;
}

std::shared_ptr<const quantizers::Codec> restore_codec(const storage::File& file,
                                                       const CodecSpec& spec, std::size_t dim,
                                                       Metric metric,
                                                       std::vector<quantizers::Learned> learned) {
  try {
    return quantizers::Codec::restore(spec, dim, metric, std::move(learned));
  } catch (const ArgumentError& error) {
    file.fail("", error.what());
  }
}

}  // namespace vicinal::indexes
