// DINOv2 for image classification (Oquab et al. 2023, arXiv:2304.07193): transformers'
// Dinov2ForImageClassification. A ViT whose branches have layer scale, whose feed-forward part may be SwiGLU
// (the giant model), and whose classifier also looks at the patches:
//
//   x      = [class token; patches W + b] + positions                        (image_embedding.h)
//   x      = layer(x), for each layer                                        (encoder_layer.h)
//   n      = layernorm(x)
//   logits = C [n[class token]; mean of n over the patches] + c              (classifier.h)

#include <memory>
#include <utility>

#include "base/error.h"
#include "model/architecture.h"
#include "model/classifier.h"
#include "model/encoder_layer.h"
#include "model/image_embedding.h"
#include "model/image_tensors.h"

namespace aftune::model {
namespace {

constexpr EncoderNames kMlpNames = {.attention_norm = "norm1",
                                    .mlp_norm = "norm2",
                                    .attention_scale = "layer_scale1.lambda1",
                                    .mlp_scale = "layer_scale2.lambda1"};
constexpr EncoderNames kSwiGluNames = {.attention_norm = "norm1",
                                       .mlp_norm = "norm2",
                                       .attention_scale = "layer_scale1.lambda1",
                                       .mlp_scale = "layer_scale2.lambda1",
                                       .swiglu = true};

bool has_swiglu(const Config& c) {
  return c.architecture == &kDinov2SwiGlu;
}

void read_dinov2_config(const ConfigReader& in, const Family&, Config& c) {
  read_image_config(in, c);
  const double ratio = in.positive("mlp_ratio", 4), width = static_cast<double>(c.hidden) * ratio;
  if (width < 1 || width > static_cast<double>(kMaxIntermediate))
    ConfigReader::bad("mlp_ratio", "makes the feed-forward part too wide, or nothing");
  c.intermediate = static_cast<std::int64_t>(width);
  if (in.flag("use_swiglu_ffn", false)) {
    c.architecture = &kDinov2SwiGlu;
    const auto two_thirds = static_cast<std::int64_t>(static_cast<double>(c.intermediate) * 2 / 3);
    c.intermediate = (two_thirds + 7) / 8 * 8;
  }
  // transformers' versions differ in what they take for it.
  if (in.find("layer_norm_eps") == nullptr) ConfigReader::bad("layer_norm_eps", "is missing");
  c.norm_eps = in.epsilon("layer_norm_eps", 1e-6);
  c.layer_scale = static_cast<float>(in.real("layerscale_value", 1.0));
  c.mask_token = in.flag("use_mask_token", true);
}

std::vector<TensorSpec> dinov2_tensors(const Config& c, int unit) {
  if (unit == 0) return image_embedding_tensors(c, "dinov2.embeddings.", c.mask_token);
  if (unit > c.layers) return classifier_tensors(c, "dinov2.layernorm", 2 * c.hidden);
  const ProjectionNames& names = c.architecture->projections;
  UnitTensors list(cat(c.architecture->layers, unit - 1, '.'));
  list.norm(kMlpNames.attention_norm, c.hidden);
  for (const auto which : {Projection::kQ, Projection::kK, Projection::kV})
    list.linear(names[place(which)], c.hidden, c.hidden, c.qkv_bias);
  list.linear(names[place(Projection::kO)], c.hidden, c.hidden);
  list.add(kMlpNames.attention_scale, {c.hidden});
  list.norm(kMlpNames.mlp_norm, c.hidden);
  list.linear(names[place(Projection::kUp)], (has_swiglu(c) ? 2 : 1) * c.intermediate, c.hidden);
  list.linear(names[place(Projection::kDown)], c.hidden, c.intermediate);
  list.add(kMlpNames.mlp_scale, {c.hidden});
  return std::move(list).take();
}

kernels::OpUses dinov2_ops(const Config& c) {
  kernels::OpUses uses = image_ops();
  uses.layer_scale = uses.class_mean = true;
  (has_swiglu(c) ? uses.swiglu : uses.gelu) = true;
  return uses;
}

Stages dinov2_stages(const StageContext& with) {
  return {std::make_unique<ImageEmbedding>(with),
          std::make_unique<EncoderLayer>(with, has_swiglu(with.config) ? kSwiGluNames : kMlpNames),
          std::make_unique<Classifier>(with, Pooling::kClassTokenAndPatches)};
}

double dinov2_kept(const Config& c) {
  return 10.0 * static_cast<double>(c.hidden) +
         (has_swiglu(c) ? 3.0 : 2.0) * static_cast<double>(c.intermediate) + 2.0 * c.heads + 4;
}

constexpr Architecture with_mlp(std::string_view up, std::string_view down, std::string_view adapter_up,
                                std::string_view adapter_down) {
  return {
      .prefix = "",
      .layers = "dinov2.encoder.layer.",
      .projections = {"attention.attention.query", "attention.attention.key", "attention.attention.value",
                      "attention.output.dense", "", up, down, ""},
      .targets = "q,v",
      .adapter_layers = "dinov2.encoder.layer.",
      .adapter_projections = {"attention.q_proj", "attention.k_proj", "attention.v_proj", "attention.o_proj",
                              "", adapter_up, adapter_down, ""},
      .read_config = read_dinov2_config,
      .unit_tensors = dinov2_tensors,
      .op_uses = dinov2_ops,
      .make_stages = dinov2_stages,
      .kept_of_token = dinov2_kept,
  };
}

}  // namespace

const Architecture kDinov2 = with_mlp("mlp.fc1", "mlp.fc2", "mlp.fc1", "mlp.fc2");

// On disk gate and up are one matrix, in transformers two modules: no adapter stands beside either.
const Architecture kDinov2SwiGlu = with_mlp("mlp.weights_in", "mlp.weights_out", "", "mlp.down_proj");

}  // namespace aftune::model
