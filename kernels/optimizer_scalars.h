#pragma once

namespace aftune::kernels {

/// What an AdamW step multiplies with, each computed in binary64 and rounded to f32 once.
struct AdamW {
  float beta1 = 0;  ///< informative; the kernel uses 1 - beta1
  float beta2 = 0;
  float one_minus_beta1 = 0;  ///< lerp weight
  float one_minus_beta2 = 0;
  float step_size = 0;   ///< lr / (1 - beta1^t)
  float bias2_sqrt = 0;  ///< sqrt(1 - beta2^t)
  float eps = 0;
  float decay = 1;  ///< 1 - lr * weight_decay; 1 for tensors that are not decayed
  float clip = 1;
};

struct Sgd {
  float lr = 0, momentum = 0, decay = 0 /* weight_decay, added to the gradient */, clip = 1;
  bool first = false;  ///< torch: at the first step the momentum buffer is the gradient itself
};

}  // namespace aftune::kernels
