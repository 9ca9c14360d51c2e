// Attention, its continuation and its gradients against the CPU.

#include "kernels/cuda/attention.h"

#include <algorithm>
#include <stdexcept>

#include "gpu/device.h"
#include "kernels/ops.h"

namespace aftune::kernels {
namespace {

using Starts = std::vector<std::int64_t>;

struct Case {
  std::int64_t heads, kv_heads, head_dim;
  Starts doc_starts;
  bool causal = true;

  std::int64_t tokens() const { return doc_starts.back(); }
  std::int64_t documents() const { return static_cast<std::int64_t>(doc_starts.size()) - 1; }
  std::int64_t q_size() const { return tokens() * heads * head_dim; }
  std::int64_t kv_size() const { return tokens() * kv_heads * head_dim; }
  std::int64_t stat_size() const { return tokens() * heads; }
  std::int64_t longest() const {
    std::int64_t longest = 0;
    for (std::size_t i = 1; i < doc_starts.size(); ++i)
      longest = std::max(longest, doc_starts[i] - doc_starts[i - 1]);
    return longest;
  }
  AttentionShape shape() const { return {heads, kv_heads, head_dim, 0.37f, causal}; }
};

struct Inputs {
  Floats q, k, v, d_o;
  explicit Inputs(const Case& of)
      : q(awkward(of.q_size(), 1, 3.0f)),
        k(awkward(of.kv_size(), 2, 3.0f)),
        v(awkward(of.kv_size(), 3)),
        d_o(awkward(of.q_size(), 4)) {}
};

Floats room(std::int64_t n) {
  return Floats(static_cast<std::size_t>(n));
}

struct Results {
  Floats o, max, sum, dq, dk, dv;
  explicit Results(const Case& of)
      : o(room(of.q_size())), max(room(of.stat_size())), sum(max), dq(o), dk(room(of.kv_size())), dv(dk) {}
};

Results on_cpu(const Case& of, const Inputs& in) {
  Results out(of);
  attention(one_thread(), of.shape(), of.documents(), of.doc_starts.data(), in.q.data(), in.k.data(),
            in.v.data(), out.o.data(), out.max.data(), out.sum.data());
  attention_grad(one_thread(), of.shape(), of.documents(), of.doc_starts.data(), in.q.data(), in.k.data(),
                 in.v.data(), out.o.data(), out.max.data(), out.sum.data(), in.d_o.data(), out.dq.data(),
                 out.dk.data(), out.dv.data());
  return out;
}

Results on_device(const Case& of, const Inputs& in) {
  const OnDevice<std::int64_t> starts(of.doc_starts);
  const FloatsOnDevice q(in.q), k(in.k), v(in.v), d_o(in.d_o), o(of.q_size()), max(of.stat_size()),
      sum(of.stat_size()), means(of.stat_size()), dq(of.q_size()), dk(of.kv_size()), dv(of.kv_size());
  cuda::attention(nullptr, of.shape(), of.documents(), starts.data(), of.longest(), q.data(), k.data(),
                  v.data(), o.data(), max.data(), sum.data());
  cuda::attention_grad(nullptr, of.shape(), of.documents(), starts.data(), of.longest(), q.data(), k.data(),
                       v.data(), o.data(), max.data(), sum.data(), d_o.data(), means.data(), dq.data(),
                       dk.data(), dv.data());
  Results out(of);
  out.o = o.get();
  out.max = max.get();
  out.sum = sum.get();
  out.dq = dq.get();
  out.dk = dk.get();
  out.dv = dv.get();
  return out;
}

void expect_same_forward(const Results& a, const Results& b, const std::string& what) {
  EXPECT_TRUE(same_bits(a.o, b.o)) << what << ": o";
  EXPECT_TRUE(same_bits(a.max, b.max)) << what << ": max";
  EXPECT_TRUE(same_bits(a.sum, b.sum)) << what << ": sum";
}

void expect_same(const Case& of) {
  const std::string what = std::to_string(of.tokens()) + " tokens, head_dim " + std::to_string(of.head_dim) +
                           (of.causal ? "" : ", all keys");
  const Inputs in(of);
  const Results a = on_cpu(of, in), b = on_device(of, in);
  expect_same_forward(a, b, what);
  EXPECT_TRUE(same_bits(a.dq, b.dq)) << what << ": dq";
  EXPECT_TRUE(same_bits(a.dk, b.dk)) << what << ": dk";
  EXPECT_TRUE(same_bits(a.dv, b.dv)) << what << ": dv";
}

class Attention : public OnSchedules {};
AFTUNE_FOR_SCHEDULES(Attention);

TEST_P(Attention, Lengths) {
  const std::vector<std::int64_t> lengths =
      unless_sanitized<std::int64_t>({1, 5, 31, 32, 33, 63, 64, 65, 100, 129}, {1, 33});
  for (const bool causal : {true, false})
    for (const std::int64_t length : lengths) expect_same({1, 1, 8, {0, length}, causal});
}

// Past the edges of the value sum's blocks of 512 keys and of rowsum's of 1024.
TEST_P(Attention, LongDocuments) {
  const std::vector<std::int64_t> lengths =
      unless_sanitized<std::int64_t>({511, 512, 513, 1023, 1024, 1025, 1100}, {513});
  for (const bool causal : {true, false})
    for (const std::int64_t length : lengths) expect_same({1, 1, 2, {0, length}, causal});
}

TEST_P(Attention, HeadDims) {
  const std::vector<std::int64_t> dims =
      unless_sanitized<std::int64_t>({1, 3, 31, 32, 33, 64, 80, 128, 130, 256}, {3, 64, 130});
  for (const bool causal : {true, false})
    for (const std::int64_t d : dims) expect_same({1, 1, d, {0, 37}, causal});
}

TEST_P(Attention, SeveralDocumentsAndGroupedHeads) {
  const Starts starts = kSanitized ? Starts{0, 1, 1, 34} : Starts{0, 1, 1, 34, 99, 104};
  for (const bool causal : {true, false}) {
    expect_same({4, 2, 6, starts, causal});
    expect_same({3, 1, 5, starts, causal});
    expect_same({2, 2, 33, starts, causal});
  }
}

// A bad key makes NaN of all that sees it, and of nothing else.
TEST_P(Attention, NonFiniteScoresShow) {
  const Case of = {2, 1, 4, {0, 70}};
  constexpr std::int64_t kBadKey = 40;
  for (const float bad : {kNan, kInf, -kInf}) {
    Inputs in(of);
    in.k[kBadKey * 4 + 1] = bad;
    const Results out = on_device(of, in);
    expect_same_forward(on_cpu(of, in), out, "bad key");
    for (std::int64_t i = 0; i < of.q_size(); ++i) {
      const bool sees = i / (of.heads * of.head_dim) >= kBadKey;
      EXPECT_EQ(std::isnan(out.o[static_cast<std::size_t>(i)]), sees) << i;
      EXPECT_EQ(std::isnan(out.dq[static_cast<std::size_t>(i)]), sees) << i;
    }
  }
}

TEST_P(Attention, ToAllKeysNonFiniteScoresShowInTheWholeDocument) {
  const Case of = {2, 1, 4, {0, 3, 70, 75}, false};
  Inputs in(of);
  in.k[69 * 4 + 1] = kNan;
  const Results out = on_device(of, in);
  expect_same_forward(on_cpu(of, in), out, "bad key");
  for (std::int64_t i = 0; i < of.q_size(); ++i) {
    const std::int64_t token = i / (of.heads * of.head_dim);
    EXPECT_EQ(std::isnan(out.o[static_cast<std::size_t>(i)]), token >= 3 && token < 70) << i;
    EXPECT_EQ(std::isnan(out.dq[static_cast<std::size_t>(i)]), token >= 3 && token < 70) << i;
  }
}

TEST_P(Attention, NothingToDo) {
  const std::int64_t start = 0;
  cuda::attention(nullptr, {2, 1, 4, 1.0f}, 0, &start, 0, nullptr, nullptr, nullptr, nullptr, nullptr,
                  nullptr);
  EXPECT_THROW(cuda::attention(nullptr, {1, 1, 257, 1.0f}, 1, &start, 1, nullptr, nullptr, nullptr, nullptr,
                               nullptr, nullptr),
               std::invalid_argument);
}

/// A document that is answered in pieces.
TEST_P(Attention, Continuations) {
  const std::int64_t length = kSanitized ? 40 : 530;
  const Case of = {2, 1, 5, {0, length}};
  const Inputs in(of);
  Floats o = room(of.q_size()), max = room(of.stat_size()), sum = max;
  attention(one_thread(), of.shape(), 1, of.doc_starts.data(), in.q.data(), in.k.data(), in.v.data(),
            o.data(), max.data(), sum.data());
  const FloatsOnDevice q_on(in.q), k_on(in.k), v_on(in.v), o_on(of.q_size()), max_on(of.stat_size()),
      sum_on(of.stat_size());
  // Two of them to a call, as if they were two documents; the last are single tokens.
  const Starts cuts = {0, 1, length / 3, length - 3, length - 1, length};
  for (std::size_t i = 0; i + 1 < cuts.size(); i += 2) {
    std::vector<AttentionContinuation> parts;
    for (std::size_t j = i; j < i + 2 && j + 1 < cuts.size(); ++j)
      parts.push_back({cuts[j], cuts[j + 1] - cuts[j], cuts[j], k_on.data(), v_on.data()});
    const OnDevice<AttentionContinuation> parts_on(parts);
    cuda::attention_continued(nullptr, of.shape(), static_cast<std::int64_t>(parts.size()), parts_on.data(),
                              length, q_on.data(), o_on.data(), max_on.data(), sum_on.data());
  }
  EXPECT_TRUE(same_bits(o, o_on.get()));
  EXPECT_TRUE(same_bits(max, max_on.get()));
  EXPECT_TRUE(same_bits(sum, sum_on.get()));
}

}  // namespace
}  // namespace aftune::kernels
