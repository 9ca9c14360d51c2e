#pragma once

// A device that runs the operations of ops.h, image_ops.h and i14.h in place of a pool's threads: those
// functions hand over to it if their pool has one. Arguments and results are theirs, to the bit; matrices lie
// in memory that the device shares with this process (base/accelerator.h), lists of integers anywhere.

#include <cstdint>
#include <memory>
#include <span>

#include "base/accelerator.h"
#include "base/parallel.h"
#include "kernels/i14.h"
#include "kernels/image_shape.h"
#include "kernels/native.h"
#include "kernels/ops.h"

namespace aftune::kernels {

/// A quantised factor where the device keeps it.
class DeviceFactor {
 public:
  virtual ~DeviceFactor() = default;
};

class Device : public Accelerator {
 public:
  virtual void linear(std::int64_t n, std::int64_t in, std::int64_t out, const float* x, const float* w,
                      float* y, Into into) = 0;
  virtual void linear_grad_input(std::int64_t n, std::int64_t in, std::int64_t out, const float* dy,
                                 const float* w, float* dx, Into into) = 0;
  virtual void linear_grad_weight(std::int64_t rows, const std::int64_t* row_starts, std::int64_t in,
                                  std::int64_t out, const float* dy, const float* x, float* dw) = 0;

  /// As I14Factor's functions; `factor` is quantised anew if there is one, and made otherwise. chain_starts
  /// has chains + 1 offsets.
  virtual void quantise_rows(std::unique_ptr<DeviceFactor>& factor, std::int64_t n, std::int64_t depth,
                             const float* x, int group) = 0;
  virtual void quantise_columns(std::unique_ptr<DeviceFactor>& factor, std::int64_t n, std::int64_t chains,
                                const std::int64_t* chain_starts, const float* x, int group) = 0;
  virtual void multiply_i14(const DeviceFactor& left, const DeviceFactor& right, float* c, Into into) = 0;

  /// As native.h's functions.
  virtual NativeMachine native_machine() = 0;
  virtual void linear_native(std::int64_t n, std::int64_t in, std::int64_t out, const float* x,
                             const float* w, float* y, Into into) = 0;
  virtual void linear_grad_input_native(std::int64_t n, std::int64_t in, std::int64_t out, const float* dy,
                                        const float* w, float* dx, Into into) = 0;
  virtual void linear_grad_weight_native(std::int64_t rows, const std::int64_t* row_starts, std::int64_t in,
                                         std::int64_t out, const float* dy, const float* x, float* dw) = 0;

  virtual void rmsnorm(std::int64_t n, std::int64_t h, float eps, const float* x, const float* w, float* y,
                       float* inv_rms) = 0;
  virtual void rmsnorm_grad_input(std::int64_t n, std::int64_t h, const float* x, const float* w,
                                  const float* inv_rms, const float* dy, float* dx, Into into) = 0;
  virtual void rmsnorm_grad_weight(std::int64_t rows, const std::int64_t* row_starts, std::int64_t h,
                                   const float* x, const float* inv_rms, const float* dy, float* dw) = 0;
  virtual void layernorm(std::int64_t n, std::int64_t h, float eps, const float* x, const float* w,
                         const float* b, float* y, float* mean, float* inv) = 0;
  virtual void layernorm_grad_input(std::int64_t n, std::int64_t h, const float* x, const float* w,
                                    const float* mean, const float* inv, const float* dy, float* dx,
                                    Into into) = 0;
  virtual void layernorm_grad_weight(std::int64_t rows, const std::int64_t* row_starts, std::int64_t h,
                                     const float* x, const float* mean, const float* inv, const float* dy,
                                     float* dw) = 0;
  virtual void gelu(GeluForm form, std::int64_t n, const float* x, float* y) = 0;
  virtual void gelu_grad(GeluForm form, std::int64_t n, const float* x, const float* dy, float* dx) = 0;
  virtual void swiglu(std::int64_t n, const float* gate, const float* up, float* y) = 0;
  virtual void swiglu_grad(std::int64_t n, const float* gate, const float* up, const float* dy, float* dgate,
                           float* dup) = 0;
  virtual void add(std::int64_t n, const float* a, const float* b, float* y) = 0;
  virtual void add_bias(std::int64_t n, std::int64_t h, const float* b, float* x) = 0;
  virtual void bias_grad(std::int64_t rows, const std::int64_t* row_starts, std::int64_t h, const float* dy,
                         float* db) = 0;
  virtual void scale(std::int64_t n, float s, const float* x, float* y) = 0;
  virtual void add_scaled(std::int64_t n, float s, const float* x, float* y) = 0;
  virtual void dropout(const DropoutSite& site, std::int64_t rows, const std::int64_t* row_starts,
                       std::int64_t h, const float* x, float* y) = 0;
  virtual void round_bf16(std::int64_t n, const float* x, float* y) = 0;
  virtual void rope(std::int64_t n, std::int64_t heads, std::int64_t head_dim, const std::int32_t* positions,
                    const float* cos, const float* sin, bool inverse, float* x) = 0;

  virtual void attention(const AttentionShape& shape, std::int64_t documents, const std::int64_t* doc_starts,
                         const float* q, const float* k, const float* v, float* o, float* max,
                         float* sum) = 0;
  virtual void attention_continued(const AttentionShape& shape,
                                   std::span<const AttentionContinuation> documents, const float* q, float* o,
                                   float* max, float* sum) = 0;
  virtual void attention_grad(const AttentionShape& shape, std::int64_t documents,
                              const std::int64_t* doc_starts, const float* q, const float* k, const float* v,
                              const float* o, const float* max, const float* sum, const float* d_o, float* dq,
                              float* dk, float* dv) = 0;

  virtual void gather_rows(std::int64_t n, std::int64_t h, const std::int64_t* rows, const float* from,
                           float* to) = 0;
  virtual void scatter_rows(std::int64_t n, std::int64_t h, const std::int64_t* rows, const float* from,
                            float* to) = 0;
  virtual void embedding(std::int64_t n, std::int64_t h, const std::int32_t* ids, const float* table,
                         float* y) = 0;
  virtual void embedding_grad(std::int64_t rows, const std::int64_t* row_starts, std::int64_t h,
                              const std::int32_t* ids, const float* dy, float* dtable) = 0;
  virtual void cross_entropy(std::int64_t n, std::int64_t vocab, float* logits, const std::int32_t* labels,
                             float inv_predicted, bool grad, float* loss) = 0;

  virtual void patches(const ImageShape& shape, std::int64_t images, const float* x, float* y) = 0;
  virtual void layer_scale(std::int64_t n, std::int64_t h, const float* x, const float* w, float* y) = 0;
  virtual void layer_scale_grad_weight(std::int64_t rows, const std::int64_t* row_starts, std::int64_t h,
                                       const float* x, const float* dy, float* dw) = 0;
  virtual void class_mean(std::int64_t images, std::int64_t positions, std::int64_t h, const float* x,
                          float* y) = 0;
  virtual void class_mean_grad(std::int64_t images, std::int64_t positions, std::int64_t h, const float* dy,
                               float* dx) = 0;

  virtual double sum_squares(std::int64_t n, const float* x) = 0;
  virtual bool any_nonfinite(std::int64_t n, const float* x) = 0;
  virtual bool adamw(const AdamW& op, std::int64_t n, float* p, float* m, float* v, const float* g) = 0;
  virtual bool sgd(const Sgd& op, std::int64_t n, float* p, float* momentum_buffer, const float* g) = 0;
  virtual void init_normal(std::uint64_t seed, std::uint64_t name_hash, float std, std::int64_t n,
                           float* x) = 0;
};

/// The pool's device; null if its threads compute.
inline Device* device_of(const ThreadPool& pool) {
  return static_cast<Device*>(pool.accelerator());
}

}  // namespace aftune::kernels
