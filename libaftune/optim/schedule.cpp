#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "kernels/ops.h"
#include "optim/optimizer.h"

namespace aftune::optim {
namespace {

constexpr double kPi = 0x1.921fb54442d18p1;

// The operations of transformers' schedules, in their order.
double multiplier(const record::Recipe& recipe, std::int64_t step) {
  const std::int64_t warmup = recipe.warmup_steps;
  if (step < warmup) return static_cast<double>(step) / static_cast<double>(warmup);
  if (recipe.schedule == "constant") return 1.0;
  const auto rest = static_cast<double>(std::max<std::int64_t>(1, recipe.steps - warmup));
  if (recipe.schedule == "linear") return std::max(0.0, static_cast<double>(recipe.steps - step) / rest);
  AFTUNE_CHECK(recipe.schedule == "cosine");
  const double progress = static_cast<double>(step - warmup) / rest;
  return std::max(0.0, 0.5 * (1.0 + kernels::cos64(kPi * progress)));
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
