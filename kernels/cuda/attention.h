#pragma once

// Attention on a GPU: the functions of ops.h, with the same bits. All pointers are to device memory,
// doc_starts and the continuations' lists too; a call is queued on the stream and returns at once. Nothing of
// the size of queries times keys is stored.

#include <cstdint>

#include "kernels/cuda/stream.h"

namespace aftune::kernels {
struct AttentionShape;
struct AttentionContinuation;
}  // namespace aftune::kernels

namespace aftune::kernels::cuda {

/// The largest head_dim. The functions throw std::invalid_argument if it is larger.
inline constexpr std::int64_t kMostHeadDim = 256;

/// `longest` is the largest number of tokens of a document, or more; there are at most 65535 documents.
void attention(Stream stream, const AttentionShape& shape, std::int64_t documents,
               const std::int64_t* doc_starts, std::int64_t longest, const float* q, const float* k,
               const float* v, float* o, float* max, float* sum);
/// `longest` is the largest count of a continuation, or more.
void attention_continued(Stream stream, const AttentionShape& shape, std::int64_t documents,
                         const AttentionContinuation* continuations, std::int64_t longest, const float* q,
                         float* o, float* max, float* sum);
/// `means` is room for the rowsums of d_o * o, like max and sum.
void attention_grad(Stream stream, const AttentionShape& shape, std::int64_t documents,
                    const std::int64_t* doc_starts, std::int64_t longest, const float* q, const float* k,
                    const float* v, const float* o, const float* max, const float* sum, const float* d_o,
                    float* means, float* dq, float* dk, float* dv);

}  // namespace aftune::kernels::cuda
