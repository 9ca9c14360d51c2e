// Our ViT and DINOv2 against transformers' in float64, on committed tiny models
// (tests/parity/make_image_fixture.py), and what must not reach a bit of theirs.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "base/json.h"
#include "kernels/i14.h"
#include "model/folder.h"
#include "train/engine.h"

namespace aftune::train {
namespace {

double norm(const Buffer& a) {
  double sum = 0;
  for (std::int64_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * a[i];
  return std::sqrt(sum);
}

double distance(const Buffer& a, const Buffer& b) {
  double sum = 0;
  for (std::int64_t i = 0; i < a.size(); ++i) {
    const double d = static_cast<double>(a[i]) - b[i];
    sum += d * d;
  }
  return std::sqrt(sum);
}

class ImageParity : public testing::TestWithParam<const char*> {
 protected:
  ImageParity()
      : json_(parse_json(read_file(folder() / cat(GetParam(), ".json"), 1 << 20))),
        tensors_(model::Checkpoint::open_file(folder() / cat(GetParam(), ".safetensors"))) {
    config = model::Config::parse(json_["config"].dump());
    losses = json_["losses"].get<std::vector<double>>();
    const auto* labels = tensors_.find("labels");
    const std::int64_t images = labels->spec.shape[0], positions = config.images->form({}).positions();
    std::vector<std::int32_t> layout;
    for (std::int64_t i = 0; i < images; ++i)
      layout.insert(layout.end(), {1, static_cast<std::int32_t>(positions)});
    rows = data::rows_from_layout(layout, images * positions);
    rows.labels.assign(static_cast<std::size_t>(rows.size()), data::kNoLabel);
    for (std::int64_t i = 0; i < images; ++i)
      rows.labels[static_cast<std::size_t>(i * positions)] =
          static_cast<std::int32_t>(load_le<std::int64_t>(labels->bytes.data() + 8 * i));
    const Buffer pixels = tensor("pixels");
    rows.pixels.assign(pixels.data(), pixels.data() + pixels.size());
  }

  model::EngineOptions options(int layers_per_block = 1, bool recompute = false) {
    model::EngineOptions o;
    o.config = config;
    o.recipe.lr = json_["lr"].get<double>();
    o.recipe.steps = std::ssize(losses);
    o.recipe.batch_size = rows.rows();
    o.recompute = recompute;
    o.pool = &pool;
    o.grid = {.layers = config.layers,
              .tied = false,
              .layers_per_block = layers_per_block,
              .steps = o.recipe.steps,
              .steps_per_block = 8};
    return o;
  }
  void load(Engine& engine) const {
    for (const auto& block : engine.blocks())
      for (model::Parameter& p : block->parameters()) {
        p.value = tensor("w0/" + p.spec.name);
        for (Buffer& m : p.moments) m = Buffer::zeros(m.size());
      }
  }
  StepResult step(Engine& engine, std::int64_t t, std::int64_t micro_batch) const {
    return engine.step(t, json_["lr"].get<double>(), rows.rows(), rows, micro_batch, nullptr);
  }
  Buffer tensor(const std::string& name) const {
    const auto* entry = tensors_.find(name);
    AFTUNE_CHECK(entry != nullptr);
    return widen(entry->spec.dtype, entry->bytes);
  }

  ThreadPool pool{2};
  model::Config config;
  data::Rows rows;
  std::vector<double> losses;

 private:
  static fs::path folder() { return fs::path(AFTUNE_TESTS_DIR) / "vectors" / "images"; }
  Json json_;
  model::Checkpoint tensors_;
};

bool has_no_gradient(const std::string& name) {
  // The mask's token is not looked at; what is added to all scores of a query alike changes nothing.
  return name.ends_with("mask_token") || name.ends_with("key.bias");
}

TEST_P(ImageParity, GradientsOfTheFirstStep) {
  Engine engine(options());
  load(engine);
  step(engine, 0, rows.rows());
  for (const auto& block : engine.blocks())
    for (const model::Parameter& p : block->parameters()) {
      const Buffer expected = tensor("grad/" + p.spec.name);
      EXPECT_LE(distance(p.gradient, expected), has_no_gradient(p.spec.name) ? 1e-6 : 1e-5 * norm(expected))
          << p.spec.name;
    }
}

TEST_P(ImageParity, LossesAndWeightsOfSomeSteps) {
  Engine engine(options());
  load(engine);
  for (std::size_t t = 0; t < losses.size(); ++t)
    EXPECT_NEAR(step(engine, static_cast<std::int64_t>(t), rows.rows()).loss, losses[t], 1e-5 * losses[t])
        << t;
  for (const auto& block : engine.blocks())
    for (const model::Parameter& p : block->parameters()) {
      const Buffer expected = tensor("wn/" + p.spec.name), before = tensor("w0/" + p.spec.name);
      if (p.spec.name.ends_with("mask_token")) {
        EXPECT_EQ(std::memcmp(p.value.data(), before.data(), p.value.bytes().size()), 0);
      } else if (!has_no_gradient(p.spec.name)) {
        EXPECT_LE(distance(p.value, expected), 1e-3 * distance(expected, before)) << p.spec.name;
      }
    }
}

// The classifier and the patch embedding are in f32 then too.
TEST_P(ImageParity, I14IsNear) {
  model::EngineOptions o = options();
  o.profile = {kernels::kDefaultI14Group};
  Engine engine(o);
  load(engine);
  EXPECT_NEAR(step(engine, 0, rows.rows()).loss, losses[0], 2e-4 * losses[0]);
  for (const auto& block : engine.blocks())
    for (const model::Parameter& p : block->parameters()) {
      if (has_no_gradient(p.spec.name)) continue;
      const Buffer expected = tensor("grad/" + p.spec.name);
      EXPECT_LE(distance(p.gradient, expected), 1e-2 * norm(expected)) << p.spec.name;
    }
}

TEST_P(ImageParity, NeitherMicroBatchesNorRecomputationNorBlocksReachABit) {
  std::vector<std::string> states;
  for (const auto& [micro_batch, recompute, layers] :
       {std::tuple(std::int64_t{3}, false, 1), {1, false, 1}, {2, false, 2}, {3, true, 2}}) {
    model::EngineOptions o = options(layers, recompute);
    o.profile = {kernels::kDefaultI14Group};
    Engine engine(o);
    load(engine);
    for (std::int64_t t = 0; t < 2; ++t) step(engine, t, micro_batch);
    std::string& state = states.emplace_back();
    for (const auto& block : engine.blocks())
      for (const model::Parameter& p : block->parameters()) state += as_text(p.value.bytes());
    EXPECT_TRUE(state == states.front()) << micro_batch << ' ' << recompute << ' ' << layers;
  }
}

TEST_P(ImageParity, APixelThatIsNotFiniteFailsTheStep) {
  Engine engine(options());
  load(engine);
  rows.pixels[17] = INFINITY;
  EXPECT_THROW(step(engine, 0, rows.rows()), Error);
}

INSTANTIATE_TEST_SUITE_P(Cases, ImageParity, testing::Values("vit", "dinov2", "dinov2-swiglu"),
                         [](const auto& test) {
                           std::string name = test.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace aftune::train
