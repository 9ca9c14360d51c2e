#include "model/image_config.h"

#include "base/error.h"
#include "base/json.h"
#include "model/config.h"
#include "model/config_reader.h"

namespace aftune::model {
namespace {

constexpr std::int64_t kMaxChannels = 64;
constexpr std::int64_t kMaxSide = 4096;
// A row of as many pixels in f32 is within what rows of evidence may take.
constexpr std::int64_t kMaxPixels = std::int64_t{1} << 23;
constexpr std::int64_t kMaxLabels = std::int64_t{1} << 20;

// Both spellings of how many classes there are. Names of "LABEL_0" and so on are those that transformers
// makes up.
std::int32_t read_labels(const ConfigReader& in) {
  const std::int64_t stated = in.integer("num_labels", 0, 1, kMaxLabels);
  std::int64_t labels = stated == 0 ? 2 : stated;
  if (const Json* names = in.find("id2label"); names != nullptr) {
    if (!names->is_object() || names->empty() || names->size() > static_cast<std::size_t>(kMaxLabels))
      ConfigReader::bad("id2label", "is not an object of names");
    labels = static_cast<std::int64_t>(names->size());
    for (std::int64_t i = 0; i < labels; ++i)
      if (const auto found = names->find(std::to_string(i)); found == names->end() || !found->is_string())
        ConfigReader::bad("id2label", cat("has ", labels, " names, and none of class ", i));
    if (stated != 0 && stated != labels) ConfigReader::bad("num_labels", "contradicts \"id2label\"");
  }
  // transformers takes one class for regression.
  if (labels < 2) ConfigReader::bad("id2label", "has one class; a classifier needs two");
  return static_cast<std::int32_t>(labels);
}

// Names as label2id has them, or else id2label; where both do, they must not contradict each other.
std::map<std::string, std::int32_t> read_names(const ConfigReader& in, std::int32_t labels) {
  std::map<std::string, std::int32_t> ids;
  const Json* const by_id = in.find("id2label");
  if (const Json* by_name = in.find("label2id"); by_name != nullptr) {
    if (!by_name->is_object()) ConfigReader::bad("label2id", "is not an object of numbers");
    for (const auto& [label, id] : by_name->items()) {
      if (!id.is_number_unsigned() || id.get<std::uint64_t>() >= static_cast<std::uint64_t>(labels))
        ConfigReader::bad("label2id", "has a number that is no class");
      ids[label] = id.get<std::int32_t>();
      if (by_id != nullptr && (*by_id)[std::to_string(ids[label])] != label)
        ConfigReader::bad("label2id", "contradicts \"id2label\"");
    }
    return ids;
  }
  if (by_id == nullptr) return ids;
  for (std::int32_t i = 0; i < labels; ++i) {
    const auto label = (*by_id)[std::to_string(i)].get<std::string>();
    if (!ids.emplace(label, i).second) ConfigReader::bad("id2label", "has one name twice");
  }
  return ids;
}

kernels::ImageShape read_shape(const ConfigReader& in) {
  kernels::ImageShape shape;
  shape.channels = in.integer("num_channels", 3, 1, kMaxChannels);
  shape.size = in.integer("image_size", 224, 1, kMaxSide);
  shape.patch = in.integer("patch_size", 0, 1, kMaxSide);
  // transformers' versions differ in what they take for it.
  if (shape.patch == 0) ConfigReader::bad("patch_size", "is missing");
  if (shape.size % shape.patch != 0)
    ConfigReader::bad("image_size",
                      cat("is ", shape.size, ", which patches of ", shape.patch, " do not fill"));
  if (shape.pixels() > kMaxPixels) ConfigReader::bad("image_size", "makes images too large");
  return shape;
}

}  // namespace

void read_image_config(const ConfigReader& in, Config& c) {
  if (const std::string problem = in.text("problem_type", "single_label_classification");
      problem != "single_label_classification")
    ConfigReader::bad("problem_type", cat("is \"", problem, "\"; not supported"));
  ImageConfig images;
  images.shape = read_shape(in);
  images.labels = read_labels(in);
  images.label_ids = read_names(in, images.labels);
  c.vocab = images.labels;
  c.max_position = 1 + images.shape.patches();
  c.hidden = in.integer("hidden_size", 768, 1, kMaxWidth);
  c.layers = static_cast<int>(in.integer("num_hidden_layers", 12, 1, kMaxLayers));
  c.heads = c.kv_heads = static_cast<int>(in.integer("num_attention_heads", 12, 1, kMaxWidth));
  if (c.hidden % c.heads != 0) ConfigReader::bad("num_attention_heads", "does not divide \"hidden_size\"");
  c.head_dim = static_cast<int>(c.hidden / c.heads);
  if (in.integer("head_dim", c.head_dim, 1, kMaxWidth) != c.head_dim)
    ConfigReader::bad("head_dim", "is not \"hidden_size\" over \"num_attention_heads\"");
  c.qkv_bias = in.flag("qkv_bias", true);
  if (const std::string act = in.text("hidden_act", "gelu"); act != "gelu")
    ConfigReader::bad("hidden_act", cat("is \"", act, "\"; only \"gelu\" is supported"));
  c.gelu = kernels::GeluForm::kErf;
  c.images = std::move(images);
}

}  // namespace aftune::model
