#pragma once

#include <memory>
#include <string>

#include "base/accelerator.h"

namespace aftune::device {

/// What `--device` chose, for as long as it is in use. Buffers that are made meanwhile lie in its memory and
/// must not outlive it.
class Chosen {
 public:
  /// "cpu", "cuda" (the first) or "cuda:N". Throws Error{kUsage} for another name, Error{kDevice} that says
  /// why if there is no such device or it cannot be used.
  explicit Chosen(const std::string& name);
  Chosen(const Chosen&) = delete;
  Chosen& operator=(const Chosen&) = delete;
  ~Chosen();

  /// Null: the processor.
  Accelerator* accelerator() const { return accelerator_.get(); }

 private:
  std::unique_ptr<Accelerator> accelerator_;
};

}  // namespace aftune::device
