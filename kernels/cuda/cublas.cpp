#include "kernels/cuda/cublas.h"

#include <cublas_v2.h>
#include <cuda_runtime.h>
#include <dlfcn.h>

#include <climits>
#include <cstdlib>
#include <vector>

#include "base/error.h"

namespace aftune::kernels::cuda {
namespace {

// What the library may use beside our own memory: NVIDIA's advice for its largest devices. Given by us, so
// that which of its kernels can run does not depend on what else is on the device.
constexpr std::size_t kWorkspace = std::size_t{32} << 20;

// Overloaded in C++; this is the function that the library has.
using GemmEx = cublasStatus_t(cublasHandle_t, cublasOperation_t, cublasOperation_t, int, int, int,
                              const void*, const void*, cudaDataType, int, const void*, cudaDataType, int,
                              const void*, void*, cudaDataType, int, cublasComputeType_t, cublasGemmAlgo_t);

/// The library, opened, or why it is not.
struct Library {
  std::string failure;
  decltype(&::cublasCreate_v2) create = nullptr;
  decltype(&::cublasDestroy_v2) destroy = nullptr;
  decltype(&::cublasSetStream_v2) set_stream = nullptr;
  decltype(&::cublasSetMathMode) set_math_mode = nullptr;
  decltype(&::cublasSetWorkspace_v2) set_workspace = nullptr;
  decltype(&::cublasGetVersion_v2) get_version = nullptr;
  decltype(&::cublasGetStatusString) status_string = nullptr;
  decltype(static_cast<GemmEx*>(&::cublasGemmEx)) gemm = nullptr;

  Library();

 private:
  template <class Function>
  void find(void* library, const char* name, Function& function) {
    function = reinterpret_cast<Function>(::dlsym(library, name));
    if (function == nullptr && failure.empty()) failure = cat("cuBLAS: has no ", name);
  }
};

// The loader's message names the library that it did not find.
std::string why_not_opened() {
  const char* const why = ::dlerror();
  return cat("cuBLAS: ", why != nullptr ? why : "cannot be opened");
}

void* open_library(std::string& failure) {
  const std::string soname = cat("libcublas.so.", CUBLAS_VER_MAJOR);
  std::vector<std::string> names{soname, "/usr/local/cuda/lib64/" + soname};
  const char* const own = std::getenv("AFTUNE_CUBLAS");
  if (own != nullptr && *own != '\0') names = {own};
  for (const std::string& name : names) {
    if (void* const library = ::dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL)) return library;
    const std::string why = why_not_opened();
    if (failure.empty()) failure = why;
  }
  return nullptr;
}

// Never closed: CUDA's libraries do not survive that.
Library::Library() {
  void* const library = open_library(failure);
  if (library == nullptr) return;
  failure.clear();
  find(library, "cublasCreate_v2", create);
  find(library, "cublasDestroy_v2", destroy);
  find(library, "cublasSetStream_v2", set_stream);
  find(library, "cublasSetMathMode", set_math_mode);
  find(library, "cublasSetWorkspace_v2", set_workspace);
  find(library, "cublasGetVersion_v2", get_version);
  find(library, "cublasGetStatusString", status_string);
  find(library, "cublasGemmEx", gemm);
}

const Library& library() {
  static const Library opened;
  return opened;
}

void check(cublasStatus_t status, const char* what) {
  if (status != CUBLAS_STATUS_SUCCESS)
    fail(Fault::kDevice, "cuBLAS: ", what, ": ", library().status_string(status));
}

std::string version_text(int version) {
  return cat("cuBLAS ", version / 10000, ".", version / 100 % 100, ".", version % 100);
}

int as_int(std::int64_t extent) {
  if (extent < 0 || extent > INT_MAX) fail(Fault::kDevice, "cuBLAS: a matrix of ", extent, " is too large");
  return static_cast<int>(extent);
}

}  // namespace

bool Cublas::is_there() {
  return library().failure.empty();
}

Cublas::Cublas(Stream stream) {
  if (!is_there()) fail(Fault::kDevice, library().failure);
  cublasHandle_t handle = nullptr;
  check(library().create(&handle), "start");
  handle_ = handle;
  try {
    check(library().set_stream(handle, stream), "stream");
    // No f32 factor is ever rounded to tf32, and no partial sum to 16 bits.
    check(library().set_math_mode(
              handle, static_cast<cublasMath_t>(CUBLAS_DEFAULT_MATH |
                                                CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION)),
          "arithmetic");
    if (cudaMalloc(&workspace_, kWorkspace) != cudaSuccess)
      fail(Fault::kDevice, "cuBLAS: no memory for its workspace of ", kWorkspace, " bytes");
    check(library().set_workspace(handle, workspace_, kWorkspace), "workspace");
    int version = 0;
    check(library().get_version(handle, &version), "version");
    version_ = version_text(version);
  } catch (...) {
    library().destroy(handle);
    cudaFree(workspace_);
    throw;
  }
}

Cublas::~Cublas() {
  library().destroy(static_cast<cublasHandle_t>(handle_));
  cudaFree(workspace_);
}

// cuBLAS has matrices by columns: what it multiplies is c^T = b a^T, each of whose factors lies with the
// contracted index first. For integers that is the one layout that its tensor cores take.
void Cublas::multiply_int8(std::int64_t rows, std::int64_t cols, std::int64_t depth, const std::int8_t* a,
                           const std::int8_t* b, std::int32_t* c) {
  const std::int32_t one = 1, zero = 0;
  const int m = as_int(cols), n = as_int(rows), k = as_int(depth);
  check(library().gemm(static_cast<cublasHandle_t>(handle_), CUBLAS_OP_T, CUBLAS_OP_N, m, n, k, &one, b,
                       CUDA_R_8I, k, a, CUDA_R_8I, k, &zero, c, CUDA_R_32I, m, CUBLAS_COMPUTE_32I,
                       CUBLAS_GEMM_DEFAULT),
        "8-bit product");
}

void Cublas::multiply_bf16(std::int64_t rows, std::int64_t cols, std::int64_t depth, const Bf16& a,
                           const Bf16& b, float* c, std::int64_t c_stride) {
  const float one = 1.0f, zero = 0.0f;
  check(library().gemm(static_cast<cublasHandle_t>(handle_), b.by_columns ? CUBLAS_OP_N : CUBLAS_OP_T,
                       a.by_columns ? CUBLAS_OP_T : CUBLAS_OP_N, as_int(cols), as_int(rows), as_int(depth),
                       &one, b.values, CUDA_R_16BF, as_int(b.stride), a.values, CUDA_R_16BF, as_int(a.stride),
                       &zero, c, CUDA_R_32F, as_int(c_stride), CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT),
        "bf16 product");
}

}  // namespace aftune::kernels::cuda
