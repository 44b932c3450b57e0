#pragma once

/// The one place the version is written. CMake and the Python build read this line.
#define VICINAL_VERSION "0.1.0"
