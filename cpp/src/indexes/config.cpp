#include "indexes/config.h"

#include <cmath>
#include <cstring>
#include <string>
#include <utility>

#include "quantizers/transformed.h"
#include "vicinal/errors.h"

namespace vicinal::indexes {

using storage::ParseError;

namespace {

constexpr char kRotation[] = "rotation";
constexpr char kMatrices[] = "matrices";

std::vector<quantizers::Learned> read_arrays(
    storage::File& file, const std::vector<std::pair<std::string, std::size_t>>& wanted,
    const std::string& prefix) {
  std::vector<quantizers::Learned> arrays;
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
    arrays.push_back({array, std::move(values)});
  }
  return arrays;
}

}  // namespace

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

std::vector<quantizers::Learned> write_transform(const std::optional<Transform>& transform,
                                                 storage::Json::Object& config) {
  if (!transform) return {};
  config["transform"] = transform->fast() ? kRotation : kMatrices;
  config["transform_dim"] = static_cast<std::uint64_t>(transform->out());
  return quantizers::arrays_of(*transform);
}

std::optional<Transform> read_transform(storage::File& file, std::size_t dim) {
  // One without the other is no index without a transform.
  if (!file.config().has("transform") && !file.config().has("transform_dim")) return {};
  const ConfigReader config(file);
  const bool fast = config.text("transform") == kRotation;
  if (!fast && config.text("transform") != kMatrices) {
    config.unknown("transform", config.text("transform"));
  }
  const std::size_t out = config.number("transform_dim", 1, kMaxDim);
  if (fast && out != dim) {
    file.fail("", "transform_dim is " + std::to_string(out) + " after a rotation of " +
                      std::to_string(dim) + " dimensions");
  }
  const auto arrays = read_arrays(file, quantizers::transform_arrays(dim, out, fast), {});
  try {
    return quantizers::restore_transform(arrays, dim);
  } catch (const ArgumentError& error) {
    file.fail("", error.what());
  }
}

std::shared_ptr<const quantizers::Codec> read_codec(storage::File& file, const CodecSpec& spec,
                                                    std::size_t dim, Metric metric,
                                                    const std::optional<Transform>& transform,
                                                    const std::string& prefix) {
  using quantizers::Codec;
  try {
    const std::size_t width = transform ? transform->out() : dim;
    const Metric by = transform ? quantizers::transformed_metric(metric) : metric;
    const auto codec =
        Codec::restore(spec, width, by, read_arrays(file, Codec::learns(spec, width), prefix));
    return transform ? quantizers::transformed(*transform, codec, metric) : codec;
  } catch (const ArgumentError& error) {
    file.fail("", error.what());
  }
}

}  // namespace vicinal::indexes
