#pragma once

#include <memory>

#include "kernels/device.h"

namespace aftune::kernels::cuda {

/// The NVIDIA GPU number `index`. Throws Error{kDevice} that says why it cannot be used: no driver, an older
/// one than this program needs, no such device, one of another architecture than the program has code for, or
/// one whose memory the processor cannot reach at any time (an integrated GPU, or Windows).
std::unique_ptr<Device> open_device(int index);

}  // namespace aftune::kernels::cuda
