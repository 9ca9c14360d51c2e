#pragma once

namespace aftune::kernels {

/// x Phi(x) with Phi by the error function, or Hendrycks and Gimpel's approximation of it by tanh.
enum class GeluForm { kErf, kTanh };

}  // namespace aftune::kernels
