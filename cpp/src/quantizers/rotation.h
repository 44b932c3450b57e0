#pragma once

#include "quantizers/fast_rotation.h"
