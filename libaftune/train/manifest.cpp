#include "train/manifest.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/random.h"
#include "base/version.h"
#include "hash/blake3.h"
#include "kernels/native.h"
#include "kernels/ops.h"
#include "train/adapter_folder.h"
#include "train/recorded_log.h"

namespace aftune::train {
namespace {

void check_hex(const std::string& text, std::string_view flag, bool right_length) {
  try {
    from_hex(text);
  } catch (const Error& e) {
    fail(Fault::kUsage, flag, ": ", e.what());
  }
  if (!right_length) fail(Fault::kUsage, flag, ": ", text.size(), " hex digits");
}

// A data set of few or guessable rows would be known by its root.
void hide_roots(record::Manifest& m, const record::RunSecret& secret) {
  const record::SecretSalts salts(secret);
  m.hiding_key = record::secret_check(secret);
  m.data_root = record::published(&salts, {0, record::Role::kData}, m.data_root);
  if (m.eval_root) m.eval_root = record::published(&salts, {0, record::Role::kEval}, *m.eval_root);
}

// The last leaf lists what is exported, which may be more tensors than the manifest lists: refused before
// hours are spent.
void require_final_fits(const Inputs& in) {
  record::Final final;
  final.exported.digests.resize(model::all_trained_tensors(in.config, in.recipe).size());
  final.moments.resize(static_cast<std::size_t>(in.grid.blocks()));
  for (const std::string_view file : {kAdapterWeights, kAdapterConfig}) final.files[std::string(file)] = {};
  final.steps = final.positions = final.tokens = final.predicted = kMaxJsonInteger;
  record::to_leaf(final);
}

}  // namespace

record::TensorList parameter_list(const std::vector<TensorSpec>& specs,
                                  const std::vector<record::BlockState>& blocks) {
  std::map<std::string, Digest> by_name;
  for (const record::BlockState& b : blocks)
    for (std::size_t i = 0; i < b.parameters.size(); ++i)
      by_name[b.parameter_specs[i].name] = b.parameters[i];
  record::TensorList list;
  for (const TensorSpec& spec : specs) list.digests.push_back(by_name.at(spec.name));
  list.root = record::tensor_root(specs, list.digests);
  return list;
}

record::Manifest manifest_of(const TrainOptions& options, const Inputs& in, const Blocks& initial,
                             ThreadPool& pool, const std::optional<record::RunSecret>& secret) {
  record::Manifest m;
  m.run = options.run_id;
  m.created = options.created;
  m.software = std::string(kSoftware);
  m.nonce = options.nonce;
  m.config = in.config_text;
  m.tokenizer = in.tokenizer_digest;
  m.images = in.images;
  m.template_ = in.chat_template;
  m.data_root = in.dataset.root();
  m.data_rows = in.dataset.rows();
  m.bos = in.config.bos;
  m.eos = in.eos;
  m.recipe = in.recipe;
  m.grid = in.grid;
  m.profile = name(options.profile);
  m.ops = kernels::op_names(options.profile, model::op_uses(in.config, in.recipe));
  if (options.profile.native) {
    const kernels::NativeMachine machine = kernels::native_machine(pool);
    m.native = {machine.device, machine.capability, machine.library};
  }
  if (in.eval) {
    m.eval_root = in.eval->root();
    m.eval_rows = in.eval->rows();
    m.eval_every = in.eval_every;
  }
  if (in.base) {
    m.base = model::base_list(*in.base, model::all_tensors(in.config), pool);
    if (in.adapters)
      m.adapter = model::base_list(*in.adapters, model::all_trained_tensors(in.config, in.recipe), pool);
  } else {
    std::vector<record::BlockState> blocks;
    for (const auto& block : initial) blocks.push_back(block->state());
    m.base = parameter_list(model::all_tensors(in.config), blocks);
  }
  if (in.recipe.is_lora()) require_final_fits(in);
  if (secret) hide_roots(m, *secret);
  check_hex(m.nonce, "--nonce", m.nonce.size() <= 2048);
  if (!m.run.empty()) check_hex(m.run, "--run-id", m.run.size() == 32);
  return m;
}

void settle_free_fields(record::Manifest& m, const TrainOptions& options) {
  std::optional<record::Manifest> recorded;
  if (options.record && options.record->resume) recorded = recorded_manifest(options.record->trace);
  if (recorded) m.created = recorded->created;
  if (recorded && m.run.empty()) m.run = recorded->run;
  if (m.run.empty()) m.run = random_hex(16);
}

}  // namespace aftune::train
