#include "trace/layout.h"

#include <iomanip>

#include "base/error.h"

namespace aftune::trace {

namespace {

std::string numbered(std::string_view what, std::int64_t index, std::string_view extension) {
  return cat(what, '-', std::setw(6), std::setfill('0'), index, extension);
}

}  // namespace

fs::path Layout::segment(std::int64_t index) const {
  return root / numbered("segment", index, ".h5");
}

fs::path Layout::journal(std::int64_t number) const {
  return root / numbered("journal", number, ".jsonl");
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
