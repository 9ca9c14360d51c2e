#include <cmath>

#include "base/error.h"
#include "kernels/ops.h"
#include "optim/optimizer.h"

namespace aftune::optim {
namespace {

constexpr double kPi = 0x1.921fb54442d18p1;

// Fraction of the way from the end of the warm-up to the end of the run.
double progress(const record::Recipe& recipe, std::int64_t step) {
  const std::int64_t rest = recipe.steps - recipe.warmup_steps;
  return static_cast<double>(step - recipe.warmup_steps) / static_cast<double>(rest > 1 ? rest : 1);
}

double multiplier(const record::Recipe& recipe, std::int64_t step) {
  if (step < recipe.warmup_steps) return static_cast<double>(step) / static_cast<double>(recipe.warmup_steps);
  if (recipe.schedule == "constant") return 1.0;
  const double p = progress(recipe, step);
  const double m = recipe.schedule == "linear" ? 1.0 - p : 0.5 * (1.0 + kernels::cos64(kPi * p));
  return m > 0.0 ? m : 0.0;
}

}  // namespace

double learning_rate(const record::Recipe& recipe, std::int64_t step) {
  return recipe.lr * multiplier(recipe, step);
}

float clip_scale(const record::Recipe& recipe, double norm) {
  if (recipe.clip_norm == 0.0) return 1.0f;
  const double scale = recipe.clip_norm / (norm + 1e-6);
  return static_cast<float>(scale < 1.0 ? scale : 1.0);
}

double global_norm(const std::vector<double>& unit_sums) {
  double total = 0.0;
  for (const double sum : unit_sums) total += sum;
  return std::sqrt(total);  // correctly rounded everywhere
}

}  // namespace aftune::optim
