#include "kernels/cpu/attention.h"

#include <gtest/gtest.h>

#include "kernels/ops.h"
#include "unit/kernels/plain_ops.h"
#include "unit/kernels/samples.h"

namespace aftune::kernels {
namespace {

using Starts = std::vector<std::int64_t>;

struct Case {
  std::int64_t heads, kv_heads, head_dim;
  Starts doc_starts;
  bool causal = true;
  /// One past the last key that query i of a document sees.
  std::int64_t keys(std::int64_t i, std::int64_t length) const { return causal ? i + 1 : length; }
  std::int64_t tokens() const { return doc_starts.back(); }
  std::int64_t q_row() const { return heads * head_dim; }
  std::int64_t kv_row() const { return kv_heads * head_dim; }
};

struct Inputs {
  Floats q, k, v, d_o;
  explicit Inputs(const Case& of)
      : q(awkward(of.tokens() * of.q_row(), 1, 3.0f)),
        k(awkward(of.tokens() * of.kv_row(), 2, 3.0f)),
        v(awkward(of.tokens() * of.kv_row(), 3)),
        d_o(awkward(of.tokens() * of.q_row(), 4)) {}
};

struct Results {
  Floats o, max, sum, dq, dk, dv;
  // NaN, so that what is never written shows.
  explicit Results(const Case& of) {
    for (Floats* x : {&o, &dq}) x->assign(static_cast<std::size_t>(of.tokens() * of.q_row()), kNan);
    for (Floats* x : {&max, &sum}) x->assign(static_cast<std::size_t>(of.tokens() * of.heads), kNan);
    for (Floats* x : {&dk, &dv}) x->assign(static_cast<std::size_t>(of.tokens() * of.kv_row()), kNan);
  }
};

void expect_same(const Results& a, const Results& b, const std::string& what) {
  EXPECT_TRUE(same_bits(a.o, b.o)) << what << ": o";
  EXPECT_TRUE(same_bits(a.max, b.max)) << what << ": max";
  EXPECT_TRUE(same_bits(a.sum, b.sum)) << what << ": sum";
  EXPECT_TRUE(same_bits(a.dq, b.dq)) << what << ": dq";
  EXPECT_TRUE(same_bits(a.dk, b.dk)) << what << ": dk";
  EXPECT_TRUE(same_bits(a.dv, b.dv)) << what << ": dv";
}

constexpr float kScale = 0.37f;

float dot(std::int64_t n, const float* a, const float* b) {
  float acc = 0.0f;
  for (std::int64_t i = 0; i < n; ++i) acc = std::fma(a[i], b[i], acc);
  return acc + 0.0f;
}

/// Attention and its gradients as docs/numerics.md words them: whole matrices of one head of one document.
class PlainHead {
 public:
  PlainHead(const Case& of, const Inputs& in, Results& out, std::int64_t document, std::int64_t head)
      : of_(of),
        d_(of.head_dim),
        length_(of.doc_starts[document + 1] - of.doc_starts[document]),
        q_row_(of.q_row()),
        kv_row_(of.kv_row()),
        stat_row_(of.heads) {
    const std::int64_t token = of.doc_starts[document];
    q_at_ = token * q_row_ + head * d_;
    kv_at_ = token * kv_row_ + head / (of.heads / of.kv_heads) * d_;
    stat_at_ = token * of.heads + head;
    q_ = in.q.data() + q_at_;
    k_ = in.k.data() + kv_at_;
    v_ = in.v.data() + kv_at_;
    d_o_ = in.d_o.data() + q_at_;
    o_ = out.o.data() + q_at_;
    max_ = out.max.data() + stat_at_;
    sum_ = out.sum.data() + stat_at_;
    dq_ = out.dq.data() + q_at_;
    s_.resize(static_cast<std::size_t>(length_ * length_));
    p_ = ds_ = s_;
    for (std::int64_t i = 0; i < length_; ++i)
      for (std::int64_t j = 0; j < keys(i); ++j)
        s_[static_cast<std::size_t>(i * length_ + j)] = dot(d_, q_ + i * q_row_, k_ + j * kv_row_) * kScale;
  }

  void forward() {
    for (std::int64_t i = 0; i < length_; ++i) {
      Floats e(static_cast<std::size_t>(keys(i)));
      float m = score(i, 0);
      for (std::int64_t j = 1; j < keys(i); ++j) m = score(i, j) > m ? score(i, j) : m;
      m += 0.0f;
      for (std::int64_t j = 0; j < keys(i); ++j) e[static_cast<std::size_t>(j)] = plain::exp(score(i, j) - m);
      const float l = plain::rowsum(
          keys(i), [&](float acc, std::int64_t j) { return acc + e[static_cast<std::size_t>(j)]; });
      for (std::int64_t c = 0; c < d_; ++c) o_[i * q_row_ + c] = value_sum(e, c) / l;
      max_[i * stat_row_] = m;
      sum_[i * stat_row_] = l;
    }
  }

  void backward() {
    for (std::int64_t i = 0; i < length_; ++i) {
      const float* g = d_o_ + i * q_row_;
      const float mean = plain::rowsum(
          d_, [&](float acc, std::int64_t c) { return std::fma(g[c], o_[i * q_row_ + c], acc); });
      for (std::int64_t j = 0; j < keys(i); ++j) {
        p(i, j) = plain::exp(score(i, j) - max_[i * stat_row_]) / sum_[i * stat_row_];
        ds(i, j) = (p(i, j) * (dot(d_, g, v_ + j * kv_row_) - mean)) * kScale;
      }
      for (std::int64_t c = 0; c < d_; ++c) {
        float acc = 0.0f;
        for (std::int64_t j = 0; j < keys(i); ++j) acc = std::fma(ds(i, j), k_[j * kv_row_ + c], acc);
        dq_[i * q_row_ + c] = acc + 0.0f;
      }
    }
  }

  /// Continues the chains of dk and dv.
  void continue_chains(float* dk, float* dv) {
    for (std::int64_t j = 0; j < length_; ++j)
      for (std::int64_t c = 0; c < d_; ++c)
        for (std::int64_t i = of_.causal ? j : 0; i < length_; ++i) {
          float& k_sum = dk[kv_at_ + j * kv_row_ + c];
          float& v_sum = dv[kv_at_ + j * kv_row_ + c];
          k_sum = std::fma(ds(i, j), q_[i * q_row_ + c], k_sum);
          v_sum = std::fma(p(i, j), d_o_[i * q_row_ + c], v_sum);
        }
  }

 private:
  std::int64_t keys(std::int64_t i) const { return of_.keys(i, length_); }
  float score(std::int64_t i, std::int64_t j) const { return s_[static_cast<std::size_t>(i * length_ + j)]; }
  float value_sum(const Floats& e, std::int64_t c) const {
    float total = 0.0f;
    const auto keys = static_cast<std::int64_t>(e.size());
    for (std::int64_t block = 0; block < keys; block += 512) {
      float acc = 0.0f;
      for (std::int64_t j = block; j < keys && j < block + 512; ++j)
        acc = std::fma(e[static_cast<std::size_t>(j)], v_[j * kv_row_ + c], acc);
      total = total + (acc + 0.0f);
    }
    return total;
  }
  float& p(std::int64_t i, std::int64_t j) { return p_[static_cast<std::size_t>(i * length_ + j)]; }
  float& ds(std::int64_t i, std::int64_t j) { return ds_[static_cast<std::size_t>(i * length_ + j)]; }

  const Case& of_;
  std::int64_t d_, length_, q_row_, kv_row_, stat_row_, q_at_ = 0, kv_at_ = 0, stat_at_ = 0;
  const float *q_, *k_, *v_, *d_o_;
  float *o_, *max_, *sum_, *dq_;
  Floats s_, p_, ds_;
};

Results plain_attention(const Case& of, const Inputs& in) {
  Results out(of);
  for (Floats* x : {&out.dk, &out.dv}) std::fill(x->begin(), x->end(), 0.0f);
  for (std::size_t document = 0; document + 1 < of.doc_starts.size(); ++document)
    for (std::int64_t head = 0; head < of.heads; ++head) {
      PlainHead plain(of, in, out, static_cast<std::int64_t>(document), head);
      plain.forward();
      plain.backward();
      plain.continue_chains(out.dk.data(), out.dv.data());
    }
  for (Floats* x : {&out.dk, &out.dv})
    for (float& value : *x) value += 0.0f;
  return out;
}

Results tiled_attention(const Case& of, const Inputs& in, Isa isa, int threads) {
  Results out(of);
  ThreadPool pool(threads);
  const AttentionBatch batch{of.heads,
                             of.kv_heads,
                             of.head_dim,
                             kScale,
                             static_cast<std::int64_t>(of.doc_starts.size()) - 1,
                             of.doc_starts.data(),
                             in.q.data(),
                             in.k.data(),
                             in.v.data(),
                             of.causal};
  attention_forward(pool, isa, batch, out.o.data(), out.max.data(), out.sum.data());
  attention_backward(pool, isa, batch,
                     {out.o.data(), out.max.data(), out.sum.data(), in.d_o.data(), out.dq.data(),
                      out.dk.data(), out.dv.data()});
  return out;
}

void expect_plain(const Case& of, int threads = 1) {
  const Inputs in(of);
  const Results expected = plain_attention(of, in);
  for (const Isa isa : usable_isas())
    expect_same(expected, tiled_attention(of, in, isa, threads),
                std::string(name(isa)) + (of.causal ? ", " : ", all keys, ") + std::to_string(of.tokens()) +
                    " tokens, head_dim " + std::to_string(of.head_dim));
}

TEST(Attention, EveryLengthUpToSeveralTiles) {
  for (const bool causal : {true, false})
    for (std::int64_t length = 0; length <= 50; ++length) expect_plain({1, 1, 8, {0, length}, causal});
}

TEST(Attention, LengthsAroundQueryBlocks) {
  for (const bool causal : {true, false})
    for (const std::int64_t length : {83, 84, 85, 95, 96, 97, 168, 169, 192, 193, 255, 256, 257})
      expect_plain({2, 1, 3, {0, length}, causal});
}

TEST(Attention, LengthsAroundKeyAndSumBlocks) {
  for (const bool causal : {true, false})
    for (const std::int64_t length : {511, 512, 513, 1030}) expect_plain({1, 1, 2, {0, length}, causal});
}

TEST(Attention, EveryHeadDimAndGrouping) {
  for (const std::int64_t head_dim : {1, 4, 15, 16, 17, 31, 32, 33, 64, 80}) {
    expect_plain({2, 2, head_dim, {0, 37}});
    expect_plain({6, 2, head_dim, {0, 19}});
    expect_plain({2, 2, head_dim, {0, 37}, false});
    expect_plain({6, 2, head_dim, {0, 19}, false});
  }
}

TEST(Attention, ThreadsDecideNoBit) {
  for (const int threads : thread_counts()) {
    for (const bool causal : {true, false}) {
      expect_plain({2, 1, 2, {0, 600}, causal}, threads);
      expect_plain({4, 2, 5, {0, 70, 171}, causal}, threads);
    }
  }
}

Floats rows_of(const Floats& x, std::int64_t row, std::int64_t first, std::int64_t last) {
  return Floats(x.begin() + first * row, x.begin() + last * row);
}

TEST(Attention, PackedDocumentsAreSeparateDocuments) {
  const Case packed{4, 2, 16, {0, 5, 5, 45, 46, 160}};
  const Inputs in(packed);
  for (const Isa isa : usable_isas()) {
    const Results whole = tiled_attention(packed, in, isa, 2);
    for (std::size_t document = 0; document + 1 < packed.doc_starts.size(); ++document) {
      const std::int64_t first = packed.doc_starts[document], last = packed.doc_starts[document + 1];
      const Case alone{4, 2, 16, {0, last - first}};
      const std::int64_t q_row = packed.q_row(), kv_row = packed.kv_row();
      Inputs part(alone);
      part.q = rows_of(in.q, q_row, first, last);
      part.k = rows_of(in.k, kv_row, first, last);
      part.v = rows_of(in.v, kv_row, first, last);
      part.d_o = rows_of(in.d_o, q_row, first, last);
      Results expected(alone);
      expected.o = rows_of(whole.o, q_row, first, last);
      expected.max = rows_of(whole.max, packed.heads, first, last);
      expected.sum = rows_of(whole.sum, packed.heads, first, last);
      expected.dq = rows_of(whole.dq, q_row, first, last);
      expected.dk = rows_of(whole.dk, kv_row, first, last);
      expected.dv = rows_of(whole.dv, kv_row, first, last);
      expect_same(expected, tiled_attention(alone, part, isa, 1), "document " + std::to_string(document));
    }
  }
}

// Documents of these lengths, cut into pieces of at most `piece` positions, the pieces of all taken in turn:
// what chunked prefill (large) and decoding (1) are.
TEST(Attention, ContinuedDocumentsAreWholeDocuments) {
  const Case kCases[] = {{4, 2, 5, {0, 1}},        {4, 2, 5, {0, 37, 38, 90}}, {4, 2, 5, {0, 530}},
                         {4, 1, 80, {0, 70, 103}}, {4, 4, 64, {0, 90}},        {4, 2, 17, {0, 66}}};
  for (const Case& of : kCases) {
    const Starts& starts = of.doc_starts;
    const Inputs in(of);
    for (const Isa isa : usable_isas()) {
      const Results whole = tiled_attention(of, in, isa, 1);
      for (const std::int64_t piece : {1, 2, 4, 5, 13, 96, 100, 514}) {
        Results out(of);
        ThreadPool pool(piece % 2 == 0 ? 2 : 1);
        for (std::int64_t first = 0;; first += piece) {
          std::vector<AttentionContinuation> parts;
          Floats q;
          std::vector<std::int64_t> tokens;
          for (std::size_t d = 0; d + 1 < starts.size(); ++d) {
            const std::int64_t end = std::min(first + piece, starts[d + 1] - starts[d]);
            if (end <= first) continue;
            parts.push_back({std::ssize(tokens), end - first, first, in.k.data() + starts[d] * of.kv_row(),
                             in.v.data() + starts[d] * of.kv_row()});
            for (std::int64_t t = starts[d] + first; t < starts[d] + end; ++t) tokens.push_back(t);
            const Floats rows = rows_of(in.q, of.q_row(), starts[d] + first, starts[d] + end);
            q.insert(q.end(), rows.begin(), rows.end());
          }
          if (parts.empty()) break;
          Floats o(q.size(), kNan), max(tokens.size() * 4, kNan), sum = max;
          attention_continuation(pool, isa, {of.heads, of.kv_heads, of.head_dim, kScale}, std::ssize(parts),
                                 parts.data(), q.data(), o.data(), max.data(), sum.data());
          for (std::size_t i = 0; i < tokens.size(); ++i) {
            std::copy_n(o.begin() + i * of.q_row(), of.q_row(), out.o.begin() + tokens[i] * of.q_row());
            std::copy_n(max.begin() + i * 4, 4, out.max.begin() + tokens[i] * 4);
            std::copy_n(sum.begin() + i * 4, 4, out.sum.begin() + tokens[i] * 4);
          }
        }
        EXPECT_TRUE(same_bits(out.o, whole.o)) << name(isa) << ", pieces of " << piece;
        EXPECT_TRUE(same_bits(out.max, whole.max)) << name(isa) << ", pieces of " << piece;
        EXPECT_TRUE(same_bits(out.sum, whole.sum)) << name(isa) << ", pieces of " << piece;
      }
    }
  }
}

TEST(Attention, ANonFiniteScoreMakesTheRowNan) {
  // -infinity would otherwise become a probability of 0.
  for (const float bad : {kInf, -kInf, kNan}) {
    const Case of{1, 1, 4, {0, 40}};
    Inputs in(of);
    in.k = uniform(of.tokens() * of.kv_row(), 2);
    in.q = Floats(in.q.size(), 1.0f);
    in.k[20 * 4 + 1] = bad;
    for (const Isa isa : usable_isas()) {
      const Results out = tiled_attention(of, in, isa, 1);
      EXPECT_FALSE(std::isnan(out.o[19 * 4])) << name(isa);
      for (const std::size_t row : {20, 21, 39}) EXPECT_TRUE(std::isnan(out.o[row * 4])) << name(isa) << row;
    }
  }
}

TEST(Attention, ToAllKeysANonFiniteScoreMakesEveryRowNan) {
  const Case of{1, 1, 4, {0, 40, 45}, false};
  for (const float bad : {kInf, -kInf, kNan}) {
    Inputs in(of);
    in.q = Floats(in.q.size(), 1.0f);
    in.k = uniform(of.tokens() * of.kv_row(), 2);
    in.k[39 * 4 + 1] = bad;
    for (const Isa isa : usable_isas()) {
      const Results out = tiled_attention(of, in, isa, 1);
      for (std::int64_t row = 0; row < of.tokens(); ++row)
        EXPECT_EQ(std::isnan(out.o[static_cast<std::size_t>(row * 4)]), row < 40) << name(isa) << row;
    }
  }
}

class AttentionOps : public ::testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(CausalOrNot, AttentionOps, ::testing::Bool());

TEST_P(AttentionOps, CallIt) {
  const Case of{4, 2, 8, {0, 9, 30}, GetParam()};
  const Inputs in(of);
  const Results expected = plain_attention(of, in);
  Results out(of);
  ThreadPool pool(2);
  const AttentionShape shape{of.heads, of.kv_heads, of.head_dim, kScale, of.causal};
  attention(pool, shape, 2, of.doc_starts.data(), in.q.data(), in.k.data(), in.v.data(), out.o.data(),
            out.max.data(), out.sum.data());
  attention_grad(pool, shape, 2, of.doc_starts.data(), in.q.data(), in.k.data(), in.v.data(), out.o.data(),
                 out.max.data(), out.sum.data(), in.d_o.data(), out.dq.data(), out.dk.data(), out.dv.data());
  expect_same(expected, out, "ops.h");
}

}  // namespace
}  // namespace aftune::kernels
