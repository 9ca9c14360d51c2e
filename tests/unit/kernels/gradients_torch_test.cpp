// Values and gradients of each operation against PyTorch's in float64 (tests/parity/make_op_fixtures.py).

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "base/files.h"
#include "base/json.h"
#include "kernels/ops.h"

namespace aftune::kernels {
namespace {

using Floats = std::vector<float>;

class TorchOps : public testing::Test {
 protected:
  void load(const char* op) {
    const fs::path path = fs::path(AFTUNE_TESTS_DIR) / "vectors" / "ops" / "ops.json";
    json_ = parse_json(read_file(path, 1 << 20))[op];
  }
  Floats floats(const char* key) const { return json_[key].get<Floats>(); }
  template <class T>
  T get(const char* key) const {
    return json_[key].get<T>();
  }
  /// Every element to `tolerance` of the largest.
  void expect(const char* key, const Floats& found, double tolerance = 1e-6) const {
    const auto expected = json_[key].get<std::vector<double>>();
    ASSERT_EQ(found.size(), expected.size());
    double largest = 0;
    for (const double e : expected) largest = std::max(largest, std::abs(e));
    for (std::size_t i = 0; i < found.size(); ++i)
      EXPECT_NEAR(static_cast<double>(found[i]), expected[i], tolerance * largest) << key << ' ' << i;
  }

  ThreadPool pool{2};

 private:
  Json json_;
};

// Two rows, so that the sum over rows is tested with the sum over tokens.
constexpr std::int64_t kTwoRows[] = {0, 2, 5};

TEST_F(TorchOps, Linear) {
  load("linear");
  const auto n = get<std::int64_t>("n"), in = get<std::int64_t>("in"), out = get<std::int64_t>("out");
  const Floats x = floats("x"), w = floats("w"), dy = floats("dy");
  Floats y(dy.size()), dx(x.size()), dw(w.size());
  linear(pool, n, in, out, x.data(), w.data(), y.data());
  linear_grad_input(pool, n, in, out, dy.data(), w.data(), dx.data(), Into::kStore);
  linear_grad_weight(pool, 2, kTwoRows, in, out, dy.data(), x.data(), dw.data());
  expect("y", y);
  expect("dx", dx);
  expect("dw", dw);
}

TEST_F(TorchOps, RmsNorm) {
  load("rmsnorm");
  const auto n = get<std::int64_t>("n"), h = get<std::int64_t>("h");
  const Floats x = floats("x"), w = floats("w"), dy = floats("dy");
  const std::int64_t rows[] = {0, 1, n};
  Floats y(x.size()), inv_rms(static_cast<std::size_t>(n)), dx(x.size()), dw(w.size());
  rmsnorm(pool, n, h, get<float>("eps"), x.data(), w.data(), y.data(), inv_rms.data());
  rmsnorm_grad_input(pool, n, h, x.data(), w.data(), inv_rms.data(), dy.data(), dx.data(), Into::kStore);
  rmsnorm_grad_weight(pool, 2, rows, h, x.data(), inv_rms.data(), dy.data(), dw.data());
  expect("y", y);
  expect("dx", dx);
  expect("dw", dw);
}

TEST_F(TorchOps, LayerNorm) {
  load("layernorm");
  const auto n = get<std::int64_t>("n"), h = get<std::int64_t>("h");
  const Floats x = floats("x"), w = floats("w"), b = floats("b"), dy = floats("dy");
  const std::int64_t rows[] = {0, 1, n};
  Floats y(x.size()), mean(static_cast<std::size_t>(n)), inv(mean), dx(x.size()), dw(w.size()), db(b.size());
  layernorm(pool, n, h, get<float>("eps"), x.data(), w.data(), b.data(), y.data(), mean.data(), inv.data());
  layernorm_grad_input(pool, n, h, x.data(), w.data(), mean.data(), inv.data(), dy.data(), dx.data(),
                       Into::kStore);
  layernorm_grad_weight(pool, 2, rows, h, x.data(), mean.data(), inv.data(), dy.data(), dw.data());
  bias_grad(pool, 2, rows, h, dy.data(), db.data());
  expect("y", y);
  expect("dx", dx);
  expect("dw", dw);
  expect("db", db);
}

TEST_F(TorchOps, Gelu) {
  for (const auto& [name, form] : {std::pair("gelu", GeluForm::kErf), {"gelu_tanh", GeluForm::kTanh}}) {
    load(name);
    const Floats x = floats("x"), dy = floats("dy");
    Floats y(x.size()), dx(x.size());
    gelu(pool, form, std::ssize(x), x.data(), y.data());
    gelu_grad(pool, form, std::ssize(x), x.data(), dy.data(), dx.data());
    expect("y", y);
    expect("dx", dx);
  }
}

TEST_F(TorchOps, SwiGlu) {
  load("swiglu");
  const Floats gate = floats("gate"), up = floats("up"), dy = floats("dy");
  const auto n = std::ssize(gate);
  Floats y(gate.size()), dgate(gate.size()), dup(gate.size());
  swiglu(pool, n, gate.data(), up.data(), y.data());
  swiglu_grad(pool, n, gate.data(), up.data(), dy.data(), dgate.data(), dup.data());
  expect("y", y);
  expect("dgate", dgate);
  expect("dup", dup);
}

TEST_F(TorchOps, Rope) {
  load("rope");
  const auto positions = get<std::vector<std::int32_t>>("positions");
  RopeParameters parameters;
  parameters.theta = get<double>("theta");
  parameters.head_dim = get<std::int64_t>("head_dim");
  constexpr std::int64_t kPositions = 1024;
  Floats cos(static_cast<std::size_t>(kPositions * parameters.head_dim / 2)), sin(cos.size());
  rope_table(parameters, kPositions, cos.data(), sin.data());
  Floats x = floats("x"), dx = floats("dy");
  const auto turn = [&](bool inverse, Floats& values) {
    rope(pool, std::ssize(positions), get<std::int64_t>("heads"), parameters.head_dim, positions.data(),
         cos.data(), sin.data(), inverse, values.data());
  };
  turn(false, x);
  turn(true, dx);
  expect("y", x);
  expect("dx", dx);
}

TEST_F(TorchOps, Attention) {
  load("attention");
  const auto starts = get<std::vector<std::int64_t>>("starts");
  AttentionShape shape{get<std::int64_t>("heads"), get<std::int64_t>("kv_heads"),
                       get<std::int64_t>("head_dim"), 0};
  shape.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(shape.head_dim)));
  const Floats q = floats("q"), k = floats("k"), v = floats("v"), dy = floats("dy");
  const auto stats = static_cast<std::size_t>(starts.back() * shape.heads);
  Floats y(q.size()), max(stats), sum(stats), dq(q.size()), dk(k.size()), dv(v.size());
  attention(pool, shape, std::ssize(starts) - 1, starts.data(), q.data(), k.data(), v.data(), y.data(),
            max.data(), sum.data());
  attention_grad(pool, shape, std::ssize(starts) - 1, starts.data(), q.data(), k.data(), v.data(), y.data(),
                 max.data(), sum.data(), dy.data(), dq.data(), dk.data(), dv.data());
  expect("y", y);
  expect("dq", dq);
  expect("dk", dk);
  expect("dv", dv);
}

TEST_F(TorchOps, Embedding) {
  load("embedding");
  const auto ids = get<std::vector<std::int32_t>>("ids");
  const auto h = get<std::int64_t>("h");
  const Floats table = floats("table"), dy = floats("dy");
  const std::int64_t rows[] = {0, 4, std::ssize(ids)};
  Floats y(dy.size()), dtable(table.size());
  embedding(pool, std::ssize(ids), h, ids.data(), table.data(), y.data());
  embedding_grad(pool, 2, rows, h, ids.data(), dy.data(), dtable.data());
  expect("y", y);
  expect("dtable", dtable);
}

TEST_F(TorchOps, CrossEntropy) {
  load("cross_entropy");
  const auto labels = get<std::vector<std::int32_t>>("labels");
  Floats logits = floats("logits"), loss(labels.size());
  cross_entropy(pool, std::ssize(labels), std::ssize(logits) / std::ssize(labels), logits.data(),
                labels.data(), 1.0f / 3.0f, true, loss.data());
  expect("loss", loss);
  expect("dlogits", logits);
}

}  // namespace
}  // namespace aftune::kernels
