#include "indexes/config.h"

#include <string>

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

CodecKind ConfigReader::codec() const {
  const std::string& got = text("codec");
  for (const CodecKind c :
       {CodecKind::kFloat32, CodecKind::kFloat16, CodecKind::kBfloat16, CodecKind::kInt8,
        CodecKind::kUint8, CodecKind::kSq8, CodecKind::kSq4}) {
    if (got == name(c)) return c;
  }
  unknown("codec", got);
}

RefineKind ConfigReader::refine() const {
  const std::string& got = text("refine");
  for (const RefineKind r : {RefineKind::kNone, RefineKind::kFloat16, RefineKind::kFloat32}) {
    if (got == name(r)) return r;
  }
  unknown("refine", got);
}

}  // namespace vicinal::indexes
