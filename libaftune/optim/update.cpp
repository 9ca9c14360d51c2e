#include <cmath>

#include "base/error.h"
#include "kernels/ops.h"
#include "optim/optimizer.h"

namespace aftune::optim {
namespace {

double decay_of(const record::Recipe& recipe, const TensorSpec& spec) {
  return decays(recipe, spec) ? recipe.weight_decay : 0.0;
}

}  // namespace

kernels::AdamW adamw_scalars(const record::Recipe& recipe, std::int64_t step, double lr, float clip,
                             const TensorSpec& spec) {
  const auto t = static_cast<double>(step + 1);
  const double bias1 = 1.0 - kernels::pow64(recipe.beta1, t);
  const double bias2 = 1.0 - kernels::pow64(recipe.beta2, t);
  kernels::AdamW op;
  op.beta1 = static_cast<float>(recipe.beta1);
  op.beta2 = static_cast<float>(recipe.beta2);
  op.one_minus_beta1 = static_cast<float>(1.0 - recipe.beta1);
  op.one_minus_beta2 = static_cast<float>(1.0 - recipe.beta2);
  op.step_size = static_cast<float>(lr / bias1);
  op.bias2_sqrt = static_cast<float>(std::sqrt(bias2));
  op.eps = static_cast<float>(recipe.eps);
  op.decay = static_cast<float>(1.0 - lr * decay_of(recipe, spec));
  op.clip = clip;
  return op;
}

bool decays(const record::Recipe& recipe, const TensorSpec& spec) {
  return !spec.name.ends_with(".mask_token") && (spec.shape.size() >= 2 || recipe.decay_all);
}

std::vector<std::string> moment_names(const record::Recipe& recipe) {
  if (recipe.optimizer == "adamw") return {"exp_avg", "exp_avg_sq"};
  AFTUNE_CHECK(recipe.optimizer == "sgd");
  return recipe.momentum == 0.0 ? std::vector<std::string>{} : std::vector<std::string>{"momentum"};
}

void update(const record::Recipe& recipe, std::int64_t step, double lr, float clip, const TensorSpec& spec,
            Buffer& parameter, std::vector<Buffer>& moments, const Buffer& gradient, ThreadPool& pool,
            bool* nonfinite) {
  AFTUNE_CHECK(moments.size() == moment_names(recipe).size());
  bool finite = true;
  if (recipe.optimizer == "adamw") {
    finite = kernels::adamw(pool, adamw_scalars(recipe, step, lr, clip, spec), parameter.size(),
                            parameter.data(), moments[0].data(), moments[1].data(), gradient.data());
  } else {
    kernels::Sgd op;
    op.lr = static_cast<float>(lr);
    op.momentum = static_cast<float>(recipe.momentum);
    op.decay = static_cast<float>(decay_of(recipe, spec));
    op.clip = clip;
    op.first = step == 0;
    finite = kernels::sgd(pool, op, parameter.size(), parameter.data(),
                          moments.empty() ? nullptr : moments[0].data(), gradient.data());
  }
  *nonfinite = !finite;
}

}  // namespace aftune::optim
