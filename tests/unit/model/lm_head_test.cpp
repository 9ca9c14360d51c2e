#include "model/lm_head.h"

#include <gtest/gtest.h>

#include <cstring>

namespace aftune::model {
namespace {

Buffer waves(std::int64_t count, float scale) {
  Buffer b(count);
  for (std::int64_t i = 0; i < count; ++i) b[i] = scale * (static_cast<float>(i * 37 % 101) / 50.0f - 1.0f);
  return b;
}

bool same(const Buffer& a, const Buffer& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.bytes().size()) == 0;
}

struct Outcome {
  HeadResult result;
  Buffer d_weight, d_norm;
};

/// Five rows, one of which predicts nothing, with at most `max_logits` logits at a time.
Outcome run(const kernels::Profile& profile, std::int64_t max_logits) {
  Config config =
      Config::parse(R"({"model_type":"llama","vocab_size":19,"hidden_size":32,"num_attention_heads":4})");
  ThreadPool pool(1);
  data::Rows rows = data::rows_from_layout({1, 4, 1, 3, 2, 2, 3, 1, 2, 1, 6}, 100);
  for (std::int64_t i = 0; i < rows.size(); ++i)
    rows.labels.push_back(i % 3 == 2 || (i >= 4 && i < 7) ? data::kNoLabel
                                                          : static_cast<std::int32_t>(i % 19));
  Matrix x(rows.size(), 32);
  x.values = waves(x.values.size(), 1.0f);
  std::vector<Parameter> own(2);
  own[0].spec.shape = {32};
  own[0].value = waves(32, 0.5f);
  own[1].spec.shape = {19, 32};
  own[1].value = waves(19 * 32, 0.3f);
  for (Parameter& p : own) p.gradient = Buffer::zeros(p.value.size());
  Products products(pool, profile);
  const Adapters adapters(config, {}, pool, nullptr);
  const StageContext with{config, products, adapters, pool};
  LmHead head(with, std::make_unique<RmsNorm>(with), max_logits);
  Outcome o;
  o.result = head.run({.own = own.data()}, rows, x, 0.125f, true);
  o.d_norm = std::move(own[0].gradient);
  o.d_weight = std::move(own[1].gradient);
  return o;
}

class LmHeadBits : public testing::TestWithParam<const char*> {};

TEST_P(LmHeadBits, DoNotDependOnChunks) {
  const kernels::Profile profile = *kernels::profile_from_name(GetParam());
  const Outcome whole = run(profile, LmHead::kMaxLogits);
  ASSERT_EQ(whole.result.row_losses.size(), 5u);
  EXPECT_EQ(whole.result.row_losses[1], 0.0);
  for (const std::int64_t max_logits : {1, 19 * 5, 19 * 7, 19 * 12}) {
    const Outcome parts = run(profile, max_logits);
    EXPECT_EQ(parts.result.row_losses, whole.result.row_losses);
    EXPECT_TRUE(same(parts.result.d_input.values, whole.result.d_input.values)) << max_logits;
    EXPECT_TRUE(same(parts.d_weight, whole.d_weight)) << max_logits;
    EXPECT_TRUE(same(parts.d_norm, whole.d_norm)) << max_logits;
  }
}

INSTANTIATE_TEST_SUITE_P(Profiles, LmHeadBits, testing::Values("f32", "i14"));

}  // namespace
}  // namespace aftune::model
