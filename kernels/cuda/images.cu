// Drivers only, as in rows.cu: a warp takes a row, or 32 columns.

#include "kernels/cuda/images.h"

#include "kernels/class_mean.h"
#include "kernels/cuda/warps.cuh"
#include "kernels/layer_scale.h"
#include "kernels/patches.h"

namespace aftune::kernels::cuda {

void patches(Stream stream, const ImageShape& shape, std::int64_t images, const float* x, float* y) {
  const Patches op{shape};
  const std::int64_t count = shape.patches(), pixels = shape.pixels(), width = shape.patch_width();
  launch_warps(stream, images * count, [=] __device__(std::int64_t r) {
    op.row(WarpLanes{}, r % count, x + r / count * pixels, y + r * width);
  });
}

void layer_scale(Stream stream, std::int64_t n, std::int64_t h, const float* x, const float* w, float* y) {
  const LayerScale op{h};
  launch_warps(stream, n, [=] __device__(std::int64_t r) {
    op.row(WarpLanes{}, x + r * op.h, w, y + r * op.h);
  });
}

void layer_scale_grad_weight(Stream stream, std::int64_t rows, const std::int64_t* row_starts, std::int64_t h,
                             const float* x, const float* dy, float* dw) {
  const LayerScale op{h};
  launch_columns(stream, h, [=] __device__(std::int64_t first, std::int64_t count) {
    for (std::int64_t r = 0; r < rows; ++r) {
      const std::int64_t at = row_starts[r] * op.h + first;
      op.columns_grad_weight(WarpLanes{}, count, row_starts[r + 1] - row_starts[r], x + at, dy + at,
                             dw + first);
    }
  });
}

void class_mean(Stream stream, std::int64_t images, std::int64_t positions, std::int64_t h, const float* x,
                float* y) {
  const ClassMean op{positions, h};
  launch_columns(stream, h, [=] __device__(std::int64_t first, std::int64_t count) {
    for (std::int64_t i = 0; i < images; ++i)
      op.columns(WarpLanes{}, count, x + i * op.positions * op.h + first, y + i * 2 * op.h + first);
  });
}

void class_mean_grad(Stream stream, std::int64_t images, std::int64_t positions, std::int64_t h,
                     const float* dy, float* dx) {
  const ClassMean op{positions, h};
  launch_warps(stream, images * positions, [=] __device__(std::int64_t r) {
    op.row_grad(WarpLanes{}, r % op.positions, dy + r / op.positions * 2 * op.h, dx + r * op.h);
  });
}

}  // namespace aftune::kernels::cuda
