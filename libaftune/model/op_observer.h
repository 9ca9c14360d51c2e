#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace aftune::model {

/// What one operation of a block computes. Names, inputs and outputs: docs/audit.ops.md.
enum class OpKind {
  kEmbedding,
  kEmbeddingGrad,
  kRmsNorm,
  kRmsNormGradWeight,
  kRmsNormGradInput,
  kLayerNorm,
  kLayerNormGradWeight,
  kLayerNormGradInput,
  kLinear,
  kLinearGradWeight,
  kLinearGradInput,
  kRope,
  kRopeGrad,
  kAttention,
  kAttentionGrad,
  kAdd,
  kAddBias,
  kBiasGrad,
  kScale,
  kAddScaled,
  kDropout,
  kSwiglu,
  kSwigluGrad,
  kGelu,
  kGeluGrad,
  kSplit,
  kSplitGrad,
  kLayerScale,
  kLayerScaleGradWeight,
  kPatches,
  kClassToken,
  kClassTokenGrad,
  kClassMean,
  kClassMeanGrad,
  kGather,
  kScatter,
  kCrossEntropy,
  kRowLoss,
  kAddUses,
  kSumSquares,
  kUpdate,
  // Not a block's own: what is between the committed tensors and the rows that a block is given.
  kCut,
  kJoin,
  kMeanLoss,
};

/// One operation as it is run: `at` is the parameter that it uses or stands beside, and with the model's
/// config decides every width; `tokens` is the number of rows of its matrices.
struct Op {
  OpKind kind;
  std::string_view at;
  std::int64_t tokens = 0;
};

/// Sees every operation of a block with the bytes that go in and come out. Blocks that are observed are given
/// one row of the batch at a time, so that what is seen does not depend on micro-batches.
class OpObserver {
 public:
  virtual ~OpObserver() = default;
  /// Before it runs: an operation may write over its inputs.
  virtual void before(const Op& op, std::span<const ByteView> inputs) = 0;
  virtual void after(std::span<const ByteView> outputs) = 0;
};

/// Runs body, which computes `outputs` from `inputs`; both are views of what exists before and after it.
template <class Body>
void observed(OpObserver* observer, const Op& op, std::initializer_list<ByteView> inputs,
              std::initializer_list<ByteView> outputs, const Body& body) {
  if (observer != nullptr) observer->before(op, {inputs.begin(), inputs.size()});
  body();
  if (observer != nullptr) observer->after({outputs.begin(), outputs.size()});
}

/// The same for what is stored in `to` or, if it is added, is its input too.
template <class Body>
void observed_into(OpObserver* observer, const Op& op, bool adds, std::initializer_list<ByteView> inputs,
                   ByteView to, const Body& body) {
  if (observer == nullptr) return body();
  std::vector<ByteView> all(inputs);
  if (adds) all.push_back(to);
  observer->before(op, all);
  body();
  observer->after({&to, 1});
}

}  // namespace aftune::model
