#pragma once

#include <unistd.h>

#include <string>

#include "base/error.h"
#include "base/files.h"

namespace aftune::testing_support {

/// An empty folder for one test, removed with it.
class Scratch {
 public:
  explicit Scratch(const std::string& name)
      : path_(fs::path(AFTUNE_SCRATCH_DIR) / cat("scratch-", name, '-', ::getpid())) {
    fs::remove_all(path_);
    fs::create_directories(path_);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  const fs::path& path() const { return path_; }
  fs::path operator/(const std::string& name) const { return path_ / name; }

 private:
  fs::path path_;
};

}  // namespace aftune::testing_support
