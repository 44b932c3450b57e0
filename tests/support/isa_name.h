#pragma once

#include <gtest/gtest.h>

#include <string>

#include "kernels/table.h"

namespace vicinal::test {

inline std::string isa_name(const testing::TestParamInfo<const kernels::Table*>& info) {
  return info.param->name;
}

}  // namespace vicinal::test
