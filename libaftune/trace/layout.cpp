#include "trace/layout.h"

#include <iomanip>

#include "base/error.h"

namespace aftune::trace {

fs::path Layout::segment(std::int64_t index) const {
  return root / cat("segment-", std::setw(6), std::setfill('0'), index, ".h5");
}

std::string step_dataset(std::int64_t step, const std::string& what) {
  return cat("/steps/", step, '/', what);
}

std::string activation_dataset(std::int64_t step, int boundary) {
  return cat("/steps/", step, "/activations/", boundary);
}

std::string gradient_dataset(std::int64_t step, int boundary) {
  return cat("/steps/", step, "/gradients/", boundary);
}

std::string state_dataset(const std::string& tensor) {
  return "/state/" + tensor;
}

}  // namespace aftune::trace
