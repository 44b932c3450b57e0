#include "vicinal/errors.h"

#include <system_error>

namespace vicinal {

IoError::IoError(std::string path, const char* action, int code)
    : Error(path + ": cannot " + action + ": " + std::generic_category().message(code)),
      path_(std::move(path)),
      code_(code) {}

}  // namespace vicinal
