#include "vicinal/types.h"

namespace vicinal {

const char* name(Metric metric) noexcept {
  switch (metric) {
    case Metric::kL2: return "l2";
    case Metric::kInnerProduct: return "ip";
    case Metric::kCosine: return "cosine";
  }
  return "unknown";
}

const char* name(BitMetric metric) noexcept {
  switch (metric) {
    case BitMetric::kHamming: return "hamming";
    case BitMetric::kJaccard: return "jaccard";
  }
  return "unknown";
}

const char* name(ElementType type) noexcept {
  switch (type) {
    case ElementType::kFloat64: return "float64";
    case ElementType::kFloat32: return "float32";
    case ElementType::kFloat16: return "float16";
    case ElementType::kInt8: return "int8";
    case ElementType::kUint8: return "uint8";
  }
  return "unknown";
}

const char* name(CodecKind codec) noexcept {
  switch (codec) {
    case CodecKind::kFloat32: return "float32";
    case CodecKind::kFloat16: return "float16";
    case CodecKind::kBfloat16: return "bfloat16";
    case CodecKind::kInt8: return "int8";
    case CodecKind::kUint8: return "uint8";
    case CodecKind::kSq8: return "sq8";
    case CodecKind::kSq4: return "sq4";
    case CodecKind::kSq4x8: return "sq4x8";
    case CodecKind::kFloat8: return "float8";
    case CodecKind::kPq: return "pq";
    case CodecKind::kRq: return "rq";
    case CodecKind::kRotation: return "rabitq";
    case CodecKind::kBits: return "signs";
  }
  return "unknown";
}

const char* name(RefineKind refine) noexcept {
  switch (refine) {
    case RefineKind::kNone: return "none";
    case RefineKind::kFloat16: return "float16";
    case RefineKind::kFloat32: return "float32";
  }
  return "unknown";
}

std::size_t bytes(ElementType type) noexcept {
  switch (type) {
    case ElementType::kFloat64: return 8;
    case ElementType::kFloat32: return 4;
    case ElementType::kFloat16: return 2;
    case ElementType::kInt8: return 1;
    case ElementType::kUint8: return 1;
  }
  return 0;
}

}  // namespace vicinal
