#include "model/adapter.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "kernels/ops.h"
#include "model/architecture.h"

namespace aftune::model {
namespace {

using kernels::Into;

constexpr std::string_view kPrefix = "base_model.model.";
constexpr std::string_view kDownEnd = ".lora_A.weight", kUpEnd = ".lora_B.weight";

}  // namespace

std::vector<TensorSpec> adapter_tensors(const Config& config, const record::Recipe& recipe, int unit) {
  std::vector<TensorSpec> list;
  if (unit == 0 || unit == config.layers + 1) return list;
  const std::vector<bool> targets = record::lora_targets(recipe.lora_targets);
  const std::vector<TensorSpec> base = unit_tensors(config, unit);
  for (std::size_t i = 0; i < targets.size(); ++i) {
    if (!targets[i]) continue;
    const Architecture& architecture = *config.architecture;
    const std::string weight =
        cat(architecture.layers, unit - 1, '.', architecture.projections[i], ".weight");
    const std::string module =
        cat(architecture.layers_of_adapters(), unit - 1, '.', architecture.projections_of_adapters()[i]);
    for (const TensorSpec& spec : base) {
      if (spec.name != weight) continue;
      const std::int64_t in = spec.shape[architecture.transposed ? 0 : 1];
      const std::int64_t out = spec.shape[architecture.transposed ? 1 : 0];
      list.push_back({cat(kPrefix, module, kDownEnd), DType::kF32, {recipe.lora_rank, in}});
      list.push_back({cat(kPrefix, module, kUpEnd), DType::kF32, {out, recipe.lora_rank}});
    }
  }
  return list;
}

namespace {

// "vit.layers.0.attention.q_proj" of a tensor's name; "" if it is no adapter's.
std::string_view module_of(std::string_view name) {
  if (!name.starts_with(kPrefix)) return "";
  name.remove_prefix(kPrefix.size());
  for (const std::string_view end : {kDownEnd, kUpEnd})
    if (name.ends_with(end)) return name.substr(0, name.size() - end.size());
  return "";
}

}  // namespace

bool is_of_adapter(std::string_view tensor) {
  return !module_of(tensor).empty();
}

std::string adapted_weight(const Config& config, std::string_view name) {
  const auto at = place_of_adapter(config, name);
  const Architecture& architecture = *config.architecture;
  return at ? cat(architecture.layers, at->layer, '.', architecture.projections[place(at->projection)],
                  ".weight")
            : "";
}

std::optional<AdapterPlace> place_of_adapter(const Config& config, std::string_view name) {
  const std::string_view module = module_of(name), layers = config.architecture->layers_of_adapters();
  int layer = 0;
  if (!module.starts_with(layers)) return std::nullopt;
  const auto [end, error] =
      std::from_chars(module.data() + layers.size(), module.data() + module.size(), layer);
  if (error != std::errc() || layer < 0) return std::nullopt;
  for (std::size_t i = 0; i < kProjections; ++i) {
    const std::string_view projection = config.architecture->projections_of_adapters()[i];
    if (!projection.empty() && module == cat(layers, layer, '.', projection))
      return AdapterPlace{layer, static_cast<Projection>(i)};
  }
  return std::nullopt;
}

std::string_view missing_target(const Config& config, const record::Recipe& recipe) {
  if (!recipe.is_lora()) return "";
  const std::vector<bool> targets = record::lora_targets(recipe.lora_targets);
  for (std::size_t i = 0; i < targets.size(); ++i)
    if (targets[i] && config.architecture->projections_of_adapters()[i].empty())
      return record::kLoraTargets[i];
  return "";
}

bool names_module(std::string_view name, std::string_view module) {
  return !module.empty() && (module == name || module.ends_with(cat('.', name)));
}

std::string lora_targets_of(const Config& config, std::string_view list) {
  const Architecture& architecture = *config.architecture;
  if (list.empty()) return std::string(architecture.targets);
  std::string roles;
  const auto add = [&](std::string_view role) { roles += cat(roles.empty() ? "" : ",", role); };
  for (std::size_t at = 0; at <= list.size();) {
    const std::size_t comma = std::min(list.find(',', at), list.size());
    const std::string_view name = list.substr(at, comma - at);
    bool module = false;
    for (std::size_t i = 0; i < kProjections; ++i)
      if (names_module(name, architecture.projections_of_adapters()[i])) {
        add(record::kLoraTargets[i]);
        module = true;
      }
    if (!module) add(name);
    at = comma + 1;
  }
  record::Recipe recipe;
  recipe.method = "lora";
  recipe.lora_targets = record::lora_targets_text(record::lora_targets(roles));
  if (const std::string_view target = missing_target(config, recipe); !target.empty())
    fail(Fault::kUsage, "the layers of a ", config.model_type, " model have no \"", target, '"');
  return recipe.lora_targets;
}

bool can_drop(const Config& config, const record::Recipe& recipe) {
  return recipe.lora_dropout == 0 || config.layers <= 256;
}

float adapter_scale(const record::Recipe& recipe) {
  return static_cast<float>(recipe.lora_alpha / static_cast<double>(recipe.lora_rank));
}

kernels::DropoutSite dropout_site(const record::Recipe& recipe, std::int64_t step, std::int64_t first_row,
                                  int layer, Projection which) {
  return {recipe.lora_dropout, recipe.seed, static_cast<std::uint32_t>(step * recipe.batch_size + first_row),
          static_cast<std::uint32_t>(layer), static_cast<std::uint32_t>(which)};
}

Adapters::Adapters(const Config& config, const record::Recipe& recipe, ThreadPool& pool, OpObserver* ops)
    : recipe_(recipe),
      pool_(pool),
      ops_(ops),
      scale_(recipe.is_lora() ? adapter_scale(recipe) : 0.0f),
      slot_(kProjections, -1) {
  if (!recipe.is_lora()) return;
  int next = 0;
  const std::vector<bool> targets = record::lora_targets(recipe.lora_targets);
  for (std::size_t i = 0; i < targets.size(); ++i)
    if (targets[i]) slot_[i] = 2 * next++;
  AFTUNE_CHECK(std::ssize(adapter_tensors(config, recipe, 1)) == 2 * next);
}

void Adapters::forward(const Parameter* a, Projection which, const Pass& pass, const Matrix& x, Matrix& y,
                       Matrix& inner) const {
  if (drops(pass))
    inner = linear(down(a, which), dropped(down(a, which), which, pass, x));
  else
    inner = linear(down(a, which), x);
  const Matrix outer = linear(up(a, which), inner);
  observed(ops_, {OpKind::kAddScaled, up(a, which).spec.name, y.rows}, {outer.bytes(), y.bytes()},
           {y.bytes()}, [&] { kernels::add_scaled(pool_, y.values.size(), scale_, outer.data(), y.data()); });
}

void Adapters::weights_backward(Parameter* a, Projection which, const Pass& pass, const Matrix& x,
                                const Matrix& dy, Matrix& inner) const {
  Parameter* const own = a + slot_[place(which)];
  Matrix d_outer(dy.rows, dy.cols);
  observed(ops_, {OpKind::kScale, own[1].spec.name, dy.rows}, {dy.bytes()}, {d_outer.bytes()},
           [&] { kernels::scale(pool_, dy.values.size(), scale_, dy.data(), d_outer.data()); });
  grad_weight(own[1], pass.rows, d_outer, inner);
  inner = grad_input(own[1], d_outer);
  if (drops(pass))
    grad_weight(own[0], pass.rows, inner, dropped(own[0], which, pass, x));
  else
    grad_weight(own[0], pass.rows, inner, x);
}

void Adapters::input_backward(const Parameter* a, Projection which, const Pass& pass, const Matrix& d_inner,
                              Matrix& dx) const {
  const Parameter& weight = down(a, which);
  Matrix more = grad_input(weight, d_inner);
  if (drops(pass)) more = dropped(weight, which, pass, more);
  observed(ops_, {OpKind::kAdd, weight.spec.name, dx.rows}, {dx.bytes(), more.bytes()}, {dx.bytes()},
           [&] { kernels::add(pool_, dx.values.size(), dx.data(), more.data(), dx.data()); });
}

Matrix Adapters::dropped(const Parameter& of, Projection which, const Pass& pass, const Matrix& x) const {
  Matrix y(x.rows, x.cols);
  const kernels::DropoutSite site = dropout_site(recipe_, step_, pass.rows.first_row, pass.layer, which);
  observed(ops_, {OpKind::kDropout, of.spec.name, x.rows}, {x.bytes()}, {y.bytes()}, [&] {
    kernels::dropout(pool_, site, pass.rows.rows(), pass.rows.row_starts.data(), x.cols, x.data(), y.data());
  });
  return y;
}

Matrix Adapters::linear(const Parameter& weight, const Matrix& x) const {
  Matrix y(x.rows, weight.spec.shape[0]);
  observed(ops_, {OpKind::kLinear, weight.spec.name, x.rows}, {x.bytes(), weight.value.bytes()}, {y.bytes()},
           [&] { kernels::linear(pool_, x.rows, x.cols, y.cols, x.data(), weight.value.data(), y.data()); });
  return y;
}

Matrix Adapters::grad_input(const Parameter& weight, const Matrix& dy) const {
  Matrix dx(dy.rows, weight.spec.shape[1]);
  observed(ops_, {OpKind::kLinearGradInput, weight.spec.name, dy.rows}, {dy.bytes(), weight.value.bytes()},
           {dx.bytes()}, [&] {
             kernels::linear_grad_input(pool_, dy.rows, dx.cols, dy.cols, dy.data(), weight.value.data(),
                                        dx.data(), Into::kStore);
           });
  return dx;
}

void Adapters::grad_weight(Parameter& weight, const data::Rows& rows, const Matrix& dy,
                           const Matrix& x) const {
  observed(ops_, {OpKind::kLinearGradWeight, weight.spec.name, dy.rows},
           {dy.bytes(), x.bytes(), weight.gradient.bytes()}, {weight.gradient.bytes()}, [&] {
             kernels::linear_grad_weight(pool_, rows.rows(), rows.row_starts.data(), x.cols, dy.cols,
                                         dy.data(), x.data(), weight.gradient.data());
           });
}

}  // namespace aftune::model
