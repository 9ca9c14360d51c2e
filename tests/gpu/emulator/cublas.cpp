// The library that stands in for cuBLAS: exact sums of bytes, and sums of bf16 products in an order that
// is not the processor's. It refuses what the real one refuses.

#include "gpu/emulator/cublas_v2.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <utility>

#include "gpu/emulator/streams.h"

struct cublasContext {
  bool has_stream = false, has_workspace = false;
  CUstream_st* stream = nullptr;

  void queue(std::function<void()> work) const {
    if (stream == nullptr) return work();
    stream->queue(stream, std::move(work));
  }
};

namespace {

constexpr int kVersion = 1203;  // 0.12.3

bool is_aligned(const void* at, std::size_t boundary) {
  return reinterpret_cast<std::uintptr_t>(at) % boundary == 0;
}

// The integer products that the library has are those of its tensor cores: both factors with the contracted
// index first, everything by fours, alpha and beta 0 or 1 (cuBLAS documentation, cublasGemmEx and
// cublasLtMatmul, "regular data ordering").
bool integers_supported(cublasOperation_t transa, cublasOperation_t transb, int m, int k, const void* alpha,
                        const void* a, int lda, const void* b, int ldb, const void* beta, const void* c,
                        int ldc) {
  const auto unit = [](const void* scalar) {
    const auto value = *static_cast<const std::int32_t*>(scalar);
    return value == 0 || value == 1;
  };
  return transa == CUBLAS_OP_T && transb == CUBLAS_OP_N && unit(alpha) && unit(beta) && m % 4 == 0 &&
         k % 4 == 0 && lda % 4 == 0 && ldb % 4 == 0 && ldc % 4 == 0 && is_aligned(a, 4) && is_aligned(b, 4) &&
         is_aligned(c, 4);
}

void multiply_integers(int m, int n, int k, std::int32_t alpha, const std::int8_t* a, int lda,
                       const std::int8_t* b, int ldb, std::int32_t beta, std::int32_t* c, int ldc) {
  for (std::int64_t col = 0; col < n; ++col)
    for (std::int64_t row = 0; row < m; ++row) {
      std::int64_t sum = 0;
      for (std::int64_t i = 0; i < k; ++i) sum += std::int64_t{a[row * lda + i]} * b[col * ldb + i];
      if (sum > INT32_MAX || sum < INT32_MIN)
        std::abort();  // a real one would wrap: no caller may rely on it
      std::int32_t& to = c[col * ldc + row];
      to = alpha * static_cast<std::int32_t>(sum) + (beta != 0 ? to : 0);
    }
}

float widened(std::uint16_t bf16) {
  const std::uint32_t bits = std::uint32_t{bf16} << 16;
  float x = 0;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

// Eight partial sums, the last indices first, added as a tree: nothing like one chain.
float dot_bf16(int k, const std::uint16_t* a, std::int64_t a_step, const std::uint16_t* b,
               std::int64_t b_step) {
  float partial[8] = {};
  for (std::int64_t i = k; i-- > 0;) partial[i % 8] += widened(a[i * a_step]) * widened(b[i * b_step]);
  for (int half = 4; half > 0; half /= 2)
    for (int i = 0; i < half; ++i) partial[i] += partial[i + half];
  return partial[0];
}

void multiply_bf16(cublasOperation_t transa, cublasOperation_t transb, int m, int n, int k, float alpha,
                   const std::uint16_t* a, int lda, const std::uint16_t* b, int ldb, float beta, float* c,
                   int ldc) {
  const bool ta = transa == CUBLAS_OP_T, tb = transb == CUBLAS_OP_T;
  for (std::int64_t col = 0; col < n; ++col)
    for (std::int64_t row = 0; row < m; ++row) {
      const float sum =
          dot_bf16(k, a + row * (ta ? lda : 1), ta ? 1 : lda, b + col * (tb ? 1 : ldb), tb ? ldb : 1);
      float& to = c[col * ldc + row];
      to = alpha * sum + (beta != 0.0f ? beta * to : 0.0f);
    }
}

}  // namespace

cublasStatus_t cublasCreate_v2(cublasHandle_t* handle) {
  *handle = new cublasContext;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasDestroy_v2(cublasHandle_t handle) {
  delete handle;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetStream_v2(cublasHandle_t handle, cudaStream_t stream) {
  handle->has_stream = true;
  handle->stream = stream;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetMathMode(cublasHandle_t, cublasMath_t mode) {
  return (mode & CUBLAS_TF32_TENSOR_OP_MATH) == 0 ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}
cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t handle, void* workspace, std::size_t) {
  handle->has_workspace = true;
  return is_aligned(workspace, 256) ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}
cublasStatus_t cublasGetVersion_v2(cublasHandle_t, int* version) {
  *version = kVersion;
  return CUBLAS_STATUS_SUCCESS;
}
const char* cublasGetStatusString(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_SUCCESS:
      return "success";
    case CUBLAS_STATUS_NOT_INITIALIZED:
      return "not initialized";
    case CUBLAS_STATUS_INVALID_VALUE:
      return "an unsupported value or parameter was passed to the function";
    case CUBLAS_STATUS_NOT_SUPPORTED:
      return "the functionality requested is not supported";
  }
  return "unknown";
}
cublasStatus_t cublasGemmEx(cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb, int m,
                            int n, int k, const void* alpha, const void* a, cudaDataType a_type, int lda,
                            const void* b, cudaDataType b_type, int ldb, const void* beta, void* c,
                            cudaDataType c_type, int ldc, cublasComputeType_t compute, cublasGemmAlgo_t) {
  if (handle == nullptr || !handle->has_stream || !handle->has_workspace)
    return CUBLAS_STATUS_NOT_INITIALIZED;
  const int a_rows = transa == CUBLAS_OP_T ? k : m, b_rows = transb == CUBLAS_OP_T ? n : k;
  if (m < 0 || n < 0 || k < 0 || lda < a_rows || ldb < b_rows || ldc < m || lda < 1 || ldb < 1 || ldc < 1)
    return CUBLAS_STATUS_INVALID_VALUE;
  if (compute == CUBLAS_COMPUTE_32I) {
    if (a_type != CUDA_R_8I || b_type != CUDA_R_8I || c_type != CUDA_R_32I ||
        !integers_supported(transa, transb, m, k, alpha, a, lda, b, ldb, beta, c, ldc))
      return CUBLAS_STATUS_NOT_SUPPORTED;
    handle->queue([=, by = *static_cast<const std::int32_t*>(alpha),
                   keep = *static_cast<const std::int32_t*>(beta)] {
      multiply_integers(m, n, k, by, static_cast<const std::int8_t*>(a), lda,
                        static_cast<const std::int8_t*>(b), ldb, keep, static_cast<std::int32_t*>(c), ldc);
    });
    return CUBLAS_STATUS_SUCCESS;
  }
  if (compute != CUBLAS_COMPUTE_32F || a_type != CUDA_R_16BF || b_type != CUDA_R_16BF || c_type != CUDA_R_32F)
    return CUBLAS_STATUS_NOT_SUPPORTED;
  handle->queue([=, by = *static_cast<const float*>(alpha), keep = *static_cast<const float*>(beta)] {
    multiply_bf16(transa, transb, m, n, k, by, static_cast<const std::uint16_t*>(a), lda,
                  static_cast<const std::uint16_t*>(b), ldb, keep, static_cast<float*>(c), ldc);
  });
  return CUBLAS_STATUS_SUCCESS;
}
