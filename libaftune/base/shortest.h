#pragma once

namespace aftune {

/// A binary32 as the binary64 whose shortest decimal is that of the binary32: 0.1f is written as 0.1.
double shortest(float value);

}  // namespace aftune
