#include "kernels/self_test.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <string>
#include <vector>

#include "kernels/i14.h"
#include "kernels/ops.h"

namespace aftune::kernels {
namespace {

TEST(SelfTest, EveryOpGivesItsKnownAnswerWithAnyThreads) {
  for (const int threads : {1, 3}) {
    ThreadPool pool(threads);
    for (const KnownAnswer& answer : known_answers())
      EXPECT_EQ(answer.compute(pool), answer.digest)
          << answer.op << ": 0x" << std::hex << answer.compute(pool);
  }
  const char* op = nullptr;
  EXPECT_TRUE(self_test(&op)) << op;
}

TEST(SelfTest, NamesTheOpThatDiffers) {
  ThreadPool pool(1);
  for (std::size_t i = 0; i < known_answers().size(); ++i) {
    std::vector<KnownAnswer> answers(known_answers().begin(), known_answers().end());
    answers[i].digest ^= 1;
    EXPECT_EQ(first_difference(pool, answers), answers[i].op);
  }
  EXPECT_EQ(first_difference(pool, known_answers()), nullptr);
}

constexpr Profile kF32, kI14{kDefaultI14Group};

TEST(OpNames, AreSortedUniqueAndVersioned) {
  const OpUses all{.biases = true,
                   .adapters = true,
                   .layernorm = true,
                   .gelu = true,
                   .gelu_tanh = true,
                   .images = true,
                   .layer_scale = true,
                   .class_mean = true};
  // All but that of native's factors.
  EXPECT_EQ(op_names(kI14, all).size() + 1, known_answers().size());
  for (const Profile& profile : {kF32, kI14}) {
    const std::vector<std::string> list = op_names(profile);
    EXPECT_TRUE(std::is_sorted(list.begin(), list.end()));
    EXPECT_EQ(std::adjacent_find(list.begin(), list.end()), list.end());
    for (const std::string& name : list) EXPECT_TRUE(name.ends_with("/1")) << name;
  }
}

TEST(OpNames, ThoseOfI14AreMoreByItsProductAndItsQuantiser) {
  const std::vector<std::string> f32 = op_names(kF32), i14 = op_names(kI14);
  std::vector<std::string> more;
  std::set_difference(i14.begin(), i14.end(), f32.begin(), f32.end(), std::back_inserter(more));
  EXPECT_EQ(more, (std::vector<std::string>{"matmul-i14/1", "quantise-i14/1"}));
  EXPECT_EQ(f32.size() + more.size(), i14.size());
}

TEST(OpNames, TheProductOfNativeHasNoVersion) {
  const std::vector<std::string> f32 = op_names(kF32), native = op_names(Profile{0, true});
  EXPECT_TRUE(std::is_sorted(native.begin(), native.end()));
  std::vector<std::string> more;
  std::set_difference(native.begin(), native.end(), f32.begin(), f32.end(), std::back_inserter(more));
  EXPECT_EQ(more, (std::vector<std::string>{"linear_bf16/native", "round-bf16/1"}));
}

TEST(OpNames, ThoseThatOnlySomeModelsNeedAreListedWhereTheyAreUsed) {
  using Names = std::vector<std::string>;
  for (const Profile& profile : {kF32, kI14}) {
    const auto more_of = [&](const OpUses& uses) {
      const Names without = op_names(profile), with = op_names(profile, uses);
      Names more;
      std::set_difference(with.begin(), with.end(), without.begin(), without.end(), std::back_inserter(more));
      EXPECT_EQ(with.size(), without.size() + more.size());
      return more;
    };
    EXPECT_EQ(more_of({.biases = true}), Names{"bias/1"});
    EXPECT_EQ(more_of({.layernorm = true}), Names{"layernorm/1"});
    EXPECT_EQ(more_of({.gelu = true}), Names{"gelu/1"});
    EXPECT_EQ(more_of({.gelu_tanh = true}), Names{"gelu-tanh/1"});
    EXPECT_EQ(op_names(profile, {.rmsnorm = false, .rope = false, .swiglu = false}).size() + 3,
              op_names(profile).size());
    EXPECT_EQ(more_of({.adapters = true}), (Names{"dropout/1", "scaled/1"}));
    EXPECT_EQ(more_of({.images = true}), (Names{"attention-full/1", "patches/1"}));
    EXPECT_EQ(more_of({.layer_scale = true}), Names{"layer-scale/1"});
    EXPECT_EQ(more_of({.class_mean = true}), Names{"class-mean/1"});
  }
}

}  // namespace
}  // namespace aftune::kernels
