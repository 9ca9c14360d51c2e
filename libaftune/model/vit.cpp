// ViT for image classification (Dosovitskiy et al. 2021, arXiv:2010.11929): transformers'
// ViTForImageClassification.
//
//   x      = [class token; patches W + b] + positions     (image_embedding.h)
//   x      = layer(x), for each layer                     (encoder_layer.h)
//   logits = C layernorm(x[class token]) + c              (classifier.h)

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

constexpr EncoderNames kNames = {.attention_norm = "layernorm_before",
                                 .mlp_norm = "layernorm_after",
                                 .attention_scale = "",
                                 .mlp_scale = ""};

void read_vit_config(const ConfigReader& in, const Family&, Config& c) {
  read_image_config(in, c);
  c.intermediate = in.integer("intermediate_size", 3072, 1, kMaxIntermediate);
  c.norm_eps = in.epsilon("layer_norm_eps", 1e-12);
}

std::vector<TensorSpec> vit_tensors(const Config& c, int unit) {
  if (unit == 0) return image_embedding_tensors(c, "vit.embeddings.", false);
  if (unit > c.layers) return classifier_tensors(c, "vit.layernorm", c.hidden);
  UnitTensors list(cat(kViT.layers, unit - 1, '.'));
  list.norm(kNames.attention_norm, c.hidden);
  for (const auto which : {Projection::kQ, Projection::kK, Projection::kV})
    list.linear(kViT.projections[place(which)], c.hidden, c.hidden, c.qkv_bias);
  list.linear(kViT.projections[place(Projection::kO)], c.hidden, c.hidden);
  list.norm(kNames.mlp_norm, c.hidden);
  list.linear(kViT.projections[place(Projection::kUp)], c.intermediate, c.hidden);
  list.linear(kViT.projections[place(Projection::kDown)], c.hidden, c.intermediate);
  return std::move(list).take();
}

kernels::OpUses vit_ops(const Config&) {
  kernels::OpUses uses = image_ops();
  uses.gelu = true;
  return uses;
}

Stages vit_stages(const StageContext& with) {
  return {std::make_unique<ImageEmbedding>(with), std::make_unique<EncoderLayer>(with, kNames),
          std::make_unique<Classifier>(with, Pooling::kClassToken)};
}

double vit_kept(const Config& c) {
  return 8.0 * static_cast<double>(c.hidden) + 2.0 * static_cast<double>(c.intermediate) + 2.0 * c.heads + 4;
}

}  // namespace

const Architecture kViT = {
    .prefix = "",
    .layers = "vit.encoder.layer.",
    .projections = {"attention.attention.query", "attention.attention.key", "attention.attention.value",
                    "attention.output.dense", "", "intermediate.dense", "output.dense", ""},
    .targets = "q,v",
    .adapter_layers = "vit.layers.",
    .adapter_projections = {"attention.q_proj", "attention.k_proj", "attention.v_proj", "attention.o_proj",
                            "", "mlp.fc1", "mlp.fc2", ""},
    .read_config = read_vit_config,
    .unit_tensors = vit_tensors,
    .op_uses = vit_ops,
    .make_stages = vit_stages,
    .kept_of_token = vit_kept,
};

}  // namespace aftune::model
