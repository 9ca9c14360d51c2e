#pragma once

// The per-ISA half of the row and element operations: each function does a range that one thread takes.

#include <cstdint>

#include "base/cpu.h"
#include "kernels/dropout_scalars.h"
#include "kernels/gelu_form.h"
#include "kernels/image_shape.h"
#include "kernels/optimizer_scalars.h"

namespace aftune::kernels {

struct RowTable {
  void (*rmsnorm)(std::int64_t rows, std::int64_t h, float eps, const float* x, const float* w, float* y,
                  float* inv_rms);
  void (*rmsnorm_grad_input)(std::int64_t rows, std::int64_t h, const float* x, const float* w,
                             const float* inv_rms, const float* dy, float* dx, bool add);
  /// One row of `length` tokens, columns [0, width) of rows of h.
  void (*rmsnorm_grad_weight)(std::int64_t width, std::int64_t length, std::int64_t h, const float* x,
                              const float* inv_rms, const float* dy, float* dw);
  void (*layernorm)(std::int64_t rows, std::int64_t h, float eps, const float* x, const float* w,
                    const float* b, float* y, float* mean, float* inv);
  void (*layernorm_grad_input)(std::int64_t rows, std::int64_t h, const float* x, const float* w,
                               const float* mean, const float* inv, const float* dy, float* dx, bool add);
  /// One row of `length` tokens, columns [0, width) of rows of h.
  void (*layernorm_grad_weight)(std::int64_t width, std::int64_t length, std::int64_t h, const float* x,
                                const float* mean, const float* inv, const float* dy, float* dw);
  void (*gelu)(GeluForm form, std::int64_t n, const float* x, float* y);
  void (*gelu_grad)(GeluForm form, std::int64_t n, const float* x, const float* dy, float* dx);
  void (*swiglu)(std::int64_t n, const float* gate, const float* up, float* y);
  void (*swiglu_grad)(std::int64_t n, const float* gate, const float* up, const float* dy, float* dgate,
                      float* dup);
  void (*add)(std::int64_t n, const float* a, const float* b, float* y);
  void (*add_bias)(std::int64_t rows, std::int64_t h, const float* b, float* x);
  /// One row of `length` tokens, columns [0, width) of rows of h.
  void (*bias_grad)(std::int64_t width, std::int64_t length, std::int64_t h, const float* dy, float* db);
  void (*scale)(std::int64_t n, float s, const float* x, float* y);
  void (*add_scaled)(std::int64_t n, float s, const float* x, float* y);
  void (*round_bf16)(std::int64_t n, const float* x, float* y);
  /// `length` tokens of the row `row`, the first of which is token `token` of it. y may be x.
  void (*dropout)(const DropoutSite& site, std::int64_t length, std::int64_t h, std::int64_t token,
                  std::uint32_t row, const float* x, float* y);
  void (*rope)(std::int64_t rows, std::int64_t heads, std::int64_t head_dim, const std::int32_t* positions,
               const float* cos, const float* sin, bool inverse, float* x);
  void (*embedding)(std::int64_t rows, std::int64_t h, const std::int32_t* ids, const float* table, float* y);
  /// Columns [0, width) of one table entry, for one row's positions of its id.
  void (*embedding_grad)(std::int64_t width, std::int64_t length, std::int64_t h,
                         const std::int64_t* positions, const float* dy, float* dentry);
  void (*cross_entropy)(std::int64_t rows, std::int64_t vocab, float* logits, const std::int32_t* labels,
                        float inv_predicted, bool grad, float* loss);
  /// Patches [first, last), counted through all images from x on.
  void (*patches)(const ImageShape& shape, std::int64_t first, std::int64_t last, const float* x, float* y);
  void (*layer_scale)(std::int64_t rows, std::int64_t h, const float* x, const float* w, float* y);
  /// One row of `length` tokens, columns [0, width) of rows of h.
  void (*layer_scale_grad_weight)(std::int64_t width, std::int64_t length, std::int64_t h, const float* x,
                                  const float* dy, float* dw);
  /// Columns [0, width) of one image.
  void (*class_mean)(std::int64_t width, std::int64_t positions, std::int64_t h, const float* x, float* y);
  /// Positions [first, last), counted through all images, whose gradients begin at dx.
  void (*class_mean_grad)(std::int64_t first, std::int64_t last, std::int64_t positions, std::int64_t h,
                          const float* dy, float* dx);
  float (*rowsum)(std::int64_t n, const float* x);
  /// One partial per 1024 elements.
  void (*sum_squares)(std::int64_t n, const float* x, float* partials);
  bool (*any_nonfinite)(std::int64_t n, const float* x);
  bool (*adamw)(const AdamW& scalars, std::int64_t n, float* p, float* m, float* v, const float* g);
  /// buffer may be null.
  bool (*sgd)(const Sgd& scalars, std::int64_t n, float* p, float* buffer, const float* g);
  void (*init_normal)(double std, std::int64_t pairs, const std::uint32_t* words, float* x);
  /// exp32, log32 and erf32 by themselves, for tests of the functions that the rest is made of.
  void (*exp32)(std::int64_t n, const float* x, float* y);
  void (*log32)(std::int64_t n, const float* x, float* y);
  void (*erf32)(std::int64_t n, const float* x, float* y);
};

namespace scalar {
extern const RowTable row_table;
}
namespace avx2 {
extern const RowTable row_table;
}
namespace avx512 {
extern const RowTable row_table;
}

const RowTable& row_table(Isa isa);

}  // namespace aftune::kernels
