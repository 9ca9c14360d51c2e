#include "kernels/self_test.h"

#include <algorithm>
#include <bit>
#include <memory>
#include <new>
#include <vector>

#include "base/accelerator.h"
#include "base/error.h"
#include "base/philox.h"
#include "kernels/adamw.h"
#include "kernels/add.h"
#include "kernels/bf16.h"
#include "kernels/bias.h"
#include "kernels/class_mean.h"
#include "kernels/cross_entropy.h"
#include "kernels/dropout.h"
#include "kernels/embedding.h"
#include "kernels/gelu.h"
#include "kernels/i14.h"
#include "kernels/i14_ops.h"
#include "kernels/image_ops.h"
#include "kernels/init_normal.h"
#include "kernels/layer_scale.h"
#include "kernels/layernorm.h"
#include "kernels/native.h"
#include "kernels/ops.h"
#include "kernels/patches.h"
#include "kernels/rmsnorm.h"
#include "kernels/rope.h"
#include "kernels/rowsum.h"
#include "kernels/scaled.h"
#include "kernels/sgd.h"
#include "kernels/swiglu.h"

namespace aftune::kernels {
namespace {

// What computes the answers; null if the processor does.
thread_local Accelerator* computing = nullptr;

/// Memory that what computes the answers reaches. An answer's vectors die before it is another's turn.
template <class T>
struct Reachable {
  using value_type = T;
  Reachable() = default;
  template <class U>
  explicit Reachable(const Reachable<U>&) {}

  T* allocate(std::size_t count) {
    if (computing == nullptr) return std::allocator<T>().allocate(count);
    void* const block = computing->take(count * sizeof(T));
    if (block == nullptr) throw std::bad_alloc();
    return static_cast<T*>(block);
  }
  void deallocate(T* block, std::size_t count) noexcept {
    if (computing == nullptr)
      std::allocator<T>().deallocate(block, count);
    else
      computing->give(block);
  }
  friend bool operator==(const Reachable&, const Reachable&) { return true; }
};

using Floats = std::vector<float, Reachable<float>>;

/// FNV-1a by words. It guards against wrong arithmetic, not against an adversary.
class Digest {
 public:
  Digest& add(std::uint64_t word) {
    state_ = (state_ ^ word) * 0x100000001b3;
    return *this;
  }
  Digest& add(double value) { return add(std::bit_cast<std::uint64_t>(value)); }
  Digest& add(const Floats& values) {
    for (const float value : values) add(std::uint64_t{std::bit_cast<std::uint32_t>(value)});
    return *this;
  }
  std::uint64_t value() const { return state_; }

 private:
  std::uint64_t state_ = 0xcbf29ce484222325;
};

/// n values in (-scale, scale) whose magnitudes vary over some octaves.
Floats inputs(std::int64_t n, std::uint64_t seed, float scale = 1.0f) {
  Floats x(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < x.size(); ++i) {
    const PhiloxBlock words = philox({static_cast<std::uint32_t>(i), 0, 0, 0}, seed);
    const auto signed_word = static_cast<std::int32_t>(words[0]);
    x[i] = scale * static_cast<float>(signed_word >> 8) * 0x1p-23f / static_cast<float>(1u << (words[1] % 8));
  }
  return x;
}

std::vector<std::int32_t> ids(std::int64_t n, std::uint32_t below) {
  std::vector<std::int32_t> values(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<std::int32_t>(philox({static_cast<std::uint32_t>(i), 1, 0, 0}, 1)[0] % below);
  return values;
}

// Shapes that end in the middle of a block, of a vector register and of a tile. The seven tokens are three
// rows.
constexpr std::int64_t kTokens = 7, kWidth = 1061, kCount = kTokens * kWidth;
constexpr std::int64_t kStarts[] = {0, 3, 4, kTokens};

std::uint64_t adamw_answer(ThreadPool& pool) {
  Floats p = inputs(kCount, 1), m = inputs(kCount, 2, 0.1f), v = inputs(kCount, 3, 0.01f);
  for (float& value : v) value *= value;
  const AdamW op{0.9f, 0.999f, 0.1f, 0.001f, 1e-3f, 0.25f, 1e-8f, 0.999f, 0.75f};
  adamw(pool, op, kCount, p.data(), m.data(), v.data(), inputs(kCount, 4).data());
  return Digest().add(p).add(m).add(v).value();
}

std::uint64_t add_answer(ThreadPool& pool) {
  Floats y = inputs(kCount, 5);
  add(pool, kCount, y.data(), inputs(kCount, 6, 100).data(), y.data());
  return Digest().add(y).value();
}

std::uint64_t attention_answer_of(ThreadPool& pool, bool causal) {
  const AttentionShape shape{4, 2, 20, 0.2236068f, causal};
  const std::int64_t documents[] = {0, 1, 20, 69}, tokens = 69, width = 80, kv_width = 40;
  const Floats q = inputs(tokens * width, 7, 4), k = inputs(tokens * kv_width, 8, 4);
  const Floats v = inputs(tokens * kv_width, 9), d_o = inputs(tokens * width, 10);
  Floats o(q.size()), max(tokens * 4), sum(tokens * 4), dq(q.size()), dk(k.size()), dv(v.size());
  attention(pool, shape, 3, documents, q.data(), k.data(), v.data(), o.data(), max.data(), sum.data());
  attention_grad(pool, shape, 3, documents, q.data(), k.data(), v.data(), o.data(), max.data(), sum.data(),
                 d_o.data(), dq.data(), dk.data(), dv.data());
  return Digest().add(o).add(max).add(sum).add(dq).add(dk).add(dv).value();
}

std::uint64_t attention_answer(ThreadPool& pool) {
  return attention_answer_of(pool, true);
}

std::uint64_t attention_full_answer(ThreadPool& pool) {
  return attention_answer_of(pool, false);
}

std::uint64_t bias_answer(ThreadPool& pool) {
  Floats y = inputs(kCount, 38), db = inputs(kWidth, 39);
  add_bias(pool, kTokens, kWidth, db.data(), y.data());
  bias_grad(pool, 3, kStarts, kWidth, y.data(), db.data());
  return Digest().add(y).add(db).value();
}

std::uint64_t class_mean_answer(ThreadPool& pool) {
  constexpr std::int64_t kPositions = 7, kImages = 2, kSize = kImages * kPositions * kWidth;
  Floats y(kImages * 2 * kWidth), dx(kSize);
  class_mean(pool, kImages, kPositions, kWidth, inputs(kSize, 44).data(), y.data());
  class_mean_grad(pool, kImages, kPositions, kWidth, inputs(std::ssize(y), 45).data(), dx.data());
  return Digest().add(y).add(dx).value();
}

std::uint64_t cross_entropy_answer(ThreadPool& pool) {
  Floats logits = inputs(kCount, 11, 30), loss(kTokens);
  std::vector<std::int32_t> labels = ids(kTokens, kWidth);
  labels[2] = -100;
  cross_entropy(pool, kTokens, kWidth, logits.data(), labels.data(), 1.0f / 6, true, loss.data());
  return Digest().add(logits).add(loss).value();
}

std::uint64_t dropout_answer(ThreadPool& pool) {
  const Floats x = inputs(kCount, 40);
  Floats y(x.size());
  dropout(pool, {0.1, 41, 1000, 3, 5}, 3, kStarts, kWidth, x.data(), y.data());
  return Digest().add(y).value();
}

std::uint64_t embedding_answer(ThreadPool& pool) {
  const Floats table = inputs(4 * kWidth, 12), dy = inputs(kCount, 13);
  const std::vector<std::int32_t> tokens = ids(kTokens, 4);
  Floats y(dy.size()), dtable = table;
  embedding(pool, kTokens, kWidth, tokens.data(), table.data(), y.data());
  embedding_grad(pool, 3, kStarts, kWidth, tokens.data(), dy.data(), dtable.data());
  return Digest().add(y).add(dtable).value();
}

std::uint64_t gelu_answer(ThreadPool& pool, GeluForm form) {
  const Floats x = inputs(kCount, 44, 8), dy = inputs(kCount, 45);
  Floats y(x.size()), dx(x.size());
  gelu(pool, form, kCount, x.data(), y.data());
  gelu_grad(pool, form, kCount, x.data(), dy.data(), dx.data());
  return Digest().add(y).add(dx).value();
}

std::uint64_t gelu_erf_answer(ThreadPool& pool) {
  return gelu_answer(pool, GeluForm::kErf);
}

std::uint64_t gelu_tanh_answer(ThreadPool& pool) {
  return gelu_answer(pool, GeluForm::kTanh);
}

std::uint64_t init_normal_answer(ThreadPool& pool) {
  Floats x(kWidth);
  init_normal(pool, 14, 0x0123456789abcdef, 0.02f, kWidth, x.data());
  return Digest().add(x).value();
}

std::uint64_t layer_scale_answer(ThreadPool& pool) {
  const Floats x = inputs(kCount, 46), dy = inputs(kCount, 47);
  Floats dw = inputs(kWidth, 48), y(x.size());
  layer_scale(pool, kTokens, kWidth, x.data(), dw.data(), y.data());
  layer_scale_grad_weight(pool, 3, kStarts, kWidth, x.data(), dy.data(), dw.data());
  return Digest().add(y).add(dw).value();
}

std::uint64_t layernorm_answer(ThreadPool& pool) {
  const Floats x = inputs(kCount, 46, 3), w = inputs(kWidth, 47), b = inputs(kWidth, 48),
               dy = inputs(kCount, 49);
  Floats y(x.size()), mean(kTokens), inv(kTokens), dx(x.size()), dw = w;
  layernorm(pool, kTokens, kWidth, 1e-5f, x.data(), w.data(), b.data(), y.data(), mean.data(), inv.data());
  layernorm_grad_input(pool, kTokens, kWidth, x.data(), w.data(), mean.data(), inv.data(), dy.data(),
                       dx.data(), Into::kAdd);
  layernorm_grad_weight(pool, 3, kStarts, kWidth, x.data(), mean.data(), inv.data(), dy.data(), dw.data());
  return Digest().add(y).add(mean).add(inv).add(dx).add(dw).value();
}

std::uint64_t math64_answer(ThreadPool&) {
  Digest digest;
  for (int i = 0; i < 200; ++i) {
    const double x = (i - 100) * 0.37;
    digest.add(exp64(x)).add(sin64(x * 1e4)).add(cos64(x * 1e4)).add(log64(exp64(x))).add(pow64(0.999, i));
  }
  return digest.value();
}

std::uint64_t matmul_answer(ThreadPool& pool) {
  const std::int64_t in = 83, out = 61;
  const Floats x = inputs(kTokens * in, 15), w = inputs(out * in, 16), dy = inputs(kTokens * out, 17);
  Floats y = inputs(kTokens * out, 18), dx(x.size()), dw = inputs(out * in, 19);
  linear(pool, kTokens, in, out, x.data(), w.data(), y.data(), Into::kAdd);
  linear_grad_input(pool, kTokens, in, out, dy.data(), w.data(), dx.data(), Into::kStore);
  linear_grad_weight(pool, 3, kStarts, in, out, dy.data(), x.data(), dw.data());
  return Digest().add(y).add(dx).add(dw).value();
}

std::uint64_t matmul_i14_answer(ThreadPool& pool) {
  const std::int64_t in = kWidth, out = 61;
  const Floats x = inputs(kTokens * in, 32), w = inputs(out * in, 33), dy = inputs(kTokens * out, 34);
  Floats y = inputs(kTokens * out, 35), dx(x.size()), dw = inputs(out * in, 36);
  Digest digest;
  for (const int group : kI14Groups) {
    linear_i14(pool, kTokens, in, out, x.data(), w.data(), y.data(), Into::kAdd, group);
    linear_grad_input_i14(pool, kTokens, in, out, dy.data(), w.data(), dx.data(), Into::kStore, group);
    linear_grad_weight_i14(pool, 3, kStarts, in, out, dy.data(), x.data(), dw.data(), group);
    digest.add(y).add(dx).add(dw);
  }
  return digest.value();
}

/// Columns that hold a single 1 show the integers of a group one by one.
std::uint64_t quantise_i14_answer(ThreadPool& pool) {
  constexpr std::int64_t kRows = 5, kShown = 61;
  Digest digest;
  for (const int group : kI14Groups) {
    Floats x = inputs(kRows * group, 37), shown(static_cast<std::size_t>(kShown * group), 0.0f),
           y(kRows * kShown);
    for (std::int64_t j = 0; j < kShown; ++j)
      shown[static_cast<std::size_t>(j * group + j * 17 % group)] = 1.0f;
    const auto row = [&](std::int64_t i) {
      return std::span(x).subspan(static_cast<std::size_t>(i * group), group);
    };
    std::ranges::fill(row(1), 0.75f);  // of the largest norm
    row(2)[17] = 1e30f;
    for (float& value : row(3)) value *= 0x1p-101f;  // too small
    for (float& value : row(4)) value *= 0x1p-98f;
    linear_i14(pool, kRows, group, kShown, x.data(), shown.data(), y.data(), Into::kStore, group);
    digest.add(y);
  }
  return digest.value();
}

std::uint64_t rmsnorm_answer(ThreadPool& pool) {
  const Floats x = inputs(kCount, 20, 3), w = inputs(kWidth, 21), dy = inputs(kCount, 22);
  Floats y(x.size()), inv(kTokens), dx(x.size()), dw = w;
  rmsnorm(pool, kTokens, kWidth, 1e-5f, x.data(), w.data(), y.data(), inv.data());
  rmsnorm_grad_input(pool, kTokens, kWidth, x.data(), w.data(), inv.data(), dy.data(), dx.data(), Into::kAdd);
  rmsnorm_grad_weight(pool, 3, kStarts, kWidth, x.data(), inv.data(), dy.data(), dw.data());
  return Digest().add(y).add(inv).add(dx).add(dw).value();
}

std::uint64_t patches_answer(ThreadPool& pool) {
  constexpr ImageShape kShape{3, 21, 7};
  Floats y(static_cast<std::size_t>(2 * kShape.pixels()));
  patches(pool, kShape, 2, inputs(std::ssize(y), 49).data(), y.data());
  return Digest().add(y).value();
}

std::uint64_t rope_answer(ThreadPool& pool) {
  const std::int64_t heads = 3, head_dim = 44, positions = 50, half = head_dim / 2;
  const RopeParameters parameters{5e5, head_dim, true, 8, 1, 4, 64};
  Floats cos(positions * half), sin(positions * half), x = inputs(kTokens * heads * head_dim, 23);
  rope_table(parameters, positions, cos.data(), sin.data());
  rope(pool, kTokens, heads, head_dim, ids(kTokens, positions).data(), cos.data(), sin.data(), false,
       x.data());
  return Digest().add(cos).add(sin).add(x).value();
}

std::uint64_t round_bf16_answer(ThreadPool& pool) {
  Floats x = inputs(kCount, 44);
  round_bf16(pool, kCount, x.data(), x.data());
  return Digest().add(x).value();
}

std::uint64_t rowsum_answer(ThreadPool&) {
  return Digest().add(double{rowsum(kCount, inputs(kCount, 24).data())}).value();
}

std::uint64_t scaled_answer(ThreadPool& pool) {
  const Floats x = inputs(kCount, 42);
  Floats y(x.size()), sum = inputs(kCount, 43);
  scale(pool, kCount, 0.3f, x.data(), y.data());
  add_scaled(pool, kCount, 0.3f, x.data(), sum.data());
  return Digest().add(y).add(sum).value();
}

std::uint64_t sgd_answer(ThreadPool& pool) {
  Floats p = inputs(kCount, 25), buffer = inputs(kCount, 26);
  sgd(pool, {0.1f, 0.9f, 0.01f, 0.5f, false}, kCount, p.data(), buffer.data(), inputs(kCount, 27).data());
  return Digest().add(p).add(buffer).value();
}

std::uint64_t sum_squares_answer(ThreadPool& pool) {
  return Digest().add(sum_squares(pool, kCount, inputs(kCount, 28).data())).value();
}

std::uint64_t swiglu_answer(ThreadPool& pool) {
  const Floats gate = inputs(kCount, 29, 20), up = inputs(kCount, 30), dy = inputs(kCount, 31);
  Floats y(gate.size()), dgate(gate.size()), dup(gate.size());
  swiglu(pool, kCount, gate.data(), up.data(), y.data());
  swiglu_grad(pool, kCount, gate.data(), up.data(), dy.data(), dgate.data(), dup.data());
  return Digest().add(y).add(dgate).add(dup).value();
}

using Use = KnownAnswer::Use;
constexpr KnownAnswer kAnswers[] = {
    {portable::AdamWUpdate::kName, 0x7526093cc81edc09, adamw_answer},
    {portable::Add::kName, 0xd158af27cc895ba6, add_answer},
    {"attention-full/1", 0x80fa4af3726f5678, attention_full_answer, Use::kImage},
    {"attention/1", 0xd343994c6e5a65a7, attention_answer},
    {portable::Bias::kName, 0x1cfea00ffce6d7b7, bias_answer, Use::kBias},
    {portable::ClassMean::kName, 0x0c47cab2c58f956b, class_mean_answer, Use::kClassMean},
    {portable::CrossEntropy::kName, 0xecc852b6c226f5eb, cross_entropy_answer},
    {portable::Dropout::kName, 0x5f014fbfbe328759, dropout_answer, Use::kAdapter},
    {portable::Embedding::kName, 0xc585502fcfbe14bd, embedding_answer},
    {portable::GeluTanh::kName, 0x0cfa9e47fd86f2e2, gelu_tanh_answer, Use::kGeluTanh},
    {portable::Gelu::kName, 0xf2dd79b1fb6695df, gelu_erf_answer, Use::kGelu},
    {portable::InitNormal::kName, 0x579d8e5c68d90d8d, init_normal_answer},
    {portable::LayerScale::kName, 0x433e5bdb3c62ddd3, layer_scale_answer, Use::kLayerScale},
    {portable::LayerNorm::kName, 0xf13ce940e12de925, layernorm_answer, Use::kLayerNorm},
    {"math64/1", 0x83a7cb1c232a7e3b, math64_answer},
    {"matmul-f32/1", 0x822afe5d5f936e88, matmul_answer},
    {portable::MatmulI14::kName, 0x1fa4e2b3c4d243f3, matmul_i14_answer, Use::kI14},
    {portable::Patches::kName, 0x4838aacc7183234f, patches_answer, Use::kImage},
    {portable::QuantiseI14::kName, 0xf7703eeee9135e52, quantise_i14_answer, Use::kI14},
    {portable::RmsNorm::kName, 0x95e3fac9034ad47b, rmsnorm_answer, Use::kRmsNorm},
    {portable::Rope::kName, 0x44249c1ef68e44d5, rope_answer, Use::kRope},
    {portable::RoundBf16::kName, 0x91dd834c3e071bb7, round_bf16_answer, Use::kNative},
    {portable::RowSum::kName, 0x22b9bc808601b7df, rowsum_answer},
    {portable::Scaled::kName, 0xd57713cd3f6777e3, scaled_answer, Use::kAdapter},
    {portable::SgdUpdate::kName, 0xd66f18ec4a72c728, sgd_answer},
    {portable::SumSquares::kName, 0x3f712f0b0801b7df, sum_squares_answer},
    {portable::SwiGlu::kName, 0x3c4ce745fd13b4db, swiglu_answer, Use::kSwiGlu},
};

}  // namespace

std::span<const KnownAnswer> known_answers() {
  return kAnswers;
}

const char* first_difference(ThreadPool& pool, std::span<const KnownAnswer> answers) {
  const struct Computing {
    explicit Computing(Accelerator* accelerator) { computing = accelerator; }
    ~Computing() { computing = nullptr; }
  } by(pool.accelerator());
  for (const KnownAnswer& answer : answers)
    if (answer.compute(pool) != answer.digest) return answer.op;
  return nullptr;
}

std::vector<std::string> op_names(const Profile& profile, const OpUses& uses) {
  const auto needed = [&](Use use) {
    switch (use) {
      case Use::kI14:
        return profile.is_i14();
      case Use::kNative:
        return profile.native;
      case Use::kBias:
        return uses.biases;
      case Use::kAdapter:
        return uses.adapters;
      case Use::kImage:
        return uses.images;
      case Use::kLayerScale:
        return uses.layer_scale;
      case Use::kClassMean:
        return uses.class_mean;
      case Use::kRmsNorm:
        return uses.rmsnorm;
      case Use::kRope:
        return uses.rope;
      case Use::kSwiGlu:
        return uses.swiglu;
      case Use::kLayerNorm:
        return uses.layernorm;
      case Use::kGelu:
        return uses.gelu;
      case Use::kGeluTanh:
        return uses.gelu_tanh;
      case Use::kAlways:
        break;
    }
    return true;
  };
  std::vector<std::string> names;
  for (const KnownAnswer& answer : kAnswers)
    if (needed(answer.use)) names.emplace_back(answer.op);
  // It has no known answer.
  if (profile.native) names.emplace_back(kNativeProduct);
  std::sort(names.begin(), names.end());
  return names;
}

bool self_test(const char** op, Accelerator* accelerator) {
  // Once: the instruction set in use does not change in a process, and a batch of audits is one process.
  static const char* const on_processor = [] {
    ThreadPool pool(1);
    return first_difference(pool, kAnswers);
  }();
  const char* differs = on_processor;
  if (differs == nullptr && accelerator != nullptr) {
    ThreadPool pool(1, accelerator);
    differs = first_difference(pool, kAnswers);
  }
  if (differs != nullptr) *op = differs;
  return differs == nullptr;
}

void require_self_test(Accelerator* accelerator) {
  const char* op = nullptr;
  if (!self_test(&op, accelerator))
    fail(Fault::kDevice, "self-test: ", op, " does not give the known answer on this machine");
}

}  // namespace aftune::kernels
