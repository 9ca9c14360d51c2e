#include "device/device.h"

#include <charconv>
#include <optional>
#include <string_view>

#include "base/error.h"
#include "tensor/tensor.h"
#if AFTUNE_HAS_CUDA
#include "kernels/cuda/cuda_device.h"
#endif

namespace aftune::device {
namespace {

/// The number in "cuda" or "cuda:N".
std::optional<int> cuda_index(std::string_view name) {
  constexpr std::string_view kCuda = "cuda";
  if (name == kCuda) return 0;
  if (name.size() <= kCuda.size() + 1 || name.substr(0, kCuda.size()) != kCuda || name[kCuda.size()] != ':')
    return std::nullopt;
  const char* const end = name.data() + name.size();
  int index = 0;
  const auto [stop, error] = std::from_chars(name.data() + kCuda.size() + 1, end, index);
  if (error != std::errc() || stop != end || index < 0) return std::nullopt;
  return index;
}

std::unique_ptr<Accelerator> open(const std::string& name) {
  if (name == "cpu") return nullptr;
  const std::optional<int> index = cuda_index(name);
  if (!index) fail(Fault::kUsage, "--device: \"", name, "\" is not cpu, cuda or cuda:N");
#if AFTUNE_HAS_CUDA
  return within(cat("--device ", name), [&] { return kernels::cuda::open_device(*index); });
#else
  fail(Fault::kDevice, "--device ", name, ": this program was built without CUDA");
#endif
}

}  // namespace

Chosen::Chosen(const std::string& name) : accelerator_(open(name)) {
  if (accelerator_) use_memory_of(accelerator_.get());
}

Chosen::~Chosen() {
  if (accelerator_) use_memory_of(nullptr);
}

}  // namespace aftune::device
