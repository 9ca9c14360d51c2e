// The row and element operations against the CPU.

#include "kernels/cuda/rows.h"

#include "gpu/device.h"
#include "kernels/cuda/embedding_order.h"
#include "kernels/ops.h"

namespace aftune::kernels {
namespace {

using Lengths = std::vector<std::int64_t>;
using Ids = std::vector<std::int32_t>;

const Lengths kSizes =
    unless_sanitized<std::int64_t>({1, 5, 31, 32, 33, 100, 1000, 1024, 1025, 2100}, {1, 33, 1025});
constexpr std::int64_t kRows = 3;

class Rows : public OnSchedules {};
AFTUNE_FOR_SCHEDULES(Rows);

TEST_P(Rows, RmsNorm) {
  for (const std::int64_t h : kSizes) {
    const Floats x = awkward(kRows * h, 1, 3), w = awkward(h, 2), dy = awkward(kRows * h, 3);
    Floats y(x.size()), inv(kRows);
    rmsnorm(one_thread(), kRows, h, 1e-6f, x.data(), w.data(), y.data(), inv.data());
    const FloatsOnDevice x_on(x), w_on(w), dy_on(dy), y_on(kRows * h), inv_on(kRows);
    cuda::rmsnorm(nullptr, kRows, h, 1e-6f, x_on.data(), w_on.data(), y_on.data(), inv_on.data());
    EXPECT_TRUE(same_bits(y, y_on.get())) << h;
    EXPECT_TRUE(same_bits(inv, inv_on.get())) << h;
    for (const bool add : {false, true}) {
      Floats dx = y;
      const FloatsOnDevice dx_on(dx);
      rmsnorm_grad_input(one_thread(), kRows, h, x.data(), w.data(), inv.data(), dy.data(), dx.data(),
                         add ? Into::kAdd : Into::kStore);
      cuda::rmsnorm_grad_input(nullptr, kRows, h, x_on.data(), w_on.data(), inv_on.data(), dy_on.data(),
                               dx_on.data(), add);
      EXPECT_TRUE(same_bits(dx, dx_on.get())) << h;
    }
    const Lengths starts = {0, 1, 1, kRows};
    Floats dw = w;
    const FloatsOnDevice dw_on(dw);
    const OnDevice<std::int64_t> starts_on(starts);
    rmsnorm_grad_weight(one_thread(), 3, starts.data(), h, x.data(), inv.data(), dy.data(), dw.data());
    cuda::rmsnorm_grad_weight(nullptr, 3, starts_on.data(), h, x_on.data(), inv_on.data(), dy_on.data(),
                              dw_on.data());
    EXPECT_TRUE(same_bits(dw, dw_on.get())) << h;
  }
}

TEST_P(Rows, LayerNorm) {
  for (const std::int64_t h : kSizes) {
    const Floats x = awkward(kRows * h, 22, 3), w = awkward(h, 23), b = awkward(h, 24),
                 dy = awkward(kRows * h, 25);
    Floats y(x.size()), mean(kRows), inv(kRows);
    layernorm(one_thread(), kRows, h, 1e-6f, x.data(), w.data(), b.data(), y.data(), mean.data(), inv.data());
    const FloatsOnDevice x_on(x), w_on(w), b_on(b), dy_on(dy), y_on(kRows * h), mean_on(kRows), inv_on(kRows);
    cuda::layernorm(nullptr, kRows, h, 1e-6f, x_on.data(), w_on.data(), b_on.data(), y_on.data(),
                    mean_on.data(), inv_on.data());
    EXPECT_TRUE(same_bits(y, y_on.get())) << h;
    EXPECT_TRUE(same_bits(mean, mean_on.get()) && same_bits(inv, inv_on.get())) << h;
    for (const bool add : {false, true}) {
      Floats dx = y;
      const FloatsOnDevice dx_on(dx);
      layernorm_grad_input(one_thread(), kRows, h, x.data(), w.data(), mean.data(), inv.data(), dy.data(),
                           dx.data(), add ? Into::kAdd : Into::kStore);
      cuda::layernorm_grad_input(nullptr, kRows, h, x_on.data(), w_on.data(), mean_on.data(), inv_on.data(),
                                 dy_on.data(), dx_on.data(), add);
      EXPECT_TRUE(same_bits(dx, dx_on.get())) << h;
    }
    const Lengths starts = {0, 1, 1, kRows};
    Floats dw = w;
    const FloatsOnDevice dw_on(dw);
    const OnDevice<std::int64_t> starts_on(starts);
    layernorm_grad_weight(one_thread(), 3, starts.data(), h, x.data(), mean.data(), inv.data(), dy.data(),
                          dw.data());
    cuda::layernorm_grad_weight(nullptr, 3, starts_on.data(), h, x_on.data(), mean_on.data(), inv_on.data(),
                                dy_on.data(), dw_on.data());
    EXPECT_TRUE(same_bits(dw, dw_on.get())) << h;
  }
}

TEST_P(Rows, Gelu) {
  for (const std::int64_t n : kSizes)
    for (const GeluForm form : {GeluForm::kErf, GeluForm::kTanh}) {
      const Floats x = awkward(n, 26, 8), dy = awkward(n, 27);
      const FloatsOnDevice x_on(x), dy_on(dy), y_on(n), dx_on(n);
      Floats y(x.size()), dx(x.size());
      gelu(one_thread(), form, n, x.data(), y.data());
      cuda::gelu(nullptr, form, n, x_on.data(), y_on.data());
      EXPECT_TRUE(same_bits(y, y_on.get())) << n;
      gelu_grad(one_thread(), form, n, x.data(), dy.data(), dx.data());
      cuda::gelu_grad(nullptr, form, n, x_on.data(), dy_on.data(), dx_on.data());
      EXPECT_TRUE(same_bits(dx, dx_on.get())) << n;
    }
}

TEST_P(Rows, Elements) {
  for (const std::int64_t n : kSizes) {
    const Floats gate = awkward(n, 4, 40), up = awkward(n, 5), dy = awkward(n, 6);
    const FloatsOnDevice gate_on(gate), up_on(up), dy_on(dy), y_on(n), dgate_on(n), dup_on(n);
    Floats y(gate.size()), dgate = y, dup = y;
    swiglu(one_thread(), n, gate.data(), up.data(), y.data());
    cuda::swiglu(nullptr, n, gate_on.data(), up_on.data(), y_on.data());
    EXPECT_TRUE(same_bits(y, y_on.get())) << n;
    swiglu_grad(one_thread(), n, gate.data(), up.data(), dy.data(), dgate.data(), dup.data());
    cuda::swiglu_grad(nullptr, n, gate_on.data(), up_on.data(), dy_on.data(), dgate_on.data(), dup_on.data());
    EXPECT_TRUE(same_bits(dgate, dgate_on.get())) << n;
    EXPECT_TRUE(same_bits(dup, dup_on.get())) << n;
    add(one_thread(), n, gate.data(), up.data(), y.data());
    cuda::add(nullptr, n, gate_on.data(), up_on.data(), y_on.data());
    EXPECT_TRUE(same_bits(y, y_on.get())) << n;
  }
}

TEST_P(Rows, Rope) {
  const std::int64_t heads = 3, head_dim = 10, positions = 7;
  const Floats cos = uniform(positions * head_dim / 2, 7), sin = uniform(positions * head_dim / 2, 8);
  const Ids at = {0, 6, 2, 3};
  const auto n = static_cast<std::int64_t>(at.size());
  const FloatsOnDevice cos_on(cos), sin_on(sin);
  const OnDevice<std::int32_t> at_on(at);
  for (const bool inverse : {false, true}) {
    Floats x = awkward(n * heads * head_dim, 9);
    const FloatsOnDevice x_on(x);
    rope(one_thread(), n, heads, head_dim, at.data(), cos.data(), sin.data(), inverse, x.data());
    cuda::rope(nullptr, n, heads, head_dim, at_on.data(), cos_on.data(), sin_on.data(), inverse, x_on.data());
    EXPECT_TRUE(same_bits(x, x_on.get()));
  }
}

TEST_P(Rows, Embedding) {
  const std::int64_t entries = 9, h = 37;
  // An empty row, ids that come in several rows and several times in one.
  const Lengths starts = {0, 5, 5, 6, 12};
  const Ids ids = {3, 8, 3, 0, 3, 8, 8, 0, 1, 8, 8, 3};
  const std::int64_t n = starts.back();
  const Floats table = awkward(entries * h, 10), dy = awkward(n * h, 11);
  Floats y(static_cast<std::size_t>(n * h)), dtable = table;
  embedding(one_thread(), n, h, ids.data(), table.data(), y.data());
  embedding_grad(one_thread(), 4, starts.data(), h, ids.data(), dy.data(), dtable.data());

  const FloatsOnDevice table_on(table), dtable_on(table), dy_on(dy), y_on(n * h);
  const OnDevice<std::int32_t> ids_on(ids);
  cuda::embedding(nullptr, n, h, ids_on.data(), table_on.data(), y_on.data());
  EXPECT_TRUE(same_bits(y, y_on.get()));
  const cuda::EmbeddingOrder lists = cuda::embedding_order(4, starts.data(), ids.data());
  EXPECT_EQ(lists.entry_ids, (Ids{0, 1, 3, 8}));
  EXPECT_EQ(lists.group_starts.back(), n);
  const OnDevice<std::int64_t> entry_starts(lists.entry_starts), group_starts(lists.group_starts),
      order(lists.order);
  const OnDevice<std::int32_t> entry_ids(lists.entry_ids);
  cuda::embedding_grad(nullptr, lists.entries(), entry_starts.data(), entry_ids.data(), group_starts.data(),
                       order.data(), h, dy_on.data(), dtable_on.data());
  EXPECT_TRUE(same_bits(dtable, dtable_on.get()));
}

TEST_P(Rows, EmbeddingOfNothing) {
  const std::int64_t start = 0;
  const cuda::EmbeddingOrder lists = cuda::embedding_order(0, &start, nullptr);
  EXPECT_EQ(lists.entries(), 0);
  cuda::embedding_grad(nullptr, 0, nullptr, nullptr, nullptr, nullptr, 8, nullptr, nullptr);
}

TEST_P(Rows, GatherAndScatter) {
  const std::int64_t h = 45;
  const Lengths rows = {4, 0, 3};
  const Floats x = awkward(6 * h, 12);
  const FloatsOnDevice x_on(x), y_on(3 * h), z_on(Floats(static_cast<std::size_t>(6 * h), 7.0f));
  const OnDevice<std::int64_t> rows_on(rows);
  cuda::gather_rows(nullptr, 3, h, rows_on.data(), x_on.data(), y_on.data());
  cuda::scatter_rows(nullptr, 3, h, rows_on.data(), y_on.data(), z_on.data());
  const Floats y = y_on.get(), z = z_on.get();
  for (std::int64_t r = 0; r < 6; ++r)
    for (std::int64_t c = 0; c < h; ++c) {
      const auto at = static_cast<std::size_t>(r * h + c);
      const bool named = r == 0 || r == 3 || r == 4;
      EXPECT_EQ(z[at], named ? x[at] : 7.0f);
      if (r >= 3) continue;
      const std::int64_t from = rows[static_cast<std::size_t>(r)];
      EXPECT_EQ(y[at], x[static_cast<std::size_t>(from * h + c)]);
    }
}

TEST_P(Rows, CrossEntropy) {
  for (const std::int64_t vocab : kSizes)
    for (const bool grad : {false, true}) {
      Floats logits = awkward(kRows * vocab, 13, 20), loss(kRows);
      const Ids labels = {static_cast<std::int32_t>(vocab - 1), -100, 0};
      const FloatsOnDevice logits_on(logits), loss_on(kRows);
      const OnDevice<std::int32_t> labels_on(labels);
      cross_entropy(one_thread(), kRows, vocab, logits.data(), labels.data(), 0.3f, grad, loss.data());
      cuda::cross_entropy(nullptr, kRows, vocab, logits_on.data(), labels_on.data(), 0.3f, grad,
                          loss_on.data());
      EXPECT_TRUE(same_bits(logits, logits_on.get())) << vocab;
      EXPECT_TRUE(same_bits(loss, loss_on.get())) << vocab;
    }
}

TEST_P(Rows, Sums) {
  for (const std::int64_t n : kSizes) {
    const Floats x = awkward(n, 14);
    const FloatsOnDevice x_on(x), sum(1), partials((n + 1023) / 1024);
    cuda::rowsum(nullptr, n, x_on.data(), sum.data());
    EXPECT_TRUE(same_bits({rowsum(n, x.data())}, sum.get())) << n;
    cuda::sum_squares(nullptr, n, x_on.data(), partials.data());
    double total = 0;
    for (const float partial : partials.get()) total += static_cast<double>(partial);
    EXPECT_EQ(total, sum_squares(one_thread(), n, x.data())) << n;
  }
}

TEST_P(Rows, NonFiniteValuesAreSeenAnywhere) {
  for (const std::int64_t n : kSizes)
    for (const float bad : {0.0f, kNan, kInf, -kInf}) {
      Floats x = awkward(n, 15);
      x[static_cast<std::size_t>(n - 1)] = bad;
      const FloatsOnDevice x_on(x);
      const OnDevice<std::uint32_t> flag(std::vector<std::uint32_t>{0});
      cuda::any_nonfinite(nullptr, n, x_on.data(), flag.data());
      EXPECT_EQ(flag.get()[0] != 0, any_nonfinite(one_thread(), n, x.data())) << n;
    }
}

TEST_P(Rows, Optimizers) {
  const AdamW adam{0.9f, 0.999f, 0.1f, 0.001f, 1e-3f, 0.03f, 1e-8f, 0.99f, 0.7f};
  for (const std::int64_t n : kSizes)
    for (const float last : {1.0f, kInf}) {
      Floats g = awkward(n, 16), p = awkward(n, 17), m = awkward(n, 18), v = uniform(n, 19);
      for (float& value : v) value = std::fabs(value);
      g.back() = last;
      const FloatsOnDevice g_on(g), p_on(p), m_on(m), v_on(v);
      const OnDevice<std::uint32_t> bad(std::vector<std::uint32_t>{0});
      const bool finite = adamw(one_thread(), adam, n, p.data(), m.data(), v.data(), g.data());
      cuda::adamw(nullptr, adam, n, p_on.data(), m_on.data(), v_on.data(), g_on.data(), bad.data());
      EXPECT_TRUE(same_bits(p, p_on.get()) && same_bits(m, m_on.get()) && same_bits(v, v_on.get())) << n;
      EXPECT_EQ(finite, bad.get()[0] == 0) << n;
      for (const bool first : {true, false})
        for (const bool with_momentum : {true, false}) {
          const Sgd op{0.1f, with_momentum ? 0.9f : 0.0f, 0.01f, 0.7f, first};
          Floats q = awkward(n, 20), buffer = awkward(n, 21);
          const FloatsOnDevice q_on(q), buffer_on(buffer);
          const OnDevice<std::uint32_t> flag(std::vector<std::uint32_t>{0});
          const bool good =
              sgd(one_thread(), op, n, q.data(), with_momentum ? buffer.data() : nullptr, g.data());
          cuda::sgd(nullptr, op, n, q_on.data(), with_momentum ? buffer_on.data() : nullptr, g_on.data(),
                    flag.data());
          EXPECT_TRUE(same_bits(q, q_on.get()) && same_bits(buffer, buffer_on.get())) << n;
          EXPECT_EQ(good, flag.get()[0] == 0) << n;
        }
    }
}

TEST_P(Rows, InitNormal) {
  for (const std::int64_t n : {1, 3, 4, 5, 127, 4099}) {
    Floats x(static_cast<std::size_t>(n));
    const FloatsOnDevice x_on(n);
    constexpr std::uint64_t kName = 0x123456789abcdef0;
    init_normal(one_thread(), 77, kName, 0.02f, n, x.data());
    cuda::init_normal(nullptr, 77, kName, 0.02f, n, x_on.data());
    EXPECT_TRUE(same_bits(x, x_on.get())) << n;
  }
}

TEST_P(Rows, NothingToDo) {
  cuda::rmsnorm(nullptr, 0, 8, 1e-6f, nullptr, nullptr, nullptr, nullptr);
  cuda::swiglu(nullptr, 0, nullptr, nullptr, nullptr);
  cuda::gather_rows(nullptr, 0, 8, nullptr, nullptr, nullptr);
  cuda::init_normal(nullptr, 1, 2, 0.02f, 0, nullptr);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
}

}  // namespace
}  // namespace aftune::kernels
