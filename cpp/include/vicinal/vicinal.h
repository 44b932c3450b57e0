#pragma once

#include "vicinal/cluster.h"
#include "vicinal/control.h"
#include "vicinal/cpu.h"
#include "vicinal/errors.h"
#include "vicinal/file.h"
#include "vicinal/flat.h"
#include "vicinal/hnsw.h"
#include "vicinal/idset.h"
#include "vicinal/memory.h"
#include "vicinal/types.h"
#include "vicinal/version.h"
#include "vicinal/view.h"
