#include "indexes/row_ids.h"

#include <algorithm>
#include <string>

#include "vicinal/errors.h"

namespace vicinal::indexes {

void refuse_id(std::size_t place, std::int64_t id, const char* why) {
  throw ArgumentError("ids[" + std::to_string(place) + "] is " + std::to_string(id) + why);
}

void refuse_id(std::int64_t id) {
  throw ArgumentError("id " + std::to_string(id) + " is not in this index");
}

bool ids_rise(const std::int64_t* ids, std::size_t count, std::uint64_t first) {
  if (count == 0) return true;
  if (ids[0] < 0 || static_cast<std::uint64_t>(ids[0]) < first) return false;
  return std::adjacent_find(ids, ids + count,
                            [](std::int64_t a, std::int64_t b) { return a >= b; }) == ids + count;
}

}  // namespace vicinal::indexes
