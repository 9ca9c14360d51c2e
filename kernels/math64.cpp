// The binary64 functions of ops.h, with their special cases.

#include "kernels/math64.h"

#include "kernels/ops.h"

namespace aftune::kernels {
namespace {

constexpr double kInfinity = __builtin_inf();

double log_special(double x) {
  return x == 0 ? -kInfinity : x > 0 ? x : __builtin_nan("");
}

bool has_log_pair(double x) {
  return x > 0 && x < kInfinity;
}

}  // namespace

double exp64(double x) {
  return portable::exp_pair(x, 0.0);
}

double log64(double x) {
  return has_log_pair(x) ? portable::log_pair(x).high : log_special(x);
}

double pow64(double x, double y) {
  if (y == 0 || x == 1) return 1.0;
  if (!has_log_pair(x)) return portable::exp_pair(y * log_special(x), 0.0);
  const portable::Pair64 ln = portable::log_pair(x);
  const portable::Pair64 power = portable::product_exact(ln.high, y);
  const bool in_range = power.high > -800 && power.high < 800;
  return portable::exp_pair(power.high, in_range ? power.low + ln.low * y : 0.0);
}

double sin64(double x) {
  return portable::sincos_pair(x).sin;
}

double cos64(double x) {
  return portable::sincos_pair(x).cos;
}

}  // namespace aftune::kernels
