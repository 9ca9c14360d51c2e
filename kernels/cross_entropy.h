#pragma once

#include "kernels/lanes.h"
#include "kernels/math.h"

namespace aftune::kernels::AFTUNE_ISA_NAMESPACE {

struct CrossEntropy {
  static constexpr char kName[] = "cross-entropy/1";
  std::int64_t vocab;
  float inv_predicted;
  bool grad;

  /// Returns the loss of one position; with grad, the logits become their gradient. A negative label is no
  /// prediction: loss and gradient are +0. NaN if any logit is not finite.
  template <class Lanes>
  AFTUNE_OP float row(Lanes lanes, std::int32_t label, float* logits) const {
    if (label < 0) {
      if (grad) lanes.each(vocab, [=](std::int64_t i) { logits[i] = 0.0f; });
      return 0.0f;
    }
    const float labelled = logits[label];
    const float most = lanes.largest_finite(vocab, [=](std::int64_t i) { return logits[i]; });
    lanes.sync();
    const float total = grad ? sum_and_keep(lanes, most, logits) : sum_only(lanes, most, logits);
    if (grad) {
      const float scale = inv_predicted;
      lanes.each(vocab, [=](std::int64_t i) { logits[i] = (logits[i] / total) * scale; });
      lanes.one(label, [=](std::int64_t i) { logits[i] = (exp32(labelled - most) / total - 1.0f) * scale; });
    }
    return (most - labelled) + log32(total);
  }

 private:
  template <class Lanes>
  AFTUNE_OP float sum_only(Lanes lanes, float most, const float* logits) const {
    return lanes.sum(vocab, [=](float acc, std::int64_t i) { return acc + exp32(logits[i] - most); });
  }

  template <class Lanes>
  AFTUNE_OP float sum_and_keep(Lanes lanes, float most, float* logits) const {
    return lanes.sum(vocab, [=](float acc, std::int64_t i) {
      const float e = exp32(logits[i] - most);
      logits[i] = e;
      return acc + e;
    });
  }
};

}  // namespace aftune::kernels::AFTUNE_ISA_NAMESPACE
