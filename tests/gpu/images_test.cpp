// The operations of images against the CPU.

#include "kernels/cuda/images.h"

#include "gpu/device.h"
#include "kernels/image_ops.h"

namespace aftune::kernels {
namespace {

using Starts = std::vector<std::int64_t>;

const std::vector<std::int64_t> kWidths =
    unless_sanitized<std::int64_t>({1, 5, 31, 32, 33, 100, 1024, 1025}, {1, 33});

Floats room(std::int64_t n) {
  return Floats(static_cast<std::size_t>(n));
}

class Images : public OnSchedules {};
AFTUNE_FOR_SCHEDULES(Images);

TEST_P(Images, Patches) {
  for (const ImageShape& shape : {ImageShape{1, 2, 1}, ImageShape{3, 10, 5}, ImageShape{3, 28, 14}}) {
    const Floats x = awkward(3 * shape.pixels(), 1);
    Floats y = room(std::ssize(x));
    patches(one_thread(), shape, 3, x.data(), y.data());
    const FloatsOnDevice x_on(x), y_on(std::ssize(y));
    cuda::patches(nullptr, shape, 3, x_on.data(), y_on.data());
    EXPECT_TRUE(same_bits(y, y_on.get()));
  }
}

TEST_P(Images, LayerScale) {
  const Starts starts = {0, 1, 1, 4};
  const OnDevice<std::int64_t> starts_on(starts);
  for (const std::int64_t h : kWidths) {
    const Floats x = awkward(4 * h, 2), w = awkward(h, 3), dy = awkward(4 * h, 4);
    Floats y = room(4 * h), dw = w;
    const FloatsOnDevice x_on(x), w_on(w), dy_on(dy), y_on(4 * h), dw_on(w);
    layer_scale(one_thread(), 4, h, x.data(), w.data(), y.data());
    cuda::layer_scale(nullptr, 4, h, x_on.data(), w_on.data(), y_on.data());
    EXPECT_TRUE(same_bits(y, y_on.get())) << h;
    layer_scale_grad_weight(one_thread(), 3, starts.data(), h, x.data(), dy.data(), dw.data());
    cuda::layer_scale_grad_weight(nullptr, 3, starts_on.data(), h, x_on.data(), dy_on.data(), dw_on.data());
    EXPECT_TRUE(same_bits(dw, dw_on.get())) << h;
  }
}

TEST_P(Images, ClassMean) {
  constexpr std::int64_t kImages = 2, kPositions = 6;
  for (const std::int64_t h : kWidths) {
    const Floats x = awkward(kImages * kPositions * h, 5), dy = awkward(kImages * 2 * h, 6);
    Floats y = room(std::ssize(dy)), dx = room(std::ssize(x));
    const FloatsOnDevice x_on(x), dy_on(dy), y_on(std::ssize(y)), dx_on(std::ssize(dx));
    class_mean(one_thread(), kImages, kPositions, h, x.data(), y.data());
    cuda::class_mean(nullptr, kImages, kPositions, h, x_on.data(), y_on.data());
    EXPECT_TRUE(same_bits(y, y_on.get())) << h;
    class_mean_grad(one_thread(), kImages, kPositions, h, dy.data(), dx.data());
    cuda::class_mean_grad(nullptr, kImages, kPositions, h, dy_on.data(), dx_on.data());
    EXPECT_TRUE(same_bits(dx, dx_on.get())) << h;
  }
}

TEST_P(Images, NothingToDo) {
  cuda::patches(nullptr, {3, 4, 2}, 0, nullptr, nullptr);
  cuda::layer_scale(nullptr, 0, 4, nullptr, nullptr, nullptr);
  cuda::class_mean_grad(nullptr, 0, 5, 4, nullptr, nullptr);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
}

}  // namespace
}  // namespace aftune::kernels
